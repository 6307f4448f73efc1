/* integrate.h: what the two integrators share: integrate.cu in float32, integrate_mma.cu on tensor cores. */
#ifndef GAL_CUDA_INTEGRATE_H
#define GAL_CUDA_INTEGRATE_H
#include "cuda.h"
#include <device.h>

/* Which features a row has: those of galaxy (first + row) / share, where share is 0 of the only one. */
typedef struct galaxies_here {
    int64_t share, first; /* first: of the call's first row, counted from the first galaxy's first row */
    int64_t from, count;  /* the galaxies that have rows in the call */
} galaxies_here;

static inline galaxies_here galaxies_of(const gal_flow_integrate_args *g)
{
    if (!g->features || g->galaxies == 1)
        return galaxies_here{0, 0, 0, 1};
    int64_t from = g->first / g->share, last = (g->first + g->rows - 1) / g->share;
    return galaxies_here{g->share, g->first - from * g->share, from, last - from + 1};
}

/* y + h sum_j weights_j s_j, s {count, stride}, over the weights other than 0. */
static __device__ inline float advance(float y, float h, const double *weights, const float *s,
                                       int64_t stride, int count)
{
    float sum = 0;
    for (int j = 0; j < count; j++)
        if (weights[j] != 0)
            sum = fmaf((float)weights[j], s[j * stride], sum);
    return fmaf(h, sum, y);
}

/* Integrates on tensor cores, in g->precision; *taken is 0 where the net is too wide for that, and nothing is
 * done. */
gal_status gal_cuda_integrate_mma(gal_cuda *device, const gal_flow_integrate_args *g, int *taken);
#endif
