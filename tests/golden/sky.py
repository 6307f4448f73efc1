# Makes sky.csv, the oracle of t:near (tests/lua/joins.lua): positions near the poles, across right ascension
# 0 and far from all, and the nearest of the others to each, by astropy 8.0.2 with scipy 1.17.1. python3 sky.py
import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord, match_coordinates_sky

r = np.random.default_rng(26)
n = 80
ra, dec = r.uniform(0, 360, n), np.degrees(np.arcsin(r.uniform(-1, 1, n)))
dec[:15] = 90 - np.abs(r.normal(0, 2 / 3600, 15))
dec[15:30] = -90 + np.abs(r.normal(0, 2 / 3600, 15))
ra[30:50], dec[30:50] = r.normal(0, 2 / 3600, 20) % 360, r.normal(0, 2 / 3600, 20)
order = r.permutation(n)
step = r.normal(0, 2 / 3600, (2, n))
other_dec = np.clip(dec + step[0], -90, 90)[order]
other_ra = ((ra + step[1] / np.maximum(np.cos(np.radians(dec)), 1e-6)) % 360)[order]
ra[30:40] -= 360 * (ra[30:40] > 180)  # negative angles are the same places
row, far, _ = match_coordinates_sky(SkyCoord(ra, dec, unit="deg"), SkyCoord(other_ra, other_dec, unit="deg"))
with open("sky.csv", "w") as file:
    file.write("ra,dec,other_ra,other_dec,nearest,arcsec\n")
    for values in zip(ra, dec, other_ra, other_dec, row + 1, far.to_value(u.arcsec)):
        file.write("%.17g,%.17g,%.17g,%.17g,%d,%.17g\n" % values)
