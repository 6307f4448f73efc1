/* kernels_flow.c: the draws of flow matching, to the bit, and its loss against double precision, by every
 * instruction set. */
#include "kernels.h"
#include "core/random.h"

static void draws(void)
{
    CASE("flow_draw follows random.h's layout: t, then theta_0, then eps, each row from its own blocks");
    enum { BATCH = 37, ROWS = 50, D = 5 };
    float *theta = numbers(ROWS * D, -2, 2);
    int64_t index[BATCH];
    for (int r = 0; r < BATCH; r++)
        index[r] = (int64_t)number(0, ROWS);
    uint64_t state[2] = {99, 12345};
    EACH_TABLE(table, isa)
    for (int lanes = 1; lanes <= 3; lanes++) {
        float *t = walled(BATCH), *theta_t = walled(BATCH * D), *velocity = walled(BATCH * D);
        gal_flow_draw_args args = {t, theta_t, velocity, theta, index, state, BATCH, ROWS, D, 0.05f};
        IS_OK(by_lanes(table->flow_draw, &args, lanes));
        REPORT(walls_stand(t, BATCH) && walls_stand(theta_t, BATCH * D) && walls_stand(velocity, BATCH * D),
               "flow_draw (%s) writes outside", isa);
        for (int r = 0; r < BATCH; r++) {
            uint32_t word[12];
            for (int b = 0; b < 3; b++)
                gal_random_block(word + 4 * b, state[0], state[1] + (uint64_t)(3 * r + b), 0);
            float draws[10];
            for (int p = 0; p < 5; p++)
                gal_random_normals(word[2 + 2 * p], word[3 + 2 * p], &draws[2 * p], &draws[2 * p + 1]);
            REPORT(t[r] == gal_random_uniform(word[0]), "flow_draw (%s): t[%d] is %.9g", isa, r, t[r]);
            for (int j = 0; j < D; j++) {
                float one = theta[index[r] * D + j], v = one - draws[j];
                REPORT(velocity[r * D + j] == v, "flow_draw (%s): velocity[%d, %d] is %.9g, expected %.9g",
                       isa, r, j, velocity[r * D + j], v);
                float at = fmaf(0.05f, draws[D + j], fmaf(t[r], one, (1 - t[r]) * draws[j]));
                REPORT(theta_t[r * D + j] == at, "flow_draw (%s): theta_t[%d, %d] is %.9g, expected %.9g",
                       isa, r, j, theta_t[r * D + j], at);
            }
        }
        unwall(t), unwall(theta_t), unwall(velocity);
    }
    index[20] = ROWS;
    float t[BATCH], theta_t[BATCH * D], velocity[BATCH * D];
    gal_flow_draw_args args = {t, theta_t, velocity, theta, index, state, BATCH, ROWS, D, 0.05f};
    EACH_TABLE(table, isa)
    FAILS(by_lanes(table->flow_draw, &args, 2), GAL_VALUE,
          isa ? "flow_draw: index[20] is 50, expected 0 to 49" : "");
    unwall(theta);
}

static void losses(void)
{
    CASE("the mean squared error and its gradient agree with double precision");
    for (int64_t n = 1; n <= 1000; n += 111) {
        float *a = numbers(n, -2, 2), *b = numbers(n, -2, 2), dloss = 0.7f;
        double loss = 0, *gradient = malloc((size_t)n * sizeof *gradient);
        for (int64_t i = 0; i < n; i++) {
            loss += ((double)a[i] - b[i]) * ((double)a[i] - b[i]) / (double)n;
            gradient[i] = 2 * dloss * ((double)a[i] - b[i]) / (double)n;
        }
        EACH_TABLE(table, isa)
        for (int lanes = 1; lanes <= 3; lanes++) {
            float value = 0, *d = walled(n);
            gal_mse_args args = {.loss = &value, .prediction = a, .target = b, .count = n};
            IS_OK(by_lanes(table->mse, &args, lanes));
            IS_NEAR(value, loss, 1e-7 * loss);
            gal_mse_args back = {.gradient = d, .loss = &dloss, .prediction = a, .target = b, .count = n};
            IS_OK(by_lanes(table->mse_backward, &back, lanes));
            all_near(d, gradient, n, 5e-7 * largest(gradient, n), "mse_backward", isa);
            IS_TRUE(walls_stand(d, n));
            unwall(d);
        }
        unwall(a), unwall(b), free(gradient);
    }
}

int main(void)
{
    draws();
    losses();
    return finish();
}
