/* ops/integrate.c: the velocity net's ODE: check, then issue. */
#include "ops.h"

/* One layer against what came before it: `in` values, or for the first one [t; theta; features]. */
static gal_status check_layer(int i, int last, const gal_tensor *w, const gal_tensor *b, int activation,
                              int64_t in, int64_t d)
{
    CHECK("flow_integrate", FLAT(w), {"b", b ? b : w, GAL_F32, 1});
    RANK("flow_integrate", w, 2);
    if (w->shape[1] != in)
        return gal_fail(GAL_SHAPE, "flow_integrate: w of layer %d is %s, expected {out, %lld}", i + 1,
                        gal_shape_text(w), (long long)in);
    if (last && w->shape[0] != d)
        return gal_fail(GAL_SHAPE,
                        "flow_integrate: w of the last layer is %s, expected {%lld, in} for theta's columns",
                        gal_shape_text(w), (long long)d);
    if (b && (b->rank != 1 || b->shape[0] != w->shape[0]))
        return gal_fail(GAL_SHAPE, "flow_integrate: b of layer %d is %s, expected {%lld}", i + 1,
                        gal_shape_text(b), (long long)w->shape[0]);
    return gal_check_activation("flow_integrate", activation);
}

static gal_status check_net(gal_flow_integrate_args *args, const gal_velocity_net *net)
{
    if (net->layers < 1 || net->layers > GAL_FLOW_LAYERS)
        return gal_fail(GAL_VALUE, "flow_integrate: the net has %d layers, expected 1 to %d", net->layers,
                        GAL_FLOW_LAYERS);
    args->layers = net->layers;
    int64_t in = 1 + args->d + args->width;
    for (int i = 0; i < net->layers; i++) {
        const gal_tensor *w = net->w[i], *b = net->b[i];
        gal_status status = check_layer(i, i == net->layers - 1, w, b, net->activation[i], in, args->d);
        if (status != GAL_OK)
            return status;
        args->layer[i] = (gal_flow_layer){.w = w->data,
                                          .b = b ? b->data : NULL,
                                          .in = in,
                                          .out = w->shape[0],
                                          .activation = net->activation[i]};
        in = w->shape[0];
    }
    return GAL_OK;
}

/* About how many operations it takes; no more than fit in an int64_t. */
static int64_t work_of(const gal_flow_integrate_args *args)
{
    double evaluation = 0, rows = (double)args->rows * (args->integral ? 1 + (double)args->d : 1);
    for (int i = 0; i < args->layers; i++)
        evaluation += (double)args->layer[i].out * (2 * (double)args->layer[i].in + 20);
    double all = rows * (double)args->steps * args->method.stages * evaluation;
    return all < 1e18 ? (int64_t)all : (int64_t)1e18;
}

gal_status gal_flow_integrate(gal_tensor *theta, gal_tensor *integral, const gal_tensor *features,
                              int64_t first, int64_t share, const gal_velocity_net *net,
                              const gal_runge_kutta *method, const gal_tensor *times, int precision)
{
    CHECK("flow_integrate", FLAT(theta), {"integral", integral ? integral : theta, GAL_F32, 1},
          {"features", features ? features : theta, GAL_F32, 1}, DOUBLE(times));
    RANK("flow_integrate", theta, 2);
    RANK("flow_integrate", times, 1);
    int64_t rows = theta->shape[0];
    if (integral)
        SHAPE("flow_integrate", integral, "{rows}", rows);
    if (features)
        RANK("flow_integrate", features, 2);
    if (times->shape[0] < 2)
        return gal_fail(GAL_SHAPE, "flow_integrate: times is %s, expected at least 2 instants",
                        gal_shape_text(times));
    if (method->stages < 1 || method->stages > GAL_FLOW_STAGES)
        return gal_fail(GAL_VALUE, "flow_integrate: the method has %d stages, expected 1 to %d",
                        method->stages, GAL_FLOW_STAGES);
    if (share < 1 || first < 0)
        return gal_fail(GAL_VALUE, "flow_integrate: first is %lld and share %lld, expected at least 0 and 1",
                        (long long)first, (long long)share);
    if (features && features->shape[0] != 1 && features->shape[0] <= (first + rows - 1) / share)
        return gal_fail(
            GAL_SHAPE,
            "flow_integrate: features is %s, expected 1 row, or one for each %lld of rows %lld to %lld",
            gal_shape_text(features), (long long)share, (long long)first, (long long)(first + rows - 1));
    if (precision == GAL_IN_BF16 && integral)
        return gal_fail(GAL_VALUE, "flow_integrate: precision is bf16, too coarse for an integral");
    gal_flow_integrate_args args = {
        .theta = theta->data, .integral = integral ? integral->data : NULL, .times = times->data};
    args.rows = rows, args.d = theta->shape[1], args.steps = times->shape[0] - 1, args.first = first,
    args.share = share;
    args.features = features ? features->data : NULL, args.galaxies = features ? features->shape[0] : 0,
    args.width = features ? features->shape[1] : 0;
    args.method = *method, args.precision = precision;
    gal_status status = gal_check_precision(GAL_OP_flow_integrate, gal_backend_of(theta), precision);
    if (status == GAL_OK)
        status = check_net(&args, net);
    if (status != GAL_OK || rows == 0)
        return status;
    return ISSUE(theta, flow_integrate, &args, work_of(&args));
}
