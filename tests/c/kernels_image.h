/* kernels_image.h: what the tests of images' layers share: tensors with sentinels on both sides, for the
 * kernels of any table, and comparison with double precision. */
#ifndef IMAGE_H
#define IMAGE_H
#include "check.h"
#include "core/core.h"
#include "cpu/cpu.h"
#include <stdlib.h>

/* ---- tensors with sentinels on both sides ---- */
#define GUARD 32
#define SENTINEL 12345.678f
#define MOST 64
static const gal_cpu_kernels *table; /* whose kernels run */
static gal_backend device;           /* the CPU with them, where they are not its own */
static gal_tensor *made[MOST];
static int made_count;

static inline gal_tensor *tensor(int dtype, int rank, const int64_t *shape)
{
    int64_t count = 1, stride[GAL_RANK];
    for (int i = rank - 1; i >= 0; i--)
        stride[i] = count, count *= shape[i];
    gal_tensor *block = NULL, *view = NULL;
    int64_t with_guards = count + 2 * GUARD;
    IS_OK(gal_tensor_new(&block, "cpu", dtype, 1, &with_guards));
    for (int64_t i = 0; dtype == GAL_F32 && i < with_guards; i++)
        ((float *)block->data)[i] = SENTINEL;
    IS_OK(gal_tensor_view(&view, block, rank, shape, stride, GUARD));
    device = *gal_cpu_backend();
    device.self = (void *)(uintptr_t)table;
    view->storage->backend = table == gal_cpu_table(NULL) ? gal_cpu_backend() : &device;
    gal_tensor_free(block);
    return made[made_count++] = view;
}
#define TENSOR(...) tensor(GAL_F32, sizeof((int64_t[]){__VA_ARGS__}) / 8, (int64_t[]){__VA_ARGS__})

static inline void sentinels_and_free(void)
{
    int bad = 0;
    for (int k = 0; k < made_count; k++) {
        const float *data = made[k]->data;
        int64_t count = gal_tensor_count(made[k]);
        for (int64_t i = 0; made[k]->dtype == GAL_F32 && i < GUARD; i++)
            bad += data[-1 - i] != SENTINEL || data[count + i] != SENTINEL;
        made[k]->storage->backend = gal_cpu_backend();
        gal_tensor_free(made[k]);
    }
    REPORT(bad == 0, "%d values beside the tensors were written", bad);
    made_count = 0;
}

static uint64_t seed = 1;
static inline double uniform(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (double)(seed >> 11) * 0x1p-53;
}

static inline void random_fill(gal_tensor *x)
{
    for (int64_t i = 0; i < gal_tensor_count(x); i++)
        ((float *)x->data)[i] = (float)(2 * uniform() - 1);
}

/* Whether two tensors of one shape have the same bits. */
static inline int same_data(const gal_tensor *a, const gal_tensor *b)
{
    return !memcmp(a->data, b->data, (size_t)gal_tensor_count(a) * 4);
}

static inline double *doubles(const gal_tensor *x)
{
    int64_t n = gal_tensor_count(x);
    double *d = malloc((size_t)(n + 1) * sizeof *d);
    for (int64_t i = 0; i < n; i++)
        d[i] = ((const float *)x->data)[i];
    return d;
}

/* |x - ref| <= 1e-6 times the sum of the terms' sizes, plus slack; the worst element is reported. */
static inline void is_within(const char *what, const char *where, const gal_tensor *x, const double *ref,
                             const double *terms, double slack)
{
    double worst = -1, value = 0, expected = 0, allowed = 0;
    int64_t place = 0;
    for (int64_t i = 0; i < gal_tensor_count(x); i++) {
        double v = ((const float *)x->data)[i],
               tolerance = 1e-6 * (terms ? terms[i] : 1 + fabs(ref[i])) + slack + 1e-30,
               excess = fabs(v - ref[i]) / tolerance;
        if (!(excess <= worst))
            worst = excess, place = i, value = v, expected = ref[i], allowed = tolerance;
    }
    REPORT(worst <= 1, "%s of %s: element %lld is %.9g, expected %.9g within %.3g", what, where,
           (long long)place, value, expected, allowed);
}

static inline void is_close(const char *what, const char *where, const gal_tensor *x, const double *ref,
                            const double *terms)
{
    is_within(what, where, x, ref, terms, 0);
}

static inline double *zeros(int64_t n)
{
    return calloc((size_t)n + 1, sizeof(double));
}

#endif
