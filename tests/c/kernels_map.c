/* kernels_map.c: elementwise kernels of every instruction set against double precision. */
#include "kernels.h"

/* The normal distribution function, and its density. */
static double cdf(double x)
{
    return 0.5 * erfc(-x * sqrt(0.5));
}
static double density(double x)
{
    return exp(-x * x / 2) / sqrt(2 * acos(-1));
}

/* An op a line: its operands a and b, the range of both, the error relative to each result (absolute below
 * 1e-30), and its formula in double precision. */
/* clang-format off */
#define OPS(X)                                                                           \
    X(add,              2, -3,   3,    2e-7, a + b)                                      \
    X(sub,              2, -3,   3,    2e-7, a - b)                                      \
    X(mul,              2, -3,   3,    2e-7, a * b)                                      \
    X(div,              2, 0.5,  3,    2e-7, a / b)                                      \
    X(pow,              2, 0.1,  3,    5e-7, pow(a, b))                                  \
    X(maximum,          2, -3,   3,    0,    a > b ? a : b)                              \
    X(minimum,          2, -3,   3,    0,    a < b ? a : b)                              \
    X(eq,               2, -3,   3,    0,    a == b)                                     \
    X(lt,               2, -3,   3,    0,    a < b)                                      \
    X(le,               2, -3,   3,    0,    a <= b)                                     \
    X(masked,           2, -3,   3,    0,    b != 0 ? a : -0.0)                          \
    X(affine,           1, 1,    3,    4e-7, 1.5 * a - 0.25)                             \
    X(power,            1, 0.1,  3,    5e-7, pow(a, 1.5))                                \
    X(exp,              1, -80,  80,   5e-7, exp(a))                                     \
    X(log,              1, 1e-6, 1e6,  5e-7, log(a))                                     \
    X(sqrt,             1, 0,    100,  2e-7, sqrt(a))                                    \
    X(abs,              1, -3,   3,    0,    fabs(a))                                    \
    X(sin,              1, 0.5,  2.5,  5e-7, sin(a))                                     \
    X(cos,              1, -1,   1,    5e-7, cos(a))                                     \
    X(sigmoid,          1, -20,  20,   5e-7, 1 / (1 + exp(-a)))                          \
    X(tanh,             1, -10,  10,   5e-7, tanh(a))                                    \
    X(relu,             1, -3,   3,    0,    a > 0 ? a : 0)                              \
    X(silu,             1, -20,  20,   7e-7, a / (1 + exp(-a)))                          \
    X(gelu,             1, -3,   6,    3e-6, a * cdf(a))                                 \
    X(relu_backward,    2, -3,   3,    0,    b > 0 ? a : 0)                              \
    X(silu_backward,    2, 0,    20,   2e-6, a / (1 + exp(-b)) * (1 + b / (1 + exp(b)))) \
    X(gelu_backward,    2, 0,    6,    3e-6, a * (cdf(b) + b * density(b)))              \
    X(tanh_backward,    2, -0.9, 0.9,  2e-6, a * (1 - b * b))                            \
    X(sigmoid_backward, 2, 0.1,  0.9,  7e-7, a * b * (1 - b))
/* clang-format on */

typedef double reference(double a, double b);
typedef struct map_case {
    const char *name;
    size_t kernel; /* its offset in the table */
    reference *f;
    int operands;
    double low, high, relative;
} map_case;

#define REFERENCE(name, operands, low, high, relative, formula) \
    static double name##_of(double a, double b)                 \
    {                                                           \
        (void)b;                                                \
        return formula;                                         \
    }
OPS(REFERENCE)

#define CASE_OF(name, operands, low, high, relative, formula) \
    {#name, offsetof(gal_cpu_kernels, name), name##_of, operands, low, high, relative},
static const map_case cases[] = {OPS(CASE_OF)
                                 /* Where digits would be lost first. */
                                 CASE_OF(log, 1, 0.9, 1.1, 5e-7, ) CASE_OF(tanh, 1, -0.01, 0.01, 5e-7, )};

static gal_kernel *kernel_of(const gal_cpu_kernels *table, size_t at)
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
                args.rank = 1; /* as ops/strides.c merges it */
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

static float one(const gal_cpu_kernels *table, size_t kernel, float a, float b, float p)
{
    float y = 0;
    gal_map_args args = {.y = &y, .a = &a, .b = &b, .rank = 0, .count = 1, .p = p};
    IS_OK(by_lanes(kernel_of(table, kernel), &args, 1));
    return y;
}
#define ONE(kernel, a) one(table, offsetof(gal_cpu_kernels, kernel), a, 0, 0)

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
        IS_TRUE(one(table, offsetof(gal_cpu_kernels, power), -3, 0, 2) == 9);
        IS_TRUE(isnan(one(table, offsetof(gal_cpu_kernels, maximum), NAN, 1, 0)) &&
                isnan(one(table, offsetof(gal_cpu_kernels, maximum), 1, NAN, 0)));
        IS_TRUE(isnan(one(table, offsetof(gal_cpu_kernels, minimum), NAN, 1, 0)) &&
                isnan(one(table, offsetof(gal_cpu_kernels, minimum), 1, NAN, 0)));
    }
}

int main(void)
{
    elementwise();
    special_values();
    return finish();
}
