/* kernels_rows.c: rows by an index, and the next rows. */
#include "kernels.h"

static void rows_by_index(void)
{
    const gal_cpu_kernels *table = gal_cpu_table(NULL);
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
}

static void next_rows(void)
{
    const gal_cpu_kernels *table = gal_cpu_table(NULL);
    CASE("next_rows moves its cursor and stops at the end");
    int64_t x[5][2] = {{4, 0}, {3, 1}, {2, 2}, {1, 3}, {0, 4}}, y[2][2], cursor = 2;
    gal_rows_args next = {.y = y, .x = x, .cursor = &cursor, .count = 2, .rows = 5, .width = sizeof *x};
    IS_OK(by_lanes(table->next_rows, &next, 2));
    IS_TRUE(y[0][0] == 2 && y[1][0] == 1 && y[1][1] == 3 && cursor == 4);
    FAILS(by_lanes(table->next_rows, &next, 2), GAL_VALUE, "next_rows: the cursor is 4, expected 0 to 3");
    IS_INT(cursor, 4);
}

int main(void)
{
    rows_by_index();
    next_rows();
    return finish();
}
