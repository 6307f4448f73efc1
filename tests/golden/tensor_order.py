"""Golden values of sorting, quantiles, running sums, choice and the reductions beside them, from NumPy in
double precision.

usage: tensor_order.py      (numpy)      Writes tensor_order.json beside itself.

x {3, 4, 5} holds few values, multiples of 1/4, so that equal ones meet, and float32 holds every result but
quotients and products exactly. Axes count from 1, as galrun's dimensions; axis 0 stands for all elements.
Results are flat, in row-major order, with their shape. argsort is stable and counts from 0, as galrun's;
argmax and argmin count from 1. `with_nan` is x with one NaN, at [1, 2, 3] counted from 0; NaN is the string
"nan" there."""
import json
import pathlib

import numpy as np

LEVELS = [0, 0.025, 0.16, 0.5, 0.84, 1]


def told(a, shift=0):
    a = np.asarray(a)
    flat = [("nan" if v != v else float(v) + shift) for v in a.ravel()]
    return {"shape": list(a.shape), "values": flat}


def main():
    rng = np.random.default_rng(23)
    x = rng.integers(-6, 9, (3, 4, 5)) / 4
    x[0, 0, 0], x[0, 0, 3] = 0.0, -0.0
    out = {"what": "golden values of x:argsort and the like; their meaning is in tensor_order.py",
           "numpy": np.__version__, "levels": LEVELS, "x": told(x)}
    with_nan = x.copy()
    with_nan[1, 2, 3] = np.nan
    for name, a in [("plain", x), ("with_nan", with_nan)]:
        rows = out[name] = []
        for axis in range(4):
            at = {"axis": axis - 1} if axis else {}
            row = {"axis": axis,
                   "quantile": told(np.quantile(a, LEVELS, **at)), "median": told(np.median(a, **at)),
                   "var": told(a.var(**at)), "prod": told(a.prod(**at)),
                   "any": told(a.any(**at)), "all": told(a.all(**at)),
                   "argmax": told(a.argmax(**at), 1), "argmin": told(a.argmin(**at), 1)}
            if axis:
                row["argsort"] = told(np.argsort(a, axis - 1, kind="stable"))
                row["sort"] = told(np.sort(a, axis - 1))
                row["cumsum"] = told(np.cumsum(a, axis - 1))
            rows.append(row)
    out["clip"] = told(np.clip(with_nan, -0.5, 1.25))
    out["where"] = told(np.where(x > 0.5, with_nan, -x))
    pathlib.Path(__file__).with_name("tensor_order.json").write_text(json.dumps(out) + "\n")


main()
