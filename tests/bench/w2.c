/* w2.c: what one training step of the image model costs (image_model.h), with the draws of flow matching, batch 64, as a recorded program.
 * Prints ms a step beside the FMA peak measured in the same run, and with --profile each op alone with GF/s and GB/s (of what it has to
 * read and write at least).
 *
 *   bench_w2 [--threads N] [--rounds R] [--profile] [--batch N]      each round is one step; the median is printed */
#include "../c/image_model.h"

typedef struct op {
    const char *name;
    void (*run)(int layer);
    int layer;
    double gigaflop, gigabytes;
} op;
static op ops[32];
static int op_count;

static void list_ops(void)
{
    static char names[2][BLOCKS][40];
    double flop[BLOCKS], in[BLOCKS], z[BLOCKS], out[BLOCKS], mlp = 0;
    for (int l = 0; l < BLOCKS; l++) {
        double pixels = (double)batch * (SIZE >> l) * (SIZE >> l);
        flop[l] = 2e-9 * pixels * 9 * (double)(channels[l] * channels[l + 1]);
        in[l] = 4e-9 * pixels * (double)channels[l], z[l] = 4e-9 * pixels * (double)channels[l + 1], out[l] = z[l] / 4;
        if (!gal_conv2d_stores_slope(net.kernel[l], GAL_SILU))
            z[l] = 0;
        snprintf(names[0][l], sizeof names[0][l], "conv2d %d-%d", (int)channels[l], (int)channels[l + 1]);
        snprintf(names[1][l], sizeof names[1][l], "conv2d_backward %d-%d", (int)channels[l], (int)channels[l + 1]);
    }
    for (int l = 0; l < LAYERS; l++)
        mlp += 2e-9 * (double)(batch * width[l] * width[l + 1]);
#define OP(...) ops[op_count++] = (op){__VA_ARGS__}
    OP("flow_draw", do_draw, 0, 0, 0);
    for (int l = 0; l < BLOCKS; l++)
        OP(names[0][l], do_conv, l, flop[l], in[l] + z[l] + out[l]);
    OP("pool, cat", do_features, 0, 0, out[BLOCKS - 1]);
    OP("MLP", do_mlp, 0, mlp, 0);
    OP("MLP backward", do_mlp_backward, 0, 2 * mlp, 0);
    OP("pool, cat backward", do_features_backward, 0, 0, out[BLOCKS - 1]);
    for (int l = BLOCKS - 1; l >= 0; l--)
        OP(names[1][l], do_conv_backward, l, (l ? 2 : 1) * flop[l], in[l] * (l ? 2 : 1) + z[l] + out[l]);
    OP("AdamW", do_adamw, 0, 0, 7 * 4e-9 * (double)gal_tensor_count(net.parameters));
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

/* ---- the FMA peak of all threads together: independent chains of the widest vectors ---- */
#if defined(__AVX512F__)
enum { LANES = 16 };
#elif defined(__AVX__)
enum { LANES = 8 };
#else
enum { LANES = 4 };
#endif
typedef float vec __attribute__((vector_size(LANES * 4)));

static double peak(int threads)
{
    double best = 0;
    for (int r = 0; r < 10; r++) {
        const int times = 400000;
        double start = gal_now(), sink = 0;
#pragma omp parallel num_threads(threads) reduction(+ : sink)
        {
            vec a[12], x = {0}, y = {0};
            x += 0.999999f, y += 1e-9f;
#pragma GCC unroll 12
            for (int i = 0; i < 12; i++)
                a[i] = x * (float)i; /* no two chains alike, or the compiler makes them one */
            for (int k = 0; k < times; k++) {
#pragma GCC unroll 12
                for (int i = 0; i < 12; i++)
                    a[i] = a[i] * x + y;
                __asm__ volatile("" ::: "memory");
            }
#pragma GCC unroll 12
            for (int i = 0; i < 12; i++)
                sink += a[i][0];
        }
        double rate = 2e-9 * times * 12 * LANES * threads / (gal_now() - start);
        best = rate > best && sink != 12345 ? rate : best;
    }
    return best;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
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

int main(int argc, char **argv)
{
    int rounds = 9, profiled = 0, threads = 0;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--profile"))
            profiled = 1;
        else if (!strcmp(argv[i], "--rounds") && i + 1 < argc)
            rounds = atoi(argv[++i]);
        else if (!strcmp(argv[i], "--batch") && i + 1 < argc)
            batch = atoi(argv[++i]);
        else if (!strcmp(argv[i], "--threads") && i + 1 < argc)
            threads = atoi(argv[++i]);
        else {
            fprintf(stderr, "usage: bench_w2 [--threads N] [--rounds R] [--profile] [--batch N]\n");
            return 2;
        }
    }
    if (rounds < 1 || rounds > 1000 || batch < 1 || batch > 4096) {
        fprintf(stderr, "bench_w2: rounds is %d, expected 1 to 1000; batch is %lld, expected 1 to 4096\n", rounds, (long long)batch);
        return 2;
    }
    threads = gal_threads(threads);
    set_up();
    list_ops();
    make_buffers();
    double gigaflops = peak(threads), total = 0, fastest;
    for (int i = 0; i < op_count; i++)
        total += ops[i].gigaflop;
    gal_program *step = record(0, op_count);
    double ms = median(step, rounds, &fastest);
    printf("W2 (%s, %d threads, batch %lld): %.1f ms a step, fastest %.1f; %.0f GF/s, %.0f %% of the FMA peak of %.0f GF/s\n",
           gal_cpu_isa(), threads, (long long)batch, ms, fastest, total / ms * 1e3, 1e5 * total / ms / gigaflops, gigaflops);
    double sum = 0;
    for (int i = 0; profiled && i < op_count; i++) {
        gal_program *alone = record(i, i + 1);
        double op_ms = median(alone, rounds, &fastest);
        sum += op_ms;
        printf("  %-24s %7.2f ms, fastest %7.2f", ops[i].name, op_ms, fastest);
        if (ops[i].gigaflop > 0.1)
            printf("  %4.0f GF/s  %3.0f %%", ops[i].gigaflop / op_ms * 1e3, 1e5 * ops[i].gigaflop / op_ms / gigaflops);
        if (ops[i].gigabytes > 0.001)
            printf("  %5.1f GB/s", ops[i].gigabytes / op_ms * 1e3);
        printf("\n");
        gal_program_free(alone);
    }
    if (profiled)
        printf("  %-24s %7.2f ms\n", "sum", sum);
    gal_program_free(step);
    return 0;
}
