/* kernels_matmul.c: the products of every instruction set against double precision, and the promise that a
 * row's bits depend on nothing but the row. */
#include "kernels.h"
#include "reference.h"

/* start + a b in double; *terms is raised to the largest sum of |terms|. */
static void product(double *y, const float *a, int64_t ar, int64_t ac, const float *b, int64_t br, int64_t bc,
                    int64_t m, int64_t n, int64_t k, const float *start, double *terms)
{
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            double sum = start ? start[i * n + j] : 0, size = fabs(sum);
            for (int64_t l = 0; l < k; l++) {
                double term = (double)a[i * ar + l * ac] * b[l * br + j * bc];
                sum += term;
                size += fabs(term);
            }
            y[i * n + j] = sum;
            *terms = fmax(*terms, size);
        }
}

static void linear_case(int64_t rows, int64_t in, int64_t out, int which, int with_bias, int with_slope)
{
    float *x = numbers(rows * in, -1, 1), *w = numbers(out * in, -1, 1), *b = numbers(out, -1, 1);
    double *z = malloc((size_t)(rows * out) * sizeof *z), *d = malloc((size_t)(rows * out) * sizeof *d),
           terms = 1;
    product(z, x, in, 1, w, 1, in, rows, out, in, NULL, &terms);
    for (int64_t i = 0; i < rows * out; i++) {
        double before = z[i] + (with_bias ? b[i % out] : 0);
        z[i] = activation_of(which, before);
        d[i] = slope_of(which, before);
    }
    EACH_TABLE(table, isa)
    {
        float *first = NULL;
        for (int lanes = 1; lanes <= 3; lanes++) {
            float *y = walled(rows * out), *slope = walled(rows * out);
            gal_linear_args args = {.y = y,
                                    .slope = with_slope ? slope : NULL,
                                    .x = x,
                                    .w = w,
                                    .b = with_bias ? b : NULL,
                                    .rows = rows,
                                    .in = in,
                                    .out = out,
                                    .activation = which};
            IS_OK(by_lanes(table->linear, &args, lanes));
            all_near(y, z, rows * out, 1e-6 * terms, "linear", isa);
            if (with_slope)
                all_near(slope, d, rows * out, which == GAL_RELU ? 1 : 2e-6 * terms, "linear's slope", isa);
            REPORT(walls_stand(y, rows * out) && walls_stand(slope, rows * out), "linear (%s) writes outside",
                   isa);
            if (lanes == 1)
                first = y;
            else
                REPORT(same_bits(y, first, rows * out), "linear (%s) {%lld, %lld, %lld} differs by %d lanes",
                       isa, (long long)rows, (long long)in, (long long)out, lanes);
            if (lanes > 1)
                unwall(y);
            unwall(slope);
        }
        for (int64_t r = 0; r < rows; r += 1 + rows / 7) { /* the row alone */
            float *y = walled(out);
            gal_linear_args args = {.y = y,
                                    .x = x + r * in,
                                    .w = w,
                                    .b = with_bias ? b : NULL,
                                    .rows = 1,
                                    .in = in,
                                    .out = out,
                                    .activation = which};
            IS_OK(by_lanes(table->linear, &args, 1));
            REPORT(same_bits(y, first + r * out, out),
                   "linear (%s) {%lld, %lld, %lld}: row %lld alone has other bits", isa, (long long)rows,
                   (long long)in, (long long)out, (long long)r);
            unwall(y);
        }
        unwall(first);
    }
    unwall(x), unwall(w), unwall(b), free(z), free(d);
}

static void backward_case(int64_t rows, int64_t in, int64_t out, int accumulate)
{
    float *x = numbers(rows * in, -1, 1), *w = numbers(out * in, -1, 1), *dz = numbers(rows * out, -1, 1),
          ones[1] = {1};
    float *dw0 = numbers(out * in, -1, 1), *db0 = numbers(out, -1, 1);
    double *dx = malloc((size_t)(rows * in) * sizeof *dx), *dw = malloc((size_t)(out * in) * sizeof *dw),
           *db = malloc((size_t)out * sizeof *db);
    double terms[3] = {1, 1, 1};
    product(dx, dz, out, 1, w, in, 1, rows, in, out, NULL, &terms[0]);
    product(dw, dz, 1, out, x, in, 1, out, in, rows, accumulate ? dw0 : NULL, &terms[1]);
    product(db, dz, 1, out, ones, 0, 0, out, 1, rows, accumulate ? db0 : NULL, &terms[2]);
    EACH_TABLE(table, isa)
    {
        float *first[3] = {0};
        for (int lanes = 1; lanes <= 3; lanes++) {
            float *y[3] = {walled(rows * in), walled(out * in), walled(out)};
            int64_t n[3] = {rows * in, out * in, out};
            const double *want[3] = {dx, dw, db};
            memcpy(y[1], dw0, (size_t)(out * in) * sizeof(float));
            memcpy(y[2], db0, (size_t)out * sizeof(float));
            gal_linear_args input = {.y = y[0], .x = dz, .w = w, .rows = rows, .in = in, .out = out};
            gal_linear_args weight = {.y = y[1],
                                      .slope = y[2],
                                      .w = dz,
                                      .x = x,
                                      .rows = rows,
                                      .in = in,
                                      .out = out,
                                      .accumulate = accumulate};
            IS_OK(by_lanes(table->linear_backward_input, &input, lanes));
            IS_OK(by_lanes(table->linear_backward_weight, &weight, lanes));
            for (int i = 0; i < 3; i++) {
                static const char *const names[3] = {"dx", "dw", "db"};
                all_near(y[i], want[i], n[i], 1e-6 * terms[i], names[i], isa);
                REPORT(walls_stand(y[i], n[i]), "%s (%s) writes outside", names[i], isa);
                if (lanes == 1)
                    first[i] = y[i];
                else
                    REPORT(same_bits(y[i], first[i], n[i]), "%s (%s) differs by %d lanes", names[i], isa,
                           lanes);
                if (lanes > 1)
                    unwall(y[i]);
            }
        }
        for (int i = 0; i < 3; i++)
            unwall(first[i]);
        float *alone = walled(out); /* dw or db may be absent */
        gal_linear_args bias = {.slope = alone, .w = dz, .x = x, .rows = rows, .in = in, .out = out};
        IS_OK(by_lanes(table->linear_backward_weight, &bias, 2));
        unwall(alone);
    }
    unwall(x), unwall(w), unwall(dz), unwall(dw0), unwall(db0), free(dx), free(dw), free(db);
}

/* a and b in any of: rows follow, columns follow, neither. */
static void matmul_case(int64_t m, int64_t n, int64_t k, int a_way, int b_way, int accumulate)
{
    int64_t ar[3] = {k, 1, 2 * k + 3}, ac[3] = {1, m, 2}, br[3] = {n, 1, 3 * n + 1}, bc[3] = {1, k, 3};
    float *a = numbers((2 * k + 3) * m + 2 * k, -1, 1), *b = numbers((3 * n + 1) * k + 3 * n, -1, 1),
          *y0 = numbers(m * n, -1, 1);
    double *want = malloc((size_t)(m * n + 1) * sizeof *want), terms = 1;
    product(want, a, ar[a_way], ac[a_way], b, br[b_way], bc[b_way], m, n, k, accumulate ? y0 : NULL, &terms);
    EACH_TABLE(table, isa)
    {
        float *first = NULL;
        for (int lanes = 1; lanes <= 3; lanes++) {
            float *y = walled(m * n);
            memcpy(y, y0, (size_t)(m * n) * sizeof *y);
            gal_matmul_args args = {.y = y,
                                    .a = a,
                                    .b = b,
                                    .m = m,
                                    .n = n,
                                    .k = k,
                                    .ldy = n,
                                    .a_row = ar[a_way],
                                    .a_col = ac[a_way],
                                    .b_row = br[b_way],
                                    .b_col = bc[b_way],
                                    .accumulate = accumulate};
            IS_OK(by_lanes(table->matmul, &args, lanes));
            all_near(y, want, m * n, 1e-6 * terms, "matmul", isa);
            REPORT(walls_stand(y, m * n), "matmul (%s) writes outside", isa);
            if (lanes == 1)
                first = y;
            else
                REPORT(same_bits(y, first, m * n), "matmul (%s) {%lld, %lld, %lld} differs by %d lanes", isa,
                       (long long)m, (long long)n, (long long)k, lanes);
            if (lanes > 1)
                unwall(y);
        }
        if (!accumulate && m > 1) {
            float *y = walled(n);
            int64_t r = m / 2;
            gal_matmul_args args = {.y = y,
                                    .a = a + r * ar[a_way],
                                    .b = b,
                                    .m = 1,
                                    .n = n,
                                    .k = k,
                                    .ldy = n,
                                    .a_row = ar[a_way],
                                    .a_col = ac[a_way],
                                    .b_row = br[b_way],
                                    .b_col = bc[b_way]};
            IS_OK(by_lanes(table->matmul, &args, 1));
            REPORT(same_bits(y, first + r * n, n),
                   "matmul (%s) {%lld, %lld, %lld}: row %lld alone has other bits", isa, (long long)m,
                   (long long)n, (long long)k, (long long)r);
            unwall(y);
        }
        unwall(first);
    }
    unwall(a), unwall(b), unwall(y0), free(want);
}

/* y {n} is written by every row, so that a product of 2e10 multiply-adds takes no memory. */
static void interrupted(void)
{
    CASE("Ctrl-C ends a long product early, with a status, and leaves a short one whole");
    float *a = calloc(256, sizeof *a), *b = calloc(256 * 32, sizeof *b), *y = calloc(32, sizeof *y);
    gal_matmul_args g = {
        .y = y, .a = a, .b = b, .m = 3000000, .n = 32, .k = 256, .a_col = 1, .b_row = 32, .b_col = 1};
    EACH_TABLE(table, isa)
    {
        gal_interrupt_set(1);
        if (table->matmul != gal_cpu_matmul) /* the specification is for reading, and slow */
            FAILS(table->matmul(&(gal_lane){.count = 1}, &g), GAL_INTERRUPTED, "interrupted");
        g.m = 3;
        IS_OK(table->matmul(&(gal_lane){.count = 1}, &g));
        g.m = 3000000;
        gal_interrupt_set(0);
    }
    free(a);
    free(b);
    free(y);
}

int main(void)
{
    CASE("linear agrees with double precision, and a row's bits depend on the row alone");
    static const int64_t sizes[][3] = {{1, 1, 1},     {2, 3, 5},     {7, 11, 31},
                                       {13, 300, 33}, {64, 11, 256}, {64, 256, 5},
                                       {29, 267, 47}, {3, 513, 17},  {600, 5, 65}};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (int which = GAL_IDENTITY; which < GAL_ACTIVATION_COUNT; which++)
            linear_case(sizes[s][0], sizes[s][1], sizes[s][2], which, which != GAL_RELU, which != GAL_TANH);
    CASE("linear's backwards agree with double precision whatever the lanes");
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (int accumulate = 0; accumulate < 2; accumulate++)
            backward_case(sizes[s][0], sizes[s][1], sizes[s][2], accumulate);
    CASE("matmul agrees with double precision for every stride");
    static const int64_t shapes[][3] = {{1, 1, 1},     {5, 1, 9},    {1, 40, 3},   {9, 33, 17},
                                        {31, 15, 300}, {40, 64, 32}, {100, 97, 5}, {4, 4, 0}};
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (int way = 0; way < 9; way++)
            for (int accumulate = 0; accumulate < 2; accumulate++)
                matmul_case(shapes[s][0], shapes[s][1], shapes[s][2], way / 3, way % 3, accumulate);
    CASE("a sum over many rows keeps its accuracy");
    backward_case(20000, 3, 2, 0);
    interrupted();
    return finish();
}
