/* kernels.h: what the tests of the CPU kernels share: tables of every instruction set that this machine has,
 * lanes run one after another, arrays with sentinels around them, and numbers to work on. */
#ifndef KERNELS_H
#define KERNELS_H
#include "check.h"
#include "cpu/cpu.h"
#include <stdlib.h>

static const char *const isas[] = {"specification", "plain", "avx2", "avx512"};

/* Runs the body for every table there is; `table` and `isa` are its name. */
#define EACH_TABLE(table, isa)                                                                          \
    for (int i_##table = 0; i_##table < 4; i_##table++)                                                 \
        for (const char *isa = isas[i_##table], *once_##table = isa; once_##table; once_##table = NULL) \
            for (const gal_cpu_kernels *table = gal_cpu_table(isa); table; table = NULL)

/* The kernel by `lanes` lanes, the last first: no lane may count on another. */
static inline gal_status by_lanes(gal_kernel *kernel, const void *args, int lanes)
{
    gal_status status = GAL_OK;
    for (int i = lanes - 1; i >= 0; i--) {
        gal_status s = kernel(&(gal_lane){.index = i, .count = lanes}, args);
        status = s != GAL_OK ? s : status;
    }
    return status;
}

/* The call as the CPU runs it: stage after stage, each by `lanes` lanes. */
static inline gal_status call_by_lanes(const gal_cpu_kernels *table, int op, const void *args, int lanes)
{
    gal_cpu_stage stages[GAL_CPU_STAGES];
    int count = gal_cpu_expand(stages, table, &(gal_call){.op = op, .args = args});
    gal_status status = GAL_OK;
    for (int i = 0; i < count && status == GAL_OK; i++)
        status = by_lanes(stages[i].kernel, stages[i].args, lanes);
    return status;
}

/* n floats between two walls. */
enum { WALL = 64 };
static inline float *walled(int64_t n)
{
    float *all = malloc((size_t)(n + 2 * WALL) * sizeof *all);
    for (int64_t i = 0; all && i < n + 2 * WALL; i++)
        all[i] = -12345.5f;
    return all + WALL;
}
static inline int walls_stand(const float *x, int64_t n)
{
    for (int i = 0; i < WALL; i++)
        if (x[-1 - i] != -12345.5f || x[n + i] != -12345.5f)
            return 0;
    return 1;
}
static inline void unwall(float *x)
{
    free(x - WALL);
}

/* Numbers in [low, high), the same every time (splitmix64). */
static uint64_t number_state;
static inline double number(double low, double high)
{
    uint64_t x = number_state += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return low + (high - low) * (double)((x ^ x >> 31) >> 11) * 0x1p-53;
}
static inline float *numbers(int64_t n, double low, double high)
{
    float *x = walled(n);
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)number(low, high);
    return x;
}

static inline double largest(const double *x, int64_t n)
{
    double m = 0;
    for (int64_t i = 0; i < n; i++)
        m = fabs(x[i]) > m ? fabs(x[i]) : m;
    return m;
}
static inline int same_bits(const void *a, const void *b, int64_t n)
{
    return n == 0 || memcmp(a, b, (size_t)n * 4) == 0;
}
/* |value - expected| <= tolerance everywhere, else the worst place is printed. */
static inline void all_near(const float *value, const double *expected, int64_t n, double tolerance,
                            const char *what, const char *isa)
{
    int64_t worst = 0;
    double most = -1;
    for (int64_t i = 0; i < n; i++) {
        double off = fabs(value[i] - expected[i]);
        if (value[i] == expected[i] || (value[i] != value[i] && expected[i] != expected[i]))
            off = 0;
        if (off > most || off != off) {
            most = off;
            worst = i;
        }
        if (off != off)
            break;
    }
    REPORT(n == 0 || most <= tolerance, "%s (%s): element %lld of %lld is %.9g, expected %.9g within %.3g",
           what, isa, (long long)worst, (long long)n, n ? value[worst] : 0, n ? expected[worst] : 0,
           tolerance);
}

#endif
