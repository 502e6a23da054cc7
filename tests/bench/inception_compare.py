#!/usr/bin/env python3
"""The FID Inception: ours against plain PyTorch of the same version on the same threads, in turn.

    tests/bench/inception_compare.py BUILD_FOLDER [--batch 32] [--rounds 5] [--threads 2]

Both hold the same weights and see the same uint8 images of 32 x 32; prints how far their features differ, then images per
second and the ratio, also for a PyTorch network in channels_last. On a machine that others use too, the ratio of the CPU
times tells more. Ends with 1 when the features differ or ours is slower than the plain one.
"""
import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def timed(call):
    begin, cpu_begin = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - begin, time.process_time() - cpu_begin


def median(took, column):
    return statistics.median(row[column] for row in took)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=Path)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(arguments.threads)
    import numpy as np
    import torch
    import inception_pytorch
    torch.set_num_threads(arguments.threads)

    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        program = [arguments.build / "tests/bench/lcsc_bench_inception", "--serve", folder, str(arguments.batch),
                   str(arguments.threads)]
        ours = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        ours.stdout.readline()
        recorded = np.load(Path(folder) / "io.npz")
        images, features = (torch.from_numpy(recorded[name]) for name in ("images", "features"))
        plain = inception_pytorch.make_network()
        last = inception_pytorch.make_network().to(memory_format=torch.channels_last)

        def run(network, layout):
            x = inception_pytorch.pytorch_fid_input(images).contiguous(memory_format=layout)
            return network(x)["2048"]

        error = ((run(plain, torch.contiguous_format) - features).norm() / features.norm()).item()
        print(f"relative difference of the features: {error:.2e}")
        run(last, torch.channels_last)
        took = {"ours": [], "plain": [], "channels_last": []}
        for _ in range(arguments.rounds):
            ours.stdin.write("go\n")
            ours.stdin.flush()
            took["ours"].append(tuple(map(float, ours.stdout.readline().split())))
            took["plain"].append(timed(lambda: run(plain, torch.contiguous_format)))
            took["channels_last"].append(timed(lambda: run(last, torch.channels_last)))
        ours.stdin.close()
        ours.wait()
    for name, rows in took.items():
        print(f"{name}: {arguments.batch / median(rows, 0):.2f} images/s, "
              f"{1000 * median(rows, 1) / arguments.batch:.1f} CPU ms an image")
    for name in ("plain", "channels_last"):
        ratio, cpu_ratio = (statistics.median(t[i] / o[i] for o, t in zip(took["ours"], took[name])) for i in (0, 1))
        print(f"ours : PyTorch {torch.__version__} {name} = {ratio:.3f} in images per second, {cpu_ratio:.3f} in images "
              f"per CPU second (medians of {arguments.rounds} rounds in turn, batch {arguments.batch}, "
              f"{arguments.threads} threads)")
    slower = statistics.median(t[1] / o[1] for o, t in zip(took["ours"], took["plain"])) < 1
    return 1 if error > 1e-4 or slower else 0


if __name__ == "__main__":
    sys.exit(main())
