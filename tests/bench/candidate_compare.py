#!/usr/bin/env python3
"""One whole candidate: ours against plain PyTorch, numpy and scipy on the same threads, in turn.

    tests/bench/candidate_compare.py BUILD_FOLDER digits                 K = 32, 2,000 samples
    tests/bench/candidate_compare.py BUILD_FOLDER ncsnpp --samples 100   K = 8, NCSN++ of model_channels 64, Inception
        [--checkpoints K] [--batch N] [--rounds 3] [--threads 2] [--json]

Both have the same checkpoints, coefficients and extractor; first both score the same noise, and the scores are compared.
Then the table of stages: seconds of each side (medians), theirs over ours, and ours beside its floor: what the machine's
copy bandwidth (merge) or its convolution rate (sampling, features) leaves at least. With fewer than 500 samples the
candidate of 500 is computed from the stages: sampling and features grow with the samples, merge and distance do not.
Ends with 1 when the scores differ or the target is missed: 2 times for digits, 1.2 times for ncsnpp (of 500 samples).
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

STAGES = ("merge", "sample", "features", "distance")
SETTINGS = {"digits": dict(checkpoints=32, samples=2000, batch=250, target=2.0, full=2000, overlapped=6),
            "ncsnpp": dict(checkpoints=8, samples=500, batch=25, target=1.2, full=500, overlapped=2)}


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=Path)
    parser.add_argument("setting", choices=SETTINGS)
    parser.add_argument("--checkpoints", type=int)
    parser.add_argument("--samples", type=int)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    for key in ("checkpoints", "samples", "batch"):
        if getattr(arguments, key) is None:
            setattr(arguments, key, SETTINGS[arguments.setting][key])
    return arguments


class Ours:
    def __init__(self, arguments, folder):
        program = arguments.build / "tests/bench/lcsc_bench_candidate"
        numbers = (arguments.checkpoints, arguments.samples, arguments.batch, arguments.threads)
        self.process = subprocess.Popen([program, folder, arguments.setting, *map(str, numbers)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.facts = self.read()

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit("candidate_compare.py: lcsc_bench_candidate ended early")
        return json.loads(line)

    def ask(self, question):
        self.process.stdin.write(question + "\n")
        self.process.stdin.flush()
        return self.read()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def compare(arguments):
    import torch
    from ncsnpp_pytorch import read_safetensors
    from python_baseline import Baseline
    torch.set_num_threads(arguments.threads)
    overlapped = SETTINGS[arguments.setting]["overlapped"]
    with tempfile.TemporaryDirectory() as folder:
        ours = Ours(arguments, folder)
        tensors, _ = read_safetensors(Path(folder) / "io.safetensors")
        coefficients = tensors["coefficients"].tolist()
        baseline = Baseline(Path(folder), arguments.batch)
        their_score = baseline.candidate(coefficients, tensors["noise"])[1]
        our_score = ours.ask("stages")["score"]
        rows = {"theirs": [], "ours": []}
        overlap = []
        for _ in range(arguments.rounds):
            rows["ours"].append(ours.ask("stages"))
            rows["theirs"].append(baseline.candidate(coefficients, tuple(tensors["noise"].shape))[0])
            overlap.append(ours.ask(f"overlap {overlapped}") / overlapped)
        ours.close()
    result = {"setting": arguments.setting, "checkpoints": arguments.checkpoints, "samples": arguments.samples,
              "batch": arguments.batch, "threads": arguments.threads, "torch": torch.__version__,
              "score_ours": our_score, "score_theirs": their_score, "facts": ours.facts}
    result["overlap_seconds"] = statistics.median(overlap)
    result["overlap_ratio"] = statistics.median(
        sum(t[s] for s in STAGES) / o for t, o in zip(rows["theirs"], overlap))
    for side in rows:
        result[side] = {s: statistics.median(row[s] for row in rows[side]) for s in STAGES}
    scales = {"measured": 1.0, "full": SETTINGS[arguments.setting]["full"] / arguments.samples}
    result["ratio"] = {name: statistics.median(whole(t, scale) / whole(o, scale)
                                               for t, o in zip(rows["theirs"], rows["ours"]))
                       for name, scale in scales.items()}
    return result


def whole(stages, scale):
    return sum(stages[s] * (scale if s in ("sample", "features") else 1) for s in STAGES)


def show(result):
    facts = result["facts"]
    print(f"{result['setting']}: {facts['parameters'] / 1e6:.2f} M parameters, K = {result['checkpoints']}, "
          f"{result['samples']} samples in batches of {result['batch']}, {result['threads']} threads, "
          f"PyTorch {result['torch']}")
    print(f"machine: copy {facts['copy_bytes_per_second'] / 1e9:.1f} GB/s, matrix product "
          f"{facts['product_flops_per_second'] / 1e9:.0f} GFLOP/s, convolution "
          f"{facts['convolution_flops_per_second'] / 1e9:.0f} GFLOP/s")
    print(f"score of the same noise: ours {result['score_ours']:.6g}, theirs {result['score_theirs']:.6g}")
    print(f"{'stage':<10} {'theirs s':>9} {'ours s':>9} {'ratio':>6} {'floor s':>9} {'share':>6}")
    for stage in STAGES:
        theirs, ours, floor = result["theirs"][stage], result["ours"][stage], facts["floors"].get(stage)
        tail = f"{floor:9.4f} {floor / ours:6.2f}" if floor else f"{'-':>9} {'-':>6}"
        print(f"{stage:<10} {theirs:9.4f} {ours:9.4f} {theirs / ours:6.2f} {tail}")
    theirs, ours = whole(result["theirs"], 1), whole(result["ours"], 1)
    print(f"{'candidate':<10} {theirs:9.4f} {ours:9.4f} {result['ratio']['measured']:6.2f}")
    print(f"{'overlapped':<10} {theirs:9.4f} {result['overlap_seconds']:9.4f} {result['overlap_ratio']:6.2f}")
    setting = SETTINGS[result["setting"]]
    if result["samples"] != setting["full"]:
        print(f"computed for {setting['full']} samples: ratio {result['ratio']['full']:.2f}")


def main():
    arguments = parse()
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(arguments.threads)
    # For both sides: threads that wait by spinning stand still where others use the cores too.
    os.environ["OMP_WAIT_POLICY"] = "passive"
    result = compare(arguments)
    if arguments.json:
        print(json.dumps(result, indent=2))
    else:
        show(result)
    error = abs(result["score_ours"] / result["score_theirs"] - 1)
    return 1 if error > 1e-2 or result["ratio"]["full"] < SETTINGS[arguments.setting]["target"] else 0


if __name__ == "__main__":
    sys.exit(main())
