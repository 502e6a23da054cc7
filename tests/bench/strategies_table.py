"""Strategies beside each other: strategies_table.py BUILD_FOLDER DIGITS_RUN ... [--audit FOLDER ...] [--only NAME ...]

Each DIGITS_RUN is what launch/quickstart leaves of a seed: digits.traj, reference.npz, train/extractor.safetensors. Each
FOLDER of --audit has an extractor.safetensors that no search used, and its reference.npz. For every run and strategy:
a search with one master and two workers, at most as long as the first strategy of the list took on that run; then the
best EMA's and the found weights' FID on held-out noise under the run's own extractor and under those of the audit.
Prints Markdown: mean and standard deviation over the runs, and the wall time to the first strategy's final held-out FID.
"""
import argparse
import bisect
import json
import pathlib
import statistics
import subprocess
import tempfile

GROUPS = ["--set", "run.group_size=1"]
ONE_GROUP = ["--set", "run.group_size=2"]
GRADIENT = [*ONE_GROUP, "--set", "search.backward_every=4", "--set", "search.judge_every=2"]
STRATEGIES = {
    "evolution": GROUPS,
    "evolution, racing": [*GROUPS, "--set", "search.racing=best", "--set", "search.race_risk=0.1"],
    "cma-es": [*GROUPS, "--set", "search.strategy=cma-es"],
    "gradient, 10 steps": [*GRADIENT, "--set", "search.strategy=gradient", "--set", "search.gradient_steps=10"],
    "gradient, 40 steps": [*GRADIENT, "--set", "search.strategy=gradient", "--set", "search.gradient_steps=40"],
    "hybrid, 10 steps": [*GRADIENT, "--set", "search.strategy=hybrid", "--set", "search.gradient_steps=10"],
}


def last_json(command):
    done = subprocess.run([str(part) for part in command], check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


class Bench:
    def __init__(self, options, run, number, scratch):
        self.lcsc = pathlib.Path(options.build, "src/app/lcsc").resolve()
        self.run, self.number, self.scratch = pathlib.Path(run).resolve(), number, pathlib.Path(scratch)
        self.held_out = options.held_out_samples
        own = self.run / "train/extractor.safetensors", self.run / "reference.npz"
        audits = [pathlib.Path(folder).resolve() for folder in options.audit]
        self.extractors = [own, *((folder / "extractor.safetensors", folder / "reference.npz") for folder in audits)]

    def evaluation(self, extractor, reference):
        return ["--config", "configs/digits.ini", "--set", f"evaluation.trajectory={self.run / 'digits.traj'}",
                "--set", f"evaluation.extractor={extractor}", "--set", f"evaluation.reference={reference}"]

    def search(self, more, hours):
        folder = self.scratch / "search"
        subprocess.run(["rm", "-rf", folder], check=True)
        command = ["mpirun", "--oversubscribe", "--bind-to", "none", "-n", "3", self.lcsc, "search",
                   *self.evaluation(*self.extractors[0]), "--run", folder, "--json",
                   "--set", f"search.seed={self.number}", "--set", f"evaluation.seed={self.number}",
                   "--max-hours", str(hours), *more]
        done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        if done.returncode not in (0, 1, 3):
            raise SystemExit(f"search ended with {done.returncode}: {' '.join(map(str, command))}")
        status = last_json([self.lcsc, "status", folder, "--json", "--candidates"])
        curve = [json.loads(line) for line in open(folder / "metrics.jsonl")]
        return status, curve

    # FID of a linear combination under each of the extractors.
    def evaluate(self, coefficients, extractors, *noise):
        weights, listed = self.scratch / "weights.safetensors", self.scratch / "coefficients.csv"
        listed.write_text(",".join(map(repr, coefficients)))
        subprocess.run([str(self.lcsc), "merge", "--trajectory", str(self.run / "digits.traj"), "--coefficients",
                        str(listed), "--output", str(weights)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return [last_json(["mpirun", "--oversubscribe", "--bind-to", "none", "-n", "2", self.lcsc, "evaluate", "--weights",
                           weights, *self.evaluation(extractor, reference), *noise, "--json"])["fid"]
                for extractor, reference in extractors]

    # On held-out noise, under every extractor, or the run's own alone.
    def fids(self, coefficients, own_alone=False):
        return self.evaluate(coefficients, self.extractors[:1] if own_alone else self.extractors,
                             "--set", f"evaluation.num_samples={self.held_out}", "--set", f"evaluation.seed={1000 + self.number}")

    # On the search's own noise.
    def search_fid(self, coefficients):
        return self.evaluate(coefficients, self.extractors[:1], "--set", f"evaluation.seed={self.number}")[0]


def is_scored(candidate):
    return candidate["score"] is not None and "gradient" not in candidate and candidate.get("noise_block", 0) == 0


def best_of(candidates):
    return min((c for c in candidates if is_scored(c)), key=lambda c: c["score"])


# When the search first had a best candidate whose held-out FID is no worse, found by bisection: as if that only fell
# from one best candidate to the next.
def seconds_to(bench, status, curve, target):
    by_id = {c["id"]: c for c in status["candidates"]}
    best, improvements = float("inf"), []
    for line in curve:
        candidate = by_id[line["id"]]
        if is_scored(candidate) and candidate["score"] < best:
            best = candidate["score"]
            improvements.append((line["seconds"], candidate["coefficients"]))
    first = bisect.bisect_left(improvements, True, key=lambda step: bench.fids(step[1], own_alone=True)[0] <= target)
    return improvements[first][0] if first < len(improvements) else None


def spread(values):
    values = [v for v in values if v is not None]
    if not values:
        return "none"
    return f"{statistics.mean(values):.2f} ± {statistics.stdev(values) if len(values) > 1 else 0:.2f}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--audit", action="append", default=[])
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--held-out-samples", type=int, default=8000)
    parser.add_argument("--hours", type=float, default=1)
    options = parser.parse_args()
    names = [name for name in STRATEGIES if not options.only or name in options.only]
    rows = {name: [] for name in ["best EMA", *names]}
    for number, run in enumerate(options.runs, start=1):
        with tempfile.TemporaryDirectory() as scratch:
            bench = Bench(options, run, number, scratch)
            hours, target = options.hours, None
            for name in names:
                status, curve = bench.search(STRATEGIES[name], hours)
                candidates = status["candidates"]
                best = best_of(candidates)
                fids = bench.fids(best["coefficients"])
                first = target is None
                if first:
                    ema = best_of([c for c in candidates if "ema_rate" in c])
                    rows["best EMA"].append((0, 13, ema["score"], *bench.fids(ema["coefficients"]), None))
                    hours, target = status["seconds"] / 3600, fids[0]
                found_at = next(line["seconds"] for line in curve if line["id"] == best["id"])
                reached = found_at if first else seconds_to(bench, status, curve, target)
                rows[name].append((status["seconds"], len(candidates), best["score"], *fids, reached))
                print(f"{run}: {name}: {rows[name][-1]}", flush=True)
    audits = " | ".join(f"held-out, audit {i + 1}" for i in range(len(options.audit)))
    print(f"| | wall time, s | evaluations | FID search noise | held-out | {audits} | s to {names[0]}'s final held-out FID |")
    print("|---|---|---|---|---|" + "---|" * (len(options.audit) + 1))
    for name, results in rows.items():
        print(f"| {name} | " + " | ".join(spread(column) for column in zip(*results)) + " |")


if __name__ == "__main__":
    main()
