# Points of Sobol's sequence by scipy 1.17.1 (its own code, Gray-code order), for tests/lua/sweep.lua: the
# points are put into the order of their index. Writes sobol.csv: index, then dimensions 1, 2, 3, 7, 33, 64.
import numpy as np
from scipy.stats import qmc

points = qmc.Sobol(64, scramble=False, bits=32).random(1024)
with open("sobol.csv", "w") as out:
    out.write("index,d1,d2,d3,d7,d33,d64\n")
    for place in list(range(32)) + [100, 517, 1000, 1023]:
        index = place ^ (place >> 1)  # scipy's point number `place` is the sequence's of this index
        row = [points[place][d - 1] for d in (1, 2, 3, 7, 33, 64)]
        out.write(",".join([str(index)] + ["%.12g" % v for v in row]) + "\n")
