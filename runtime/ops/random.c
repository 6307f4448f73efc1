/* random.c: uniform and normal draws, permutations, dropout: check, then issue; and the streams of rows. */
#include "ops.h"
#include "core/random.h"
#include <stdlib.h>

/* After a draw the counter moves on in a call of its own: every lane of the draw reads the old one. */
#define DRAW(y, op, args, work) moved_on(y, args, ISSUE(y, op, args, work))
static gal_status moved_on(const gal_tensor *y, const gal_random_args *args, gal_status drawn)
{
    return drawn == GAL_OK ? ISSUE(y, random_advance, args, GAL_SERIAL) : drawn;
}

static gal_random_args random_args(gal_tensor *y, gal_tensor *state)
{
    int64_t n = gal_tensor_count(y);
    return (gal_random_args){
        .y = y->data, .state = state->data, .rows = 1, .n = n, .blocks = gal_blocks_of(n)};
}

gal_status gal_uniform(gal_tensor *y, gal_tensor *state)
{
    CHECK("uniform", FLAT(y), INTEGER(state));
    SHAPE("uniform", state, "{key, counter}", 2);
    gal_random_args args = random_args(y, state);
    return DRAW(y, uniform, &args, 10 * args.n);
}

gal_status gal_normal(gal_tensor *y, gal_tensor *state)
{
    CHECK("normal", FLAT(y), INTEGER(state));
    SHAPE("normal", state, "{key, counter}", 2);
    gal_random_args args = random_args(y, state);
    return DRAW(y, normal, &args, 25 * args.n);
}

gal_status gal_normal_streams(gal_tensor *y, const gal_tensor *streams, gal_tensor *state)
{
    CHECK("normal_streams", FLAT(y), INTEGER(streams), INTEGER(state));
    RANK("normal_streams", y, 2);
    SHAPE("normal_streams", streams, "{rows}", y->shape[0]);
    SHAPE("normal_streams", state, "{key, counter}", 2);
    gal_random_args args = {
        .y = y->data, .state = state->data, .streams = streams->data, .rows = y->shape[0], .n = y->shape[1]};
    args.blocks = gal_blocks_of(args.n);
    return DRAW(y, normal, &args, 25 * args.rows * args.n);
}

gal_status gal_permutation(gal_tensor *y, gal_tensor *state)
{
    CHECK("permutation", INTEGER(y), INTEGER(state));
    SHAPE("permutation", state, "{key, counter}", 2);
    gal_random_args args = random_args(y, state);
    args.blocks = gal_blocks_permutation(args.n);
    return DRAW(y, permutation, &args, GAL_SERIAL);
}

static gal_status dropout_args(gal_dropout_args *g, const char *op, const char *y_name, gal_tensor *y,
                               const gal_tensor *x, double p)
{
    if (!(p >= 0 && p < 1))
        return gal_fail(GAL_VALUE, "%s: p is %g, expected 0 <= p < 1", op, p);
    *g = (gal_dropout_args){.y = y->data, .x = x->data, .n = gal_tensor_count(x), .p = (float)p};
    return gal_check_shape(op, y_name, y, "the shape of x", x->rank, x->shape);
}

gal_status gal_dropout(gal_tensor *y, gal_tensor *used, const gal_tensor *x, gal_tensor *state, double p)
{
    CHECK("dropout", FLAT(y), FLAT(x), INTEGER(state), {"used", used ? used : state, GAL_I64, 1});
    SHAPE("dropout", state, "{key, counter}", 2);
    gal_dropout_args g;
    gal_status status = dropout_args(&g, "dropout", "y", y, x, p);
    if (status == GAL_OK && used)
        status = gal_check_shape("dropout", "used", used, "{key, counter}", 1, (int64_t[]){2});
    if (status != GAL_OK)
        return status;
    g.state = state->data, g.used = used ? used->data : NULL;
    gal_random_args advance = {.state = state->data, .rows = 1, .blocks = gal_blocks_of(g.n)};
    return moved_on(y, &advance, ISSUE(y, dropout, &g, 10 * g.n));
}

gal_status gal_dropout_backward(gal_tensor *dx, const gal_tensor *dy, const gal_tensor *used, double p)
{
    CHECK("dropout_backward", FLAT(dx), FLAT(dy), INTEGER(used));
    SHAPE("dropout_backward", used, "{key, counter}", 2);
    gal_dropout_args g;
    gal_status status = dropout_args(&g, "dropout_backward", "dx", dx, dy, p);
    g.state = used->data;
    return status == GAL_OK ? ISSUE(dx, dropout, &g, 10 * g.n) : status;
}

/* ---- streams of rows: computed on the host, where the rows are ---- */
/* How often each hash came before: open addressing, at most half full. */
typedef struct seen {
    uint64_t hash, times;
} seen;

gal_status gal_row_streams(gal_tensor *streams, const gal_tensor *x, int64_t seed)
{
    CHECK("row_streams", INTEGER(streams));
    CHECK("row_streams", {"x", x, x->dtype, 1});
    gal_status status = gal_check_host("row_streams", "x", x);
    if (status == GAL_OK && gal_recording())
        status = gal_fail(GAL_RECORDING, "row_streams: x can't be read while a program is recorded");
    if (status != GAL_OK)
        return status;
    if (x->rank < 1)
        return gal_fail(GAL_SHAPE, "row_streams: x is %s, expected rows", gal_shape_text(x));
    int64_t rows = x->shape[0];
    SHAPE("row_streams", streams, "{rows}", rows);
    size_t slots = 16;
    while (slots < 2 * (size_t)rows)
        slots *= 2;
    seen *table = calloc(slots, sizeof *table);
    int64_t *numbers = malloc((size_t)(rows ? rows : 1) * sizeof *numbers);
    if (!table || !numbers) {
        free(table);
        free(numbers);
        return gal_fail(GAL_MEMORY, "row_streams: no memory left for %lld rows", (long long)rows);
    }
    int64_t width = rows ? gal_tensor_count(x) / rows * (int64_t)gal_dtype_size(x->dtype) : 0;
    for (int64_t r = 0; r < rows; r++) {
        uint64_t hash = gal_hash((const char *)x->data + r * width, width, (uint64_t)seed);
        size_t slot = hash & (slots - 1);
        while (table[slot].times && table[slot].hash != hash)
            slot = (slot + 1) & (slots - 1);
        uint64_t before = table[slot].times++;
        table[slot].hash = hash;
        numbers[r] = (int64_t)(before ? gal_hash(&before, sizeof before, hash) : hash);
    }
    status = gal_tensor_write(streams, numbers, rows);
    free(table);
    free(numbers);
    return status;
}
