/* step.c: one step of an optimiser over a flat block: check, then issue. */
#include "ops.h"
#include "core/random.h"

gal_status gal_count_step(gal_tensor *step)
{
    CHECK("count_step", INTEGER(step));
    RANK("count_step", step, 0);
    gal_step_args args = {.step = step->data};
    return ISSUE(step, count_step, &args, GAL_SERIAL);
}

gal_status gal_adamw(gal_tensor *parameter, const gal_tensor *gradient, gal_tensor *first, gal_tensor *second,
                     const gal_tensor *hyper, const gal_tensor *step)
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
                          .second = second->data};
    args.hyper = hyper->data, args.step = step->data, args.count = gal_tensor_count(parameter);
    return ISSUE(parameter, adamw, &args, 20 * args.count);
}

gal_status gal_sgd(gal_tensor *parameter, const gal_tensor *gradient, gal_tensor *velocity,
                   const gal_tensor *hyper, const gal_tensor *step)
{
    CHECK("sgd", FLAT(parameter), FLAT(gradient), FLAT(velocity), FLAT(hyper), INTEGER(step));
    SAME_COUNT("sgd", gradient, parameter);
    SAME_COUNT("sgd", velocity, parameter);
    SHAPE("sgd", hyper, "{lr, momentum, weight_decay, nesterov}", 4);
    RANK("sgd", step, 0);
    gal_step_args args = {.parameter = parameter->data,
                          .gradient = gradient->data,
                          .first = velocity->data,
                          .hyper = hyper->data};
    args.step = step->data, args.count = gal_tensor_count(parameter);
    return ISSUE(parameter, sgd, &args, 6 * args.count);
}

gal_status gal_average(gal_tensor *average, const gal_tensor *parameter, const gal_tensor *decay,
                       const gal_tensor *step)
{
    CHECK("average", FLAT(average), FLAT(parameter), FLAT(decay), INTEGER(step));
    SAME_COUNT("average", average, parameter);
    RANK("average", decay, 0);
    RANK("average", step, 0);
    gal_step_args args = {
        .parameter = average->data, .gradient = parameter->data, .hyper = decay->data, .step = step->data};
    args.count = gal_tensor_count(average);
    return ISSUE(average, average, &args, 3 * args.count);
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

gal_status gal_accumulate(gal_tensor *total, const gal_tensor *x)
{
    CHECK("accumulate", DOUBLE(total), FLAT(x));
    RANK("accumulate", total, 0);
    RANK("accumulate", x, 0);
    gal_step_args args = {.total = total->data, .gradient = x->data, .count = 1};
    return ISSUE(total, accumulate, &args, GAL_SERIAL);
}
