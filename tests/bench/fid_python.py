#!/usr/bin/env python3
"""Fréchet distance of generated features to given reference statistics, ours beside NumPy and SciPy.

NumPy's side is what pytorch-fid does: np.cov of the features, scipy.linalg.sqrtm of the product of the covariances.
Both sides get the same features and threads, take turns, and must agree within 1e-6. The reference's statistics are
given to both; ours factors the reference once for all candidates, which is printed apart and in both sums.

    tests/bench/fid_python.py build/release/tests/bench/lcsc_bench_fid [--samples 10000] [--features 2048]
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="lcsc_bench_fid of a release build")
    parser.add_argument("--samples", type=int, default=10000)
    parser.add_argument("--features", type=int, default=2048)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--repeats", type=int, default=3)
    return parser.parse_args()


def make_features(np, rng, shape, shift):
    """Non-negative and correlated with a falling spectrum, as pooled activations are."""
    samples, features = shape
    mixing = np.random.RandomState(0).randn(features, features) / np.sqrt(features)
    scales = 1 / np.sqrt(1 + np.arange(features))
    return np.maximum((rng.randn(samples, features) * scales) @ mixing + 0.02 + shift, 0).astype(np.float32)


def numpy_distance(np, linalg, features, mu, sigma):
    start = time.perf_counter()
    own_mu, own_sigma = features.mean(axis=0, dtype=np.float64), np.cov(features, rowvar=False)
    middle = time.perf_counter()
    root = linalg.sqrtm(own_sigma @ sigma).real
    fid = np.square(own_mu - mu).sum() + np.trace(own_sigma) + np.trace(sigma) - 2 * np.trace(root)
    return fid, middle - start, time.perf_counter() - middle


def loaded_blas():
    with open("/proc/self/maps") as maps:
        files = {line.split()[-1] for line in maps if ".so" in line}
    return sorted(os.path.basename(file) for file in files if "blas" in file or "mkl" in file) or ["built in"]


def main():
    arguments = parse_arguments()
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = str(arguments.threads)  # read when NumPy is imported, and by our program
    import numpy as np
    import scipy
    from scipy import linalg

    rng = np.random.RandomState(1)
    shape = (arguments.samples, arguments.features)
    generated, real = make_features(np, rng, shape, 0.0), make_features(np, rng, shape, 0.002)
    mu, sigma = real.mean(axis=0, dtype=np.float64), np.cov(real, rowvar=False)
    with tempfile.TemporaryDirectory() as folder:
        features_path, reference_path = os.path.join(folder, "features.npz"), os.path.join(folder, "reference.npz")
        np.savez(features_path, features=generated)
        np.savez(reference_path, mu=mu, sigma=sigma)
        command = [arguments.program, features_path, reference_path, str(arguments.threads)]
        theirs, ours = [], []
        for _ in range(arguments.repeats):
            theirs.append(numpy_distance(np, linalg, generated, mu, sigma))
            ours.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))

    median = statistics.median
    cov_s, sqrtm_s = median(t[1] for t in theirs), median(t[2] for t in theirs)
    theirs_s = median(t[1] + t[2] for t in theirs)
    ours_s = median(o["statistics_s"] + o["distance_s"] for o in ours)
    whole_s = median(o["statistics_s"] + o["distance_s"] + o["reference_s"] for o in ours)
    error = abs(ours[0]["fid"] / theirs[0][0] - 1)
    print(f"{shape[0]} samples of {shape[1]} features, {arguments.threads} threads, median of {arguments.repeats}; "
          f"NumPy {np.__version__}, SciPy {scipy.__version__}, BLAS {', '.join(loaded_blas())}")
    print(f"np.cov + sqrtm                 {theirs_s:8.3f} s  ({cov_s:.3f} + {sqrtm_s:.3f})")
    print(f"lcsc, reference prepared       {ours_s:8.3f} s  ({median(o['statistics_s'] for o in ours):.3f} + "
          f"{median(o['distance_s'] for o in ours):.3f})")
    print(f"lcsc with the preparation      {whole_s:8.3f} s")
    print(f"ratio {theirs_s / ours_s:.2f}, with the preparation {theirs_s / whole_s:.2f}; "
          f"FID {ours[0]['fid']:.9g}, relative difference {error:.1e}")
    if error > 1e-6:
        sys.exit("the two distances differ by more than 1e-6")


if __name__ == "__main__":
    main()
