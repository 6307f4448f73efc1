"""What eco_sbi.py and sbi_hard.py have in common: sbi 0.27's conditional densities, trained with its
defaults, and the file of what they gave.

default: FMPE (flow matching); compose: FMPE with compose_standardization=True (it then learns in standardised
theta); nsf: NPE with a neural spline flow."""
import csv
import tempfile
import time

import numpy as np
import torch
from sbi.inference import FMPE, NPE
from sbi.neural_nets import posterior_flow_nn
from sbi.utils.tracking import TensorBoardTracker
from torch.utils.tensorboard.writer import SummaryWriter

MODES = ("default", "compose", "nsf")


def fit_and_score(mode, theta, context, test_theta, test_context, seed):
    """log q {test rows} in nats, theta in its own units, the prior improper and flat, so that q is the flow's
    own density; then the number of epochs. theta {n, d} and context {n, c} float32.

    FMPE's density is that of posterior.log_prob, whose calls take one observation each, for all rows in one
    call of its solver, 25 times as fast: on 40 rows of two moons they differ by at most 2.4e-4 nats, what the
    solver's tolerance leaves."""
    torch.manual_seed(seed)   # initial weights, sbi's own 10 % validation split, batches and noise
    with tempfile.TemporaryDirectory() as logs:
        tracker = TensorBoardTracker(SummaryWriter(logs))
        if mode == "nsf":
            inference = NPE(prior=None, density_estimator="nsf", show_progress_bars=False, tracker=tracker)
        else:
            # "mlp" is FMPE's default.
            net = posterior_flow_nn(model="mlp", compose_standardization=True) if mode == "compose" else "mlp"
            inference = FMPE(prior=None, vf_estimator=net, show_progress_bars=False, tracker=tracker)
        inference.append_simulations(theta, context)
        estimator = inference.train()
        epochs = inference.summary["epochs_trained"][-1]
        if mode == "nsf":
            with torch.no_grad():
                return estimator.log_prob(test_theta[None], condition=test_context)[0].numpy(), epochs
        flow = inference.build_posterior(estimator).potential_fn.neural_ode(test_context)
        z = estimator.to_z(test_theta) if estimator.compose_enabled else test_theta
        with torch.no_grad():
            log_q = flow.log_prob(z)
        return (log_q - estimator.log_abs_det() if estimator.compose_enabled else log_q).numpy(), epochs


class Results:
    """Columns of log q, a line a row, in a file that is read first and rewritten after each addition: what is
    there is not computed again and keeps its digits. `keys` names the leading columns and their values, a list
    a row."""

    def __init__(self, path, keys):
        self.path, self.keys, self.cells = path, keys, {}
        if path.exists():
            with open(path, newline="") as file:
                rows = list(csv.DictReader(file))
            for name in rows[0]:
                if name in keys:
                    assert [int(r[name]) for r in rows] == list(keys[name]), f"{path}: other rows ({name})"
                else:
                    self.cells[name] = [r[name] for r in rows]

    def missing(self, name, rows):
        """Whether the column lacks one of these rows."""
        return name not in self.cells or any(self.cells[name][i] == "" for i in rows)

    def add(self, name, rows, values):
        column = self.cells.setdefault(name, [""] * len(next(iter(self.keys.values()))))
        for i, value in zip(rows, values):
            column[i] = f"{value:.5g}"
        with open(self.path, "w") as file:
            file.write(",".join([*self.keys, *self.cells]) + "\n")
            for i, key in enumerate(zip(*self.keys.values())):
                file.write(",".join([*map(str, key), *(c[i] for c in self.cells.values())]) + "\n")

    def values(self, name):
        return np.array([float(cell) for cell in self.cells[name]])


def fit_missing(results, column, rows, mode, training, test, seed):
    """One training, unless the file has its values: log q of the rows `rows` into a column, and a line about
    it. training and test: pairs of theta and context."""
    if not results.missing(column, rows):
        return
    start = time.monotonic()
    log_q, epochs = fit_and_score(mode, *training, *test, seed)
    results.add(column, rows, log_q)
    seconds = time.monotonic() - start
    print(f"{column}, {len(rows)} rows from {rows[0]}: mean log q {log_q.mean():.4f} nats, median "
          f"{np.median(log_q):.4f}, least {log_q.min():.2f}, {epochs} epochs, {seconds:.0f} s", flush=True)
