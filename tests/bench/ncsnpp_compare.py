#!/usr/bin/env python3
"""Full-size CIFAR-10 NCSN++: ours against plain PyTorch of the same version on the same threads, in turn.

    tests/bench/ncsnpp_compare.py BUILD_FOLDER [--batch 8] [--rounds 5] [--threads 1]

Both hold the same weights and inputs; prints how far their outputs differ, then images per second and the ratio. On a
machine that others use too, the ratio of the CPU times tells more. Ends with 1 when the outputs differ or ours is slower.
"""
import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=Path)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(arguments.threads)
    import torch
    import ncsnpp_pytorch
    torch.set_num_threads(arguments.threads)

    with tempfile.TemporaryDirectory() as folder:
        program = [arguments.build / "tests/bench/lcsc_bench_ncsnpp", "--serve", folder, str(arguments.batch), str(arguments.threads)]
        ours = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        print(ours.stdout.readline().strip())
        tensors, _ = ncsnpp_pytorch.read_safetensors(Path(folder) / "io.safetensors")
        network = ncsnpp_pytorch.load(Path(folder) / "weights.safetensors")
        ours_took, torch_took = [], []  # (seconds, CPU seconds) of each round
        with torch.inference_mode():
            theirs = network(tensors["x"], tensors["sigma"])
            error = (theirs - tensors["denoised"]).norm() / theirs.norm()
            print(f"relative difference of the outputs: {error:.2e}")
            for _ in range(arguments.rounds):
                ours.stdin.write("go\n")
                ours.stdin.flush()
                ours_took.append(tuple(map(float, ours.stdout.readline().split())))
                begin, cpu_begin = time.perf_counter(), time.process_time()
                network(tensors["x"], tensors["sigma"])
                torch_took.append((time.perf_counter() - begin, time.process_time() - cpu_begin))
        ours.stdin.close()
        ours.wait()
    for name, took in (("lcsc", ours_took), (f"PyTorch {torch.__version__}", torch_took)):
        seconds, cpu_seconds = (statistics.median(column) for column in zip(*took))
        print(f"{name}: {arguments.batch / seconds:.3f} images/s, {cpu_seconds / arguments.batch:.3f} CPU s an image")
    ratio, cpu_ratio = (statistics.median(t[i] / o[i] for o, t in zip(ours_took, torch_took)) for i in (0, 1))
    print(f"ours : PyTorch = {ratio:.3f} in images per second, {cpu_ratio:.3f} in images per CPU second "
          f"(medians of {arguments.rounds} rounds in turn, batch {arguments.batch}, {arguments.threads} threads)")
    return 0 if error < 1e-4 and ratio >= 1 else 1


if __name__ == "__main__":
    sys.exit(main())
