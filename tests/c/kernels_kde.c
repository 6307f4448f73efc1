/* kernels_kde.c: the density of a sum of normals by every instruction set against double precision. */
#include "kernels.h"

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
    densities();
    return finish();
}
