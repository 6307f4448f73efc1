/* ops_image.c: images' layers: convolution, pools, layer normalisation, dropout: check, then issue. */
#include "ops.h"
#include "random.h"

/* ---- windows ---- */
int64_t gal_window_count(int64_t size, int64_t window, int64_t stride, int64_t padding)
{
    if (padding == GAL_SAME)
        return size;
    int64_t rest = size + 2 * padding - window;
    return rest < 0 ? 0 : rest / stride + 1;
}

static gal_status check_window(const char *op, const gal_tensor *x, int64_t kh, int64_t kw, int64_t stride, int64_t padding)
{
    if (stride < 1 || stride > INT32_MAX)
        return gal_fail(GAL_VALUE, "%s: stride is %lld, expected at least 1", op, (long long)stride);
    if (padding < GAL_SAME || padding > INT32_MAX)
        return gal_fail(GAL_VALUE, "%s: padding is %lld, expected an amount of pixels or \"same\"", op, (long long)padding);
    if (padding == GAL_SAME && stride != 1)
        return gal_fail(GAL_VALUE, "%s: padding \"same\" with stride %lld, expected stride 1 or an amount of pixels", op,
                        (long long)stride);
    if (kh < 1 || kw < 1 || gal_window_count(x->shape[1], kh, stride, padding) < 1 ||
        gal_window_count(x->shape[2], kw, stride, padding) < 1)
        return gal_fail(GAL_SHAPE, "%s: a window of %lld x %lld does not fit into x %s", op, (long long)kh, (long long)kw,
                        gal_shape_text(x));
    return GAL_OK;
}

/* ---- convolution ---- */
int gal_conv2d_stores_slope(const gal_tensor *w, int activation)
{
    /* 27 multiply-adds a value cost about what writing and reading it back does (tests/bench/w2.md), and the memory is saved. */
    return activation != GAL_IDENTITY && gal_tensor_count(w) > 32 * w->shape[0];
}

/* The geometry, checked; y_name and x_name say which arguments the result and the image are. */
static gal_status conv_args(gal_conv_args *g, const char *op, const gal_tensor *y, const char *y_name, const gal_tensor *slope,
                            const gal_tensor *x, const gal_tensor *w, const gal_tensor *b, int64_t stride, int64_t padding, int activation,
                            int64_t pool, int precision)
{
    if (x->rank != 4)
        return gal_fail(GAL_SHAPE, "%s: x is %s, expected images {N, H, W, channels}", op, gal_shape_text(x));
    if (w->rank != 4 || w->shape[3] != x->shape[3] || gal_tensor_count(w) == 0)
        return gal_fail(GAL_SHAPE, "%s: w is %s, expected {out, height, width, in} with in = %lld like x %s", op, gal_shape_text(w),
                        (long long)x->shape[3], gal_shape_text(x));
    gal_status status = check_window(op, x, w->shape[1], w->shape[2], stride, padding);
    if (status != GAL_OK)
        return status;
    if (activation < GAL_IDENTITY || activation > GAL_TANH)
        return gal_fail(GAL_VALUE, "%s: activation %d is none", op, activation);
    if (precision != GAL_EXACT && precision != GAL_BF16)
        return gal_fail(GAL_VALUE, "%s: precision is %d, expected GAL_EXACT or GAL_BF16", op, precision);
    *g = (gal_conv_args){.x = x->data,
                         .weight = w->data,
                         .bias = b ? b->data : NULL,
                         .stride = stride,
                         .pool = pool,
                         .activation = activation,
                         .precision = precision};
    g->n = x->shape[0], g->h = x->shape[1], g->w = x->shape[2], g->c = x->shape[3];
    g->out = w->shape[0], g->kh = w->shape[1], g->kw = w->shape[2];
    g->zh = gal_window_count(g->h, g->kh, stride, padding), g->zw = gal_window_count(g->w, g->kw, stride, padding);
    g->top = padding == GAL_SAME ? (g->kh - 1) / 2 : padding;
    g->left = padding == GAL_SAME ? (g->kw - 1) / 2 : padding;
    if (pool < 1 || pool > g->zh || pool > g->zw)
        return gal_fail(GAL_VALUE, "%s: pool is %lld, expected 1 to %lld for an image of %lld x %lld", op, (long long)pool,
                        (long long)(g->zh < g->zw ? g->zh : g->zw), (long long)g->zh, (long long)g->zw);
    status = gal_check_shape(op, y_name, y, "{N, h, w, out}", 4, (int64_t[]){g->n, g->zh / pool, g->zw / pool, g->out});
    if (status == GAL_OK && slope)
        status = gal_check_shape(op, "slope", slope, "{N, h, w, out}", 4, (int64_t[]){g->n, g->zh, g->zw, g->out});
    if (status == GAL_OK && b)
        status = gal_check_shape(op, "b", b, "{out}", 1, &g->out);
    g->slope = slope ? slope->data : NULL;
    return status;
}

/* Up to three calls with one struct; what the backend has none of is left out. */
static gal_status stages(const gal_backend *backend, const gal_conv_args *g, gal_kernel *prepare, gal_kernel *lanes, gal_kernel *finish,
                         int64_t work)
{
    gal_status status = GAL_OK;
    if (prepare)
        status = gal_issue(backend, prepare, g, GAL_WHOLE);
    if (status == GAL_OK && (lanes || !prepare))
        status = gal_issue(backend, lanes, g, work);
    if (status == GAL_OK && finish)
        status = gal_issue(backend, finish, g, work);
    return status;
}

gal_status gal_conv2d(gal_tensor *y, gal_tensor *slope, const gal_tensor *x, const gal_tensor *w, const gal_tensor *b, int64_t stride,
                      int64_t padding, int activation, int64_t pool, int precision)
{
    CHECK("conv2d", FLAT(y), FLAT(x), FLAT(w), {"b", b ? b : w, GAL_F32, 1}, {"slope", slope ? slope : y, GAL_F32, 1});
    gal_conv_args g;
    gal_status status = conv_args(&g, "conv2d", y, "y", slope, x, w, b, stride, padding, activation, pool, precision);
    if (status != GAL_OK || g.n == 0)
        return status;
    g.y = y->data;
    const gal_backend *k = gal_backend_of(y);
    return stages(k, &g, k->conv2d_prepare, k->conv2d, NULL, 2 * g.n * g.zh * g.zw * g.out * (g.kh * g.kw * g.c + 8));
}

gal_status gal_conv2d_backward(gal_tensor *dx, gal_tensor *dw, gal_tensor *db, const gal_tensor *dy, const gal_tensor *slope,
                               const gal_tensor *x, const gal_tensor *w, const gal_tensor *b, int64_t stride, int64_t padding,
                               int activation, int64_t pool, int precision, int accumulate)
{
    CHECK("conv2d_backward", FLAT(dy), FLAT(x), FLAT(w), {"dx", dx ? dx : x, GAL_F32, 1}, {"dw", dw ? dw : w, GAL_F32, 1},
          {"db", db ? db : w, GAL_F32, 1}, {"slope", slope ? slope : dy, GAL_F32, 1}, {"b", b ? b : w, GAL_F32, 1});
    gal_conv_args g;
    gal_status status = conv_args(&g, "conv2d_backward", dy, "dy", slope, x, w, b, stride, padding, activation, pool, precision);
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
    g.dy = dy->data, g.dx = dx ? dx->data : NULL, g.dw = dw ? dw->data : NULL, g.db = db ? db->data : NULL, g.accumulate = accumulate;
    const gal_backend *k = gal_backend_of(dy);
    return stages(k, &g, k->conv2d_backward_prepare, k->conv2d_backward, k->conv2d_backward_finish,
                  4 * g.n * g.zh * g.zw * g.out * (g.kh * g.kw * g.c + 8));
}

/* ---- pools ---- */
static gal_status pool_args(gal_pool_args *g, const char *op, const char *y_name, const gal_tensor *y, const gal_tensor *x, int64_t window,
                            int64_t stride)
{
    if (x->rank != 4)
        return gal_fail(GAL_SHAPE, "%s: x is %s, expected images {N, H, W, channels}", op, gal_shape_text(x));
    gal_status status = check_window(op, x, window, window, stride, 0);
    if (status != GAL_OK)
        return status;
    *g = (gal_pool_args){.n = x->shape[0], .h = x->shape[1], .w = x->shape[2], .c = x->shape[3], .window = window, .stride = stride};
    g->yh = gal_window_count(g->h, window, stride, 0), g->yw = gal_window_count(g->w, window, stride, 0);
    return gal_check_shape(op, y_name, y, "{N, h, w, channels}", 4, (int64_t[]){g->n, g->yh, g->yw, g->c});
}

#define POOL(name)                                                                                                                  \
    gal_status gal_##name(gal_tensor *y, const gal_tensor *x, int64_t window, int64_t stride)                                       \
    {                                                                                                                               \
        CHECK(#name, FLAT(y), FLAT(x));                                                                                             \
        gal_pool_args g;                                                                                                            \
        gal_status status = pool_args(&g, #name, "y", y, x, window, stride);                                                        \
        g.y = y->data, g.x = x->data;                                                                                               \
        return status != GAL_OK ? status                                                                                            \
                                : gal_issue(gal_backend_of(y), gal_backend_of(y)->name, &g, gal_tensor_count(y) * window * window); \
    }
POOL(avg_pool2d)
POOL(max_pool2d)

gal_status gal_avg_pool2d_backward(gal_tensor *dx, const gal_tensor *dy, int64_t window, int64_t stride)
{
    CHECK("avg_pool2d_backward", FLAT(dx), FLAT(dy));
    gal_pool_args g;
    gal_status status = pool_args(&g, "avg_pool2d_backward", "dy", dy, dx, window, stride);
    g.dx = dx->data, g.dy = dy->data;
    return status != GAL_OK
               ? status
               : gal_issue(gal_backend_of(dx), gal_backend_of(dx)->avg_pool2d_backward, &g, gal_tensor_count(dy) * window * window);
}

gal_status gal_max_pool2d_backward(gal_tensor *dx, const gal_tensor *dy, const gal_tensor *x, int64_t window, int64_t stride)
{
    CHECK("max_pool2d_backward", FLAT(dx), FLAT(dy), FLAT(x));
    gal_pool_args g;
    gal_status status = pool_args(&g, "max_pool2d_backward", "dy", dy, x, window, stride);
    if (status == GAL_OK)
        status = gal_check_shape("max_pool2d_backward", "dx", dx, "the shape of x", 4, x->shape);
    g.dx = dx->data, g.dy = dy->data, g.x = x->data;
    return status != GAL_OK
               ? status
               : gal_issue(gal_backend_of(dx), gal_backend_of(dx)->max_pool2d_backward, &g, gal_tensor_count(dy) * window * window);
}

/* Means over the middle of {N, pixels, C}: the reduction that is there already. */
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
    gal_map_args g = {.y = dx->data, .a = dy->data, .rank = 3, .p = pixels ? 1 / (float)pixels : 0, .count = gal_tensor_count(dx)};
    const int64_t shape[] = {dx->shape[0], pixels, c}, ys[] = {pixels * c, c, 1}, as[] = {c, 0, 1};
    for (int i = 0; i < 3; i++)
        g.shape[i] = shape[i], g.ys[i] = ys[i], g.as[i] = as[i];
    return g.count ? gal_issue(gal_backend_of(dx), gal_backend_of(dx)->affine, &g, g.count) : GAL_OK;
}

/* ---- layer normalisation ---- */
static gal_status layer_norm_args(gal_layer_norm_args *g, const char *op, const gal_tensor *x, const gal_tensor *statistics,
                                  const gal_tensor *scale)
{
    if (x->rank < 1 || x->shape[x->rank - 1] < 1)
        return gal_fail(GAL_SHAPE, "%s: x is %s, expected a last dimension to normalise over", op, gal_shape_text(x));
    int64_t n = x->shape[x->rank - 1];
    *g = (gal_layer_norm_args){.rows = gal_tensor_count(x) / n, .n = n, .x = x->data, .scale = scale ? scale->data : NULL};
    g->statistics = statistics ? statistics->data : NULL;
    gal_status status = statistics ? gal_check_shape(op, "statistics", statistics, "{rows, 2}", 2, (int64_t[]){g->rows, 2}) : GAL_OK;
    return status == GAL_OK && scale ? gal_check_shape(op, "scale", scale, "the last dimension of x", 1, &n) : status;
}

gal_status gal_layer_norm(gal_tensor *y, gal_tensor *statistics, const gal_tensor *x, const gal_tensor *scale, const gal_tensor *shift,
                          double eps)
{
    CHECK("layer_norm", FLAT(y), FLAT(x), {"statistics", statistics ? statistics : y, GAL_F32, 1}, {"scale", scale ? scale : x, GAL_F32, 1},
          {"shift", shift ? shift : x, GAL_F32, 1});
    gal_layer_norm_args g;
    gal_status status = layer_norm_args(&g, "layer_norm", x, statistics, scale);
    if (status == GAL_OK)
        status = gal_check_shape("layer_norm", "y", y, "the shape of x", x->rank, x->shape);
    if (status == GAL_OK && !scale != !shift)
        return gal_fail(GAL_VALUE, "layer_norm: %s is missing, expected both scale and shift, or neither", scale ? "shift" : "scale");
    if (status == GAL_OK && shift)
        status = gal_check_shape("layer_norm", "shift", shift, "the last dimension of x", 1, &g.n);
    if (status == GAL_OK && !(eps >= 0))
        return gal_fail(GAL_VALUE, "layer_norm: eps is %g, expected at least 0", eps);
    g.y = y->data, g.shift = shift ? shift->data : NULL, g.eps = eps;
    return status != GAL_OK ? status : gal_issue(gal_backend_of(y), gal_backend_of(y)->layer_norm, &g, 8 * g.rows * g.n);
}

gal_status gal_layer_norm_backward(gal_tensor *dx, gal_tensor *dscale, gal_tensor *dshift, const gal_tensor *dy, const gal_tensor *x,
                                   const gal_tensor *statistics, const gal_tensor *scale, int accumulate)
{
    CHECK("layer_norm_backward", FLAT(dy), FLAT(x), FLAT(statistics), {"dx", dx ? dx : x, GAL_F32, 1},
          {"dscale", dscale ? dscale : x, GAL_F32, 1}, {"dshift", dshift ? dshift : x, GAL_F32, 1},
          {"scale", scale ? scale : x, GAL_F32, 1});
    gal_layer_norm_args g;
    gal_status status = layer_norm_args(&g, "layer_norm_backward", x, statistics, scale);
    if (status == GAL_OK)
        status = gal_check_shape("layer_norm_backward", "dy", dy, "the shape of x", x->rank, x->shape);
    if (status == GAL_OK && dx)
        status = gal_check_shape("layer_norm_backward", "dx", dx, "the shape of x", x->rank, x->shape);
    if (status == GAL_OK && dscale)
        status = gal_check_shape("layer_norm_backward", "dscale", dscale, "the last dimension of x", 1, &g.n);
    if (status == GAL_OK && dshift)
        status = gal_check_shape("layer_norm_backward", "dshift", dshift, "the last dimension of x", 1, &g.n);
    g.dx = dx ? dx->data : NULL, g.dscale = dscale ? dscale->data : NULL, g.dshift = dshift ? dshift->data : NULL, g.dy = dy->data;
    g.accumulate = accumulate;
    const gal_backend *backend = gal_backend_of(dy);
    if (status == GAL_OK && dx)
        status = gal_issue(backend, backend->layer_norm_backward, &g, 8 * g.rows * g.n);
    if (status == GAL_OK && (dscale || dshift))
        status = gal_issue(backend, backend->layer_norm_backward_scale, &g, 4 * g.rows * g.n);
    return status;
}

/* ---- dropout ---- */
static gal_status dropout_args(gal_dropout_args *g, const char *op, const char *y_name, gal_tensor *y, const gal_tensor *x, double p)
{
    if (!(p >= 0 && p < 1))
        return gal_fail(GAL_VALUE, "%s: p is %g, expected 0 <= p < 1", op, p);
    *g = (gal_dropout_args){.y = y->data, .x = x->data, .n = gal_tensor_count(x), .p = (float)p};
    return gal_check_shape(op, y_name, y, "the shape of x", x->rank, x->shape);
}

gal_status gal_dropout(gal_tensor *y, gal_tensor *used, const gal_tensor *x, gal_tensor *state, double p)
{
    CHECK("dropout", FLAT(y), FLAT(x), INTEGER(state), {"used", used ? used : state, GAL_I64, 1});
    SHAPE("dropout", state, "{key, counter}", 2);
    gal_dropout_args g;
    gal_status status = dropout_args(&g, "dropout", "y", y, x, p);
    if (status == GAL_OK && used)
        status = gal_check_shape("dropout", "used", used, "{key, counter}", 1, (int64_t[]){2});
    if (status != GAL_OK)
        return status;
    g.state = state->data, g.used = used ? used->data : NULL;
    const gal_backend *backend = gal_backend_of(y);
    status = gal_issue(backend, backend->dropout, &g, 10 * g.n);
    gal_random_args advance = {.state = state->data, .rows = 1, .blocks = gal_blocks_of(g.n)};
    return status == GAL_OK ? gal_issue(backend, backend->random_advance, &advance, GAL_SERIAL) : status;
}

gal_status gal_dropout_backward(gal_tensor *dx, const gal_tensor *dy, const gal_tensor *used, double p)
{
    CHECK("dropout_backward", FLAT(dx), FLAT(dy), INTEGER(used));
    SHAPE("dropout_backward", used, "{key, counter}", 2);
    gal_dropout_args g;
    gal_status status = dropout_args(&g, "dropout_backward", "dx", dx, dy, p);
    g.state = used->data;
    return status == GAL_OK ? gal_issue(gal_backend_of(dx), gal_backend_of(dx)->dropout, &g, 10 * g.n) : status;
}
