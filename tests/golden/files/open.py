"""Opens galrun's files (write.lua) with the programs whose formats these are: the same values, types, units
and missing values, or an AssertionError.

usage: open.py [folder]      (run with astropy 8.0.2, numpy 2.4.6, safetensors 0.8.0)"""
import csv
import math
import pathlib
import sys

import numpy as np
from astropy.io import fits
from astropy.table import Table
from safetensors import safe_open

HERE = pathlib.Path(__file__).parent
FOLDER = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
IDS = np.array([1237648704043942146, -9007199254740993, 0, 9223372036854775807], np.int64)
THETA = np.array([[1, 2], [3, 4], [5, 6]], np.float32)
FLAG = np.array([[0, 255], [7, 8]], np.uint8)


def same(found, expected):
    kinds = (found.dtype, found.shape), (expected.dtype, expected.shape)
    assert kinds[0] == kinds[1], kinds
    equal = found.tobytes() == expected.tobytes() or np.array_equal(found, expected, equal_nan=True)
    assert equal, (found, expected)


def check_arrays():
    same(np.load(FOLDER / "galrun.npy"), THETA)
    expected = {"theta": THETA, "objID": IDS, "flag": FLAG, "scalar": np.array(2.5, np.float32)}
    archive = np.load(FOLDER / "galrun.npz")
    more = {"none": np.zeros((0, 3), np.float32), "\u03b8": np.array([0.1], np.float32)}
    assert set(archive) == set(expected | more)
    for name, array in (expected | more).items():
        same(archive[name], array)
    with safe_open(FOLDER / "galrun.safetensors", "np") as file:
        assert set(file.keys()) == set(expected) and file.metadata() == {"note": "\u03b8 \"quoted\"\n"}
        for name, array in expected.items():
            same(file.get_tensor(name), array)


def check_copy():
    """galrun's copy of table.fits beside the original."""
    with fits.open(HERE / "table.fits") as a, fits.open(FOLDER / "copy.fits") as b:
        b.verify("exception")
        original, copy = a[2], b[1]
        assert copy.columns.names == original.columns.names[:17]
        for old, new in zip(original.columns, copy.columns):
            if old.name == "flux":  # integers scaled by TSCAL come back as what they stand for, doubles
                assert new.format in ("D", "1D") and new.null is None
                same(copy.data["flux"].astype("f8"), np.array([10, 11.5, np.nan, 10.5]))
                continue
            assert new.format.lstrip("1") == old.format.lstrip("1"), (old, new)
            assert (new.unit, new.null, new.bzero) == (old.unit, old.null, old.bzero), (old, new)
            found, expected = copy.data[new.name], original.data[old.name]
            equal = found.tolist() == expected.tolist() or np.array_equal(found, expected, equal_nan=True)
            assert equal, (found, expected)
        # The undefined one too.
        assert copy.data.field("clean").tobytes() == original.data.field("clean").tobytes()
    masked = Table.read(FOLDER / "copy.fits", hdu=1)
    assert masked["run"].mask.tolist() == [False, True, False, False]
    assert str(masked["modelMag_r"].unit) == "mag"


def check_made():
    with fits.open(FOLDER / "galrun.fits") as file:
        file.verify("exception")
        t = file[1].data
        assert t.columns.names == ["objID", "name", "whole", "z", "n", "flag", "mag", "pair", "letters"]
        assert t["objID"].tolist() == ["1237648704043942146", "007", ""]
        assert t["name"].tolist() == ["NGC 4321", "a \"b\", c", ""]
        columns = {
            "whole": np.array([-9999, 0, 1e15], ">f8"), "z": np.array([0.1, np.nan, 5e-324], ">f8"),
            "n": IDS[:3].astype(">i8"), "flag": np.array([0, 255, 7], "u1"), "mag": THETA.astype(">f4"),
            "pair": np.array([[0.1, np.nan], [1, 2], [3, 4]], ">f8"),
        }
        for name, expected in columns.items():
            same(np.array(t[name]), expected)
        assert t["letters"].tolist() == [["ab", ""], ["", "c"], ["def", "g"]]
    with open(FOLDER / "galrun.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [r["objID"] for r in rows] == ["1237648704043942146", "007", ""]
    assert [r["name"] for r in rows] == ["NGC 4321", "a \"b\", c", ""]
    assert [float(r["z"]) if r["z"] else math.nan for r in rows][::2] == [0.1, 5e-324] and rows[1]["z"] == ""
    assert [int(r["n"]) for r in rows] == IDS[:3].tolist()
    assert [float(r["whole"]) for r in rows] == [-9999, 0, 1e15]


check_arrays()
check_copy()
check_made()
print("what galrun wrote opens with the same values and types")
