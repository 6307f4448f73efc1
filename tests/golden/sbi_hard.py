"""What sbi 0.27 reaches on a problem of acceptance/problems.lua, 10,000 pairs and 1,000 fresh rows a seed:
log q(theta | x) of the fresh rows, by FMPE with its defaults and with compose_standardization=True.

    for p in two_moons slcp; do
      build/galrun tests/acceptance/pairs.lua --problem $p --out pairs/$p
      tests/golden/sbi_hard.py pairs/$p --out tests/golden/sbi_$p.csv
    done

usage: sbi_hard.py folder --out file.csv [--modes default compose] [--seeds 1 2 3 4 5]
(sbi==0.27.0, torch 2.15.0, one thread, about two minutes a training; another processor gives other last
digits). A file that is there is added to: what it has is not computed again.

Output columns: row of x_test.npy, from 0, then MODE_SEED for each training; the training pairs, the fresh
rows, the weights and the noise are all of that seed."""
import argparse
import pathlib

import numpy as np
import sbi
import torch
from sbi_peers import MODES, Results, fit_missing


def main():
    as_written = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=as_written)
    parser.add_argument("folder", type=pathlib.Path, help="what pairs.lua wrote")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--modes", nargs="+", choices=MODES, default=["default", "compose"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3, 4, 5])
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"sbi {sbi.__version__}, torch {torch.__version__}", flush=True)

    results = None
    for mode in options.modes:
        for seed in options.seeds:
            names = ("theta", "x", "theta_test", "x_test")
            arrays = [np.load(options.folder / str(seed) / f"{name}.npy") for name in names]
            theta, x, theta_test, x_test = (torch.tensor(a) for a in arrays)
            rows = range(len(x_test))
            results = results or Results(options.out, {"row": rows})
            fit_missing(results, f"{mode}_{seed}", rows, mode, (theta, x), (theta_test, x_test), seed)


if __name__ == "__main__":
    main()
