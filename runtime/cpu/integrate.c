/* integrate.c: the velocity net's ODE, one row after another: the specification. fast/integrate.c does the
 * same in tiles of rows. */
#include "activation.h"
#include "bf16.h"
#include "cpu.h"
#include <stdlib.h>
#include <string.h>

/* What one row works in. */
typedef struct row_work {
    float *base;    /* {out of the first layer}: b_1 and the features' part of w_1 y_0 */
    float *x, *y;   /* {widest}: a layer's input y_{i-1} and result y_i */
    float *tx, *ty; /* {d, widest}: their tangents dy / dtheta_j */
    float *state;   /* {d}: theta */
    float *k, *g;   /* {stages, d}, {stages}: each stage's velocity and divergence */
    int64_t widest;
} row_work;

/* One layer: y = f(start + w x), ty = f' (w tx) for d tangents, over the first `in` columns of w. */
static void layer_of(const gal_flow_layer *l, const float *start, int64_t in, int half, int64_t d,
                     row_work *k)
{
    for (int64_t o = 0; o < l->out; o++) {
        const float *w = l->w + o * l->in;
        float z = start ? start[o] : 0, slope;
        for (int64_t i = 0; i < in; i++)
            z = half ? fmaf(gal_as_bf16(w[i]), gal_as_bf16(k->x[i]), z) : fmaf(w[i], k->x[i], z);
        k->y[o] = gal_activate(l->activation, z, &slope);
        for (int64_t j = 0; j < d; j++) {
            float t = 0;
            for (int64_t i = 0; i < in; i++)
                t = fmaf(w[i], k->tx[j * k->widest + i], t);
            k->ty[j * k->widest + o] = slope * t;
        }
    }
}

/* velocity {d} at [t; theta] = k->x; returns its divergence, or 0 without density. */
static float evaluate(const gal_flow_integrate_args *g, int density, row_work *k, float *velocity)
{
    int64_t d = density ? g->d : 0;
    for (int64_t j = 0; j < d; j++)
        for (int64_t i = 0; i <= g->d; i++)
            k->tx[j * k->widest + i] = i == 1 + j;
    for (int i = 0; i < g->layers; i++) {
        /* Between hidden layers: the inputs of the first and of the last layer stay float32. */
        int half = g->precision == GAL_IN_BF16 && i > 0 && i < g->layers - 1;
        layer_of(&g->layer[i], i ? g->layer[i].b : k->base, i ? g->layer[i].in : 1 + g->d, half, d, k);
        float *x = k->x, *tx = k->tx;
        k->x = k->y, k->y = x, k->tx = k->ty, k->ty = tx;
    }
    memcpy(velocity, k->x, (size_t)g->d * sizeof *velocity);
    float trace = 0;
    for (int64_t j = 0; j < d; j++)
        trace += k->tx[j * k->widest + j];
    return trace;
}

/* y + h sum_j weights_j s_j, s {count, stride}, over the weights other than 0. */
static float advance(float y, float h, const double *weights, const float *s, int64_t stride, int count)
{
    float sum = 0;
    for (int j = 0; j < count; j++)
        if (weights[j] != 0)
            sum = fmaf((float)weights[j], s[j * stride], sum);
    return fmaf(h, sum, y);
}

static gal_status one_row(const gal_flow_integrate_args *g, int64_t r, row_work *k)
{
    const gal_flow_layer *l = &g->layer[0];
    const float *features =
        g->features ? g->features + (g->galaxies == 1 ? 0 : (g->first + r) / g->share) * g->width : NULL;
    for (int64_t o = 0; o < l->out; o++) {
        k->base[o] = l->b ? l->b[o] : 0;
        for (int64_t i = 0; i < g->width; i++)
            k->base[o] = fmaf(l->w[o * l->in + 1 + g->d + i], features[i], k->base[o]);
    }
    const gal_runge_kutta *m = &g->method;
    float divergence = 0;
    memcpy(k->state, g->theta + r * g->d, (size_t)g->d * sizeof(float));
    for (int64_t s = 0; s < g->steps; s++) {
        float h = (float)(g->times[s + 1] - g->times[s]);
        for (int i = 0; i < m->stages; i++) {
            if (gal_interrupted())
                return gal_fail(GAL_INTERRUPTED, "interrupted");
            k->x[0] = (float)(g->times[s] + m->c[i] * (g->times[s + 1] - g->times[s]));
            for (int64_t j = 0; j < g->d; j++)
                k->x[1 + j] = advance(k->state[j], h, m->a[i], k->k + j, g->d, i);
            k->g[i] = evaluate(g, g->integral != NULL, k, k->k + i * g->d);
        }
        for (int64_t j = 0; j < g->d; j++)
            k->state[j] = advance(k->state[j], h, m->b, k->k + j, g->d, m->stages);
        divergence = advance(divergence, h, m->b, k->g, 1, m->stages);
    }
    memcpy(g->theta + r * g->d, k->state, (size_t)g->d * sizeof(float));
    if (g->integral)
        g->integral[r] = divergence;
    return GAL_OK;
}

gal_status gal_cpu_flow_integrate(const gal_lane *lane, const void *args)
{
    const gal_flow_integrate_args *g = args;
    int64_t widest = 1 + g->d, from, to;
    for (int i = 0; i < g->layers; i++)
        widest = g->layer[i].out > widest ? g->layer[i].out : widest;
    int64_t floats = g->layer[0].out + 2 * widest + 2 * g->d * widest + g->d + GAL_FLOW_STAGES * (g->d + 1);
    float *block = malloc((size_t)floats * sizeof *block);
    if (!block)
        return gal_fail(GAL_MEMORY, "flow_integrate: no memory left for %lld floats to work in",
                        (long long)floats);
    row_work k = {.base = block, .widest = widest};
    k.x = k.base + g->layer[0].out, k.y = k.x + widest, k.tx = k.y + widest, k.ty = k.tx + g->d * widest,
    k.state = k.ty + g->d * widest;
    k.k = k.state + g->d, k.g = k.k + GAL_FLOW_STAGES * g->d;
    gal_share(lane, g->rows, 1, &from, &to);
    gal_status status = GAL_OK;
    for (int64_t r = from; r < to && status == GAL_OK; r++)
        status = one_row(g, r, &k);
    free(block);
    return status;
}
