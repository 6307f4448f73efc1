"""Golden values for the generator and for the statistics that evaluate a posterior, from NumPy and SciPy in
double precision.

usage: make_statistics.py      (numpy, scipy)      Writes statistics.json beside itself.

Every input is a multiple of 1/256, so float32 holds it exactly. The entries mean:
  philox4x32_10   Random123's published vectors (file kat_vectors of its release; Salmon, Moraes, Dror & Shaw
                  2011, "Parallel random numbers: as easy as 1, 2, 3"): counter {4} and key {2} to output {4},
                  32-bit words. This script's own Philox must agree, else it stops.
  wasserstein     W1 = integral of |F_a - F_b|, a and b of any lengths (scipy.stats.wasserstein_distance).
  kde             theta {40, 2}; kernel N(0, h^2 Cov), Cov with N - 1. log_density at points {7, 2}:
                  ln (1/N) sum_j K(point - theta_j). leave_one_out {40}: ln 1/(N-1) sum_{j != i}
                  K(theta_i - theta_j); Cov stays that of all 40 points. best_h maximises the sum of
                  leave_one_out over h; it lies between .05 and 2.
  quantiles       linear interpolation between order statistics at position q (n - 1) (NumPy's default,
                  Hyndman & Fan 1996, type 7)."""
import json
import pathlib

import numpy as np
import scipy
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp
from scipy.stats import gaussian_kde, multivariate_normal, wasserstein_distance

PHILOX = """
00000000 00000000 00000000 00000000 00000000 00000000   6627e8d5 e169c58d bc57ac4c 9b00dbd8
ffffffff ffffffff ffffffff ffffffff ffffffff ffffffff   408f276d 41c83b0e a20bc7c6 6d5451fd
243f6a88 85a308d3 13198a2e 03707344 a4093822 299f31d0   d16cfe09 94fdcceb 5001e420 24126ea1
"""
H = .375


def philox4x32_10(counter, key):
    c, k = list(counter), list(key)
    for _ in range(10):
        p, q = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(q >> 32) ^ c[1] ^ k[0], q & 0xffffffff, (p >> 32) ^ c[3] ^ k[1], p & 0xffffffff]
        k = [(k[0] + 0x9E3779B9) & 0xffffffff, (k[1] + 0xBB67AE85) & 0xffffffff]
    return c


def philox():
    cases = []
    for line in PHILOX.split("\n")[1:-1]:
        words = [int(word, 16) for word in line.split()]
        counter, key, output = words[:4], words[4:6], words[6:]
        assert philox4x32_10(counter, key) == output, line
        cases.append({"counter": counter, "key": key, "output": output})
    return cases


def grid(a):
    """a on multiples of 1/256."""
    return np.round(np.asarray(a) * 256) / 256


def wasserstein(rng):
    pairs = {
        "the same": ([1, 2, 3], [3, 1, 2]),
        "shifted by 1/4": ([0, 1, 5], [.25, 1.25, 5.25]),
        "one against many": ([0], [-1, 0, 2, 4]),
        "ties": ([0, 0, 0, 1], [0, 1, 1]),
        "7 against 4": (grid(rng.normal(size=7)), grid(rng.normal(.5, 2, size=4))),
        "50 against 33, large offset": (grid(rng.normal(9.5, .5, size=50)),
                                        grid(rng.gamma(2, .3, size=33) + 9)),
    }
    return [{"name": name, "a": list(map(float, a)), "b": list(map(float, b)),
             "distance": float(wasserstein_distance(a, b))}
            for name, (a, b) in pairs.items()]


def leave_one_out(theta, h):
    """{N} log density of each row of theta {N, d} under the kernels of the others."""
    kernel = multivariate_normal(np.zeros(theta.shape[1]), h**2 * np.cov(theta.T))
    log_k = kernel.logpdf(theta[:, None] - theta[None])
    np.fill_diagonal(log_k, -np.inf)
    return logsumexp(log_k, axis=1) - np.log(len(theta) - 1)


def kde(rng):
    mass = rng.normal(9.5, .5, size=40)   # like log M* and 12 + log(O/H): correlated, curved, far from zero
    theta = grid(np.stack([mass, 8.6 + .3 * np.tanh(mass - 9.3) + rng.normal(0, .08, size=40)], 1))
    # Three of the data, three between, and one so far off that a sum of exponentials without log-sum-exp
    # gives ln 0.
    points = np.vstack([theta[:3], grid([[9.5, 8.625], [10.25, 8.75], [8.5, 8.75]]), [[30., 2.]]])
    loo = leave_one_out(theta, H)

    # N p = (N - 1) p_without + K(0): the left side is gaussian_kde's own sum
    full = gaussian_kde(theta.T, bw_method=H)
    k0 = multivariate_normal(np.zeros(2), H**2 * np.cov(theta.T)).pdf(np.zeros(2))
    assert np.allclose(40 * full.pdf(theta.T), 39 * np.exp(loo) + k0, rtol=1e-12)

    best = minimize_scalar(lambda h: -leave_one_out(theta, h).sum(), bounds=(.05, 2), method="bounded",
                           options={"xatol": 1e-10})
    return {
        "h": H, "theta": theta.tolist(), "covariance": np.cov(theta.T).tolist(), "points": points.tolist(),
        "log_density": full.logpdf(points.T).tolist(), "leave_one_out": loo.tolist(),
        "leave_one_out_sum": float(loo.sum()),
        "sum_by_h": [[h, float(leave_one_out(theta, h).sum())] for h in (.0625, .125, .25, .5, 1., 2.)],
        "best_h": float(best.x), "best_sum": float(-best.fun),
    }


def quantiles(rng):
    q = [0, .025, .16, .25, .5, .75, .84, .975, 1]
    arrays = {"one": [3.5], "two": [2, -1], "ties": [1, 1, 2, 2, 2, 7],
              "unsorted 11": grid(rng.normal(size=11)), "unsorted 100": grid(rng.normal(9, 3, size=100))}
    return [{"name": name, "a": list(map(float, a)), "q": q, "values": np.quantile(a, q).tolist()}
            for name, a in arrays.items()]


def main():
    rng = np.random.Generator(np.random.PCG64(2512))
    golden = {
        "what": "golden values of the generator and the statistics; "
                "meanings and sources are in make_statistics.py",
        "numpy": np.__version__, "scipy": scipy.__version__,
        "philox4x32_10": philox(), "wasserstein": wasserstein(rng), "kde": kde(rng),
        "quantiles": quantiles(rng),
    }
    pathlib.Path(__file__).with_suffix(".json").write_text(json.dumps(golden) + "\n")


if __name__ == "__main__":
    main()
