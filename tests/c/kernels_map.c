/* kernels_map.c: elementwise kernels, copies, rows and reductions of every instruction set against double
 * precision. */
#include "kernels.h"

typedef double reference(double a, double b);
static double add_(double a, double b)
{
    return a + b;
}
static double sub_(double a, double b)
{
    return a - b;
}
static double mul_(double a, double b)
{
    return a * b;
}
static double div_(double a, double b)
{
    return a / b;
}
static double max_(double a, double b)
{
    return a != a || b != b ? NAN : a > b ? a : b;
}
static double min_(double a, double b)
{
    return a != a || b != b ? NAN : a < b ? a : b;
}
static double eq_(double a, double b)
{
    return a == b;
}
static double lt_(double a, double b)
{
    return a < b;
}
static double le_(double a, double b)
{
    return a <= b;
}
static double affine_(double a, double b)
{
    (void)b;
    return 1.5 * a - 0.25;
}
static double power_(double a, double b)
{
    (void)b;
    return pow(a, 1.5);
}
static double exp_(double a, double b)
{
    (void)b;
    return exp(a);
}
static double log_(double a, double b)
{
    (void)b;
    return log(a);
}
static double sqrt_(double a, double b)
{
    (void)b;
    return sqrt(a);
}
static double abs_(double a, double b)
{
    (void)b;
    return fabs(a);
}
static double sin_(double a, double b)
{
    (void)b;
    return sin(a);
}
static double cos_(double a, double b)
{
    (void)b;
    return cos(a);
}
static double sigmoid_(double a, double b)
{
    (void)b;
    return 1 / (1 + exp(-a));
}
static double tanh_(double a, double b)
{
    (void)b;
    return tanh(a);
}
static double relu_(double a, double b)
{
    (void)b;
    return a != a || a > 0 ? a : 0;
}
static double silu_(double a, double b)
{
    (void)b;
    return a * sigmoid_(a, 0);
}
static double cdf(double a)
{
    return 0.5 * erfc(-a / sqrt(2));
}
static double gelu_(double a, double b)
{
    (void)b;
    return a * cdf(a);
}
static double relu_backward_(double a, double b)
{
    return b > 0 ? a : 0;
}
static double silu_backward_(double a, double b)
{
    double s = sigmoid_(b, 0);
    return a * s * (1 + b * (1 - s));
}
static double gelu_backward_(double a, double b)
{
    return a * (cdf(b) + b * exp(-b * b / 2) / sqrt(2 * acos(-1)));
}
static double tanh_backward_(double a, double b)
{
    return a * (1 - b * b);
}
static double sigmoid_backward_(double a, double b)
{
    return a * b * (1 - b);
}

#define ENTRY(kernel) #kernel, offsetof(gal_backend, kernel), kernel##_
typedef struct map_case {
    const char *name;
    size_t kernel;
    reference *f;
    int operands;
    double low, high,
        relative; /* range of both operands; error relative to each result (absolute below 1e-30) */
} map_case;
static const map_case cases[] = {
    {ENTRY(add), 2, -3, 3, 2e-7},
    {ENTRY(sub), 2, -3, 3, 2e-7},
    {ENTRY(mul), 2, -3, 3, 2e-7},
    {ENTRY(div), 2, 0.5, 3, 2e-7},
    {"pow", offsetof(gal_backend, pow), pow, 2, 0.1, 3, 5e-7},
    {"maximum", offsetof(gal_backend, maximum), max_, 2, -3, 3, 0},
    {"minimum", offsetof(gal_backend, minimum), min_, 2, -3, 3, 0},
    {ENTRY(eq), 2, -3, 3, 0},
    {ENTRY(lt), 2, -3, 3, 0},
    {ENTRY(le), 2, -3, 3, 0},
    {ENTRY(affine), 1, 1, 3, 4e-7},
    {ENTRY(power), 1, 0.1, 3, 5e-7},
    {ENTRY(exp), 1, -80, 80, 5e-7},
    {ENTRY(log), 1, 1e-6, 1e6, 5e-7},
    {ENTRY(log), 1, 0.9, 1.1, 5e-7},
    {ENTRY(sqrt), 1, 0, 100, 2e-7},
    {ENTRY(abs), 1, -3, 3, 0},
    {ENTRY(sin), 1, 0.5, 2.5, 5e-7},
    {ENTRY(cos), 1, -1, 1, 5e-7},
    {ENTRY(sigmoid), 1, -20, 20, 5e-7},
    {ENTRY(tanh), 1, -10, 10, 5e-7},
    {ENTRY(tanh), 1, -0.01, 0.01, 5e-7},
    {ENTRY(relu), 1, -3, 3, 0},
    {ENTRY(silu), 1, -20, 20, 7e-7},
    {ENTRY(gelu), 1, -3, 6, 3e-6},
    {ENTRY(relu_backward), 2, -3, 3, 0},
    {ENTRY(silu_backward), 2, 0, 20, 2e-6}, /* x (1 - s) loses digits at large x */
    {ENTRY(gelu_backward), 2, 0, 6, 3e-6},
    {ENTRY(tanh_backward), 2, -0.9, 0.9, 2e-6},
    {ENTRY(sigmoid_backward), 2, 0.1, 0.9, 7e-7},
};

static gal_kernel *kernel_of(const gal_backend *table, size_t at)
{
    return *(gal_kernel *const *)((const char *)table + at);
}

/* y {rows, columns} with strides; element (i, j) of a at a[i * ar + j * ac]. */
static void one_shape(const map_case *c, int64_t rows, int64_t columns, int64_t ar, int64_t ac, int64_t br,
                      int64_t bc, int64_t yr, int64_t yc)
{
    int64_t span = 4 * (rows * columns + rows + columns + 1);
    float *a = numbers(span, c->low, c->high), *b = numbers(span, c->low, c->high);
    double *expected = malloc((size_t)span * sizeof *expected);
    for (int64_t i = 0; i < span; i++)
        expected[i] = -12345.5;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++)
            expected[i * yr + j * yc] = c->f(a[i * ar + j * ac], b[i * br + j * bc]);
    EACH_TABLE(table, isa)
    {
        float *y[3];
        for (int lanes = 1; lanes <= 3; lanes++) {
            float *to = y[lanes - 1] = walled(span);
            gal_map_args args = {.y = to,
                                 .a = a,
                                 .b = c->operands == 2 ? b : NULL,
                                 .rank = 2,
                                 .count = rows * columns,
                                 .shape = {rows, columns},
                                 .ys = {yr, yc},
                                 .as = {ar, ac},
                                 .bs = {br, bc},
                                 .p = 1.5f,
                                 .q = -0.25f};
            if (yr == columns && yc == 1 && ar == columns && ac == 1 &&
                (c->operands == 1 || (br == columns && bc == 1))) {
                args.rank = 1; /* as ops.c merges it */
                args.shape[0] = args.count;
                args.ys[0] = args.as[0] = args.bs[0] = 1;
            }
            IS_OK(by_lanes(kernel_of(table, c->kernel), &args, lanes));
            REPORT(same_bits(to, y[0], span) && walls_stand(to, span),
                   "%s (%s) differs by %d lanes or writes outside", c->name, isa, lanes);
        }
        double worst = 0;
        int64_t at = 0;
        for (int64_t i = 0; i < span; i++) {
            double off = fabs(y[0][i] - expected[i]) / fmax(fabs(expected[i]), 1e-30);
            if (!(off <= worst)) {
                worst = off;
                at = i;
            }
        }
        REPORT(worst <= c->relative,
               "%s (%s) {%lld, %lld} of %.9g, %.9g is %.9g, expected %.9g within %.2g of it", c->name, isa,
               (long long)rows, (long long)columns, a[at], b[at], y[0][at], expected[at], c->relative);
        for (int i = 0; i < 3; i++)
            unwall(y[i]);
    }
    unwall(a), unwall(b), free(expected);
}

static void elementwise(void)
{
    CASE("elementwise kernels agree with double precision for every stride, broadcast, lane and instruction "
         "set");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const map_case *c = &cases[i];
        static const int64_t sizes[][2] = {{1, 1}, {1, 7}, {3, 16}, {5, 33}, {16, 67}, {1, 1000}};
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            int64_t r = sizes[s][0], n = sizes[s][1];
            one_shape(c, r, n, n, 1, n, 1, n, 1);
            one_shape(c, r, n, n, 1, 0, 1, n, 1);     /* b is a row */
            one_shape(c, r, n, n, 1, 1, 0, n, 1);     /* b is a column */
            one_shape(c, r, n, 0, 0, n, 1, n, 1);     /* a is one element */
            one_shape(c, r, n, 1, r, 1, r, n, 1);     /* both transposed */
            one_shape(c, r, n, n, 1, n, 1, n + 3, 1); /* into a part of wider rows */
            one_shape(c, r, n, n, 1, n, 1, 1, r);     /* into a transpose */
        }
    }
}

static float one(const gal_backend *table, size_t kernel, float a, float b, float p)
{
    float y = 0;
    gal_map_args args = {.y = &y, .a = &a, .b = &b, .rank = 0, .count = 1, .p = p};
    IS_OK(by_lanes(kernel_of(table, kernel), &args, 1));
    return y;
}
#define ONE(kernel, a) one(table, offsetof(gal_backend, kernel), a, 0, 0)

static void special_values(void)
{
    CASE("infinities, zeros, subnormals and NaN come out as in the formulas");
    EACH_TABLE(table, isa)
    {
        (void)isa;
        IS_TRUE(ONE(exp, 100) == INFINITY && ONE(exp, -200) == 0 && ONE(exp, 0) == 1 && isnan(ONE(exp, NAN)));
        IS_NEAR(ONE(exp, -95), exp(-95), 1e-44); /* subnormal */
        IS_TRUE(ONE(log, 0) == -INFINITY && isnan(ONE(log, -1)) && isnan(ONE(log, NAN)) &&
                ONE(log, INFINITY) == INFINITY && ONE(log, 1) == 0);
        IS_NEAR(ONE(log, 1e-42f), log(1e-42f), 1e-5);
        IS_NEAR(ONE(sigmoid, -1000), 0, 1e-30);
        IS_NEAR(ONE(sigmoid, 1000), 1, 1e-7);
        IS_TRUE(isnan(ONE(sigmoid, NAN)) && isnan(ONE(tanh, NAN)) && isnan(ONE(gelu, NAN)) &&
                isnan(ONE(silu, NAN)));
        IS_TRUE(ONE(tanh, 1000) == 1 && ONE(tanh, -1000) == -1 && ONE(tanh, 0) == 0);
        IS_NEAR(ONE(silu, -1000), 0, 1e-30);
        IS_TRUE(ONE(silu, 1000) == 1000 && ONE(gelu, 1000) == 1000);
        IS_NEAR(ONE(gelu, -1000), 0, 1e-30);
        IS_TRUE(isnan(ONE(relu, NAN)) && ONE(relu, -1) == 0);
        IS_TRUE(one(table, offsetof(gal_backend, power), -3, 0, 2) == 9);
        IS_TRUE(isnan(one(table, offsetof(gal_backend, maximum), NAN, 1, 0)) &&
                isnan(one(table, offsetof(gal_backend, maximum), 1, NAN, 0)));
        IS_TRUE(isnan(one(table, offsetof(gal_backend, minimum), NAN, 1, 0)) &&
                isnan(one(table, offsetof(gal_backend, minimum), 1, NAN, 0)));
    }
}

static void reductions(void)
{
    CASE("reductions agree with double precision whatever the lanes");
    static const int64_t shapes[][3] = {{1, 1, 1},   {1, 1000, 1}, {7, 5, 1}, {1, 9, 300},
                                        {3, 17, 13}, {2, 1, 600},  {4, 3, 1}};
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        int64_t outer = shapes[s][0], n = shapes[s][1], inner = shapes[s][2], count = outer * inner;
        float *x = numbers(outer * n * inner, -1, 3);
        double *want[5];
        for (int k = 0; k < 5; k++)
            want[k] = calloc((size_t)count, sizeof(double));
        for (int64_t r = 0; r < count; r++) {
            const float *first = x + r / inner * n * inner + r % inner;
            double sum = 0, squares = 0, high = -INFINITY, low = INFINITY;
            for (int64_t i = 0; i < n; i++) {
                double v = first[i * inner];
                sum += v, high = fmax(high, v), low = fmin(low, v);
            }
            for (int64_t i = 0; i < n; i++)
                squares += (first[i * inner] - sum / (double)n) * (first[i * inner] - sum / (double)n);
            want[0][r] = sum, want[1][r] = sum / (double)n, want[2][r] = sqrt(squares / (double)n),
            want[3][r] = high, want[4][r] = low;
        }
        EACH_TABLE(table, isa)
        {
            gal_kernel *kernels[5] = {table->sum, table->mean, table->std, table->max, table->min};
            for (int k = 0; k < 5; k++)
                for (int lanes = 1; lanes <= 3; lanes++) {
                    float *y = walled(count);
                    gal_reduce_args args = {.y = y, .x = x, .outer = outer, .n = n, .inner = inner};
                    IS_OK(by_lanes(kernels[k], &args, lanes));
                    all_near(y, want[k], count, k > 2 ? 0 : 1e-7 * (1 + largest(want[k], count)), "reduction",
                             isa);
                    IS_TRUE(walls_stand(y, count));
                    unwall(y);
                }
        }
        for (int k = 0; k < 5; k++)
            free(want[k]);
        unwall(x);
    }
    CASE("max and min are NaN where any element is; sort puts NaN last");
    float mixed[6] = {3, NAN, -0.5f, -INFINITY, 7, -NAN}, sorted[6], extreme;
    const gal_backend *table = gal_cpu_backend();
    gal_reduce_args args = {.y = &extreme, .x = mixed, .outer = 1, .n = 6, .inner = 1};
    IS_OK(by_lanes(table->max, &args, 1));
    IS_TRUE(isnan(extreme));
    IS_OK(by_lanes(table->min, &args, 1));
    IS_TRUE(isnan(extreme));
    args.y = sorted;
    IS_OK(by_lanes(table->sort, &args, 1));
    IS_TRUE(sorted[0] == -INFINITY && sorted[1] == -0.5f && sorted[2] == 3 && sorted[3] == 7 &&
            isnan(sorted[4]) && isnan(sorted[5]));
    CASE("sort leaves every row in order with its own elements");
    float *x = numbers(3 * 5000, -1, 1), *y = walled(3 * 5000);
    gal_reduce_args rows = {.y = y, .x = x, .outer = 3, .n = 5000, .inner = 1};
    IS_OK(by_lanes(table->sort, &rows, 2));
    int ordered = 1;
    double difference = 0;
    for (int64_t r = 0; r < 3; r++)
        for (int64_t i = 0; i < 5000; i++) {
            ordered &= i == 0 || y[r * 5000 + i - 1] <= y[r * 5000 + i];
            difference += (double)y[r * 5000 + i] - x[r * 5000 + i];
        }
    IS_TRUE(ordered && fabs(difference) < 1e-9 && walls_stand(y, 3 * 5000));
    unwall(x), unwall(y);
}

static void moving(void)
{
    const gal_backend *table = gal_cpu_backend();
    CASE("copies convert by truncation into the target's range");
    double from[6] = {-3.7, 300.2, 2.9, NAN, 1e30, -1e30};
    uint8_t bytes[6];
    int64_t whole[6];
    gal_copy_args args = {.y = bytes,
                          .x = from,
                          .y_type = GAL_U8,
                          .x_type = GAL_F64,
                          .rank = 1,
                          .count = 6,
                          .shape = {6},
                          .ys = {1},
                          .xs = {1}};
    IS_OK(by_lanes(table->copy, &args, 2));
    IS_TRUE(bytes[0] == 0 && bytes[1] == 255 && bytes[2] == 2 && bytes[3] == 0 && bytes[4] == 255 &&
            bytes[5] == 0);
    args.y = whole, args.y_type = GAL_I64;
    IS_OK(by_lanes(table->copy, &args, 2));
    IS_TRUE(whole[0] == -3 && whole[1] == 300 && whole[3] == 0 && whole[4] == INT64_MAX &&
            whole[5] == INT64_MIN);
    CASE("int64 copies between strides keep every bit");
    int64_t ids[4] = {INT64_MAX, INT64_MIN, 1237648720693755918, -1}, spread[8] = {0};
    gal_copy_args strided = {.y = spread,
                             .x = ids,
                             .y_type = GAL_I64,
                             .x_type = GAL_I64,
                             .rank = 1,
                             .count = 4,
                             .shape = {4},
                             .ys = {2},
                             .xs = {1}};
    IS_OK(by_lanes(table->copy, &strided, 1));
    IS_TRUE(spread[0] == ids[0] && spread[2] == ids[1] && spread[4] == ids[2] && spread[6] == ids[3] &&
            spread[1] == 0);
    CASE("arange counts on across rows and lanes");
    float *y = walled(200);
    gal_copy_args count = {.y = y,
                           .y_type = GAL_F32,
                           .rank = 2,
                           .count = 200,
                           .shape = {10, 20},
                           .ys = {20, 1},
                           .start = 1,
                           .step = 0.5};
    IS_OK(by_lanes(table->arange, &count, 3));
    IS_TRUE(y[0] == 1 && y[199] == 100.5f && y[21] == 11.5f && walls_stand(y, 200));
    unwall(y);

    CASE("gather and scatter take each row to its place and refuse an index outside");
    float x[4 * 3], picked[3 * 3], sums[4 * 3] = {0};
    for (int i = 0; i < 12; i++)
        x[i] = (float)i;
    int64_t index[3] = {2, 0, 2};
    gal_rows_args rows = {.y = picked, .x = x, .index = index, .count = 3, .rows = 4, .width = 12};
    IS_OK(by_lanes(table->gather_rows, &rows, 2));
    IS_TRUE(picked[0] == 6 && picked[3] == 0 && picked[8] == 8);
    gal_rows_args back = {.y = sums, .x = picked, .index = index, .count = 3, .rows = 4, .width = 12};
    IS_OK(by_lanes(table->scatter_add_rows, &back, 2));
    IS_TRUE(sums[0] == 0 && sums[2] == 2 && sums[6] == 12 && sums[8] == 16 && sums[3] == 0);
    index[1] = 4;
    FAILS(by_lanes(table->gather_rows, &rows, 1), GAL_VALUE, "index[1] is 4, expected 0 to 3");
    FAILS(by_lanes(table->scatter_add_rows, &back, 1), GAL_VALUE, "index[1] is 4, expected 0 to 3");
    index[1] = -1;
    FAILS(by_lanes(table->gather_rows, &rows, 1), GAL_VALUE, "index[1] is -1, expected 0 to 3");
    CASE("batch_rows moves its cursor and stops at the end");
    int64_t order[5] = {4, 3, 2, 1, 0}, batch[2], cursor = 2;
    gal_batch_args next = {.index = batch, .cursor = &cursor, .order = order, .batch = 2, .rows = 5};
    IS_OK(by_lanes(table->batch_rows, &next, 2));
    IS_TRUE(batch[0] == 2 && batch[1] == 1 && cursor == 4);
    FAILS(by_lanes(table->batch_rows, &next, 2), GAL_VALUE, "cursor is 4, expected 0 to 3");
    IS_INT(cursor, 4);
}

int main(void)
{
    elementwise();
    special_values();
    reductions();
    moving();
    return finish();
}
