/* norm.c: layer normalisation: check, then issue. */
#include "ops.h"
#include "core/random.h"

static gal_status layer_norm_args(gal_layer_norm_args *g, const char *op, const gal_tensor *x,
                                  const gal_tensor *statistics, const gal_tensor *scale)
{
    if (x->rank < 1 || x->shape[x->rank - 1] < 1)
        return gal_fail(GAL_SHAPE, "%s: x is %s, expected a last dimension to normalise over", op,
                        gal_shape_text(x));
    int64_t n = x->shape[x->rank - 1];
    *g = (gal_layer_norm_args){
        .rows = gal_tensor_count(x) / n, .n = n, .x = x->data, .scale = scale ? scale->data : NULL};
    g->statistics = statistics ? statistics->data : NULL;
    gal_status status =
        statistics ? gal_check_shape(op, "statistics", statistics, "{rows, 2}", 2, (int64_t[]){g->rows, 2})
                   : GAL_OK;
    return status == GAL_OK && scale ? gal_check_shape(op, "scale", scale, "the last dimension of x", 1, &n)
                                     : status;
}

gal_status gal_layer_norm(gal_tensor *y, gal_tensor *statistics, const gal_tensor *x, const gal_tensor *scale,
                          const gal_tensor *shift, double eps)
{
    CHECK("layer_norm", FLAT(y), FLAT(x), {"statistics", statistics ? statistics : y, GAL_F32, 1},
          {"scale", scale ? scale : x, GAL_F32, 1}, {"shift", shift ? shift : x, GAL_F32, 1});
    gal_layer_norm_args g;
    gal_status status = layer_norm_args(&g, "layer_norm", x, statistics, scale);
    if (status == GAL_OK)
        status = gal_check_shape("layer_norm", "y", y, "the shape of x", x->rank, x->shape);
    if (status == GAL_OK && !scale != !shift)
        return gal_fail(GAL_VALUE, "layer_norm: %s is missing, expected both scale and shift, or neither",
                        scale ? "shift" : "scale");
    if (status == GAL_OK && shift)
        status = gal_check_shape("layer_norm", "shift", shift, "the last dimension of x", 1, &g.n);
    if (status == GAL_OK && !(eps >= 0))
        return gal_fail(GAL_VALUE, "layer_norm: eps is %g, expected at least 0", eps);
    g.y = y->data, g.shift = shift ? shift->data : NULL, g.eps = eps;
    return status != GAL_OK ? status : ISSUE(y, layer_norm, &g, 8 * g.rows * g.n);
}

gal_status gal_layer_norm_backward(gal_tensor *dx, gal_tensor *dscale, gal_tensor *dshift,
                                   const gal_tensor *dy, const gal_tensor *x, const gal_tensor *statistics,
                                   const gal_tensor *scale, int accumulate)
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
    g.dx = dx ? dx->data : NULL, g.dscale = dscale ? dscale->data : NULL,
    g.dshift = dshift ? dshift->data : NULL, g.dy = dy->data;
    g.accumulate = accumulate;
    if (status == GAL_OK && dx)
        status = ISSUE(dy, layer_norm_backward, &g, 8 * g.rows * g.n);
    if (status == GAL_OK && (dscale || dshift))
        status = ISSUE(dy, layer_norm_backward_scale, &g, 4 * g.rows * g.n);
    return status;
}
