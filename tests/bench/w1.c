/* w1.c: what one training step of the photometry model costs: MLP 11-256-256-256-5 with silu, batch 64, the
 * draws of flow matching, AdamW, as a recorded program. Prints microseconds a step with one thread and with
 * all, the share of the FMA peak measured in the same run, and with --profile each op alone.
 *
 *   bench_w1 [--threads N] [--rounds R] [--steps S] [--profile] [--average] [--json]
 *
 * R interleaved rounds of S steps; medians are printed; --json: for w1.py */
#include "peak.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 64, ROWS = 65536, D = 5, CONTEXT = 5, IN = 1 + D + CONTEXT, HIDDEN = 256, LAYERS = 4 };
static const int64_t width[LAYERS + 1] = {IN, HIDDEN, HIDDEN, HIDDEN, D};

static void must(gal_status status)
{
    if (status != GAL_OK) {
        fprintf(stderr, "bench_w1: %s\n", gal_error());
        exit(1);
    }
}

static gal_tensor *make(int dtype, int rank, int64_t a, int64_t b)
{
    gal_tensor *x;
    int64_t shape[2] = {a, b};
    must(gal_tensor_new(&x, "cpu", dtype, rank, shape));
    return x;
}

static gal_tensor *matrix(int64_t rows, int64_t columns)
{
    return make(GAL_F32, 2, rows, columns);
}

static gal_tensor *part(gal_tensor *x, int64_t offset, int rank, int64_t a, int64_t b, int64_t stride)
{
    gal_tensor *view;
    int64_t shape[2] = {a, b}, strides[2] = {rank == 2 ? stride : 1, 1};
    must(gal_tensor_view(&view, x, rank, shape, strides, offset));
    return view;
}

/* Everything that lives outside the program. */
static struct {
    gal_tensor *theta, *context, *order, *cursor, *state, *one, *step, *hyper, *decay, *total;
    gal_tensor *parameters, *gradients, *first, *second, *average;
    gal_tensor *w[LAYERS], *b[LAYERS], *dw[LAYERS], *db[LAYERS];
} net;

/* What an op of the step works on; made while recording. */
static struct {
    gal_tensor *index, *target, *x[LAYERS + 1], *slope[LAYERS], *loss, *dy[LAYERS + 1], *dz[LAYERS + 1];
} now;

static void set_up(int average)
{
    net.theta = matrix(ROWS, D), net.context = matrix(ROWS, CONTEXT);
    net.order = make(GAL_I64, 1, ROWS, 0), net.cursor = make(GAL_I64, 0, 0, 0),
    net.state = make(GAL_I64, 1, 2, 0);
    net.one = make(GAL_F32, 0, 0, 0), net.step = make(GAL_I64, 0, 0, 0), net.hyper = make(GAL_F32, 1, 5, 0),
    net.decay = make(GAL_F32, 0, 0, 0);
    net.total = make(GAL_F64, 0, 0, 0);
    int64_t count = 0;
    for (int l = 0; l < LAYERS; l++)
        count += width[l + 1] * (width[l] + 1);
    gal_tensor **flat[] = {&net.parameters, &net.gradients, &net.first, &net.second, &net.average};
    for (int i = 0; i < (average ? 5 : 4); i++) {
        *flat[i] = make(GAL_F32, 1, count, 0);
        must(gal_fill(*flat[i], 0));
    }
    must(gal_tensor_write(net.state, (int64_t[]){1, 0}, 2));
    must(gal_normal(net.theta, net.state));
    must(gal_normal(net.context, net.state));
    must(gal_permutation(net.order, net.state));
    must(gal_uniform(net.parameters, net.state));
    must(gal_affine(net.parameters, net.parameters, 0.12, -0.06));
    must(gal_fill(net.one, 1));
    must(gal_fill(net.decay, 0.999));
    must(gal_fill(net.cursor, 0));
    must(gal_fill(net.step, 0));
    must(gal_fill(net.total, 0));
    must(gal_tensor_write(net.hyper, (float[]){5e-4f, 0.9f, 0.999f, 1e-8f, 1e-2f}, 5));
    int64_t at = 0;
    for (int l = 0; l < LAYERS; l++) {
        int64_t in = width[l], out = width[l + 1];
        net.w[l] = part(net.parameters, at, 2, out, in, in),
        net.dw[l] = part(net.gradients, at, 2, out, in, in);
        at += in * out;
        net.b[l] = part(net.parameters, at, 1, out, 0, 0), net.db[l] = part(net.gradients, at, 1, out, 0, 0);
        at += out;
    }
}

/* ---- the ops of the step, in order ---- */
static void do_batch(int l)
{
    (void)l;
    must(gal_flow_batch(now.x[0], now.target, now.index, net.order, net.cursor, net.theta, net.context,
                        net.state, 0.05, 1));
}
static void do_linear(int l)
{
    int last = l == LAYERS - 1;
    must(gal_linear(now.x[l + 1], last ? NULL : now.slope[l], now.x[l], net.w[l], net.b[l],
                    last ? GAL_IDENTITY : GAL_SILU, GAL_IN_F32));
}
static void do_loss(int l)
{
    (void)l;
    must(gal_mse(now.loss, net.total, now.x[LAYERS], now.target));
}
static void do_loss_backward(int l)
{
    (void)l;
    must(gal_mse_backward(now.dz[LAYERS], net.one, now.x[LAYERS], now.target));
}
static void do_weight(int l)
{
    must(gal_linear_backward_weight(net.dw[l], net.db[l], now.dz[l + 1], now.x[l], 0, GAL_IN_F32));
}
static void do_input(int l)
{
    must(gal_linear_backward_input(now.dy[l], now.dz[l + 1], net.w[l], GAL_IN_F32));
}
static void do_slope(int l)
{
    must(gal_mul(now.dz[l], now.dy[l], now.slope[l - 1]));
}
static void do_adamw(int l)
{
    (void)l;
    must(gal_adamw(net.parameters, net.gradients, net.first, net.second, net.average, net.hyper,
                   net.average ? net.decay : NULL, net.step));
}

typedef struct op {
    const char *name;
    void (*run)(int layer);
    int layer;
    double megaflop;
} op;
static op ops[64];
static int op_count;

static void add_op(const char *name, void (*run)(int layer), int layer, double megaflop)
{
    ops[op_count++] = (op){name, run, layer, megaflop};
}

static void list_ops(void)
{
    add_op("flow_batch", do_batch, 0, 0);
    static char names[3][LAYERS][32];
    for (int l = 0; l < LAYERS; l++) {
        const char *what[3] = {"linear", "backward_weight", "backward_input"};
        for (int i = 0; i < 3; i++)
            snprintf(names[i][l], sizeof names[i][l], "%s %d", what[i], l + 1);
        add_op(names[0][l], do_linear, l, 2e-6 * BATCH * (double)(width[l] * width[l + 1]));
    }
    add_op("mse", do_loss, 0, 0);
    add_op("mse_backward", do_loss_backward, 0, 0);
    for (int l = LAYERS - 1; l >= 0; l--) {
        add_op(names[1][l], do_weight, l, 2e-6 * BATCH * (double)(width[l] * width[l + 1]));
        if (l == 0)
            break;
        add_op(names[2][l], do_input, l, 2e-6 * BATCH * (double)(width[l] * width[l + 1]));
        add_op("mul slope", do_slope, l, 0);
    }
    add_op("adamw", do_adamw, 0, 0);
}

static void make_buffers(void)
{
    now.index = make(GAL_I64, 1, BATCH, 0), now.target = matrix(BATCH, D), now.loss = make(GAL_F32, 0, 0, 0);
    for (int l = 0; l <= LAYERS; l++) {
        now.x[l] = matrix(BATCH, width[l]), now.dy[l] = matrix(BATCH, width[l]),
        now.dz[l] = matrix(BATCH, width[l]);
        if (l < LAYERS)
            now.slope[l] = matrix(BATCH, width[l + 1]);
    }
}

static gal_program *record(void)
{
    gal_program *program;
    must(gal_program_begin(&program, "cpu"));
    make_buffers();
    for (int i = 0; i < op_count; i++)
        ops[i].run(ops[i].layer);
    must(gal_program_end(program));
    return program;
}

static double timed(gal_program *program, int steps)
{
    must(gal_fill(net.cursor, 0));
    double start = gal_now();
    must(gal_program_replay(program, steps));
    return (gal_now() - start) / steps * 1e6;
}

static void profile(int threads, double gigaflops)
{
    printf("each op alone, the fastest of 100 runs of 30; us\n%-20s %8s %8s  share of the peak of 1 and %d\n",
           "", "1", "all", threads);
    make_buffers();
    for (int i = 0; i < op_count; i++) /* every buffer holds what a step would give it */
        ops[i].run(ops[i].layer);
    double sums[2] = {0};
    for (int i = 0; i < op_count; i++) {
        double best[2];
        gal_program *program;
        must(gal_program_begin(&program, "cpu"));
        ops[i].run(ops[i].layer);
        must(gal_program_end(program));
        for (int mode = 0; mode < 2; mode++) {
            gal_threads(mode ? threads : 1);
            best[mode] = 1e30;
            for (int r = 0; r < 100; r++) {
                double us = timed(program, 30);
                best[mode] = us < best[mode] ? us : best[mode];
            }
            sums[mode] += best[mode];
        }
        printf("%-20s %8.2f %8.2f", ops[i].name, best[0], best[1]);
        if (ops[i].megaflop > 0)
            printf("  %3.0f %%  %3.0f %%", 1e5 * ops[i].megaflop / best[0] / gigaflops,
                   1e5 * ops[i].megaflop / best[1] / gigaflops / threads);
        printf("\n");
        gal_program_free(program);
    }
    printf("%-20s %8.2f %8.2f\n", "sum", sums[0], sums[1]);
}

typedef struct options {
    int rounds, steps, profiled, average, threads, json;
} options;

/* What the command line asks for; ends the program where it is wrong. */
static options options_of(int argc, char **argv)
{
    options o = {.rounds = 9, .steps = 500};
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--profile"))
            o.profiled = 1;
        else if (!strcmp(argv[i], "--average"))
            o.average = 1;
        else if (!strcmp(argv[i], "--json"))
            o.json = 1;
        else if (!strcmp(argv[i], "--rounds") && i + 1 < argc)
            o.rounds = atoi(argv[++i]);
        else if (!strcmp(argv[i], "--steps") && i + 1 < argc)
            o.steps = atoi(argv[++i]);
        else if (!strcmp(argv[i], "--threads") && i + 1 < argc)
            o.threads = atoi(argv[++i]);
        else {
            fprintf(stderr, "usage: bench_w1 [--threads N] [--rounds R] [--steps S] [--profile] [--average] "
                            "[--json]\n");
            exit(2);
        }
    }
    if (o.rounds < 1 || o.rounds > 1000 || o.steps < 1 || o.steps > ROWS / BATCH) {
        fprintf(stderr, "bench_w1: rounds is %d, expected 1 to 1000; steps is %d, expected 1 to %d\n",
                o.rounds, o.steps, ROWS / BATCH);
        exit(2);
    }
    o.threads = gal_threads(o.threads);
    return o;
}

int main(int argc, char **argv)
{
    const options o = options_of(argc, argv);
    const int threads = o.threads, rounds = o.rounds;
    set_up(o.average);
    list_ops();
    gal_program *program = record();
    double gigaflops = peak(1), megaflop = 0, us[2][1000];
    for (int i = 0; i < op_count; i++)
        megaflop += ops[i].megaflop;
    for (int r = 0; r < rounds; r++)
        for (int mode = 0; mode < 2; mode++) {
            gal_threads(mode ? threads : 1);
            timed(program, 20);
            us[mode][r] = timed(program, o.steps);
        }
    for (int mode = 0; mode < 2; mode++)
        qsort(us[mode], (size_t)rounds, sizeof(double), ascending);
    if (o.json) {
        printf("{\"one\": %.2f, \"all\": %.2f, \"peak\": %.1f, \"megaflop\": %.2f}\n", us[0][rounds / 2],
               us[1][rounds / 2], gigaflops, megaflop);
        return 0;
    }
    printf("isa %s, FMA peak of one core %.0f GF/s, %lld calls, %.1f MF in products\n", gal_cpu_isa(),
           gigaflops, (long long)gal_program_length(program), megaflop);
    for (int mode = 0; mode < 2; mode++) {
        int n = mode ? threads : 1;
        printf("%d thread%s: min %.1f median %.1f max %.1f us/step, %.0f %% of the FMA peak of %d (median)\n",
               n, n > 1 ? "s" : "", us[mode][0], us[mode][rounds / 2], us[mode][rounds - 1],
               1e5 * megaflop / us[mode][rounds / 2] / gigaflops / n, n);
    }
    double total;
    must(gal_tensor_read(net.total, &total, 1));
    int64_t taken;
    must(gal_tensor_read(net.step, &taken, 1));
    printf("mean loss over %lld steps %.4f\n", (long long)taken, total / (double)taken);
    gal_program_free(program);
    if (o.profiled)
        profile(threads, gigaflops);
    return 0;
}
