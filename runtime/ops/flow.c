/* flow.c: flow matching's batches and its loss: check, then issue. */
#include "ops.h"

gal_status gal_flow_batch(gal_tensor *input, gal_tensor *target, gal_tensor *index, const gal_tensor *order,
                          gal_tensor *cursor, const gal_tensor *theta, const gal_tensor *seen,
                          gal_tensor *state, double sigma, int64_t time_power)
{
    CHECK("flow_batch", FLAT(input), FLAT(target), INTEGER(index), INTEGER(order), INTEGER(cursor),
          FLAT(theta), {"seen", seen ? seen : theta, GAL_F32, 1}, INTEGER(state));
    RANK("flow_batch", input, 2);
    RANK("flow_batch", index, 1);
    RANK("flow_batch", order, 1);
    RANK("flow_batch", cursor, 0);
    RANK("flow_batch", theta, 2);
    SHAPE("flow_batch", state, "{key, counter}", 2);
    gal_flow_batch_args args = {.input = input->data,
                                .target = target->data,
                                .index = index->data,
                                .cursor = cursor->data,
                                .state = state->data,
                                .order = order->data,
                                .theta = theta->data,
                                .batch = index->shape[0],
                                .width = input->shape[1],
                                .places = order->shape[0],
                                .rows = theta->shape[0],
                                .d = theta->shape[1]};
    if (seen) {
        RANK("flow_batch", seen, 2);
        SHAPE("flow_batch", seen, "{rows of theta, c}", args.rows, seen->shape[1]);
        args.seen = seen->data, args.c = seen->shape[1];
    }
    int64_t n = input->shape[0];
    args.draws = args.batch ? n / args.batch : 0, args.sigma = (float)sigma;
    args.time_power = time_power;
    if (time_power < 1)
        return gal_fail(GAL_VALUE, "flow_batch: time_power is %lld, expected at least 1",
                        (long long)time_power);
    if (n != args.batch * args.draws || args.width < 1 + args.d + args.c)
        return gal_fail(GAL_SHAPE,
                        "flow_batch: input is %s, expected a multiple of %lld rows and at least %lld columns",
                        gal_shape_text(input), (long long)args.batch, (long long)(1 + args.d + args.c));
    SHAPE("flow_batch", target, "{batch * draws, d}", n, args.d);
    return ISSUE(input, flow_batch, &args, 60 * n * args.d);
}

gal_status gal_mse(gal_tensor *loss, gal_tensor *total, const gal_tensor *prediction,
                   const gal_tensor *target)
{
    CHECK("mse", FLAT(loss), FLAT(prediction), FLAT(target));
    RANK("mse", loss, 0);
    SAME_COUNT("mse", prediction, target);
    if (total) {
        CHECK("mse", FLAT(loss), DOUBLE(total));
        RANK("mse", total, 0);
    }
    gal_mse_args args = {.loss = loss->data,
                         .total = total ? total->data : NULL,
                         .prediction = prediction->data,
                         .target = target->data,
                         .count = gal_tensor_count(prediction)};
    if (args.count == 0)
        return gal_fail(GAL_SHAPE, "mse: prediction is %s, expected at least 1 element",
                        gal_shape_text(prediction));
    return ISSUE(loss, mse, &args, GAL_SERIAL);
}

gal_status gal_mse_backward(gal_tensor *dprediction, const gal_tensor *dloss, const gal_tensor *prediction,
                            const gal_tensor *target)
{
    CHECK("mse_backward", FLAT(dprediction), FLAT(dloss), FLAT(prediction), FLAT(target));
    RANK("mse_backward", dloss, 0);
    SAME_COUNT("mse_backward", dprediction, prediction);
    SAME_COUNT("mse_backward", prediction, target);
    gal_mse_args args = {.gradient = dprediction->data,
                         .loss = dloss->data,
                         .prediction = prediction->data,
                         .target = target->data};
    args.count = gal_tensor_count(prediction);
    return ISSUE(dloss, mse_backward, &args, args.count);
}
