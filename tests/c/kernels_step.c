/* kernels_step.c: optimisers, averages and clipping by every instruction set against double precision. */
#include "kernels.h"

enum { N = 1003 };

static void adamw(void)
{
    CASE("AdamW follows its formula in double precision over ten steps, the same bits by any lanes");
    const float hyper[5] = {5e-4f, 0.9f, 0.999f, 1e-8f, 1e-2f};
    float *start = numbers(N, -1, 1), *gradients[10];
    for (int s = 0; s < 10; s++)
        gradients[s] = numbers(N, -1, 1);
    for (int s = 0; s < 10; s++)
        gradients[s][5] = 0, gradients[s][6] = 1e-12f, gradients[s][7] = 1e15f;
    double p[N], m[N] = {0}, v[N] = {0};
    for (int i = 0; i < N; i++)
        p[i] = start[i];
    for (int s = 0; s < 10; s++)
        for (int i = 0; i < N; i++) {
            double g = gradients[s][i], lr = hyper[0], b1 = hyper[1], b2 = hyper[2];
            m[i] = b1 * m[i] + (1 - b1) * g;
            v[i] = b2 * v[i] + (1 - b2) * g * g;
            p[i] = p[i] * (1 - lr * hyper[4]) -
                   lr / (1 - pow(b1, s + 1)) * m[i] / (sqrt(v[i]) / sqrt(1 - pow(b2, s + 1)) + hyper[3]);
        }
    EACH_TABLE(table, isa)
    {
        float *first = NULL;
        for (int lanes = 1; lanes <= 3; lanes++) {
            float *w = walled(N), *m1 = walled(N), *m2 = walled(N);
            int64_t step = 0;
            memcpy(w, start, N * sizeof *w);
            memset(m1, 0, N * sizeof *m1);
            memset(m2, 0, N * sizeof *m2);
            for (int s = 0; s < 10; s++) {
                gal_step_args args = {.parameter = w,
                                      .first = m1,
                                      .second = m2,
                                      .gradient = gradients[s],
                                      .hyper = hyper,
                                      .step = &step,
                                      .count = N};
                IS_OK(call_by_lanes(table, GAL_OP_adamw, &args, lanes));
            }
            IS_INT(step, 10);
            all_near(w, p, N, 1e-6, "adamw", isa);
            IS_TRUE(walls_stand(w, N) && walls_stand(m1, N) && walls_stand(m2, N));
            if (!first)
                first = w;
            REPORT(same_bits(w, first, N), "adamw (%s) differs by %d lanes", isa, lanes);
            if (w != first)
                unwall(w);
            unwall(m1), unwall(m2);
        }
        unwall(first);
    }
    for (int s = 0; s < 10; s++)
        unwall(gradients[s]);
    unwall(start);
}

static void sgd(void)
{
    CASE("sgd's velocity starts as the first gradient; with nesterov it looks ahead");
    float *w = numbers(N, -1, 1), *g1 = numbers(N, -1, 1), *g2 = numbers(N, -1, 1), *buffer = walled(N);
    for (int nesterov = 0; nesterov < 2; nesterov++)
        EACH_TABLE(table, isa)
        {
            const float hyper[4] = {0.1f, 0.9f, 0.01f, (float)nesterov};
            float *y = walled(N);
            double want[N];
            int64_t step = 0;
            for (int i = 0; i < N; i++) {
                double d = g1[i] + 0.01f * (double)w[i], v = d,
                       x = w[i] - 0.1f * (nesterov ? d + 0.9f * v : v);
                d = g2[i] + 0.01f * x, v = 0.9f * v + d;
                want[i] = x - 0.1f * (nesterov ? d + 0.9f * v : v);
                y[i] = w[i];
                buffer[i] = 1e30f; /* never read at step 1 */
            }
            gal_step_args args = {
                .parameter = y, .first = buffer, .gradient = g1, .hyper = hyper, .step = &step, .count = N};
            IS_OK(call_by_lanes(table, GAL_OP_sgd, &args, 2));
            args.gradient = g2;
            IS_OK(call_by_lanes(table, GAL_OP_sgd, &args, 3));
            IS_INT(step, 2);
            all_near(y, want, N, 1e-6, "sgd", isa);
            unwall(y);
        }
    unwall(w), unwall(g1), unwall(g2), unwall(buffer);
}

/* One step of an optimiser without an average, and with one, which follows the weights that come out. */
static void average(void)
{
    CASE("the average's weight is 9 / (step + 9) until 1 - decay is larger; without one the weights are the "
         "same");
    const float hyper[5] = {0.1f, 0.9f, 0.01f, 1e-8f, 0.01f}, decay = 0.999f;
    float *w = numbers(N, -1, 1), *g = numbers(N, -1, 1), *old = numbers(N, -1, 1);
    const int ops[2] = {GAL_OP_adamw, GAL_OP_sgd};
    EACH_TABLE(table, isa)
    for (int k = 0; k < 2; k++)
        for (int64_t done = 0; done < 100000; done = 10 * done + 9) {
            float *y[2], *moments[2] = {walled(N), walled(N)}, *mean = walled(N), want[N];
            double step = (double)done + 1;
            float weight = (float)(1 - fmin(decay, step / (step + 9)));
            memcpy(mean, old, N * sizeof *mean);
            for (int with = 0; with < 2; with++) {
                int64_t count = done;
                y[with] = walled(N);
                memcpy(y[with], w, N * sizeof *w);
                memset(moments[0], 0, N * sizeof *w), memset(moments[1], 0, N * sizeof *w);
                gal_step_args args = {.parameter = y[with],
                                      .first = moments[0],
                                      .second = moments[1],
                                      .gradient = g,
                                      .hyper = hyper,
                                      .step = &count,
                                      .count = N};
                args.average = with ? mean : NULL, args.decay = with ? &decay : NULL;
                IS_OK(call_by_lanes(table, ops[k], &args, 3));
                IS_INT(count, done + 1);
            }
            REPORT(same_bits(y[0], y[1], N), "%s (%s): the average changes the weights", gal_op_name(ops[k]),
                   isa);
            for (int i = 0; i < N; i++)
                want[i] = old[i] + weight * (y[0][i] - old[i]);
            REPORT(same_bits(mean, want, N) && walls_stand(mean, N), "%s (%s): the average after step %lld",
                   gal_op_name(ops[k]), isa, (long long)done + 1);
            unwall(y[0]), unwall(y[1]), unwall(moments[0]), unwall(moments[1]), unwall(mean);
        }
    unwall(w), unwall(g), unwall(old);
}

static void clipping(void)
{
    float *w = numbers(N, -1, 1);
    CASE("clipping shortens to the limit and leaves what is shorter");
    double squares = 0;
    for (int i = 0; i < N; i++)
        squares += (double)w[i] * w[i];
    EACH_TABLE(table, isa)
    for (int longer = 0; longer < 2; longer++) {
        float *y = walled(N), limit = longer ? 3.0f : 1e3f;
        double sum, want[N];
        gal_step_args measure = {.gradient = w, .total = &sum, .count = N};
        IS_OK(by_lanes(table->sum_squares, &measure, 3));
        IS_NEAR(sum, squares, 1e-12 * squares);
        for (int i = 0; i < N; i++) {
            y[i] = w[i];
            want[i] = w[i] * (longer ? 3 / sqrt(squares) : 1);
        }
        gal_step_args args = {.parameter = y, .total = &sum, .hyper = &limit, .count = N};
        IS_OK(by_lanes(table->clip, &args, 3));
        all_near(y, want, N, longer ? 1e-6 : 0, "clip", isa);
        unwall(y);
    }
    unwall(w);
}

int main(void)
{
    adamw();
    sgd();
    average();
    clipping();
    return finish();
}
