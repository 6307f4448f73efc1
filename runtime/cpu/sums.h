/* sums.h: sums over contiguous floats, in double, in eight interleaved parts so that the additions overlap.
 * The order is fixed, and so are the bits. For reduce.c and step.c. */
#ifndef GAL_SUMS_H
#define GAL_SUMS_H
#include <stdint.h>

/* The sum of (x[i] - mean)^power over x {n}; power is 1 or 2, a constant where this is inlined. */
static inline __attribute__((always_inline)) double gal_sum_of(const float *x, int64_t n, double mean,
                                                               const int power)
{
    double part[8] = {0};
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (int j = 0; j < 8; j++) {
            double v = x[i + j] - mean;
            part[j] += power == 2 ? v * v : v;
        }
    for (int j = 0; i < n; i++, j++) {
        double v = x[i] - mean;
        part[j] += power == 2 ? v * v : v;
    }
    return ((part[0] + part[4]) + (part[2] + part[6])) + ((part[1] + part[5]) + (part[3] + part[7]));
}

#endif
