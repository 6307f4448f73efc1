/* kernels_flow.c: the batches of flow matching, to the bit, and its loss against double precision, by every
 * instruction set. */
#include "kernels.h"
#include "core/random.h"

enum { BATCH = 13, DRAWS = 3, N = BATCH * DRAWS, PLACES = 40, ROWS = 50, D = 5, C = 2, BETWEEN = 4 };
enum { WIDTH = 1 + D + BETWEEN + C };
static const uint64_t key = 99, start = 12345;

/* Row r of the batch that begins at order[first], by random.h's layout: t, then theta_0, then eps, each row
 * from its own blocks; input {WIDTH}, whose columns between stay as they are, and target {D}. */
static void expected_row(float *input, float *target, int r, const float *theta, const float *seen,
                         int64_t row, int power)
{
    uint32_t word[12];
    float draws[10];
    for (int b = 0; b < 3; b++)
        gal_random_block(word + 4 * b, key, start + (uint64_t)(3 * r + b), 0);
    for (int p = 0; p < 5; p++)
        gal_random_normals(word[2 + 2 * p], word[3 + 2 * p], &draws[2 * p], &draws[2 * p + 1]);
    float left = 1 - gal_random_uniform(word[0]);
    float t = input[0] = power == 1 ? 1 - left : power == 2 ? 1 - left * left : 1 - left * left * left;
    for (int j = 0; j < D; j++) {
        float one = theta[row * D + j];
        input[1 + j] = fmaf(0.05f, draws[D + j], fmaf(t, one, (1 - t) * draws[j]));
        target[j] = one - draws[j];
    }
    for (int j = 0; seen && j < C; j++)
        input[WIDTH - C + j] = seen[row * C + j];
}

static void batches(void)
{
    CASE("flow_batch takes the next rows of the order, draws by random.h's layout, and moves on");
    float *theta = numbers(ROWS * D, -2, 2), *seen = numbers(ROWS * C, -2, 2);
    int64_t order[PLACES];
    for (int p = 0; p < PLACES; p++)
        order[p] = (int64_t)number(0, ROWS);
    EACH_TABLE(table, isa)
    for (int lanes = 1; lanes <= 5; lanes++)
        for (int with = 0; with < 2; with++) {
            int power = 1 + lanes % 3;
            float *input = walled(N * WIDTH), *target = walled(N * D), row[WIDTH], aim[D];
            uint64_t state[2] = {key, start};
            int64_t index[BATCH], cursor = 20;
            gal_flow_batch_args args = {.input = input,
                                        .target = target,
                                        .index = index,
                                        .cursor = &cursor,
                                        .state = state,
                                        .order = order,
                                        .theta = theta,
                                        .seen = with ? seen : NULL};
            args.batch = BATCH, args.draws = DRAWS, args.width = WIDTH, args.places = PLACES,
            args.rows = ROWS, args.d = D, args.c = with ? C : 0, args.sigma = 0.05f;
            args.time_power = power;
            for (int i = 0; i < N * WIDTH; i++)
                input[i] = -7;
            IS_OK(call_by_lanes(table, GAL_OP_flow_batch, &args, lanes));
            REPORT(walls_stand(input, N * WIDTH) && walls_stand(target, N * D), "%s writes outside", isa);
            for (int r = 0; r < N; r++) {
                for (int k = 0; k < WIDTH; k++)
                    row[k] = -7;
                expected_row(row, aim, r, theta, args.seen, order[20 + r / DRAWS],
                             r % DRAWS == 1 ? power : 1);
                REPORT(same_bits(input + r * WIDTH, row, WIDTH), "%s, %d lanes: row %d of input", isa, lanes,
                       r);
                REPORT(same_bits(target + r * D, aim, D), "%s, %d lanes: row %d of target", isa, lanes, r);
            }
            IS_TRUE(memcmp(index, order + 20, sizeof index) == 0);
            IS_INT(cursor, 20 + BATCH);
            IS_TRUE(state[0] == key && state[1] == start + N * 3);
            FAILS(call_by_lanes(table, GAL_OP_flow_batch, &args, lanes), GAL_VALUE,
                  "flow_batch: the cursor is 33, expected 0 to 27");
            cursor = 27, order[30] += ROWS;
            FAILS(call_by_lanes(table, GAL_OP_flow_batch, &args, lanes), GAL_VALUE,
                  "flow_batch: index[3] is");
            order[30] -= ROWS;
            IS_TRUE(cursor == 27 && state[1] == start + N * 3);
            unwall(input), unwall(target);
        }
    unwall(theta), unwall(seen);
}

static void losses(void)
{
    CASE("the mean squared error, its sum and its gradient agree with double precision");
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
            double total = 0.1;
            gal_mse_args args = {.loss = &value, .prediction = a, .target = b, .count = n};
            IS_OK(by_lanes(table->mse, &args, lanes));
            IS_NEAR(value, loss, 1e-7 * loss);
            args.total = &total;
            IS_OK(by_lanes(table->mse, &args, lanes));
            IS_NEAR(total, 0.1 + (double)value, 0);
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
    batches();
    losses();
    return finish();
}
