/* conv.c: convolution, and the windows that pools share with it: check, then issue. */
#include "ops.h"
#include "core/random.h"

/* How many positions a window has along `size` pixels; below 1 where it has none. */
static int64_t positions(int64_t size, int64_t window, int64_t stride, int64_t padding)
{
    if (padding == GAL_SAME)
        return size;
    int64_t rest = size + 2 * padding - window;
    return rest < 0 ? 0 : rest / stride + 1;
}

gal_status gal_check_window(const char *op, const gal_tensor *x, int64_t kh, int64_t kw, int64_t stride,
                            int64_t padding, int64_t *down, int64_t *across)
{
    if (!x || x->rank != 4)
        return gal_fail(GAL_SHAPE, "%s: x is %s, expected images {N, H, W, C}", op, gal_shape_text(x));
    if (stride < 1 || stride > INT32_MAX)
        return gal_fail(GAL_VALUE, "%s: stride is %lld, expected at least 1", op, (long long)stride);
    if (padding < GAL_SAME || padding > INT32_MAX)
        return gal_fail(GAL_VALUE, "%s: padding is %lld, expected a number of pixels or \"same\"", op,
                        (long long)padding);
    if (padding == GAL_SAME && stride != 1)
        return gal_fail(GAL_VALUE,
                        "%s: padding \"same\" with stride %lld, expected stride 1 or a number of pixels", op,
                        (long long)stride);
    *down = kh < 1 ? 0 : positions(x->shape[1], kh, stride, padding);
    *across = kw < 1 ? 0 : positions(x->shape[2], kw, stride, padding);
    return *down > 0 && *across > 0
               ? GAL_OK
               : gal_fail(GAL_SHAPE, "%s: a window of %lld x %lld does not fit into x %s", op, (long long)kh,
                          (long long)kw, gal_shape_text(x));
}

int gal_conv2d_stores_slope(const gal_tensor *w, int activation)
{
    const gal_backend *device = gal_backend_of(w);
    return activation != GAL_IDENTITY &&
           device->stores_slope(device, w->shape[0], w->shape[1], w->shape[2], w->shape[3]);
}

/* The sizes of a convolution, checked. */
static gal_status geometry(gal_conv_args *g, const char *op, const gal_tensor *x, const gal_tensor *w,
                           int64_t stride, int64_t padding, int64_t pool)
{
    if (!x || !w)
        return gal_fail(GAL_VALUE, "%s: %s is missing", op, x ? "w" : "x");
    if (w->rank != 4 || gal_tensor_count(w) == 0)
        return gal_fail(GAL_SHAPE, "%s: w is %s, expected {out, height, width, in}", op, gal_shape_text(w));
    if (x->rank != 4 || x->shape[3] != w->shape[3])
        return gal_fail(GAL_SHAPE, "%s: x is %s, expected images {N, H, W, %lld} for w %s", op,
                        gal_shape_text(x), (long long)w->shape[3], gal_shape_text(w));
    *g = (gal_conv_args){.stride = stride, .pool = pool};
    g->n = x->shape[0], g->h = x->shape[1], g->w = x->shape[2], g->c = x->shape[3];
    g->out = w->shape[0], g->kh = w->shape[1], g->kw = w->shape[2];
    g->top = padding == GAL_SAME ? (g->kh - 1) / 2 : padding;
    g->left = padding == GAL_SAME ? (g->kw - 1) / 2 : padding;
    gal_status status = gal_check_window(op, x, g->kh, g->kw, stride, padding, &g->zh, &g->zw);
    if (status == GAL_OK && (pool < 1 || pool > g->zh || pool > g->zw))
        return gal_fail(GAL_VALUE, "%s: pool is %lld, expected 1 to %lld for an image of %lld x %lld", op,
                        (long long)pool, (long long)(g->zh < g->zw ? g->zh : g->zw), (long long)g->zh,
                        (long long)g->zw);
    return status;
}

gal_status gal_conv2d_shape(int64_t *shape, const gal_tensor *x, const gal_tensor *w, int64_t stride,
                            int64_t padding, int64_t pool)
{
    gal_conv_args g;
    gal_status status = geometry(&g, "conv2d", x, w, stride, padding, pool);
    if (status == GAL_OK)
        shape[0] = g.n, shape[1] = g.zh / pool, shape[2] = g.zw / pool, shape[3] = g.out;
    return status;
}

/* All but the results; y_name says which argument has y's shape. */
static gal_status conv_args(gal_conv_args *g, gal_op op, const gal_tensor *y, const char *y_name,
                            const gal_tensor *slope, const gal_tensor *x, const gal_tensor *w,
                            const gal_tensor *b, int64_t stride, int64_t padding, int activation,
                            int64_t pool, int precision)
{
    const char *name = gal_op_name(op);
    gal_status status = geometry(g, name, x, w, stride, padding, pool);
    if (status == GAL_OK)
        status = gal_check_activation(name, activation);
    if (status == GAL_OK)
        status = gal_check_precision(op, gal_backend_of(x), precision);
    if (status != GAL_OK)
        return status;
    g->x = x->data, g->weight = w->data, g->bias = b ? b->data : NULL;
    g->activation = activation, g->precision = precision;
    status = gal_check_shape(name, y_name, y, "{N, h, w, out}", 4,
                             (int64_t[]){g->n, g->zh / pool, g->zw / pool, g->out});
    if (status == GAL_OK && slope)
        status = gal_check_shape(name, "slope", slope, "{N, h, w, out}", 4,
                                 (int64_t[]){g->n, g->zh, g->zw, g->out});
    if (status == GAL_OK && b)
        status = gal_check_shape(name, "b", b, "{out}", 1, &g->out);
    g->slope = slope ? slope->data : NULL;
    return status;
}

gal_status gal_conv2d(gal_tensor *y, gal_tensor *slope, const gal_tensor *x, const gal_tensor *w,
                      const gal_tensor *b, int64_t stride, int64_t padding, int activation, int64_t pool,
                      int precision)
{
    CHECK("conv2d", FLAT(y), FLAT(x), FLAT(w), {"b", b ? b : w, GAL_F32, 1},
          {"slope", slope ? slope : y, GAL_F32, 1});
    gal_conv_args g;
    gal_status status =
        conv_args(&g, GAL_OP_conv2d, y, "y", slope, x, w, b, stride, padding, activation, pool, precision);
    if (status != GAL_OK || g.n == 0)
        return status;
    g.y = y->data;
    return ISSUE(y, conv2d, &g, 2 * g.n * g.zh * g.zw * g.out * (g.kh * g.kw * g.c + 8));
}

gal_status gal_conv2d_backward(gal_tensor *dx, gal_tensor *dw, gal_tensor *db, const gal_tensor *dy,
                               const gal_tensor *slope, const gal_tensor *x, const gal_tensor *w,
                               const gal_tensor *b, int64_t stride, int64_t padding, int activation,
                               int64_t pool, int precision, int accumulate)
{
    CHECK("conv2d_backward", FLAT(dy), FLAT(x), FLAT(w), {"dx", dx ? dx : x, GAL_F32, 1},
          {"dw", dw ? dw : w, GAL_F32, 1}, {"db", db ? db : w, GAL_F32, 1},
          {"slope", slope ? slope : dy, GAL_F32, 1}, {"b", b ? b : w, GAL_F32, 1});
    gal_conv_args g;
    gal_status status = conv_args(&g, GAL_OP_conv2d_backward, dy, "dy", slope, x, w, b, stride, padding,
                                  activation, pool, precision);
    if (status == GAL_OK && dx)
        status = gal_check_shape("conv2d_backward", "dx", dx, "the shape of x", 4, x->shape);
    if (status == GAL_OK && dw)
        status = gal_check_shape("conv2d_backward", "dw", dw, "the shape of w", 4, w->shape);
    if (status == GAL_OK && db)
        status = gal_check_shape("conv2d_backward", "db", db, "{out}", 1, &g.out);
    if (status != GAL_OK || !(dx || dw || db))
        return status;
    if (g.n == 0) {
        if (dw && !accumulate)
            status = gal_fill(dw, 0);
        return status == GAL_OK && db && !accumulate ? gal_fill(db, 0) : status;
    }
    g.dy = dy->data, g.dx = dx ? dx->data : NULL, g.dw = dw ? dw->data : NULL, g.db = db ? db->data : NULL,
    g.accumulate = accumulate;
    return ISSUE(dy, conv2d_backward, &g, 4 * g.n * g.zh * g.zw * g.out * (g.kh * g.kw * g.c + 8));
}
