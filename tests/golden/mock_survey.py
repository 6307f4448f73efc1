"""Galaxies of the mock survey, computed a second time from runtime/mock/README.md and basis.csv's numbers:
latents -> relations, star formation history, fluxes, Dn4000. Writes mock_survey.csv: the latents, then what
follows from them. Ran with Python 3.11, numpy 2.4, scipy 1.17.
usage: python3 mock_survey.py basis.csv     (the table that runtime/mock/basis.c restates)"""
import csv
import sys
import numpy as np
from scipy.optimize import brentq

rows = [r for r in csv.DictReader(line for line in open(sys.argv[1]) if not line.startswith("#"))]
Z = np.log10(np.array([.004, .02, .05]) / .02)
def column(name): return np.array([float(r[name]) for r in rows]).reshape(3, 8)
# {Z, age, band, power}
C = np.stack([np.stack([column(b + str(i)) for i in range(3)], -1) for b in "ugriz"], 2)
SURVIVING, DN, LOG_R = column("Msurv"), column("Dn"), column("logR")
EDGES = np.array([0, .01, .1, .3, 1, 2, 4, 8, 13.5])
PIVOT = np.array([3556.5, 4702.5, 6175.6, 7490.0, 8946.7])
BANDS = {"u": [3087, 3423, 3724, 3972, 5.47, 6.54], "g": [3817, 4213, 5213, 5442, 2.94, 4.25],
         "r": [5443, 5736, 6625, 6867, 4.95, 5.69],
         "i": [6765, 7052, 8113, 8305, 6.97, 4.38], "z": [8077, 8418, 8563, 10232, 6.68, 7.84]}
def distance(z): return 299792.458 / 70 * z * (1 + .775 * z - .27375 * z * z)
def at(lz, table): # linear in log Z for every trailing index; beyond the ends as well
    i = 0 if lz < 0 else 1
    return table[i] + (lz - Z[i]) / (Z[i + 1] - Z[i]) * (table[i + 1] - table[i])
def galaxy(log_mass, z, cos_i, n):
    m, dl, db = log_mass - 10, .24 * n[0], .22 * n[1]
    s = -.03 + .8 * m - .2 * max(0, m - .3) ** 2 + 2.5 * np.log10((1 + z) / 1.07)
    l = np.clip(log_mass, 8.5, 11.5)
    slope = np.clip(-.14 + .12 * m - .108 * s, -.35, 0)
    oh = -1.492 + 1.847 * l - .08026 * l * l + .48 * min(log_mass - 8.5, 0) + .5 * slope * (dl + db)
    oh = min(oh + np.clip(.095 - .06 * m, .06, .16) * (-.5 * n[2] - .5 * n[3] + .707 * n[4]), 9.45)
    lz = np.clip(1.3 * (oh - 8.95) - .12 + .12 * n[5], -.7, .4)
    q = np.sqrt(cos_i ** 2 * .96 + .04)
    trend = np.clip(.91 + .77 * m + .11 * m ** 2 - .09 * m ** 3, .15, 2.2)
    a_v = .42 * trend / .91 * 10 ** (.25 * (dl + db)) * np.exp(.35 * n[6])
    a_v = min(4, a_v * (1 + 3.4 * np.log10(q) ** 2))
    oldest = min(11.13 * np.arcsinh(1.5275 * (1 + z) ** -1.5) - 1, 13.4)
    y = np.clip(10 ** (log_mass - s - dl) / (.57e9 * oldest), .02, 60)
    gamma = brentq(lambda x: -np.expm1(-x) / x - y if abs(x) > 1e-12 else 1 - y, -20, 80) / oldest
    mass = np.diff(-np.expm1(-gamma * np.minimum(EDGES, oldest)) / gamma)
    mass = mass * 10 ** (db * np.array([1, 1, .5, 0, 0, 0, 0, 0]))
    mass *= 10 ** log_mass / (mass * at(lz, SURVIVING)).sum()
    light = mass * 10 ** at(lz, LOG_R)
    dust = a_v * (PIVOT / (1 + z) / 5500) ** -.7 * np.array([1 / .44] + 7 * [1])[:, None]
    magnitude = at(lz, C) @ np.array([1, z, z * z]) + dust
    flux = (mass[:, None] * 10 ** (-.4 * (magnitude + 5 * np.log10(distance(z) * 1e5) - 22.5))).sum(0)
    x, ha = oh - 8.69, 10 ** 41.27 * mass[0] / 1e7
    hb = ha / 2.86
    o3 = 10 ** np.clip(-1.6 * (x - .15), -.7, .8) * hb
    o2 = 10 ** np.clip(.38 - .6 * np.clip(x - .05, 0, 1), -.3, .45) * hb
    n2 = 10 ** np.clip(-.55 + .9 * (x - .2), -1.8, -.2) * ha
    lines = {3727: o2, 4861: hb, 4959: o3 / 3, 5007: o3, 6563: ha, 6584: n2, 6724: .28 * ha}
    for i, b in enumerate("ugriz"):
        e = BANDS[b]
        for rest, luminosity in lines.items():
            seen = rest * (1 + z)
            through = np.interp(seen, e[:4], [0, e[4], e[5], 0], left=0, right=0)
            dimmed = luminosity * 10 ** (-.4 * a_v / .44 * (rest / 5500) ** -.7)
            dimmed = dimmed / (4 * np.pi * (distance(z) * 3.0857e24) ** 2)
            flux[i] += dimmed * seen * through / 2.99792458e18 / 3.631e-29
    return [oh, lz, a_v, np.log10(mass[:2].sum() / 1e8), light.sum() / (light / at(lz, DN)).sum(), *flux]

rng = np.random.default_rng(6)
with open("mock_survey.csv", "w") as out:
    out.write("log_mass,z,cos_inclination," + ",".join(f"n{i}" for i in range(7))
        + ",oh,log_metallicity,a_v,log_sfr,dn4000,u,g,r,i,z_band\n")
    cases = [(10.0, .05, .5, [0] * 7), (8.4, .0201, .99, [1, -1, 0, 0, -2, 0, 1]),
        (11.7, .249, .01, [-2.5, 2, 1, 1, 2, 2, 2])]
    cases += [(rng.uniform(8.5, 11.5), rng.uniform(.02, .25), rng.uniform(), rng.normal(size=7))
        for _ in range(17)]
    for case in cases:
        out.write(",".join(f"{v:.17g}" for v in [*case[:3], *case[3], *galaxy(*case)]) + "\n")
