/* kernels_pool.c: pools by every table of kernels against a reference, and the sentences of their failures.
 */
#include "kernels_image.h"

/* One pool of x, and its gradient from dy, against sums and comparisons in double precision. */
static void windows(const char *isa, const gal_tensor *x, const gal_tensor *dy, int64_t window,
                    int64_t stride, int largest)
{
    int64_t h = x->shape[1], w = x->shape[2], c = x->shape[3], yh = dy->shape[1], yw = dy->shape[2];
    gal_tensor *y = TENSOR(dy->shape[0], yh, yw, c), *dx = TENSOR(x->shape[0], h, w, c);
    const float *values = x->data, *gradient = dy->data;
    double *y_ref = zeros(gal_tensor_count(y)), *dx_ref = zeros(gal_tensor_count(x));
    for (int64_t at = 0; at < gal_tensor_count(y); at++) {
        int64_t channel = at % c, j = at / c % yw * stride, i = at / c / yw % yh * stride,
                image = at / c / yw / yh, best = -1;
        double sum = 0;
        for (int64_t p = 0; p < window * window; p++) {
            int64_t from = ((image * h + i + p / window) * w + j + p % window) * c + channel;
            sum += values[from];
            best = best < 0 || values[from] > values[best] ? from : best;
            if (!largest)
                dx_ref[from] += gradient[at] / (double)(window * window);
        }
        y_ref[at] = largest ? values[best] : sum / (double)(window * window);
        if (largest)
            dx_ref[best] += gradient[at];
    }
    CASE(largest ? "max_pool2d and its backward equal the reference"
                 : "avg_pool2d and its backward equal the reference");
    IS_OK(largest ? gal_max_pool2d(y, x, window, stride) : gal_avg_pool2d(y, x, window, stride));
    is_close("y", isa, y, y_ref, NULL);
    IS_OK(largest ? gal_max_pool2d_backward(dx, dy, x, window, stride)
                  : gal_avg_pool2d_backward(dx, dy, window, stride));
    is_close("dx", isa, dx, dx_ref, NULL);
    free(y_ref);
    free(dx_ref);
}

static void all_pixels(const char *isa, const gal_tensor *x)
{
    int64_t n = x->shape[0], h = x->shape[1], w = x->shape[2], c = x->shape[3];
    CASE("global_avg_pool and its backward equal the reference");
    gal_tensor *mean = TENSOR(n, c), *dmean = TENSOR(n, c), *dx = TENSOR(n, h, w, c);
    random_fill(dmean);
    double *mean_ref = zeros(n * c), *dx_ref = zeros(n * h * w * c);
    for (int64_t at = 0; at < n * h * w * c; at++) {
        int64_t to = at / c / w / h * c + at % c;
        mean_ref[to] += ((float *)x->data)[at] / (double)(h * w);
        dx_ref[at] = ((float *)dmean->data)[to] / (double)(h * w);
    }
    IS_OK(gal_global_avg_pool(mean, x));
    is_close("y", isa, mean, mean_ref, NULL);
    IS_OK(gal_global_avg_pool_backward(dx, dmean));
    is_close("dx", isa, dx, dx_ref, NULL);
    free(mean_ref);
    free(dx_ref);
}

static void pools(const char *isa)
{
    const int64_t sizes[][6] = {{1, 1, 1, 1, 1, 1},  {2, 6, 8, 3, 2, 2}, {3, 7, 5, 17, 2, 2},
                                {1, 9, 9, 20, 3, 2}, {2, 5, 7, 4, 2, 3}, {1, 4, 6, 130, 2, 2},
                                {1, 5, 5, 33, 5, 1}};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        int64_t n = sizes[k][0], h = sizes[k][1], w = sizes[k][2], c = sizes[k][3], window = sizes[k][4],
                stride = sizes[k][5];
        gal_tensor *x = TENSOR(n, h, w, c),
                   *dy = TENSOR(n, (h - window) / stride + 1, (w - window) / stride + 1, c);
        random_fill(x);
        random_fill(dy);
        windows(isa, x, dy, window, stride, 0);
        windows(isa, x, dy, window, stride, 1);
        all_pixels(isa, x);
        sentinels_and_free();
    }
}

static void ties(void)
{
    CASE("a tie goes to the first of the largest, a NaN is the largest");
    gal_tensor *x = TENSOR(1, 2, 4, 1), *y = TENSOR(1, 1, 2, 1), *dy = TENSOR(1, 1, 2, 1),
               *dx = TENSOR(1, 2, 4, 1);
    IS_OK(gal_tensor_write(x, (float[]){1, 3, 2, 5, 3, 0, NAN, 7}, 8));
    IS_OK(gal_tensor_write(dy, (float[]){10, 20}, 2));
    IS_OK(gal_max_pool2d(y, x, 2, 2));
    IS_OK(gal_max_pool2d_backward(dx, dy, x, 2, 2));
    const float *out = y->data, *gradient = dx->data, expected[] = {0, 10, 0, 0, 0, 0, 20, 0};
    IS_TRUE(out[0] == 3 && out[1] != out[1]);
    for (int i = 0; i < 8; i++)
        IS_NEAR(gradient[i], expected[i], 0);
    sentinels_and_free();
}

static void sentences(void)
{
    CASE("a failure names the argument, what it was and what was expected");
    gal_tensor *x = TENSOR(2, 6, 6, 3), *y = TENSOR(2, 6, 6, 4);
    FAILS(gal_avg_pool2d(y, x, 7, 7), GAL_SHAPE,
          "avg_pool2d: a window of 7 x 7 does not fit into x {2, 6, 6, 3}");
    FAILS(gal_max_pool2d(y, x, 2, 2), GAL_SHAPE, "max_pool2d: y is {2, 6, 6, 4}, expected {2, 3, 3, 3}");
    sentinels_and_free();
}

int main(void)
{
    const char *isas[] = {"specification", "plain", "avx2", "avx512"};
    for (int i = 0; i < 4; i++) {
        table = gal_cpu_table(isas[i]);
        if (!table)
            continue;
        pools(isas[i]);
        ties();
    }
    table = gal_cpu_table(NULL);
    sentences();
    return finish();
}
