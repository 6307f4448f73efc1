"""Prints the Pareto k of importance weights by ArviZ's psislw, for tests/lua/posterior.lua: weights whose
logarithms are -k ln(1 - (i + 1/2) / n), i = 0 ... n - 1, a Pareto distribution of shape k without noise.
python3 with arviz (0.21)."""
import numpy as np
from arviz.stats.stats import psislw

for k in (0.2, 0.5, 0.9):
    for n in (1000, 20000):
        u = (np.arange(n) + 0.5) / n
        print(k, n, "%.9f" % float(psislw(-k * np.log1p(-u))[1]))
print(np.quantile([3, 1, 4, 1, 5, 9, 2, 6], [0.16, 0.5, 0.84]))
