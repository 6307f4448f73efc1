"""Small images of several bands in the forms in which surveys' cutouts come: FITS of every BITPIX, with scaled and
missing values, in cubes, extensions, compressed and gzipped, and PNG of 16 bits; and what astropy reads in them:
bands.npz has of each file NAME its values {height, width, bands}, top row first, and NAME_scale, arcsec a pixel.

usage: bands.py
Writes into bands/ beside itself; made with astropy 8.0.2, numpy 2.4.6."""
import gzip
import pathlib
import struct
import zlib

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from astropy.wcs.utils import proj_plane_pixel_scales

HERE = pathlib.Path(__file__).parent / "bands"
HERE.mkdir(exist_ok=True)
N = 16
rng = np.random.default_rng(5)
y, x = np.mgrid[0:N, 0:N] - (N - 1) / 2
disc = np.exp(-np.hypot(x + y, 2 * (x - y)) / 5)  # inclined: no flip leaves it
cube = np.stack([disc * flux + rng.normal(0, 0.02, (N, N)) for flux in (1, 2, 5)])  # {band, y, x}
gaps = cube.copy()
gaps[1, 3, 4] = gaps[:, 10, 2] = np.nan
counts = np.round(1000 * cube[0]).astype(np.int32)
expected = {}


def header(kind, scale):
    """A tangent plane, north up and east to the left, turned by 30 degrees where `kind` can say so."""
    h = fits.Header()
    c, s = np.cos(np.pi / 6), np.sin(np.pi / 6)
    h["CTYPE1"], h["CTYPE2"], h["CRPIX1"], h["CRPIX2"] = "RA---TAN", "DEC--TAN", N / 2 + 0.5, N / 2 + 0.5
    h["CRVAL1"], h["CRVAL2"] = 184.7, 14.4
    d = scale / 3600
    if kind == "CD":
        h["CD1_1"], h["CD1_2"], h["CD2_1"], h["CD2_2"] = -d * c, d * s, d * s, d * c
    elif kind == "PC":
        h["PC1_1"], h["PC1_2"], h["PC2_1"], h["PC2_2"] = c, -s, s, c
        h["CDELT1"], h["CDELT2"] = -d, d
    else:
        h["CDELT1"], h["CDELT2"] = -d, d
    return h


def note(name, *hdus):
    """What astropy reads in these HDUs of the file."""
    with fits.open(HERE / name) as f:
        planes = [np.asarray(p, np.float64) for k in hdus for p in np.atleast_3d(f[k].data.T).T]
        scale = proj_plane_pixel_scales(WCS(f[hdus[0]].header).celestial)
    key = name.split(".")[0]
    expected[key] = np.stack(planes, -1)[::-1].astype(np.float32)
    expected[key + "_scale"] = np.array([np.sqrt(scale[0] * scale[1]) * 3600])


def save(name, data, kind, scale, extra=(), **keys):
    h = header(kind, scale)
    h.update(keys)
    fits.HDUList([fits.PrimaryHDU(data, h), *extra]).writeto(HERE / name, overwrite=True)


save("float.fits", gaps.astype(np.float32), "CD", 0.262, BANDS="grz")
note("float.fits", 0)
save("double.fits", gaps[::-1], "PC", 0.3, BAND0="z", BAND1="r", BAND2="g")
note("double.fits", 0)
save("one.fits", cube[2].astype(np.float32), "CDELT", 0.5, FILTER="r DECam SDSS c0002 6415.0 1480.0")
note("one.fits", 0)

# Integers, with a value that means none, scaled: by hand, as astropy would scale them itself.
for bits, name in (8, "bytes"), (16, "short"), (32, "long"):
    raw = np.clip(counts // (8 if bits == 8 else 1), 0 if bits == 8 else -32000, 255 if bits == 8 else 32000)
    raw = raw.astype({8: np.uint8, 16: np.int16, 32: np.int32}[bits])
    blank = {8: 255, 16: -32768, 32: -2147483648}[bits]
    raw[5, 6] = blank
    save(name + ".fits", raw, "CD", 0.396)
    with open(HERE / (name + ".fits"), "r+b") as f:
        card = lambda key, v: f"{key:<8}= {v:>20}".ljust(80).encode()
        block = f.read(2880)
        end = block.index(b"END" + b" " * 77)
        cards = card("BSCALE", 0.125) + card("BZERO", 100.5) + card("BLANK", blank)
        f.seek(0)
        f.write((block[:end] + cards + b"END").ljust(2880))
    note(name + ".fits", 0)

# A band an extension, and beside them how well they are known; then the same compressed, without loss.
bands = [fits.ImageHDU(np.round(500 * b).astype(np.int16), header("CD", 0.2), name=k) for b, k in zip(cube, "grz")]
weight = fits.ImageHDU(np.ones((N, N), np.float32), name="INVVAR")
fits.HDUList([fits.PrimaryHDU(), *bands[:2], weight, bands[2]]).writeto(HERE / "extensions.fits", overwrite=True)
note("extensions.fits", 1, 2, 4)
packed = fits.CompImageHDU(np.round(500 * cube).astype(np.int32), header("CD", 0.262), compression_type="RICE_1",
                           tile_shape=(1, 8, 16))
packed.header["BANDS"] = "grz"
fits.HDUList([fits.PrimaryHDU(), packed]).writeto(HERE / "rice.fits.fz", overwrite=True)
note("rice.fits.fz", 1)
(HERE / "zipped.fits.gz").write_bytes(gzip.compress((HERE / "float.fits").read_bytes(), mtime=0))
note("zipped.fits.gz", 0)

# What is no cutout.
save("vector.fits", cube[0, 0].astype(np.float32), "CD", 0.262)
save("axes.fits", np.zeros((2, 2, N, N), np.float32), "CD", 0.262)
save("nothing.fits", np.full((N, N), np.nan, np.float32), "CD", 0.262)
save("infinite.fits", np.where(disc > 0.5, np.inf, disc).astype(np.float32), "CD", 0.262)
fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns([fits.Column("z", "D", array=[0.1, 0.2])])]).writeto(
    HERE / "table.fits", overwrite=True)


def png(name, values, colour):
    """Rows of 16 bits, big end first, each behind its filter, 0 (RFC 2083)."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", N, N, 16, colour, 0, 0, 0)
    (HERE / name).write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows))
                              + chunk(b"IEND", b""))
    expected[name.split(".")[0]] = values.astype(np.float32)


deep = np.clip(1000 + 9000 * np.moveaxis(cube, 0, -1), 0, 65535).astype(np.uint16)
png("deep.png", deep, 2)
png("grey.png", deep[..., :1], 0)
np.savez_compressed(HERE / "bands.npz", **expected)
