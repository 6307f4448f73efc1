"""Golden values for the tests of uniform ranks, from NumPy and SciPy in double precision.

usage: uniformity.py      (numpy, scipy)      Writes uniformity.json beside itself.

Each entry: u, values in (0, 1), multiples of 1/1024 plus 1/2048; ks and ks_p: scipy.stats.kstest against the
uniform distribution, two-sided, exact; chi2 and chi2_p: scipy.stats.chisquare of 20 equal bins; ad: Anderson
and Darling's (1954) A^2, the sum written out. ad_points: A^2 that uniform values exceed with probability
.05 and .01 (Stephens 1974, table 1A)."""
import json
import pathlib

import numpy as np
import scipy
from scipy.stats import chisquare, kstest

rng = np.random.default_rng(2026)


def quantised(u):
    return (np.clip(np.floor(u * 1024), 0, 1023) + .5) / 1024


def entry(name, u):
    u = quantised(u)
    n, s = len(u), np.sort(u)
    i = np.arange(1, n + 1)
    ad = -n - np.mean((2 * i - 1) * (np.log(s) + np.log1p(-s[::-1])))
    ks, chi2 = kstest(u, "uniform", method="exact"), chisquare(np.histogram(u, 20, (0, 1))[0])
    return {"name": name, "u": u.tolist(), "ks": ks.statistic, "ks_p": ks.pvalue, "chi2": chi2.statistic,
            "chi2_p": chi2.pvalue, "ad": ad}


entries = [entry("uniform", rng.random(60)), entry("high", rng.beta(1.5, 1, 80)),
           entry("too narrow", rng.beta(.8, .8, 100)), entry("too wide", rng.beta(1.3, 1.3, 200)),
           entry("few", rng.random(5))]
text = json.dumps({"what": "golden values of tests of uniform ranks; uniformity.py says what they are",
                   "numpy": np.__version__, "scipy": scipy.__version__, "entries": entries,
                   "ad_points": [[2.492, .05], [3.857, .01]]})
pathlib.Path(__file__).with_name("uniformity.json").write_text(text + "\n")
