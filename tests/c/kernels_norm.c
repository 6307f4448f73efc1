/* Pools, layer normalisation and dropout in every table of kernels against references and finite differences,
 * and the sentences of failures. */
#include "kernels_image.h"

/* ---- pools ---- */
static void pools(const char *isa)
{
    const int64_t sizes[][6] = {{1, 1, 1, 1, 1, 1},  {2, 6, 8, 3, 2, 2}, {3, 7, 5, 17, 2, 2},
                                {1, 9, 9, 20, 3, 2}, {2, 5, 7, 4, 2, 3}, {1, 4, 6, 130, 2, 2},
                                {1, 5, 5, 33, 5, 1}};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        int64_t n = sizes[k][0], h = sizes[k][1], w = sizes[k][2], c = sizes[k][3], window = sizes[k][4],
                stride = sizes[k][5];
        int64_t yh = (h - window) / stride + 1, yw = (w - window) / stride + 1;
        gal_tensor *x = TENSOR(n, h, w, c), *dx = TENSOR(n, h, w, c), *y = TENSOR(n, yh, yw, c),
                   *dy = TENSOR(n, yh, yw, c);
        random_fill(x);
        random_fill(dy);
        for (int largest = 0; largest < 2; largest++) {
            double *y_ref = zeros(n * yh * yw * c), *dx_ref = zeros(n * h * w * c);
            for (int64_t at = 0; at < n * yh * yw * c; at++) {
                int64_t channel = at % c, j = at / c % yw * stride, i = at / c / yw % yh * stride,
                        image = at / c / yw / yh, best = -1;
                double sum = 0;
                for (int64_t p = 0; p < window * window; p++) {
                    int64_t from = ((image * h + i + p / window) * w + j + p % window) * c + channel;
                    sum += ((float *)x->data)[from];
                    best = best < 0 || ((float *)x->data)[from] > ((float *)x->data)[best] ? from : best;
                    if (!largest)
                        dx_ref[from] += ((float *)dy->data)[at] / (double)(window * window);
                }
                y_ref[at] = largest ? ((float *)x->data)[best] : sum / (double)(window * window);
                if (largest)
                    dx_ref[best] += ((float *)dy->data)[at];
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
        CASE("global_avg_pool and its backward equal the reference");
        gal_tensor *mean = TENSOR(n, c), *dmean = TENSOR(n, c);
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
        sentinels_and_free();
    }
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

/* ---- layer normalisation ---- */
static double norm_loss(const double *x, const double *scale, const double *shift, const double *dy,
                        int64_t rows, int64_t n, double *y)
{
    double loss = 0;
    for (int64_t r = 0; r < rows; r++) {
        double mean = 0, square = 0;
        for (int64_t i = 0; i < n; i++)
            mean += x[r * n + i] / (double)n;
        for (int64_t i = 0; i < n; i++)
            square += (x[r * n + i] - mean) * (x[r * n + i] - mean) / (double)n;
        for (int64_t i = 0; i < n; i++) {
            double v =
                (x[r * n + i] - mean) / sqrt(square + 1e-5) * (scale ? scale[i] : 1) + (shift ? shift[i] : 0);
            if (y)
                y[r * n + i] = v;
            loss += v * dy[r * n + i];
        }
    }
    return loss;
}

static void layer_norms(const char *isa)
{
    const int64_t sizes[][3] = {{1, 1, 1}, {3, 7, 1}, {5, 33, 0}, {40, 300, 1}};
    for (int k = 0; k < 4; k++) {
        int64_t rows = sizes[k][0], n = sizes[k][1];
        gal_tensor *x = TENSOR(rows, n), *y = TENSOR(rows, n), *statistics = TENSOR(rows, 2),
                   *dy = TENSOR(rows, n), *dx = TENSOR(rows, n);
        gal_tensor *scale = sizes[k][2] ? TENSOR(n) : NULL, *shift = sizes[k][2] ? TENSOR(n) : NULL,
                   *dscale = TENSOR(n), *dshift = TENSOR(n);
        random_fill(x);
        random_fill(dy);
        if (scale) {
            random_fill(scale);
            random_fill(shift);
        }
        double *xd = doubles(x), *dyd = doubles(dy), *sd = scale ? doubles(scale) : NULL,
               *td = shift ? doubles(shift) : NULL, *ref = zeros(rows * n);
        norm_loss(xd, sd, td, dyd, rows, n, ref);
        CASE("layer_norm equals the double-precision reference");
        IS_OK(gal_layer_norm(y, statistics, x, scale, shift, 1e-5));
        is_close("y", isa, y, ref, NULL);
        CASE("layer_norm's gradients equal finite differences");
        IS_OK(gal_layer_norm_backward(dx, dscale, dshift, dy, x, statistics, scale, 0));
        for (int64_t i = 0; i < rows * n; i += 1 + rows * n / 25) {
            double old = xd[i], h = 1e-5;
            xd[i] = old + h;
            double above = norm_loss(xd, sd, td, dyd, rows, n, NULL);
            xd[i] = old - h;
            double below = norm_loss(xd, sd, td, dyd, rows, n, NULL);
            xd[i] = old;
            IS_NEAR(((float *)dx->data)[i], (above - below) / (2 * h), 2e-5);
        }
        for (int64_t i = 0; scale && i < n; i += 1 + n / 10) {
            double old = sd[i];
            sd[i] = old + 1;
            double above = norm_loss(xd, sd, td, dyd, rows, n, NULL);
            sd[i] = old;
            td[i] += 1;
            double shifted = norm_loss(xd, sd, td, dyd, rows, n, NULL);
            td[i] -= 1;
            double base = norm_loss(xd, sd, td, dyd, rows, n, NULL);
            IS_NEAR(((float *)dscale->data)[i], above - base, 2e-5);
            IS_NEAR(((float *)dshift->data)[i], shifted - base, 2e-5);
        }
        CASE("layer_norm's gradients accumulate");
        float first = ((float *)dscale->data)[0];
        IS_OK(gal_layer_norm_backward(NULL, dscale, dshift, dy, x, statistics, scale, 1));
        IS_NEAR(((float *)dscale->data)[0], 2 * first, 1e-6 * (1 + fabs(first)));
        sentinels_and_free();
        double *all[] = {xd, dyd, sd, td, ref};
        for (int i = 0; i < 5; i++)
            free(all[i]);
    }
}

/* ---- dropout ---- */
static void dropouts(void)
{
    int64_t n = 100003;
    gal_tensor *x = TENSOR(n), *y = TENSOR(n), *dy = TENSOR(n), *dx = TENSOR(n), *u = TENSOR(n);
    gal_tensor *state = tensor(GAL_I64, 1, (int64_t[]){2}), *used = tensor(GAL_I64, 1, (int64_t[]){2});
    int64_t *s = state->data, *before = used->data;
    random_fill(dy);
    for (int64_t i = 0; i < n; i++)
        ((float *)x->data)[i] = 1;
    CASE("dropout keeps 1 - p of the elements, scaled by 1 / (1 - p)");
    s[0] = 7, s[1] = 100;
    IS_OK(gal_dropout(y, used, x, state, 0.25));
    IS_INT(before[0], 7);
    IS_INT(before[1], 100);
    IS_INT(s[1], 100 + (n + 3) / 4);
    int64_t kept = 0, others = 0;
    for (int64_t i = 0; i < n; i++) {
        float v = ((float *)y->data)[i];
        kept += v != 0;
        others += v != 0 && fabsf(v - 4.0f / 3) > 1e-6f;
    }
    IS_NEAR((double)kept / (double)n, 0.75, 5 * sqrt(0.25 * 0.75 / (double)n));
    IS_INT(others, 0);
    CASE("the mask is drawn as gal_uniform draws");
    s[1] = 100;
    IS_OK(gal_uniform(u, state));
    int64_t different = 0;
    for (int64_t i = 0; i < n; i++)
        different += (((float *)u->data)[i] >= 0.25f) != (((float *)y->data)[i] != 0);
    IS_INT(different, 0);
    CASE("the backward uses the forward's mask, and the next forward another");
    IS_OK(gal_dropout_backward(dx, dy, used, 0.25));
    for (int64_t i = 0; i < n; i++)
        different += ((float *)dx->data)[i] != ((float *)dy->data)[i] * ((float *)y->data)[i] &&
                     fabsf(((float *)dx->data)[i]) > 2;
    for (int64_t i = 0; i < n; i++)
        different += (((float *)dx->data)[i] != 0) != (((float *)y->data)[i] != 0);
    IS_INT(different, 0);
    IS_OK(gal_dropout(dx, NULL, x, state, 0.25));
    for (int64_t i = 0; i < n; i++)
        different += (((float *)dx->data)[i] != 0) != (((float *)y->data)[i] != 0);
    IS_NEAR((double)different / (double)n, 2 * 0.25 * 0.75, 0.01);
    CASE("p = 0 changes nothing");
    IS_OK(gal_dropout(dx, NULL, dy, state, 0));
    IS_TRUE(!memcmp(dx->data, dy->data, (size_t)n * 4));
    sentinels_and_free();
}

static void sentences(void)
{
    CASE("a failure names the argument, what it was and what was expected");
    gal_tensor *x = TENSOR(2, 6, 6, 3), *w = TENSOR(4, 3, 3, 3), *w2 = TENSOR(4, 3, 3, 2),
               *y = TENSOR(2, 6, 6, 4), *b = TENSOR(3), *flat = TENSOR(6, 6);
    FAILS(gal_conv2d(y, NULL, flat, w, NULL, 1, GAL_SAME, 0, 1, GAL_EXACT), GAL_SHAPE,
          "conv2d: x is {6, 6}, expected images {N, H, W, channels}");
    FAILS(gal_conv2d(y, NULL, x, w2, NULL, 1, GAL_SAME, 0, 1, GAL_EXACT), GAL_SHAPE,
          "conv2d: w is {4, 3, 3, 2}, expected {out, height, width, in} with in = 3");
    FAILS(gal_conv2d(y, NULL, x, w, b, 1, GAL_SAME, 0, 1, GAL_EXACT), GAL_SHAPE,
          "conv2d: b is {3}, expected {4} for {out}");
    FAILS(gal_conv2d(y, NULL, x, w, NULL, 1, GAL_VALID, 0, 1, GAL_EXACT), GAL_SHAPE,
          "conv2d: y is {2, 6, 6, 4}, expected {2, 4, 4, 4}");
    FAILS(gal_conv2d(y, NULL, x, w, NULL, 2, GAL_SAME, 0, 1, GAL_EXACT), GAL_VALUE,
          "padding \"same\" with stride 2");
    FAILS(gal_conv2d(y, NULL, x, w, NULL, 0, 1, 0, 1, GAL_EXACT), GAL_VALUE, "stride is 0");
    FAILS(gal_conv2d(y, NULL, x, w, NULL, 1, -2, 0, 1, GAL_EXACT), GAL_VALUE, "padding is -2");
    FAILS(gal_conv2d(y, NULL, x, w, NULL, 1, GAL_SAME, 9, 1, GAL_EXACT), GAL_VALUE,
          "activation is 9, expected 0 to ");
    FAILS(gal_conv2d(y, NULL, x, w, NULL, 1, GAL_SAME, 0, 7, GAL_EXACT), GAL_VALUE,
          "pool is 7, expected 1 to 6");
    FAILS(gal_avg_pool2d(y, x, 7, 7), GAL_SHAPE,
          "avg_pool2d: a window of 7 x 7 does not fit into x {2, 6, 6, 3}");
    FAILS(gal_max_pool2d(y, x, 2, 2), GAL_SHAPE, "max_pool2d: y is {2, 6, 6, 4}, expected {2, 3, 3, 3}");
    FAILS(gal_layer_norm(x, NULL, x, NULL, b, 1e-5), GAL_VALUE, "layer_norm: scale is missing");
    FAILS(gal_dropout(x, NULL, x, x, 0.5), GAL_TYPE, "dropout: state is float32, expected int64");
    gal_tensor *state = tensor(GAL_I64, 1, (int64_t[]){2});
    FAILS(gal_dropout(x, NULL, x, state, 1), GAL_VALUE, "dropout: p is 1, expected 0 <= p < 1");
    sentinels_and_free();
}

static void notices(void)
{
    CASE("a notice is told once, however often it comes up");
    gal_note("plain kernels for window %d", 3);
    gal_note("plain kernels for window %d", 3);
    gal_note("plain kernels for window %d", 4);
    const char *first = gal_notice(), *second = gal_notice();
    IS_TRUE(first && !strcmp(first, "plain kernels for window 3"));
    IS_TRUE(second && !strcmp(second, "plain kernels for window 4"));
    IS_TRUE(!gal_notice());
    gal_note("plain kernels for window %d", 3);
    IS_TRUE(!gal_notice());
}

int main(void)
{
    const char *isas[] = {"specification", "plain", "avx2", "avx512"};
    for (int i = 0; i < 4; i++) {
        table = gal_cpu_table(isas[i]);
        if (!table)
            continue;
        pools(isas[i]);
        layer_norms(isas[i]);
        dropouts();
    }
    table = gal_cpu_backend();
    sentences();
    notices();
    return finish();
}
