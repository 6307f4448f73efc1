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

/* Numbers of such sizes that another order of their sum has other bits. */
static void sums_in_order(void)
{
    CASE("scatter_add_rows adds the rows of dy in their order, by any number of lanes");
    enum { ROWS = 3, COUNT = 40, COLUMNS = 37 };
    float *x = numbers(COUNT * COLUMNS, -1, 1), *start = numbers(ROWS * COLUMNS, -1, 1), *y, *expected;
    int64_t index[COUNT];
    y = walled(ROWS * COLUMNS), expected = walled(ROWS * COLUMNS);
    memcpy(expected, start, ROWS * COLUMNS * sizeof *y);
    for (int i = 0; i < COUNT; i++) {
        index[i] = i * i % 5 % ROWS;
        for (int c = 0; c < COLUMNS; c++) {
            x[i * COLUMNS + c] *= i % 3 ? 1 : 1e4f;
            expected[index[i] * COLUMNS + c] += x[i * COLUMNS + c];
        }
    }
    EACH_TABLE(table, isa)
    for (int lanes = 1; lanes <= 4; lanes++) {
        memcpy(y, start, ROWS * COLUMNS * sizeof *y);
        gal_rows_args rows = {.y = y, .x = x, .index = index, .count = COUNT, .rows = ROWS};
        rows.width = COLUMNS * sizeof *x;
        IS_OK(by_lanes(table->scatter_add_rows, &rows, lanes));
        REPORT(same_bits(y, expected, ROWS * COLUMNS) && walls_stand(y, ROWS * COLUMNS), "%s, %d lanes", isa,
               lanes);
    }
    unwall(x), unwall(start), unwall(y), unwall(expected);
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
    sums_in_order();
    next_rows();
    return finish();
}
