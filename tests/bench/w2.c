/* w2.c: what one training step of the image model costs: four blocks of 3x3 convolution (32, 64, 128, 256),
 * silu and 2x2 means on 128 x 128 x 3, means over all pixels, MLP 267-256-256-256-5, batch 64, the draws of
 * flow matching, AdamW, as a recorded program. Prints ms a step beside the FMA peak measured in the same run,
 * and with --profile each op alone with GF/s and GB/s (of what it has to read and write at least).
 *
 *   bench_w2 [--threads N] [--rounds R] [--profile] [--batch N] [--bf16] [--json]
 *
 * A round is one step; the median is printed. */
#include "peak.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ROWS = 65536,
    D = 5,
    CONTEXT = 5,
    SIZE = 128,
    BLOCKS = 4,
    FEATURES = 256,
    IN = 1 + D + FEATURES + CONTEXT,
    HIDDEN = 256,
    LAYERS = 4
};
static const int64_t channels[BLOCKS + 1] = {3, 32, 64, 128, FEATURES},
                                       width[LAYERS + 1] = {IN, HIDDEN, HIDDEN, HIDDEN, D};
static int64_t batch = 64;
static int precision = GAL_IN_F32;

static void must(gal_status status)
{
    if (status != GAL_OK) {
        fprintf(stderr, "bench_w2: %s\n", gal_error());
        exit(1);
    }
}

static gal_tensor *make(int dtype, int rank, int64_t a, int64_t b, int64_t c, int64_t d)
{
    gal_tensor *x;
    must(gal_tensor_new(&x, "cpu", dtype, rank, (int64_t[]){a, b, c, d}));
    return x;
}
#define MATRIX(rows, columns) make(GAL_F32, 2, rows, columns, 0, 0)
#define VECTOR(n) make(GAL_F32, 1, n, 0, 0, 0)
#define INTEGERS(n) make(GAL_I64, 1, n, 0, 0, 0)
#define SCALAR(dtype) make(dtype, 0, 0, 0, 0, 0)
#define IMAGES(size, c) make(GAL_F32, 4, batch, size, size, c)

/* The next part of a flat block, as a contiguous tensor of this shape. */
static gal_tensor *part(gal_tensor *block, int64_t *at, int rank, const int64_t *shape)
{
    gal_tensor *view;
    int64_t stride[4], count = 1;
    for (int i = rank - 1; i >= 0; i--)
        stride[i] = count, count *= shape[i];
    must(gal_tensor_view(&view, block, rank, shape, stride, *at));
    *at += count;
    return view;
}

/* Everything that lives outside the program. */
static struct {
    gal_tensor *theta, *context, *images, *order, *cursor, *state, *one, *step, *hyper;
    gal_tensor *parameters, *gradients, *first, *second;
    gal_tensor *w[LAYERS], *b[LAYERS], *dw[LAYERS], *db[LAYERS], *kernel[BLOCKS], *bias[BLOCKS],
        *dkernel[BLOCKS], *dbias[BLOCKS];
} net;
/* What the step works on. */
static struct {
    gal_tensor *index, *target, *loss, *a[BLOCKS + 1], *da[BLOCKS + 1], *conv_slope[BLOCKS], *x[LAYERS + 1],
        *slope[LAYERS], *dy[LAYERS + 1], *dz[LAYERS + 1], *features, *dfeatures;
} now;

static void views(gal_tensor *block, gal_tensor **kernel, gal_tensor **bias, gal_tensor **w, gal_tensor **b)
{
    int64_t at = 0;
    for (int l = 0; l < BLOCKS; l++) {
        kernel[l] = part(block, &at, 4, (int64_t[]){channels[l + 1], 3, 3, channels[l]});
        bias[l] = part(block, &at, 1, &channels[l + 1]);
    }
    for (int l = 0; l < LAYERS; l++) {
        w[l] = part(block, &at, 2, (int64_t[]){width[l + 1], width[l]});
        b[l] = part(block, &at, 1, &width[l + 1]);
    }
}

static void set_up(void)
{
    int64_t count = 0;
    for (int l = 0; l < BLOCKS; l++)
        count += channels[l + 1] * (9 * channels[l] + 1);
    for (int l = 0; l < LAYERS; l++)
        count += width[l + 1] * (width[l] + 1);
    net.theta = MATRIX(batch, D), net.context = MATRIX(batch, CONTEXT), net.images = IMAGES(SIZE, 3),
    net.order = INTEGERS(batch), net.cursor = SCALAR(GAL_I64);
    net.state = INTEGERS(2), net.one = SCALAR(GAL_F32), net.step = SCALAR(GAL_I64), net.hyper = VECTOR(5);
    gal_tensor **flat[] = {&net.parameters, &net.gradients, &net.first, &net.second};
    for (int i = 0; i < 4; i++) {
        *flat[i] = VECTOR(count);
        must(gal_fill(*flat[i], 0));
    }
    must(gal_tensor_write(net.state, (int64_t[]){1, 0}, 2));
    gal_tensor *normals[] = {net.theta, net.context, net.images};
    for (int i = 0; i < 3; i++)
        must(gal_normal(normals[i], net.state));
    must(gal_uniform(net.parameters, net.state));
    must(gal_affine(net.parameters, net.parameters, 0.12, -0.06));
    must(gal_arange(net.order, 0, 1));
    must(gal_fill(net.one, 1));
    must(gal_fill(net.step, 0));
    must(gal_tensor_write(net.hyper, (float[]){5e-4f, 0.9f, 0.999f, 1e-8f, 1e-2f}, 5));
    views(net.parameters, net.kernel, net.bias, net.w, net.b);
    views(net.gradients, net.dkernel, net.dbias, net.dw, net.db);
}

static void make_buffers(void)
{
    now.index = INTEGERS(batch), now.target = MATRIX(batch, D), now.loss = SCALAR(GAL_F32);
    now.features = MATRIX(batch, FEATURES), now.dfeatures = MATRIX(batch, FEATURES);
    now.a[0] = net.images;
    for (int l = 0; l < BLOCKS; l++) {
        int64_t size = SIZE >> l;
        now.a[l + 1] = IMAGES(size / 2, channels[l + 1]), now.da[l + 1] = IMAGES(size / 2, channels[l + 1]);
        now.conv_slope[l] =
            gal_conv2d_stores_slope(net.kernel[l], GAL_SILU) ? IMAGES(size, channels[l + 1]) : NULL;
    }
    for (int l = 0; l <= LAYERS; l++)
        now.x[l] = MATRIX(batch, width[l]), now.dy[l] = MATRIX(batch, width[l]),
        now.dz[l] = MATRIX(batch, width[l]);
    for (int l = 0; l < LAYERS; l++)
        now.slope[l] = MATRIX(batch, width[l + 1]);
}

/* ---- the ops of the step ---- */
static gal_tensor *columns(gal_tensor *x, int64_t first, int64_t count)
{
    gal_tensor *view;
    must(gal_tensor_view(&view, x, 2, (int64_t[]){batch, count}, (int64_t[]){x->stride[0], 1}, first));
    return view;
}
static void do_batch(int l)
{
    (void)l;
    must(gal_fill(net.cursor, 0)); /* the same batch every time */
    must(gal_flow_batch(now.x[0], now.target, now.index, net.order, net.cursor, net.theta, net.context,
                        net.state, 0.05, 1));
}
static void do_conv(int l)
{
    must(gal_conv2d(now.a[l + 1], now.conv_slope[l], now.a[l], net.kernel[l], net.bias[l], 1, GAL_SAME,
                    GAL_SILU, 2, precision));
}
static void do_conv_backward(int l)
{
    must(gal_conv2d_backward(l ? now.da[l] : NULL, net.dkernel[l], net.dbias[l], now.da[l + 1],
                             now.conv_slope[l], now.a[l], net.kernel[l], net.bias[l], 1, GAL_SAME, GAL_SILU,
                             2, precision, 0));
}
static void do_features(int l)
{
    (void)l;
    must(gal_global_avg_pool(now.features, now.a[BLOCKS]));
    must(gal_copy(columns(now.x[0], 1 + D, FEATURES), now.features));
}
static void do_features_backward(int l)
{
    (void)l;
    must(gal_copy(now.dfeatures, columns(now.dy[0], 1 + D, FEATURES)));
    must(gal_global_avg_pool_backward(now.da[BLOCKS], now.dfeatures));
}
static void do_mlp(int l)
{
    (void)l;
    for (int i = 0; i < LAYERS; i++) {
        int last = i == LAYERS - 1;
        must(gal_linear(now.x[i + 1], last ? NULL : now.slope[i], now.x[i], net.w[i], net.b[i],
                        last ? GAL_IDENTITY : GAL_SILU, GAL_IN_F32));
    }
    must(gal_mse(now.loss, NULL, now.x[LAYERS], now.target));
}
static void do_mlp_backward(int l)
{
    (void)l;
    must(gal_mse_backward(now.dz[LAYERS], net.one, now.x[LAYERS], now.target));
    for (int i = LAYERS - 1; i >= 0; i--) {
        must(gal_linear_backward_weight(net.dw[i], net.db[i], now.dz[i + 1], now.x[i], 0, GAL_IN_F32));
        must(gal_linear_backward_input(now.dy[i], now.dz[i + 1], net.w[i], GAL_IN_F32));
        if (i > 0)
            must(gal_mul(now.dz[i], now.dy[i], now.slope[i - 1]));
    }
}
static void do_adamw(int l)
{
    (void)l;
    must(gal_adamw(net.parameters, net.gradients, net.first, net.second, NULL, net.hyper, NULL, net.step));
}

typedef struct op {
    const char *name;
    void (*run)(int layer);
    int layer;
    double gigaflop, gigabytes;
} op;
static op ops[32];
static int op_count;

static void add_op(const char *name, void (*run)(int layer), int layer, double gigaflop, double gigabytes)
{
    ops[op_count++] = (op){name, run, layer, gigaflop, gigabytes};
}

static void list_ops(void)
{
    static char names[2][BLOCKS][40];
    double flop[BLOCKS], in[BLOCKS], z[BLOCKS], out[BLOCKS], mlp = 0;
    for (int l = 0; l < BLOCKS; l++) {
        double pixels = (double)batch * (SIZE >> l) * (SIZE >> l);
        flop[l] = 2e-9 * pixels * 9 * (double)(channels[l] * channels[l + 1]);
        in[l] = 4e-9 * pixels * (double)channels[l], z[l] = 4e-9 * pixels * (double)channels[l + 1],
        out[l] = z[l] / 4;
        if (!gal_conv2d_stores_slope(net.kernel[l], GAL_SILU))
            z[l] = 0;
        snprintf(names[0][l], sizeof names[0][l], "conv2d %d-%d", (int)channels[l], (int)channels[l + 1]);
        snprintf(names[1][l], sizeof names[1][l], "conv2d_backward %d-%d", (int)channels[l],
                 (int)channels[l + 1]);
    }
    for (int l = 0; l < LAYERS; l++)
        mlp += 2e-9 * (double)(batch * width[l] * width[l + 1]);
    add_op("flow_batch", do_batch, 0, 0, 0);
    for (int l = 0; l < BLOCKS; l++)
        add_op(names[0][l], do_conv, l, flop[l], in[l] + z[l] + out[l]);
    add_op("pool, copy", do_features, 0, 0, out[BLOCKS - 1]);
    add_op("MLP", do_mlp, 0, mlp, 0);
    add_op("MLP backward", do_mlp_backward, 0, 2 * mlp, 0);
    add_op("copy, pool backward", do_features_backward, 0, 0, out[BLOCKS - 1]);
    for (int l = BLOCKS - 1; l >= 0; l--)
        add_op(names[1][l], do_conv_backward, l, (l ? 2 : 1) * flop[l], in[l] * (l ? 2 : 1) + z[l] + out[l]);
    add_op("AdamW", do_adamw, 0, 0, 7 * 4e-9 * (double)gal_tensor_count(net.parameters));
}

static gal_program *record(int from, int to)
{
    gal_program *program;
    must(gal_program_begin(&program, "cpu"));
    for (int i = from; i < to; i++)
        ops[i].run(ops[i].layer);
    must(gal_program_end(program));
    return program;
}

static double median(gal_program *program, int rounds, double *fastest)
{
    double *ms = malloc((size_t)rounds * sizeof *ms);
    must(gal_program_replay(program, 1));
    for (int r = 0; r < rounds; r++) {
        double start = gal_now();
        must(gal_program_replay(program, 1));
        ms[r] = (gal_now() - start) * 1e3;
    }
    qsort(ms, (size_t)rounds, sizeof *ms, ascending);
    double middle = ms[rounds / 2];
    *fastest = ms[0];
    free(ms);
    return middle;
}

typedef struct options {
    int rounds, profiled, threads, json;
} options;

/* What the command line asks for, batch and precision set; ends the program where it is wrong. */
static options options_of(int argc, char **argv)
{
    options o = {.rounds = 9};
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--profile"))
            o.profiled = 1;
        else if (!strcmp(argv[i], "--bf16"))
            precision = GAL_IN_BF16;
        else if (!strcmp(argv[i], "--json"))
            o.json = 1;
        else if (!strcmp(argv[i], "--rounds") && i + 1 < argc)
            o.rounds = atoi(argv[++i]);
        else if (!strcmp(argv[i], "--batch") && i + 1 < argc)
            batch = atoi(argv[++i]);
        else if (!strcmp(argv[i], "--threads") && i + 1 < argc)
            o.threads = atoi(argv[++i]);
        else {
            fprintf(stderr,
                    "usage: bench_w2 [--threads N] [--rounds R] [--profile] [--batch N] [--bf16] [--json]\n");
            exit(2);
        }
    }
    if (o.rounds < 1 || o.rounds > 1000 || batch < 1 || batch > 4096) {
        fprintf(stderr, "bench_w2: rounds is %d, expected 1 to 1000; batch is %lld, expected 1 to 4096\n",
                o.rounds, (long long)batch);
        exit(2);
    }
    o.threads = gal_threads(o.threads);
    return o;
}

/* Each op as a program of its own, and their sum. */
static void profile(int rounds, double gigaflops)
{
    double sum = 0, fastest;
    for (int i = 0; i < op_count; i++) {
        gal_program *alone = record(i, i + 1);
        double op_ms = median(alone, rounds, &fastest);
        sum += op_ms;
        printf("  %-24s %7.2f ms, fastest %7.2f", ops[i].name, op_ms, fastest);
        if (ops[i].gigaflop > 0.1)
            printf("  %4.0f GF/s  %3.0f %%", ops[i].gigaflop / op_ms * 1e3,
                   1e5 * ops[i].gigaflop / op_ms / gigaflops);
        if (ops[i].gigabytes > 0.001)
            printf("  %5.1f GB/s", ops[i].gigabytes / op_ms * 1e3);
        printf("\n");
        gal_program_free(alone);
    }
    printf("  %-24s %7.2f ms\n", "sum", sum);
}

int main(int argc, char **argv)
{
    const options o = options_of(argc, argv);
    const int threads = o.threads, rounds = o.rounds;
    set_up();
    list_ops();
    make_buffers();
    double gigaflops = peak(threads), total = 0, fastest;
    for (int i = 0; i < op_count; i++)
        total += ops[i].gigaflop;
    gal_program *step = record(0, op_count);
    double ms = median(step, rounds, &fastest);
    if (o.json) {
        printf("{\"ms\": %.3f, \"peak\": %.1f, \"gigaflop\": %.2f}\n", ms, gigaflops, total);
        return 0;
    }
    printf("W2 (%s, %s, %d threads, batch %lld): %.1f ms a step, fastest %.1f; %.0f GF/s, %.0f %% of the FMA "
           "peak of %.0f GF/s\n",
           gal_cpu_isa(), precision == GAL_IN_BF16 ? "bf16" : "f32", threads, (long long)batch, ms, fastest,
           total / ms * 1e3, 1e5 * total / ms / gigaflops, gigaflops);
    if (o.profiled)
        profile(rounds, gigaflops);
    gal_program_free(step);
    return 0;
}
