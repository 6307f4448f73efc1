/* flow.c: flow matching's draws and its loss: check, then issue. */
#include "ops.h"
#include "core/random.h"

gal_status gal_flow_draw(gal_tensor *t, gal_tensor *theta_t, gal_tensor *velocity, const gal_tensor *theta,
                         const gal_tensor *index, gal_tensor *state, double sigma)
{
    CHECK("flow_draw", FLAT(t), FLAT(theta_t), FLAT(velocity), FLAT(theta), INTEGER(index), INTEGER(state));
    RANK("flow_draw", theta, 2);
    RANK("flow_draw", index, 1);
    int64_t batch = index->shape[0], d = theta->shape[1];
    SHAPE("flow_draw", t, "{batch, 1}", batch, 1);
    SHAPE("flow_draw", theta_t, "{batch, d}", batch, d);
    SHAPE("flow_draw", velocity, "{batch, d}", batch, d);
    SHAPE("flow_draw", state, "{key, counter}", 2);
    gal_flow_draw_args args = {.t = t->data,
                               .theta_t = theta_t->data,
                               .velocity = velocity->data,
                               .theta = theta->data,
                               .index = index->data};
    args.state = state->data, args.batch = batch, args.rows = theta->shape[0], args.d = d,
    args.sigma = (float)sigma;
    gal_status status = ISSUE(t, flow_draw, &args, 60 * batch * d);
    gal_random_args advance = {
        .state = state->data, .rows = 1, .n = 0, .blocks = batch * gal_blocks_flow_row(d)};
    return status == GAL_OK ? ISSUE(t, random_advance, &advance, GAL_SERIAL) : status;
}

gal_status gal_mse(gal_tensor *loss, const gal_tensor *prediction, const gal_tensor *target)
{
    CHECK("mse", FLAT(loss), FLAT(prediction), FLAT(target));
    RANK("mse", loss, 0);
    SAME_COUNT("mse", prediction, target);
    gal_mse_args args = {.loss = loss->data,
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
