"""Small files by the programs whose formats galrun reads: astropy (FITS), numpy (npy, npz), safetensors.
tests/lua/arrays.lua and table.lua and tests/c/io*.c say what is in them; every value there stands in this
script. write.lua and open.py beside it go the other way, from galrun to these programs.

usage: make.py
Writes beside itself; made with astropy 8.0.2, numpy 2.4.6, safetensors 0.8.0, torch 2.15.0."""
import gzip
import json
import pathlib
import zipfile

import numpy as np
import torch
from astropy.io import fits
from safetensors.numpy import save_file as save_numpy
from safetensors.torch import save_file as save_torch

HERE = pathlib.Path(__file__).parent
IDS = np.array([1237648704043942146, -9007199254740993, 0, 9223372036854775807], np.int64)


def make_fits():
    """Table after an image, so that the first table is HDU 2; HDU 3 is a second one."""
    nan = float("nan")
    columns = [
        fits.Column("objID", "K", array=IDS),
        fits.Column("specObjID", "K", bzero=2**63,
                    array=np.array([18446744073709551615, 9223372036854775808, 7, 0], np.uint64)),
        fits.Column("plate", "K", bzero=2**63, array=np.array([9223372036854775807, 266, 7, 0], np.uint64)),
        fits.Column("run", "J", null=-2147483648,
                    array=np.array([94, -2147483648, 2147483647, -1], np.int32)),
        fits.Column("mjd", "J", bzero=2**31, array=np.array([51630, 4294967295, 0, 1], np.uint32)),
        fits.Column("camcol", "I", null=-1, array=np.array([1, -1, 6, -32768], np.int16)),
        fits.Column("field", "I", bzero=2**15, array=np.array([65535, 0, 1, 32768], np.uint16)),
        fits.Column("nchild", "B", null=255, array=np.array([0, 254, 255, 1], np.uint8)),
        fits.Column("class", "B", bzero=-128, array=np.array([-128, 127, 0, -1], np.int8)),
        fits.Column("modelMag_r", "E", unit="mag", array=np.array([17.77, -9999, nan, 1e-40], np.float32)),
        fits.Column("oh_p50", "D", unit="dex", array=np.array([8.7, -9999, nan, 4.9e-324])),
        fits.Column("flux", "I", null=-99, array=np.array([0, 3, -99, 1], np.int16)),
        fits.Column("name", "8A", array=["NGC 4321", "M31", "", "  x"]),
        fits.Column("clean", "L", array=[True, False, True, False]),
        fits.Column("mag", "3E", dim="(3)", array=np.arange(12, dtype=np.float32).reshape(4, 3)),
        fits.Column("pair", "2K", array=IDS.reshape(2, 2).repeat(2, axis=0)),
        fits.Column("letters", "6A", dim="(2,3)",
                    array=[["ab", "c", "de"], ["", "f", ""], ["g", "", ""], ["hi", "jk", "lm"]]),
        fits.Column("wave", "C", array=np.array([1 + 2j, 0, 0, 0], np.complex64)),
        fits.Column("bits", "3X", array=np.zeros((4, 3), bool)),
        fits.Column("neighbours", "PJ()", array=np.array([[1], [2, 3], [], [4]], dtype=object)),
    ]
    table = fits.BinTableHDU.from_columns(columns, name="GALAXY")
    second = fits.BinTableHDU.from_columns([fits.Column("z", "D", array=np.array([0.1, 0.2]))], name="MORE")
    image = fits.ImageHDU(np.zeros((2, 2), np.float32))
    fits.HDUList([fits.PrimaryHDU(), image, table, second]).writeto(HERE / "table.fits", overwrite=True)
    # By hand: astropy writes neither a scaled column with missing values nor an undefined logical, here row 4
    # of clean.
    for key, value in (("TSCAL12", 0.5), ("TZERO12", 10.0)):
        fits.setval(HERE / "table.fits", key, value=value, ext=2)
    with fits.open(HERE / "table.fits") as hdus:
        names, dtype = hdus[2].columns.names, hdus[2].columns.dtype
        within_row = dtype.fields[dtype.names[names.index("clean")]][1]
        clean = hdus[2].fileinfo()["datLoc"] + 3 * hdus[2].header["NAXIS1"] + within_row
    data = bytearray((HERE / "table.fits").read_bytes())
    data[clean] = 0
    (HERE / "table.fits").write_bytes(data)
    (HERE / "table.fits.gz").write_bytes(gzip.compress(bytes(data), 9, mtime=0))
    fits.PrimaryHDU(np.zeros((2, 2), np.float32)).writeto(HERE / "image.fits", overwrite=True)
    empty = fits.BinTableHDU.from_columns([fits.Column("z", "D", array=np.zeros(0))])
    empty.writeto(HERE / "empty.fits", overwrite=True)
    text = fits.TableHDU.from_columns([fits.Column("z", "F8.3", array=np.array([0.5]))])
    fits.HDUList([fits.PrimaryHDU(), text]).writeto(HERE / "ascii.fits", overwrite=True)
    # One small table with few header cards: its every truncation is tried.
    ids, names = fits.Column("objID", "K", array=IDS), fits.Column("name", "4A", array=["a", "b", "c", "d"])
    small = fits.BinTableHDU.from_columns([ids, names])
    fits.HDUList([fits.PrimaryHDU(), small]).writeto(HERE / "small.fits", overwrite=True)


def make_npy():
    grid = np.arange(6).reshape(2, 3)
    half = np.array([1.5, -65504, 2**-24, np.inf, 0.0999755859375])
    arrays = {
        "f4": (grid / 4).astype("<f4"), "f4_fortran": np.asfortranarray((grid / 4).astype("<f4")),
        "f8_big": (grid / 10).astype(">f8"), "f2": half.astype("<f2"),
        "i1": np.array([-128, 127], "i1"), "i2_big": np.array([-32768, 258], ">i2"),
        "u2": np.array([65535, 1], "<u2"), "u4": np.array([4294967295, 1], "<u4"),
        "i4_big": np.array([-2147483648, 258], ">i4"), "i8": IDS, "i8_big": IDS.astype(">i8"),
        "u8": np.array([9223372036854775807, 1], "<u8"),
        "u8_large": np.array([1, 9223372036854775808], "<u8"),
        "bool": np.array([True, False]), "u1": np.array([[0, 255], [7, 8]], "u1"),
        "scalar": np.array(2.5, "<f4"), "none": np.zeros((0, 3), "<f4"),
        "cube_fortran": np.asfortranarray(np.arange(24).reshape(2, 3, 4).astype(">i2")),
        "complex": np.zeros(2, "c8"), "records": np.zeros(2, [("a", "<f4"), ("b", "<i8")]),
    }
    for name, array in arrays.items():
        np.save(HERE / f"{name}.npy", array)
    for version in (2, 3):
        with open(HERE / f"version{version}.npy", "wb") as file:
            np.lib.format.write_array(file, grid.astype("<f4"), version=(version, 0))


def make_safetensors():
    arrays = {
        "f16": np.array([1.5, -2], np.float16), "f64": np.array([[0.1]]),
        "i8": np.array([-1], np.int8), "u16": np.array([65535], np.uint16),
        "i16": np.array([-32768], np.int16), "i32": np.array([-5], np.int32),
        "u32": np.array([4294967295], np.uint32), "i64": IDS,
        "u64": np.array([3], np.uint64), "bool": np.array([True, False]),
        "u8": np.array([[0, 255]], np.uint8), "none": np.zeros((0, 4), np.float32),
        "scalar": np.array(7, np.float32),
    }
    save_numpy(arrays, HERE / "numpy.safetensors")
    tensors = {"1.weight": torch.tensor([[1.0, 2.0], [3.0, 0.5]]),
               "bf": torch.tensor([1.0, -3.140625], dtype=torch.bfloat16)}
    config = json.dumps({"hidden": [256, 256], "what": "a \u03b8 \"quoted\"\n"}, ensure_ascii=False)
    save_torch(tensors, HERE / "torch.safetensors", metadata={"config": config})
    # What galrun writes must be these bytes.
    written = {"b": np.array([1, 2, 3], np.uint8), "a": np.array([[1, 2], [3, 4]], np.float32), "n": IDS,
               "c": np.array(0.5, np.float32)}
    note = {"note": "line 1\nline \u03b8 \"2\""}
    save_numpy(written, HERE / "written.safetensors", metadata=note)
    np.save(HERE / "written.npy", np.array([[1, 2, 3], [4, 5, 6]], np.float32))


def make_npz():
    arrays = {"theta": np.arange(6, dtype=np.float32).reshape(2, 3) / 4, "objID": IDS,
              "flag": np.array([0, 255, 7], np.uint8), "double": np.array([0.1, -9999.0]),
              "turned": np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
              "big": np.array([1.5, -2.0], ">f4"), "half": np.array([1.5], np.float16),
              "i4": np.array([-5], np.int32), "scalar": np.array(7, np.float32),
              "none": np.zeros((0, 3), np.float32), "\u03b8": np.array([3], np.float32)}
    np.savez(HERE / "numpy.npz", **arrays)
    np.savez_compressed(HERE / "packed.npz", **arrays, zeros=np.zeros(40000, np.float32))
    # Every size and offset in its 64-bit form, as in an archive of more than 4 GiB.
    zipfile.ZIP64_LIMIT, zipfile.ZIP_FILECOUNT_LIMIT = 0, 0
    with zipfile.ZipFile(HERE / "zip64.npz", "w") as archive:
        for name in ("theta", "objID"):
            with archive.open(zipfile.ZipInfo(name + ".npy"), "w", force_zip64=True) as file:
                np.lib.format.write_array(file, arrays[name])
    zipfile.ZIP64_LIMIT, zipfile.ZIP_FILECOUNT_LIMIT = 2**31 - 1, 65535
    with zipfile.ZipFile(HERE / "other.npz", "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr(zipfile.ZipInfo("a.npy"), (HERE / "f4.npy").read_bytes(), zipfile.ZIP_BZIP2)
    with zipfile.ZipFile(HERE / "foreign.npz", "w") as archive:
        archive.writestr(zipfile.ZipInfo("README.txt"), "no array")


def make_csv():
    files = {
        "plain.csv": "objID,modelMag_r,oh_p50,name,class\r\n1237648704043942146,17.77,8.7,\"NGC 4321\",3\r\n"
                     "1237648704043942147, -9999 ,,\"a \"\"b\"\", c\",\r\n"
                     "-9223372036854775808,1e-3,.5,\"two\r\nlines\",6\r\n",
        "skyserver.csv": "#Table1\nobjID,z,specObjID,flag\n"
                         "1237648704043942146,0.0213,18446744073709551615,null\n"
                         "1237648704043942147,NULL,7,1\n",
        "mark.csv": "\ufeff id , x\n007,1\n\n008,-2.5e1\n",
        "text.csv": "id,oh_p50\n1,8.5\n2,\n3,8.6\n4,eight\n5,8.8\n",
        "header.csv": "id,oh_p50\n",
    }
    for name, text in files.items():
        (HERE / name).write_bytes(text.encode())
    (HERE / "plain.csv.gz").write_bytes(gzip.compress(files["plain.csv"].encode(), 9, mtime=0))


if __name__ == "__main__":
    make_fits()
    make_npy()
    make_safetensors()
    make_npz()
    make_csv()
