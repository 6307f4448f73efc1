/* ops_train.c: products, random numbers, the flow's draws, losses, optimisers and densities: check, then issue. */
#include "ops.h"
#include "random.h"

/* ---- products ---- */
gal_status gal_matmul(gal_tensor *y, const gal_tensor *a, const gal_tensor *b, int accumulate)
{
    CHECK("matmul", FLAT(y), ANY(a), ANY(b));
    RANK("matmul", a, 2);
    RANK("matmul", b, 2);
    if (a->shape[1] != b->shape[0])
        return gal_fail(GAL_SHAPE, "matmul: a is %s and b is %s: a's columns and b's rows differ", gal_shape_text(a), gal_shape_text(b));
    SHAPE("matmul", y, "{rows of a, columns of b}", a->shape[0], b->shape[1]);
    gal_matmul_args args = {
        .y = y->data, .a = a->data, .b = b->data, .m = a->shape[0], .n = b->shape[1], .k = a->shape[1], .ldy = b->shape[1]};
    args.a_row = a->stride[0], args.a_col = a->stride[1], args.b_row = b->stride[0], args.b_col = b->stride[1];
    args.accumulate = accumulate;
    return gal_issue(gal_backend_of(y), gal_backend_of(y)->matmul, &args, 2 * args.m * args.n * (args.k ? args.k : 1));
}

gal_status gal_linear(gal_tensor *y, gal_tensor *slope, const gal_tensor *x, const gal_tensor *w, const gal_tensor *b, int activation)
{
    CHECK("linear", FLAT(y), FLAT(x), FLAT(w), {"b", b ? b : w, GAL_F32, 1}, {"slope", slope ? slope : y, GAL_F32, 1});
    RANK("linear", x, 2);
    RANK("linear", w, 2);
    if (x->shape[1] != w->shape[1])
        return gal_fail(GAL_SHAPE, "linear: x is %s, expected {rows, %lld} for w %s", gal_shape_text(x), (long long)w->shape[1],
                        gal_shape_text(w));
    SHAPE("linear", y, "{rows, out}", x->shape[0], w->shape[0]);
    if (b)
        SHAPE("linear", b, "{out}", w->shape[0]);
    if (slope)
        SHAPE("linear", slope, "{rows, out}", x->shape[0], w->shape[0]);
    if (activation < GAL_IDENTITY || activation > GAL_TANH)
        return gal_fail(GAL_VALUE, "linear: activation %d is none", activation);
    gal_linear_args args = {.y = y->data, .slope = slope ? slope->data : NULL, .x = x->data, .w = w->data, .b = b ? b->data : NULL};
    args.rows = x->shape[0], args.in = w->shape[1], args.out = w->shape[0], args.activation = activation;
    return gal_issue(gal_backend_of(y), gal_backend_of(y)->linear, &args, 2 * args.rows * args.out * (args.in + 8));
}

gal_status gal_linear_backward_input(gal_tensor *dx, const gal_tensor *dz, const gal_tensor *w)
{
    CHECK("linear_backward_input", FLAT(dx), FLAT(dz), FLAT(w));
    RANK("linear_backward_input", w, 2);
    RANK("linear_backward_input", dz, 2);
    SHAPE("linear_backward_input", dz, "{rows, out}", dz->shape[0], w->shape[0]);
    SHAPE("linear_backward_input", dx, "{rows, in}", dz->shape[0], w->shape[1]);
    gal_linear_args args = {.y = dx->data, .x = dz->data, .w = w->data, .rows = dz->shape[0], .in = w->shape[1], .out = w->shape[0]};
    return gal_issue(gal_backend_of(dx), gal_backend_of(dx)->linear_backward_input, &args, 2 * args.rows * args.in * (args.out + 1));
}

gal_status gal_linear_backward_weight(gal_tensor *dw, gal_tensor *db, const gal_tensor *dz, const gal_tensor *x, int accumulate)
{
    CHECK("linear_backward_weight", FLAT(dz), FLAT(x), {"dw", dw ? dw : dz, GAL_F32, 1}, {"db", db ? db : dz, GAL_F32, 1});
    RANK("linear_backward_weight", dz, 2);
    RANK("linear_backward_weight", x, 2);
    SHAPE("linear_backward_weight", x, "{rows, in}", dz->shape[0], x->shape[1]);
    if (dw)
        SHAPE("linear_backward_weight", dw, "{out, in}", dz->shape[1], x->shape[1]);
    if (db)
        SHAPE("linear_backward_weight", db, "{out}", dz->shape[1]);
    gal_linear_args args = {.y = dw ? dw->data : NULL, .slope = db ? db->data : NULL, .x = x->data, .w = dz->data};
    args.rows = x->shape[0], args.in = x->shape[1], args.out = dz->shape[1], args.accumulate = accumulate;
    return gal_issue(gal_backend_of(dz), gal_backend_of(dz)->linear_backward_weight, &args, 2 * args.out * (args.in + 1) * args.rows);
}

/* ---- random numbers ---- */

/* The draw, then the counter moved on by a call of its own: every lane of the draw reads the old one. */
static gal_status draw(const gal_backend *backend, gal_kernel *kernel, gal_random_args *args, int64_t work)
{
    gal_status status = gal_issue(backend, kernel, args, work);
    return status == GAL_OK ? gal_issue(backend, backend->random_advance, args, GAL_SERIAL) : status;
}

static gal_random_args random_args(gal_tensor *y, gal_tensor *state)
{
    int64_t n = gal_tensor_count(y);
    return (gal_random_args){.y = y->data, .state = state->data, .rows = 1, .n = n, .blocks = gal_blocks_of(n)};
}

gal_status gal_uniform(gal_tensor *y, gal_tensor *state)
{
    CHECK("uniform", FLAT(y), INTEGER(state));
    SHAPE("uniform", state, "{key, counter}", 2);
    gal_random_args args = random_args(y, state);
    return draw(gal_backend_of(y), gal_backend_of(y)->uniform, &args, 10 * args.n);
}

gal_status gal_normal(gal_tensor *y, gal_tensor *state)
{
    CHECK("normal", FLAT(y), INTEGER(state));
    SHAPE("normal", state, "{key, counter}", 2);
    gal_random_args args = random_args(y, state);
    return draw(gal_backend_of(y), gal_backend_of(y)->normal, &args, 25 * args.n);
}

gal_status gal_normal_streams(gal_tensor *y, const gal_tensor *streams, gal_tensor *state)
{
    CHECK("normal_streams", FLAT(y), INTEGER(streams), INTEGER(state));
    RANK("normal_streams", y, 2);
    SHAPE("normal_streams", streams, "{rows}", y->shape[0]);
    SHAPE("normal_streams", state, "{key, counter}", 2);
    gal_random_args args = {.y = y->data, .state = state->data, .streams = streams->data, .rows = y->shape[0], .n = y->shape[1]};
    args.blocks = gal_blocks_of(args.n);
    return draw(gal_backend_of(y), gal_backend_of(y)->normal, &args, 25 * args.rows * args.n);
}

gal_status gal_permutation(gal_tensor *y, gal_tensor *state)
{
    CHECK("permutation", INTEGER(y), INTEGER(state));
    SHAPE("permutation", state, "{key, counter}", 2);
    gal_random_args args = random_args(y, state);
    args.blocks = gal_blocks_permutation(args.n);
    return draw(gal_backend_of(y), gal_backend_of(y)->permutation, &args, GAL_SERIAL);
}

/* ---- flow matching ---- */
gal_status gal_batch_rows(gal_tensor *index, const gal_tensor *order, gal_tensor *cursor)
{
    CHECK("batch_rows", INTEGER(index), INTEGER(order), INTEGER(cursor));
    RANK("batch_rows", index, 1);
    RANK("batch_rows", order, 1);
    RANK("batch_rows", cursor, 0);
    gal_batch_args args = {
        .index = index->data, .cursor = cursor->data, .order = order->data, .batch = index->shape[0], .rows = order->shape[0]};
    return gal_issue(gal_backend_of(index), gal_backend_of(index)->batch_rows, &args, GAL_SERIAL);
}

gal_status gal_flow_draw(gal_tensor *t, gal_tensor *theta_t, gal_tensor *velocity, const gal_tensor *theta, const gal_tensor *index,
                         gal_tensor *state, double sigma)
{
    CHECK("flow_draw", FLAT(t), FLAT(theta_t), FLAT(velocity), FLAT(theta), INTEGER(index), INTEGER(state));
    RANK("flow_draw", theta, 2);
    RANK("flow_draw", index, 1);
    int64_t batch = index->shape[0], d = theta->shape[1];
    SHAPE("flow_draw", t, "{batch, 1}", batch, 1);
    SHAPE("flow_draw", theta_t, "{batch, d}", batch, d);
    SHAPE("flow_draw", velocity, "{batch, d}", batch, d);
    SHAPE("flow_draw", state, "{key, counter}", 2);
    gal_flow_draw_args args = {
        .t = t->data, .theta_t = theta_t->data, .velocity = velocity->data, .theta = theta->data, .index = index->data};
    args.state = state->data, args.batch = batch, args.rows = theta->shape[0], args.d = d, args.sigma = (float)sigma;
    const gal_backend *backend = gal_backend_of(t);
    gal_status status = gal_issue(backend, backend->flow_draw, &args, 60 * batch * d);
    gal_random_args advance = {.state = state->data, .rows = 1, .n = 0, .blocks = batch * gal_blocks_flow_row(d)};
    return status == GAL_OK ? gal_issue(backend, backend->random_advance, &advance, GAL_SERIAL) : status;
}

gal_status gal_mse(gal_tensor *loss, const gal_tensor *prediction, const gal_tensor *target)
{
    CHECK("mse", FLAT(loss), FLAT(prediction), FLAT(target));
    RANK("mse", loss, 0);
    SAME_COUNT("mse", prediction, target);
    gal_mse_args args = {.loss = loss->data, .prediction = prediction->data, .target = target->data, .count = gal_tensor_count(prediction)};
    if (args.count == 0)
        return gal_fail(GAL_SHAPE, "mse: prediction is %s, and there is no mean of no elements", gal_shape_text(prediction));
    return gal_issue(gal_backend_of(loss), gal_backend_of(loss)->mse, &args, GAL_SERIAL);
}

gal_status gal_mse_backward(gal_tensor *dprediction, const gal_tensor *dloss, const gal_tensor *prediction, const gal_tensor *target)
{
    CHECK("mse_backward", FLAT(dprediction), FLAT(dloss), FLAT(prediction), FLAT(target));
    RANK("mse_backward", dloss, 0);
    SAME_COUNT("mse_backward", dprediction, prediction);
    SAME_COUNT("mse_backward", prediction, target);
    gal_mse_args args = {.gradient = dprediction->data, .loss = dloss->data, .prediction = prediction->data, .target = target->data};
    args.count = gal_tensor_count(prediction);
    return gal_issue(gal_backend_of(dloss), gal_backend_of(dloss)->mse_backward, &args, args.count);
}

/* ---- optimisers ---- */
gal_status gal_count_step(gal_tensor *step)
{
    CHECK("count_step", INTEGER(step));
    RANK("count_step", step, 0);
    gal_step_args args = {.step = step->data};
    return gal_issue(gal_backend_of(step), gal_backend_of(step)->count_step, &args, GAL_SERIAL);
}

gal_status gal_adamw(gal_tensor *parameter, const gal_tensor *gradient, gal_tensor *first, gal_tensor *second, const gal_tensor *hyper,
                     const gal_tensor *step)
{
    CHECK("adamw", FLAT(parameter), FLAT(gradient), FLAT(first), FLAT(second), FLAT(hyper), INTEGER(step));
    SAME_COUNT("adamw", gradient, parameter);
    SAME_COUNT("adamw", first, parameter);
    SAME_COUNT("adamw", second, parameter);
    SHAPE("adamw", hyper, "{lr, beta1, beta2, eps, weight_decay}", 5);
    RANK("adamw", step, 0);
    gal_step_args args = {.parameter = parameter->data, .gradient = gradient->data, .first = first->data, .second = second->data};
    args.hyper = hyper->data, args.step = step->data, args.count = gal_tensor_count(parameter);
    return gal_issue(gal_backend_of(parameter), gal_backend_of(parameter)->adamw, &args, 20 * args.count);
}

gal_status gal_sgd(gal_tensor *parameter, const gal_tensor *gradient, gal_tensor *velocity, const gal_tensor *hyper, const gal_tensor *step)
{
    CHECK("sgd", FLAT(parameter), FLAT(gradient), FLAT(velocity), FLAT(hyper), INTEGER(step));
    SAME_COUNT("sgd", gradient, parameter);
    SAME_COUNT("sgd", velocity, parameter);
    SHAPE("sgd", hyper, "{lr, momentum, weight_decay, nesterov}", 4);
    RANK("sgd", step, 0);
    gal_step_args args = {.parameter = parameter->data, .gradient = gradient->data, .first = velocity->data, .hyper = hyper->data};
    args.step = step->data, args.count = gal_tensor_count(parameter);
    return gal_issue(gal_backend_of(parameter), gal_backend_of(parameter)->sgd, &args, 6 * args.count);
}

gal_status gal_average(gal_tensor *average, const gal_tensor *parameter, const gal_tensor *decay, const gal_tensor *step)
{
    CHECK("average", FLAT(average), FLAT(parameter), FLAT(decay), INTEGER(step));
    SAME_COUNT("average", average, parameter);
    RANK("average", decay, 0);
    RANK("average", step, 0);
    gal_step_args args = {.parameter = average->data, .gradient = parameter->data, .hyper = decay->data, .step = step->data};
    args.count = gal_tensor_count(average);
    return gal_issue(gal_backend_of(average), gal_backend_of(average)->average, &args, 3 * args.count);
}

gal_status gal_clip(gal_tensor *x, const gal_tensor *squares, const gal_tensor *limit)
{
    CHECK("clip", FLAT(x), DOUBLE(squares), FLAT(limit));
    RANK("clip", squares, 0);
    RANK("clip", limit, 0);
    gal_step_args args = {.parameter = x->data, .total = squares->data, .hyper = limit->data, .count = gal_tensor_count(x)};
    return gal_issue(gal_backend_of(x), gal_backend_of(x)->clip, &args, args.count);
}

gal_status gal_sum_squares(gal_tensor *y, const gal_tensor *x)
{
    CHECK("sum_squares", DOUBLE(y), FLAT(x));
    RANK("sum_squares", y, 0);
    gal_step_args args = {.total = y->data, .gradient = x->data, .count = gal_tensor_count(x)};
    return gal_issue(gal_backend_of(y), gal_backend_of(y)->sum_squares, &args, GAL_SERIAL);
}

gal_status gal_accumulate(gal_tensor *total, const gal_tensor *x)
{
    CHECK("accumulate", DOUBLE(total), FLAT(x));
    RANK("accumulate", total, 0);
    RANK("accumulate", x, 0);
    gal_step_args args = {.total = total->data, .gradient = x->data, .count = 1};
    return gal_issue(gal_backend_of(total), gal_backend_of(total)->accumulate, &args, GAL_SERIAL);
}

/* ---- statistics ---- */
gal_status gal_kde_log_density(gal_tensor *y, const gal_tensor *points, const gal_tensor *data, int skip_self)
{
    CHECK("kde_log_density", FLAT(y), FLAT(points), FLAT(data));
    RANK("kde_log_density", points, 2);
    RANK("kde_log_density", data, 2);
    SHAPE("kde_log_density", points, "{points, d}", points->shape[0], data->shape[1]);
    SHAPE("kde_log_density", y, "{points}", points->shape[0]);
    if (skip_self && points->shape[0] > data->shape[0])
        return gal_fail(GAL_SHAPE, "kde_log_density: points is %s, expected the first rows of data %s, to leave each out of its own", gal_shape_text(points),
                        gal_shape_text(data));
    if (data->shape[0] - (skip_self != 0) < 1)
        return gal_fail(GAL_SHAPE, "kde_log_density: data is %s, expected at least %d rows", gal_shape_text(data), 1 + (skip_self != 0));
    gal_kde_args args = {
        .y = y->data, .points = points->data, .data = data->data, .m = points->shape[0], .n = data->shape[0], .d = data->shape[1]};
    args.skip_self = skip_self;
    return gal_issue(gal_backend_of(y), gal_backend_of(y)->kde_log_density, &args, args.m * args.n * (3 * args.d + 10));
}
