/* step.c: one step of an optimiser over a flat block: check, then issue. */
#include "ops.h"

/* Checks the average and its decay, both or neither, and puts them into args; op: the optimiser's name. */
static gal_status add_average(gal_step_args *args, const char *op, gal_tensor *average,
                              const gal_tensor *decay, const gal_tensor *parameter)
{
    if (!average != !decay)
        return gal_fail(GAL_VALUE, "%s: average and decay, expected both or neither", op);
    if (!average)
        return GAL_OK;
    CHECK(op, FLAT(parameter), FLAT(average), FLAT(decay));
    gal_status status =
        gal_check_shape(op, "average", average, "the shape of parameter", parameter->rank, parameter->shape);
    if (status == GAL_OK)
        status = gal_check_shape(op, "decay", decay, "one number", 0, decay->shape);
    args->average = average->data, args->decay = decay->data;
    return status;
}

gal_status gal_adamw(gal_tensor *parameter, const gal_tensor *gradient, gal_tensor *first, gal_tensor *second,
                     gal_tensor *average, const gal_tensor *hyper, const gal_tensor *decay, gal_tensor *step)
{
    CHECK("adamw", FLAT(parameter), FLAT(gradient), FLAT(first), FLAT(second), FLAT(hyper), INTEGER(step));
    SAME_COUNT("adamw", gradient, parameter);
    SAME_COUNT("adamw", first, parameter);
    SAME_COUNT("adamw", second, parameter);
    SHAPE("adamw", hyper, "{lr, beta1, beta2, eps, weight_decay}", 5);
    RANK("adamw", step, 0);
    gal_step_args args = {.parameter = parameter->data,
                          .gradient = gradient->data,
                          .first = first->data,
                          .second = second->data,
                          .hyper = hyper->data,
                          .step = step->data,
                          .count = gal_tensor_count(parameter)};
    gal_status status = add_average(&args, "adamw", average, decay, parameter);
    return status == GAL_OK ? ISSUE(parameter, adamw, &args, 20 * args.count) : status;
}

gal_status gal_sgd(gal_tensor *parameter, const gal_tensor *gradient, gal_tensor *velocity,
                   gal_tensor *average, const gal_tensor *hyper, const gal_tensor *decay, gal_tensor *step)
{
    CHECK("sgd", FLAT(parameter), FLAT(gradient), FLAT(velocity), FLAT(hyper), INTEGER(step));
    SAME_COUNT("sgd", gradient, parameter);
    SAME_COUNT("sgd", velocity, parameter);
    SHAPE("sgd", hyper, "{lr, momentum, weight_decay, nesterov}", 4);
    RANK("sgd", step, 0);
    gal_step_args args = {.parameter = parameter->data,
                          .gradient = gradient->data,
                          .first = velocity->data,
                          .hyper = hyper->data,
                          .step = step->data,
                          .count = gal_tensor_count(parameter)};
    gal_status status = add_average(&args, "sgd", average, decay, parameter);
    return status == GAL_OK ? ISSUE(parameter, sgd, &args, 6 * args.count) : status;
}

gal_status gal_clip(gal_tensor *x, const gal_tensor *squares, const gal_tensor *limit)
{
    CHECK("clip", FLAT(x), DOUBLE(squares), FLAT(limit));
    RANK("clip", squares, 0);
    RANK("clip", limit, 0);
    gal_step_args args = {
        .parameter = x->data, .total = squares->data, .hyper = limit->data, .count = gal_tensor_count(x)};
    return ISSUE(x, clip, &args, args.count);
}

gal_status gal_sum_squares(gal_tensor *y, const gal_tensor *x)
{
    CHECK("sum_squares", DOUBLE(y), FLAT(x));
    RANK("sum_squares", y, 0);
    gal_step_args args = {.total = y->data, .gradient = x->data, .count = gal_tensor_count(x)};
    return ISSUE(y, sum_squares, &args, GAL_SERIAL);
}
