/* kernels_reduce.c: reductions, running sums and sorting of every instruction set against double precision.
 */
#include "kernels.h"

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
}

static void not_a_number(void)
{
    CASE("max and min are NaN where any element is; sort puts NaN last");
    float mixed[6] = {3, NAN, -0.5f, -INFINITY, 7, -NAN}, sorted[6], extreme;
    const gal_cpu_kernels *table = gal_cpu_table(NULL);
    gal_reduce_args args = {.y = &extreme, .x = mixed, .outer = 1, .n = 6, .inner = 1};
    IS_OK(by_lanes(table->max, &args, 1));
    IS_TRUE(isnan(extreme));
    IS_OK(by_lanes(table->min, &args, 1));
    IS_TRUE(isnan(extreme));
    args.y = sorted;
    IS_OK(by_lanes(table->sort, &args, 1));
    IS_TRUE(sorted[0] == -INFINITY && sorted[1] == -0.5f && sorted[2] == 3 && sorted[3] == 7 &&
            isnan(sorted[4]) && isnan(sorted[5]));
}

static void sorting(void)
{
    CASE("sort leaves every row in order with its own elements");
    float *x = numbers(3 * 5000, -1, 1), *y = walled(3 * 5000);
    gal_reduce_args rows = {.y = y, .x = x, .outer = 3, .n = 5000, .inner = 1};
    IS_OK(by_lanes(gal_cpu_table(NULL)->sort, &rows, 2));
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

static void interrupted(void)
{
    CASE("Ctrl-C ends a sort of more than 1e7 elements early, and leaves a short one whole");
    int64_t n = 10000001;
    float *x = calloc((size_t)n, sizeof *x), *y = calloc((size_t)n, 8);
    double level = 0.5, median;
    const gal_cpu_kernels *table = gal_cpu_table(NULL);
    gal_interrupt_set(1);
    for (int k = 0; k < 2; k++, n = 5) {
        gal_reduce_args sort = {.y = y, .x = x, .outer = 1, .n = n, .inner = 1};
        gal_quantiles_args quantiles = {.y = &median, .x = x, .levels = &level, .rows = 1, .n = n, .q = 1};
        gal_status wanted = k == 0 ? GAL_INTERRUPTED : GAL_OK;
        IS_INT(table->sort(&(gal_lane){.count = 1}, &sort), wanted);
        IS_INT(table->argsort(&(gal_lane){.count = 1}, &sort), wanted);
        IS_INT(table->quantiles(&(gal_lane){.count = 1}, &quantiles), wanted);
    }
    gal_interrupt_set(0);
    free(x), free(y);
}

static void places(void)
{
    CASE("argsort is the order of each row, equal elements in theirs; argmax and argmin are its first and "
         "last");
    enum { ROWS = 3, N = 3000 };
    float *x = numbers(ROWS * N, -1, 1);
    int64_t order[ROWS * N], high[ROWS], low[ROWS];
    for (int64_t i = 0; i < ROWS * N; i++) /* some 40 values, 0 and -0 among them */
        x[i] = (i % 7 ? 1.0f : -1.0f) * roundf(20 * x[i]);
    for (int lanes = 1; lanes <= 3; lanes++) {
        gal_reduce_args args = {.y = order, .x = x, .outer = ROWS, .n = N, .inner = 1};
        memset(order, 0xff, sizeof order);
        IS_OK(by_lanes(gal_cpu_table(NULL)->argsort, &args, lanes));
        args.y = high;
        IS_OK(by_lanes(gal_cpu_table(NULL)->argmax, &args, lanes));
        args.y = low;
        IS_OK(by_lanes(gal_cpu_table(NULL)->argmin, &args, lanes));
        for (int r = 0; r < ROWS; r++) {
            const float *row = x + r * N;
            const int64_t *at = order + r * N;
            char seen[N] = {0};
            int ordered = 1;
            for (int i = 0; i < N; i++) {
                ordered &= at[i] >= 0 && at[i] < N && !seen[at[i]];
                seen[ordered ? at[i] : 0] = 1;
                if (ordered && i > 0)
                    ordered &=
                        row[at[i - 1]] < row[at[i]] || (row[at[i - 1]] == row[at[i]] && at[i - 1] < at[i]);
            }
            IS_TRUE(ordered && low[r] == at[0] + 1);
            int first = N - 1; /* of the largest */
            while (first > 0 && row[at[first - 1]] == row[at[N - 1]])
                first--;
            IS_TRUE(high[r] == at[first] + 1);
        }
    }
    unwall(x);
}

static void running_sums(void)
{
    CASE("running sums agree with double precision, whatever the lanes, in place too");
    static const int64_t shapes[][3] = {{1, 1, 1}, {1, 3000, 1}, {5, 70, 3}, {40, 2, 1}};
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (int lanes = 1; lanes <= 3; lanes++) {
            int64_t outer = shapes[s][0], n = shapes[s][1], inner = shapes[s][2], count = outer * n * inner;
            float *x = numbers(count, -1, 3), *y = walled(count);
            double want[3000];
            for (int64_t i = 0; i < count; i++)
                want[i] = x[i] + (i / inner % n ? want[i - inner] : 0);
            memcpy(y, x, (size_t)count * sizeof *y);
            gal_reduce_args args = {.y = y, .x = y, .outer = outer, .n = n, .inner = inner};
            IS_OK(by_lanes(gal_cpu_table(NULL)->cumsum, &args, lanes));
            all_near(y, want, count, 1e-7 * (1 + largest(want, count)), "cumsum", "cpu");
            IS_TRUE(walls_stand(y, count));
            unwall(x), unwall(y);
        }
}

static int ascending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void quantiles(void)
{
    CASE(
        "quantiles are those of the sorted row, to the bit, whatever the lanes; NaN of a row that holds one");
    static const double levels[] = {0, 0.16, 0.5, 0.977, 1, 1.5};
    enum { ROWS = 5, N = 37, LEVELS = 6 };
    float *x = numbers(ROWS * N, -3, 3);
    double y[ROWS * LEVELS], want[ROWS * LEVELS];
    for (int r = 0; r < ROWS; r++) {
        float row[N];
        memcpy(row, x + r * N, sizeof row);
        qsort(row, N, sizeof *row, ascending);
        for (int i = 0; i < LEVELS; i++) {
            double position = fmin(levels[i], 1) * (N - 1);
            int below = (int)position, above = below + 1 < N ? below + 1 : below;
            want[r * LEVELS + i] =
                row[below] + (position - below) * ((double)row[above] - (double)row[below]);
        }
    }
    gal_quantiles_args args = {.y = y, .x = x, .levels = levels, .rows = ROWS, .n = N, .q = LEVELS};
    for (int lanes = 1; lanes <= 3; lanes++) {
        memset(y, 0xff, sizeof y);
        IS_OK(by_lanes(gal_cpu_table(NULL)->quantiles, &args, lanes));
        IS_TRUE(memcmp(y, want, sizeof y) == 0);
    }
    x[2 * N + 11] = NAN;
    IS_OK(by_lanes(gal_cpu_table(NULL)->quantiles, &args, 2));
    for (int i = 0; i < ROWS * LEVELS; i++)
        IS_TRUE(i / LEVELS == 2 ? isnan(y[i]) : y[i] == want[i]);
    float ends[2] = {-INFINITY, INFINITY};
    args = (gal_quantiles_args){.y = y, .x = ends, .levels = levels, .rows = 1, .n = 2, .q = LEVELS};
    IS_OK(by_lanes(gal_cpu_table(NULL)->quantiles, &args, 1));
    IS_TRUE(y[0] == -INFINITY && y[4] == INFINITY);
    unwall(x);
}

int main(void)
{
    reductions();
    not_a_number();
    sorting();
    interrupted();
    places();
    running_sums();
    quantiles();
    return finish();
}
