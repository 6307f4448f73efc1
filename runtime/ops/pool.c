/* pool.c: mean and maximum pools over windows, and the mean over all pixels: check, then issue. */
#include "ops.h"
#include "core/random.h"

static gal_status pool_args(gal_pool_args *g, const char *op, const char *y_name, const gal_tensor *y,
                            const gal_tensor *x, int64_t window, int64_t stride)
{
    if (x->rank != 4)
        return gal_fail(GAL_SHAPE, "%s: x is %s, expected images {N, H, W, channels}", op, gal_shape_text(x));
    gal_status status = gal_check_window(op, x, window, window, stride, 0);
    if (status != GAL_OK)
        return status;
    *g = (gal_pool_args){.n = x->shape[0],
                         .h = x->shape[1],
                         .w = x->shape[2],
                         .c = x->shape[3],
                         .window = window,
                         .stride = stride};
    g->yh = gal_window_count(g->h, window, stride, 0), g->yw = gal_window_count(g->w, window, stride, 0);
    return gal_check_shape(op, y_name, y, "{N, h, w, channels}", 4, (int64_t[]){g->n, g->yh, g->yw, g->c});
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
