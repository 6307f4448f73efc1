"""The bar that galrun's photometry model must reach on a small real catalogue: sbi 0.27's FMPE (flow
matching) over five folds.

theta = (lgm_tot_p50, sfr_tot_p50, oh_p50, d4000_n, a_v),
context = modelMag_{u,g,r,i,z} - extinction_{u,g,r,i,z}.
Complete rows are those where all fifteen columns are finite and above -9999 (1,455 of ECO/RESOLVE's 2,215).
fold = (index among the complete rows, in file order) mod 5. For each fold FMPE is trained on the other four,
once with its defaults and once with compose_standardization=True (it then learns in standardised theta), and
the fold's own rows are scored: log q(theta | context) in nats, theta in the catalogue's units, the prior
improper and flat, so q is the flow's own density.

usage: eco_sbi.py catalog.csv [--out eco_sbi.csv] [--seed 0]
(sbi==0.27.0, one thread, about ten minutes; another processor gives other last digits)

Output columns: row (index in the file, 0 is the first after the header), fold, log_q_default,
log_q_compose."""
import argparse
import csv
import math
import pathlib
import tempfile
import time

import numpy as np
import sbi
import torch
from sbi.inference import FMPE
from sbi.neural_nets import posterior_flow_nn
from sbi.utils.tracking import TensorBoardTracker
from torch.utils.tensorboard.writer import SummaryWriter

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


def fit_and_score(theta, context, test, compose, seed, logs):
    """log q {test rows} of FMPE trained on the rows outside test {n} bool; then the number of its epochs."""
    torch.manual_seed(seed)   # initial weights, FMPE's own 10 % validation split, batches and noise
    # "mlp" is FMPE's default.
    net = posterior_flow_nn(model="mlp", compose_standardization=True) if compose else "mlp"
    tracker = TensorBoardTracker(SummaryWriter(logs))
    inference = FMPE(prior=None, vf_estimator=net, show_progress_bars=False, tracker=tracker)
    inference.append_simulations(theta[~test], context[~test])
    posterior = inference.build_posterior(inference.train())
    # one pair a call: log_prob takes several rows of context for repeated observations of one theta
    pairs = zip(theta[test], context[test])
    log_q = np.array([posterior.log_prob(t[None], x=x[None]).item() for t, x in pairs])
    return log_q, inference.summary["epochs_trained"][-1]


def main():
    as_written = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=as_written)
    parser.add_argument("catalog")
    parser.add_argument("--out", default=pathlib.Path(__file__).with_suffix(".csv"))
    parser.add_argument("--seed", type=int, default=0, help="fold f is trained with seed + f")
    options = parser.parse_args()
    torch.set_num_threads(1)

    rows, theta, context, in_file = read_complete_rows(options.catalog)
    theta, context = (torch.tensor(a, dtype=torch.float32) for a in (theta, context))
    fold = np.arange(len(rows)) % FOLDS
    versions = f"sbi {sbi.__version__}, torch {torch.__version__}"
    print(f"{versions}: {len(rows)} complete rows of {in_file}", flush=True)

    log_q = {"default": np.full(len(rows), math.nan), "compose": np.full(len(rows), math.nan)}
    with tempfile.TemporaryDirectory() as logs:
        for f in range(FOLDS):
            for mode in log_q:
                start = time.monotonic()
                compose = mode == "compose"
                q, epochs = fit_and_score(theta, context, fold == f, compose, options.seed + f, logs)
                log_q[mode][fold == f] = q
                print(f"fold {f} {mode}: mean log q {q.mean():.4f} nats, median {np.median(q):.4f}, "
                      f"{len(q)} rows, {epochs} epochs, {time.monotonic() - start:.0f} s", flush=True)

    for mode, q in log_q.items():
        error = q.std(ddof=1) / math.sqrt(len(q))
        print(f"all {mode}: mean log q {q.mean():.4f} +- {error:.4f} nats, median {np.median(q):.4f}, "
              f"least {q.min():.2f}")
    difference = log_q["compose"] - log_q["default"]
    error = difference.std(ddof=1) / math.sqrt(len(rows))
    print(f"compose - default: {difference.mean():.4f} +- {error:.4f}")

    with open(options.out, "w") as file:
        file.write("row,fold,log_q_default,log_q_compose\n")
        for i, row in enumerate(rows):
            file.write(f"{row},{fold[i]},{log_q['default'][i]:.6g},{log_q['compose'][i]:.6g}\n")


if __name__ == "__main__":
    main()
