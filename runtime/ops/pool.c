/* pool.c: mean and maximum pools over windows, and the mean over all pixels: check, then issue. */
#include "ops.h"
#include "core/random.h"

static gal_status geometry(gal_pool_args *g, const char *op, const gal_tensor *x, int64_t window,
                           int64_t stride)
{
    *g = (gal_pool_args){.window = window, .stride = stride};
    gal_status status = gal_check_window(op, x, window, window, stride, GAL_VALID, &g->yh, &g->yw);
    if (status == GAL_OK)
        g->n = x->shape[0], g->h = x->shape[1], g->w = x->shape[2], g->c = x->shape[3];
    return status;
}

gal_status gal_pool2d_shape(int64_t *shape, const char *op, const gal_tensor *x, int64_t window,
                            int64_t stride)
{
    gal_pool_args g;
    gal_status status = geometry(&g, op, x, window, stride);
    if (status == GAL_OK)
        shape[0] = g.n, shape[1] = g.yh, shape[2] = g.yw, shape[3] = g.c;
    return status;
}

/* All but the pointers; y_name says which argument has y's shape. */
static gal_status pool_args(gal_pool_args *g, const char *op, const char *y_name, const gal_tensor *y,
                            const gal_tensor *x, int64_t window, int64_t stride)
{
    gal_status status = geometry(g, op, x, window, stride);
    return status == GAL_OK ? gal_check_shape(op, y_name, y, "{N, h, w, channels}", 4,
                                              (int64_t[]){g->n, g->yh, g->yw, g->c})
                            : status;
}

#define POOL(name)                                                                                    \
    gal_status gal_##name(gal_tensor *y, const gal_tensor *x, int64_t window, int64_t stride)         \
    {                                                                                                 \
        CHECK(#name, FLAT(y), FLAT(x));                                                               \
        gal_pool_args g;                                                                              \
        gal_status status = pool_args(&g, #name, "y", y, x, window, stride);                          \
        g.y = y->data, g.x = x->data;                                                                 \
        return status != GAL_OK ? status : ISSUE(y, name, &g, gal_tensor_count(y) * window * window); \
    }
POOL(avg_pool2d)
POOL(max_pool2d)

gal_status gal_avg_pool2d_backward(gal_tensor *dx, const gal_tensor *dy, int64_t window, int64_t stride)
{
    CHECK("avg_pool2d_backward", FLAT(dx), FLAT(dy));
    gal_pool_args g;
    gal_status status = pool_args(&g, "avg_pool2d_backward", "dy", dy, dx, window, stride);
    g.dx = dx->data, g.dy = dy->data;
    return status != GAL_OK ? status
                            : ISSUE(dx, avg_pool2d_backward, &g, gal_tensor_count(dy) * window * window);
}

gal_status gal_max_pool2d_backward(gal_tensor *dx, const gal_tensor *dy, const gal_tensor *x, int64_t window,
                                   int64_t stride)
{
    CHECK("max_pool2d_backward", FLAT(dx), FLAT(dy), FLAT(x));
    gal_pool_args g;
    gal_status status = pool_args(&g, "max_pool2d_backward", "dy", dy, x, window, stride);
    if (status == GAL_OK)
        status = gal_check_shape("max_pool2d_backward", "dx", dx, "the shape of x", 4, x->shape);
    g.dx = dx->data, g.dy = dy->data, g.x = x->data;
    return status != GAL_OK ? status
                            : ISSUE(dx, max_pool2d_backward, &g, gal_tensor_count(dy) * window * window);
}

/* Means over the middle of {N, pixels, C}: gal_mean. */
gal_status gal_global_avg_pool(gal_tensor *y, const gal_tensor *x)
{
    CHECK("global_avg_pool", FLAT(y), FLAT(x));
    RANK("global_avg_pool", x, 4);
    SHAPE("global_avg_pool", y, "{N, channels}", x->shape[0], x->shape[3]);
    return gal_mean(y, x, 1, 2);
}

/* dx = dy / pixels, repeated over them: an affine map of a broadcast dy. */
gal_status gal_global_avg_pool_backward(gal_tensor *dx, const gal_tensor *dy)
{
    CHECK("global_avg_pool_backward", FLAT(dx), FLAT(dy));
    RANK("global_avg_pool_backward", dx, 4);
    SHAPE("global_avg_pool_backward", dy, "{N, channels}", dx->shape[0], dx->shape[3]);
    int64_t pixels = dx->shape[1] * dx->shape[2], c = dx->shape[3];
    gal_map_args g = {.y = dx->data,
                      .a = dy->data,
                      .rank = 3,
                      .p = pixels ? 1 / (float)pixels : 0,
                      .count = gal_tensor_count(dx)};
    const int64_t shape[] = {dx->shape[0], pixels, c}, ys[] = {pixels * c, c, 1}, as[] = {c, 0, 1};
    for (int i = 0; i < 3; i++)
        g.shape[i] = shape[i], g.ys[i] = ys[i], g.as[i] = as[i];
    return g.count ? ISSUE(dx, affine, &g, g.count) : GAL_OK;
}
