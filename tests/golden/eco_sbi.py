"""The bar that galrun's photometry model must reach on a small real catalogue: sbi 0.27's FMPE (flow
matching) and NPE (neural spline flow) over five folds.

theta = (lgm_tot_p50, sfr_tot_p50, oh_p50, d4000_n, a_v),
context = modelMag_{u,g,r,i,z} - extinction_{u,g,r,i,z}.
Complete rows are those where all fifteen columns are finite and above -9999 (1,455 of ECO/RESOLVE's 2,215).
fold = (index among the complete rows, in file order) mod 5. For each fold and mode (sbi_peers.py) a density
is trained on the other four, and the fold's own rows are scored: log q(theta | context) in nats, theta in the
catalogue's units.

    eco_sbi.py eco_resolve/catalog.csv
    eco_sbi.py quench/catalog.csv --out quench_sbi.csv

usage: eco_sbi.py catalog.csv [--out eco_sbi.csv] [--modes default compose nsf] [--seed 0]
(sbi==0.27.0, torch 2.15.0, one thread, about ten minutes; another processor gives other last digits). A file
that is there is added to: what it has is not computed again. In the committed eco_sbi.csv default and compose
were scored a row a call.

Output columns: row (index in the file, 0 is the first after the header), fold, log_q_MODE for each mode."""
import argparse
import csv
import math
import pathlib

import numpy as np
import sbi
import torch
from sbi_peers import MODES, Results, fit_missing

THETA = ["lgm_tot_p50", "sfr_tot_p50", "oh_p50", "d4000_n", "a_v"]
BANDS = "ugriz"
FOLDS = 5


def read_complete_rows(path):
    """Of the complete rows: index in the file {n} int, theta {n, 5} and context {n, 5} float64; then the
    number of rows in the file."""
    columns = THETA + [f"modelMag_{b}" for b in BANDS] + [f"extinction_{b}" for b in BANDS]
    with open(path, newline="") as file:
        values = np.array([[float(r[c] or "nan") for c in columns] for r in csv.DictReader(file)])
    rows = np.flatnonzero((np.isfinite(values) & (values > -9999)).all(axis=1))
    kept = values[rows]
    return rows, kept[:, :5], kept[:, 5:10] - kept[:, 10:15], len(values)


def main():
    as_written = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=as_written)
    parser.add_argument("catalog")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).with_suffix(".csv"))
    parser.add_argument("--modes", nargs="+", choices=MODES, default=MODES)
    parser.add_argument("--seed", type=int, default=0, help="fold f is trained with seed + f")
    options = parser.parse_args()
    torch.set_num_threads(1)

    rows, theta, context, in_file = read_complete_rows(options.catalog)
    theta, context = (torch.tensor(a, dtype=torch.float32) for a in (theta, context))
    fold = np.arange(len(rows)) % FOLDS
    versions = f"sbi {sbi.__version__}, torch {torch.__version__}"
    print(f"{versions}: {len(rows)} complete rows of {in_file}", flush=True)

    results = Results(options.out, {"row": rows.tolist(), "fold": fold.tolist()})
    for mode in options.modes:
        for f in range(FOLDS):
            test = fold == f
            fit_missing(results, f"log_q_{mode}", np.flatnonzero(test), mode,
                        (theta[~test], context[~test]), (theta[test], context[test]), options.seed + f)
        q = results.values(f"log_q_{mode}")
        error = q.std(ddof=1) / math.sqrt(len(q))
        print(f"all {mode}: mean log q {q.mean():.4f} +- {error:.4f} nats, median {np.median(q):.4f}, "
              f"least {q.min():.2f}")


if __name__ == "__main__":
    main()
