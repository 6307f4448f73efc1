/* kernels_norm.c: layer normalisation by every table of kernels against a reference and finite differences.
 */
#include "kernels_image.h"

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

static void sentences(void)
{
    CASE("a failure names the argument, what it was and what was expected");
    gal_tensor *x = TENSOR(2, 3), *shift = TENSOR(3);
    FAILS(gal_layer_norm(x, NULL, x, NULL, shift, 1e-5), GAL_VALUE, "layer_norm: scale is missing");
    sentinels_and_free();
}

int main(void)
{
    const char *isas[] = {"specification", "plain", "avx2", "avx512"};
    for (int i = 0; i < 4; i++) {
        table = gal_cpu_table(isas[i]);
        if (table)
            layer_norms(isas[i]);
    }
    table = gal_cpu_table(NULL);
    sentences();
    return finish();
}
