/* peak.h: what the machine could do at most, measured in the same run as what it does: the rate of fused
 * multiply-adds. And an order for medians. */
#ifndef PEAK_H
#define PEAK_H
#include "galrun.h"

#if defined(__AVX512F__)
enum { LANES = 16 };
#elif defined(__AVX__)
enum { LANES = 8 };
#else
enum { LANES = 4 };
#endif
typedef float peak_vec __attribute__((vector_size(LANES * 4)));

/* GF/s of `threads` threads together over half a millisecond or so: twelve independent chains of the widest
 * vectors in each. */
static inline double peak_now(int threads)
{
    const int times = 5000;
    double sink = 0, start = gal_now();
#pragma omp parallel num_threads(threads) reduction(+ : sink)
    {
        peak_vec a[12], x = {0}, y = {0};
        x += 0.999999f, y += 1e-9f;
#pragma GCC unroll 12
        for (int i = 0; i < 12; i++)
            a[i] = x * (float)i; /* no two chains alike, or the compiler makes them one */
        for (int k = 0; k < times; k++) {
#pragma GCC unroll 12
            for (int i = 0; i < 12; i++)
                a[i] = a[i] * x + y;
            __asm__ volatile("" ::: "memory");
        }
#pragma GCC unroll 12
        for (int i = 0; i < 12; i++)
            sink += a[i][0];
    }
    return sink == 12345 ? 0 : 2e-9 * times * 12 * LANES * threads / (gal_now() - start);
}

/* The same, the fastest of `runs`: what the clock makes of its own. */
static inline double peak_of(int threads, int runs)
{
    double best = 0;
    for (int r = 0; r < runs; r++) {
        double rate = peak_now(threads);
        best = rate > best ? rate : best;
    }
    return best;
}
static inline double peak(int threads)
{
    return peak_of(threads, 200);
}

static inline int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

#endif
