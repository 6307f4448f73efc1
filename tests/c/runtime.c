/* The runtime beneath the ops: byte accounting, scopes, views, recording and replay, and the sentences of
 * failures. */
#include "check.h"
#include "core/core.h"
#include <stdlib.h>

static gal_tensor *made(int dtype, int rank, const int64_t *shape)
{
    gal_tensor *x = NULL;
    IS_OK(gal_tensor_new(&x, "cpu", dtype, rank, shape));
    return x;
}
#define TENSOR(dtype, ...) made(dtype, sizeof((int64_t[]){__VA_ARGS__}) / 8, (int64_t[]){__VA_ARGS__})

static gal_memory_info memory(void)
{
    gal_memory_info info;
    IS_OK(gal_memory("cpu", &info));
    return info;
}

static void accounting(void)
{
    CASE("live bytes are those of the tensors that exist, rounded up to 64");
    gal_memory_info before = memory();
    gal_tensor *a = TENSOR(GAL_F32, 3, 5), *b = TENSOR(GAL_U8, 65), *c = TENSOR(GAL_I64, 0);
    IS_INT(memory().live - before.live, 64 + 128 + 64);
    IS_INT(memory().tensors - before.tensors, 3);
    CASE("a view adds a handle and no bytes, and keeps the storage when its parent goes");
    gal_tensor *view = NULL;
    IS_OK(gal_tensor_view(&view, a, 1, (int64_t[]){3}, (int64_t[]){5}, 1));
    IS_INT(memory().live - before.live, 256);
    gal_tensor_free(a);
    IS_INT(memory().live - before.live, 256);
    float column[3] = {1, 2, 3};
    IS_OK(gal_tensor_write(view, column, 3));
    memset(column, 0, sizeof column);
    IS_OK(gal_tensor_read(view, column, 3));
    IS_NEAR(column[2], 3, 0);
    CASE("a NaN of any bits is read as the plain one, through a view too");
    uint32_t bits[3] = {0xffffffff, 0xffc12345, 0x3f800000}, plain = 0x7fc00000;
    IS_OK(gal_tensor_write(view, bits, 3));
    IS_OK(gal_tensor_read(view, bits, 3));
    IS_TRUE(bits[0] == plain && bits[1] == plain && bits[2] == 0x3f800000);
    gal_tensor_free(view);
    gal_tensor_free(b);
    gal_tensor_free(c);
    IS_INT(memory().live, before.live);
    IS_INT(memory().tensors, before.tensors);
    CASE("trimming gives every cached block back");
    gal_memory_trim();
    IS_INT(memory().reserved, memory().live);
    CASE("a tensor past the soft limit is refused and can be had after the limit is raised");
    int64_t limit = memory().limit;
    IS_OK(gal_memory_set_limit("cpu", memory().live + 1000));
    gal_tensor *large = NULL;
    FAILS(gal_tensor_new(&large, "cpu", GAL_F32, 1, (int64_t[]){1000}), GAL_BUDGET, "limit");
    IS_INT(memory().live, before.live);
    IS_OK(gal_memory_set_limit("cpu", limit));
    gal_tensor_free(TENSOR(GAL_F32, 1000));
}

static void scopes(void)
{
    gal_memory_info before = memory();
    CASE("the same allocations in a scope get the same addresses each time, across chunks of the arena");
    void *first[40];
    for (int round = 0; round < 3; round++) {
        IS_OK(gal_scope_open());
        for (int i = 0; i < 40; i++) {
            gal_tensor *x = TENSOR(GAL_F32, 1000 * (i + 1), 4);
            IS_TRUE(x->in_arena);
            if (round == 0)
                first[i] = x->data;
            REPORT(x->data == first[i], "round %d, tensor %d: %p, was %p", round, i, x->data, first[i]);
        }
        IS_OK(gal_scope_close());
        IS_INT(memory().live, before.live);
    }
    CASE("an inner scope leaves the outer one's tensors alone");
    IS_OK(gal_scope_open());
    gal_tensor *outer = TENSOR(GAL_F32, 4);
    IS_OK(gal_tensor_write(outer, (float[]){1, 2, 3, 4}, 4));
    IS_OK(gal_scope_open());
    gal_tensor *inner = TENSOR(GAL_F32, 1 << 20);
    IS_OK(gal_fill(inner, 9));
    gal_tensor *kept = NULL;
    IS_OK(gal_tensor_keep(&kept, outer));
    gal_scope_pause();
    gal_tensor *owned = TENSOR(GAL_F32, 4);
    IS_TRUE(!owned->in_arena);
    gal_scope_resume();
    IS_OK(gal_scope_close());
    gal_tensor *next = TENSOR(GAL_F32, 16);
    IS_OK(gal_fill(next, 7));
    float values[4];
    IS_OK(gal_tensor_read(outer, values, 4));
    IS_NEAR(values[3], 4, 0);
    IS_OK(gal_scope_close());
    IS_OK(gal_tensor_read(kept, values, 4));
    IS_NEAR(values[1], 2, 0);
    gal_tensor_free(kept);
    gal_tensor_free(owned);
    FAILS(gal_scope_close(), GAL_STATE, "none is open");
    gal_memory_trim();
    IS_INT(memory().live, before.live);
    IS_INT(memory().reserved, memory().live);
}

static void holds(void)
{
    int64_t live = memory().live;
    CASE("a view made in a scope keeps the storage of a tensor from outside until the scope closes, and no "
         "longer");
    gal_tensor *a = TENSOR(GAL_F32, 16), *view = NULL;
    IS_OK(gal_scope_open());
    IS_OK(gal_scope_open());
    IS_OK(gal_tensor_view(&view, a, 1, (int64_t[]){4}, (int64_t[]){1}, 12));
    IS_OK(gal_scope_close());
    IS_OK(gal_tensor_view(&view, a, 1, (int64_t[]){4}, (int64_t[]){1}, 12));
    gal_tensor_free(a);
    IS_INT(memory().live - live, 64);
    float last[4] = {1, 2, 3, 4};
    IS_OK(gal_tensor_write(view, last, 4));
    IS_OK(gal_scope_close());
    IS_INT(memory().live, live);
    CASE("a view made while recording keeps it until the program is freed");
    gal_program *p = NULL;
    a = TENSOR(GAL_F32, 16);
    IS_OK(gal_program_begin(&p, "cpu"));
    IS_OK(gal_tensor_view(&view, a, 1, (int64_t[]){4}, (int64_t[]){1}, 12));
    IS_OK(gal_program_end(p));
    gal_tensor_free(a);
    gal_program_free(p);
    IS_INT(memory().live, live);
}

static void sentences(void)
{
    gal_tensor *x = TENSOR(GAL_F32, 2, 3), *y = TENSOR(GAL_F32, 3, 2), *i = TENSOR(GAL_I64, 2), *out = NULL;
    CASE("a failure names the argument, what it was and what was expected");
    FAILS(gal_silu(y, x), GAL_SHAPE, "silu: x is {2, 3}, which does not broadcast to {3, 2}");
    FAILS(gal_add(x, x, i), GAL_TYPE, "add: b is int64, expected float32");
    FAILS(gal_matmul(y, x, x, 0, GAL_IN_F32), GAL_SHAPE, "a's columns and b's rows differ");
    FAILS(gal_sum(y, x, 1, 2), GAL_SHAPE, "dimensions 2 to 3 of x {2, 3}");
    FAILS(gal_tensor_new(&out, "tpu", GAL_F32, 0, NULL), GAL_DEVICE, "\"tpu\" is unknown");
    FAILS(gal_tensor_new(&out, "cpu", GAL_F32, 1, (int64_t[]){-1}), GAL_SHAPE, "dimension 1 is -1");
    FAILS(gal_tensor_new(&out, "cpu", GAL_F32, 2, (int64_t[]){1ll << 40, 1ll << 40}), GAL_SHAPE, "2^48");
    FAILS(gal_tensor_view(&out, x, 1, (int64_t[]){7}, (int64_t[]){3}, 0), GAL_SHAPE, "outside the storage");
    FAILS(gal_tensor_view(&out, x, 1, (int64_t[]){2}, (int64_t[]){-1}, 0), GAL_SHAPE, "outside the storage");
    FAILS(gal_tensor_read(x, NULL, 5), GAL_SHAPE, "5 values for a tensor of shape {2, 3}");
    CASE("an index outside the rows is refused and named");
    IS_OK(gal_tensor_write(i, (int64_t[]){0, 2}, 2));
    gal_tensor *rows = TENSOR(GAL_F32, 2, 3);
    FAILS(gal_gather_rows(rows, x, i), GAL_VALUE, "gather_rows");
    gal_tensor *all[] = {x, y, i, rows};
    for (int k = 0; k < 4; k++)
        gal_tensor_free(all[k]);
}

static void programs(void)
{
    gal_memory_info before = memory();
    gal_tensor *x = TENSOR(GAL_F32, 4), *total = TENSOR(GAL_F32), *sum = NULL;
    IS_OK(gal_fill(x, 1));
    IS_OK(gal_fill(total, 0));
    CASE("recording runs the ops once, and a replay runs them again with what x holds then");
    gal_program *p = NULL;
    IS_OK(gal_program_begin(&p, "cpu"));
    gal_tensor *twice = TENSOR(GAL_F32, 4);
    sum = TENSOR(GAL_F32);
    IS_OK(gal_add(twice, x, x));
    IS_OK(gal_sum(sum, twice, 0, 0));
    IS_OK(gal_add(total, total, sum));
    float value;
    FAILS(gal_tensor_read(sum, &value, 1), GAL_RECORDING, "recorded");
    FAILS(gal_program_begin(&p, "cpu"), GAL_STATE, "already");
    FAILS(gal_program_replay(p, 1), GAL_STATE, "being recorded");
    IS_OK(gal_program_end(p));
    IS_INT(gal_program_length(p), 3);
    IS_OK(gal_tensor_read(sum, &value, 1));
    IS_NEAR(value, 8, 0);
    IS_OK(gal_fill(x, 10));
    IS_OK(gal_program_replay(p, 3));
    IS_OK(gal_tensor_read(sum, &value, 1));
    IS_NEAR(value, 80, 0);
    float accumulated;
    IS_OK(gal_tensor_read(total, &accumulated, 1));
    IS_NEAR(accumulated, 8 + 3 * 80, 0);
    CASE("a program holds the storages that its calls point into");
    gal_tensor_free(x);
    IS_OK(gal_program_replay(p, 1));
    IS_OK(gal_tensor_read(sum, &value, 1));
    IS_NEAR(value, 80, 0);
    CASE("Ctrl-C stops between two runs");
    gal_interrupt_set(1);
    IS_INT(gal_program_replay(p, 1000000000), GAL_INTERRUPTED);
    gal_interrupt_set(0);
    gal_program_free(p);
    CASE("an abandoned recording leaves nothing behind");
    IS_OK(gal_program_begin(&p, "cpu"));
    TENSOR(GAL_F32, 100);
    IS_OK(gal_program_abandon(p));
    IS_INT(gal_recording(), 0);
    gal_tensor_free(total);
    IS_INT(memory().live, before.live);
    IS_INT(memory().tensors, before.tensors);
}

static void notices(void)
{
    CASE("a notice is told once, however often it comes up");
    gal_note("plain kernels for window %d", 3);
    gal_note("plain kernels for window %d", 3);
    gal_note("plain kernels for window %d", 4);
    const char *first = gal_notice(), *second = gal_notice();
    IS_TRUE(first && !strcmp(first, "plain kernels for window 3"));
    IS_TRUE(second && !strcmp(second, "plain kernels for window 4"));
    IS_TRUE(!gal_notice());
    gal_note("plain kernels for window %d", 3);
    IS_TRUE(!gal_notice());

    CASE("a notice of a thousand letters is told whole; one of 3,000 ends in dots, and is told once");
    char text[3001];
    memset(text, 'x', sizeof text - 1);
    text[1000] = 0;
    gal_leave_notice(text);
    const char *whole = gal_notice();
    IS_TRUE(whole && !strcmp(whole, text));
    text[1000] = 'x', text[3000] = 0;
    gal_leave_notice(text);
    gal_leave_notice(text);
    const char *cut = gal_notice();
    IS_TRUE(cut && strlen(cut) == 2047 && !strcmp(cut + 2043, "x..."));
    IS_TRUE(!gal_notice());

    CASE("how many notices had no place is told once");
    int told = 0;
    for (int i = 0; i < 300; i++)
        gal_note("notice %d", i);
    const char *last = NULL;
    for (const char *next = gal_notice(); next; next = gal_notice(), told++)
        last = next;
    IS_INT(told, 256 - 4 + 1);
    IS_TRUE(last && !strcmp(last, "notices that are left out: 48"));
    IS_TRUE(!gal_notice());
}

static void streams(void)
{
    CASE("a row's stream depends on its values, not on its place; equal rows are told apart");
    gal_tensor *x = TENSOR(GAL_F32, 3, 2), *alone = TENSOR(GAL_F32, 1, 2), *s = TENSOR(GAL_I64, 3),
               *s1 = TENSOR(GAL_I64, 1);
    IS_OK(gal_tensor_write(x, (float[]){1, 2, 3, 4, 1, 2}, 6));
    IS_OK(gal_tensor_write(alone, (float[]){3, 4}, 2));
    IS_OK(gal_row_streams(s, x, 7));
    IS_OK(gal_row_streams(s1, alone, 7));
    const int64_t *a = s->data, *b = s1->data;
    IS_INT(a[1], b[0]);
    IS_TRUE(a[0] != a[2] && a[0] != a[1]);
    IS_OK(gal_row_streams(s1, alone, 8));
    IS_TRUE(a[1] != b[0]);
    gal_tensor *all[] = {x, alone, s, s1};
    for (int k = 0; k < 4; k++)
        gal_tensor_free(all[k]);
}

int main(void)
{
    accounting();
    scopes();
    holds();
    sentences();
    programs();
    notices();
    streams();
    return finish();
}
