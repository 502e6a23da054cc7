"""What racing saves and costs: racing_table.py BUILD_FOLDER DIGITS_RUN ... [--risk R] [--nearest N]

Each DIGITS_RUN is what launch/quickstart leaves of a seed (see strategies_table.py). For each run: evolution without
racing, and with search.racing = best. Prints Markdown: the share of the samples that the race drew, both wall times, both
best scores on the search noise and on held-out noise; and of those N stopped candidates at each look that were nearest
to going on, evaluated whole, how many would have been better than the race's best.
"""
import argparse
import statistics
import tempfile

from strategies_table import GROUPS, Bench, best_of

LOOK = "score_of_first_"


def looks_of(candidate):
    return {int(name.removeprefix(LOOK)): value for name, value in candidate["metrics"].items() if name.startswith(LOOK)}


def is_stopped(candidate):
    return candidate["score"] is None and "failure" not in candidate


# At each look, those with the lowest scores.
def nearest(candidates, count):
    by_look = {}
    for candidate in filter(is_stopped, candidates):
        looks = looks_of(candidate)
        by_look.setdefault(max(looks), []).append((looks[max(looks)], candidate["id"], candidate["coefficients"]))
    return [coefficients for stopped in by_look.values() for _, _, coefficients in sorted(stopped)[:count]]


def share_drawn(candidates, num_samples):
    drawn = sum(max(looks_of(c)) if is_stopped(c) else num_samples for c in candidates)
    return drawn / (num_samples * len(candidates))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--risk", default="0.05")
    parser.add_argument("--nearest", type=int, default=10)
    parser.add_argument("--held-out-samples", type=int, default=8000)
    parser.add_argument("--num-samples", type=int, default=2000, help="of configs/digits.ini")
    parser.set_defaults(audit=[])
    options = parser.parse_args()
    print("| run | samples drawn | s, all | s, race | search noise, all | race | held-out, all | race | better among the nearest |")
    print("|---|---|---|---|---|---|---|---|---|", flush=True)
    shares, differences = [], []
    for number, run in enumerate(options.runs, start=1):
        with tempfile.TemporaryDirectory() as scratch:
            bench = Bench(options, run, number, scratch)
            searches = [bench.search([*GROUPS, *more], hours=1)[0]
                        for more in ([], ["--set", "search.racing=best", "--set", f"search.race_risk={options.risk}"])]
            bests = [best_of(search["candidates"]) for search in searches]
            held_out = [bench.fids(best["coefficients"])[0] for best in bests]
            raced = searches[1]["candidates"]
            scores = [bench.search_fid(coefficients) for coefficients in nearest(raced, options.nearest)]
            better = sum(score < bests[1]["score"] for score in scores)
            shares.append(share_drawn(raced, options.num_samples))
            differences.append(held_out[1] - held_out[0])
            print(f"| {number} | {100 * shares[-1]:.1f} % | {searches[0]['seconds']:.1f} | {searches[1]['seconds']:.1f} | "
                  f"{bests[0]['score']:.2f} | {bests[1]['score']:.2f} | {held_out[0]:.2f} | {held_out[1]:.2f} | "
                  f"{better} of {len(scores)} |", flush=True)
    print(f"\nmean share {100 * statistics.mean(shares):.1f} %; held-out, race - all: {statistics.mean(differences):+.2f} "
          f"+- {statistics.stdev(differences) if len(differences) > 1 else 0:.2f}")


if __name__ == "__main__":
    main()
