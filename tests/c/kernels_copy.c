/* kernels_copy.c: copies between types and strides, and arange. */
#include "kernels.h"

static void copies(void)
{
    const gal_cpu_kernels *table = gal_cpu_table(NULL);
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
}

int main(void)
{
    copies();
    return finish();
}
