"""What a run directory costs a search: run_directory_cost.py BUILD_FOLDER [--rounds N] [--workers N] [--seconds S]

Runs `lcsc simulate` (candidates of K = 400 that take time but no arithmetic) in pairs, with and without a run directory:
every outcome in the journal, a snapshot a minute. Then the command is repeated on the finished run: that reads and checks
the whole population, as a resumed search does before its first candidate. Floor: evaluations x seconds / workers.
"""
import argparse
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

CHECKPOINTS, CANDIDATES, CHILDREN = 400, 4000, 100


def seconds_of(command):
    environment = dict(os.environ, OMP_NUM_THREADS="1", OMPI_MCA_mpi_yield_when_idle="1")  # ranks share cores
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=0.1)
    options = parser.parse_args()
    lcsc = pathlib.Path(options.build, "src/app/lcsc").resolve()
    search = ["simulate", "--checkpoints", str(CHECKPOINTS), "--mean-seconds", str(options.seconds),
              "--set", f"search.children={CHILDREN}", "--set", f"search.epochs={CANDIDATES // CHILDREN}"]
    parallel = ["mpirun", "--oversubscribe", "--bind-to", "none", "-n", str(options.workers + 1), lcsc, *search]
    kept, bare, resumed = [], [], []
    for number in range(options.rounds):
        with tempfile.TemporaryDirectory() as scratch:
            run = ["--run", f"{scratch}/run"]
            orders = [(kept, [*parallel, *run]), (bare, parallel)]
            for times, command in orders if number % 2 == 0 else reversed(orders):
                times.append(seconds_of(command))
            resumed.append(seconds_of([lcsc, *search, *run]))
    with_run, without = statistics.median(kept), statistics.median(bare)
    print(f"K = {CHECKPOINTS}, {CANDIDATES} candidates of {options.seconds} s, {options.workers} workers, "
          f"{options.rounds} rounds, medians")
    print(f"floor                  {CANDIDATES * options.seconds / options.workers:8.3f} s")
    print(f"without run directory  {without:8.3f} s")
    print(f"with run directory     {with_run:8.3f} s  ratio {with_run / without:.4f}  "
          f"(by pair: {', '.join(f'{a / b:.4f}' for a, b in zip(kept, bare))})")
    print(f"finished run, again    {statistics.median(resumed):8.3f} s")


if __name__ == "__main__":
    main()
