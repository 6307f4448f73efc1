/* step.c: optimisers with their averages, and clipping, over one flat block of parameters. Each number that
 * changes from step to step is read through a pointer. */
#include "cpu.h"
#include "sums.h"
#include <math.h>

float gal_cpu_average_weight(const gal_step_args *g)
{
    if (!g->average)
        return 0;
    double step = (double)(*g->step + 1), window = step / (step + 9), decay = *g->decay;
    return (float)(1 - (decay < window ? decay : window));
}

static void average(const gal_step_args *g, int64_t i, float weight)
{
    if (g->average)
        g->average[i] += weight * (g->parameter[i] - g->average[i]);
}

/* As in PyTorch: the decay first, then p -= lr / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + eps). */
gal_status gal_cpu_adamw(const gal_lane *lane, const void *args)
{
    const gal_step_args *g = args;
    double lr = g->hyper[0], beta1 = g->hyper[1], beta2 = g->hyper[2], t = (double)(*g->step + 1);
    float m_keep = g->hyper[1], m_new = (float)(1 - beta1), v_keep = g->hyper[2], v_new = (float)(1 - beta2),
          eps = g->hyper[3];
    float rate = (float)(lr / (1 - pow(beta1, t))), scale = (float)(1 / sqrt(1 - pow(beta2, t))),
          decay = (float)(1 - lr * g->hyper[4]), weight = gal_cpu_average_weight(g);
    int64_t from, to;
    gal_share(lane, g->count, 64, &from, &to);
    for (int64_t i = from; i < to; i++) {
        float d = g->gradient[i];
        float m = g->first[i] = fmaf(m_keep, g->first[i], m_new * d);
        float v = g->second[i] = fmaf(v_keep, g->second[i], v_new * (d * d));
        g->parameter[i] = decay * g->parameter[i] - rate * m / fmaf(sqrtf(v), scale, eps);
        average(g, i, weight);
    }
    return GAL_OK;
}

/* As in PyTorch: the velocity starts as the first gradient. */
gal_status gal_cpu_sgd(const gal_lane *lane, const void *args)
{
    const gal_step_args *g = args;
    float lr = g->hyper[0], momentum = g->hyper[1], decay = g->hyper[2], weight = gal_cpu_average_weight(g);
    int nesterov = g->hyper[3] != 0, start = *g->step <= 0;
    int64_t from, to;
    gal_share(lane, g->count, 64, &from, &to);
    for (int64_t i = from; i < to; i++) {
        float d = g->gradient[i] + decay * g->parameter[i];
        float v = g->first[i] = start ? d : momentum * g->first[i] + d;
        g->parameter[i] -= lr * (nesterov ? d + momentum * v : v);
        average(g, i, weight);
    }
    return GAL_OK;
}

/* The last stage of an optimiser: all lanes have read the count of the steps before. */
gal_status gal_cpu_step_finish(const gal_lane *lane, const void *args)
{
    const gal_step_args *g = args;
    if (lane->index == 0)
        ++*g->step;
    return GAL_OK;
}

/* total {} = the sum of squares of gradient {count}. One lane: the sum has one order. */
gal_status gal_cpu_sum_squares(const gal_lane *lane, const void *args)
{
    const gal_step_args *g = args;
    if (lane->index == 0)
        *g->total = gal_sum_of(g->gradient, g->count, 0, 2);
    return GAL_OK;
}

/* total {}: the sum of squares; hyper {1}: the limit. */
gal_status gal_cpu_clip(const gal_lane *lane, const void *args)
{
    const gal_step_args *g = args;
    double norm = sqrt(*g->total);
    float scale = norm > g->hyper[0] ? (float)(g->hyper[0] / norm) : 1;
    int64_t from, to;
    gal_share(lane, g->count, 64, &from, &to);
    for (int64_t i = from; i < to; i++)
        g->parameter[i] *= scale;
    return GAL_OK;
}
