/* kernels_step.c: losses, optimisers and densities of every instruction set against double precision. */
#include "kernels.h"

enum { N = 1003 };

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
                IS_OK(by_lanes(table->count_step, &args, lanes));
                IS_OK(by_lanes(table->adamw, &args, lanes));
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

static void others(void)
{
    CASE("sgd's velocity starts as the first gradient; with nesterov it looks ahead");
    float *w = numbers(N, -1, 1), *g1 = numbers(N, -1, 1), *g2 = numbers(N, -1, 1), *buffer = walled(N);
    for (int nesterov = 0; nesterov < 2; nesterov++)
        EACH_TABLE(table, isa)
        {
            const float hyper[4] = {0.1f, 0.9f, 0.01f, (float)nesterov};
            float *y = walled(N);
            double want[N];
            int64_t step = 1;
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
            IS_OK(by_lanes(table->sgd, &args, 2));
            step = 2;
            args.gradient = g2;
            IS_OK(by_lanes(table->sgd, &args, 3));
            all_near(y, want, N, 1e-6, "sgd", isa);
            unwall(y);
        }
    CASE("the average's weight is 9 / (step + 9) until 1 - decay is larger");
    EACH_TABLE(table, isa)
    for (int64_t step = 1; step <= 100000; step *= 10) {
        float *y = walled(N), decay = 0.999f;
        double want[N], keep = fmin(decay, (double)step / ((double)step + 9));
        for (int i = 0; i < N; i++) {
            y[i] = w[i];
            want[i] = keep * w[i] + (1 - keep) * g1[i];
        }
        gal_step_args args = {.parameter = y, .gradient = g1, .hyper = &decay, .step = &step, .count = N};
        IS_OK(by_lanes(table->average, &args, 3));
        all_near(y, want, N, 3e-7, "average", isa);
        unwall(y);
    }
    CASE("clipping shortens to the limit and leaves what is shorter");
    double squares = 0, total = 1.5;
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
    float loss = 0.25f;
    gal_step_args add = {.gradient = &loss, .total = &total, .count = 1};
    IS_OK(by_lanes(gal_cpu_backend()->accumulate, &add, 3));
    IS_NEAR(total, 1.75, 0);
    unwall(w), unwall(g1), unwall(g2), unwall(buffer);
}

/* log of the mean of unit normals, in double by log-sum-exp. */
static double log_density(const float *point, const float *data, int64_t n, int64_t d, int64_t skip)
{
    double best = -INFINITY, sum = 0;
    for (int pass = 0; pass < 2; pass++)
        for (int64_t j = 0; j < n; j++) {
            double s = 0;
            for (int64_t k = 0; k < d; k++)
                s -= 0.5 * ((double)point[k] - data[j * d + k]) * ((double)point[k] - data[j * d + k]);
            if (j == skip)
                continue;
            if (pass)
                sum += exp(s - best);
            else
                best = fmax(best, s);
        }
    return best + log(sum) - log((double)(n - (skip >= 0))) - (double)d * 0.5 * log(2 * acos(-1));
}

static void densities(void)
{
    CASE("the density of a sum of normals is right to 1e-4 nats, far from the data too, alone and in any "
         "number of points");
    static const int64_t shapes[][3] = {{1, 1, 1},     {5, 2, 3},     {130, 1000, 5},
                                        {70, 3000, 1}, {9, 1025, 16}, {3, 40, 40}};
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        int64_t m = shapes[s][0], n = shapes[s][1], d = shapes[s][2];
        float *data = numbers(n * d, -3, 3), *points = numbers(m * d, -3, 3);
        for (int64_t k = 0; k < d; k++)
            points[k] = 9; /* far outside */
        for (int self = 0; self < 2; self++) {
            if (self && n < 2)
                continue;
            int64_t count = self ? n : m;
            double *want = malloc((size_t)count * sizeof *want);
            for (int64_t i = 0; i < count; i++)
                want[i] = log_density((self ? data : points) + i * d, data, n, d, self ? i : -1);
            EACH_TABLE(table, isa)
            {
                float *first = NULL;
                for (int lanes = 1; lanes <= 3; lanes++) {
                    float *y = walled(count);
                    gal_kde_args args = {.y = y,
                                         .points = self ? data : points,
                                         .data = data,
                                         .m = count,
                                         .n = n,
                                         .d = d,
                                         .skip_self = self};
                    IS_OK(by_lanes(table->kde_log_density, &args, lanes));
                    all_near(y, want, count, 1e-4 + 2e-7 * largest(want, count), "kde",
                             isa); /* float32 can hold no more */
                    IS_TRUE(walls_stand(y, count));
                    first = first ? first : y;
                    REPORT(same_bits(y, first, count), "kde (%s) differs by %d lanes", isa, lanes);
                    if (y != first)
                        unwall(y);
                }
                unwall(first);
            }
            free(want);
        }
        unwall(data), unwall(points);
    }
    CASE("without rows the density is nothing; a NaN stays one");
    EACH_TABLE(table, isa)
    {
        (void)isa;
        float point[2] = {NAN, 0}, data[4] = {0, 0, 1, 1}, y;
        gal_kde_args args = {.y = &y, .points = point, .data = data, .m = 1, .n = 2, .d = 2};
        IS_OK(by_lanes(table->kde_log_density, &args, 1));
        IS_TRUE(isnan(y));
        args = (gal_kde_args){.y = &y, .points = data, .data = data, .m = 1, .n = 1, .d = 2, .skip_self = 1};
        IS_OK(by_lanes(table->kde_log_density, &args, 1));
        IS_TRUE(y == -INFINITY);
    }
}

int main(void)
{
    losses();
    adamw();
    others();
    densities();
    return finish();
}
