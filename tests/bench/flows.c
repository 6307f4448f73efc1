/* flows.c: what an evaluation of the velocity net costs inside the fused integrator, a row: 100 steps of RK4
 * over many rows, every row of another galaxy.
 *
 *   bench_flows [--threads N] [--rounds R] [--json] [--grow]
 *
 * W3: samples, photometry (11 inputs) and image model (267), three hidden layers of 256; W4: the photometry
 * model with its exact divergence. Microseconds a row-evaluation, medians of R interleaved rounds, and the
 * share of the FMA peak measured in the same run; useful operations only: of the first layer the columns of
 * theta, of the last one under the tangents its trace. --grow: by threads, rows, width and draws of one
 * galaxy. */
#include "peak.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct work {
    const char *name;
    int context, width, hidden, activation, precision, density;
    int64_t rows, share, steps;
} work;
enum { D = 5 };

static void must(gal_status status)
{
    if (status != GAL_OK) {
        fprintf(stderr, "bench_flows: %s\n", gal_error());
        exit(1);
    }
}

static gal_tensor *normal(int64_t rows, int64_t columns, double scale)
{
    static gal_tensor *state;
    gal_tensor *x;
    if (!state) {
        gal_scope_pause();
        must(gal_tensor_new(&state, "cpu", GAL_I64, 1, (int64_t[]){2}));
        gal_scope_resume();
        must(gal_tensor_write(state, (int64_t[]){1, 0}, 2));
    }
    must(gal_tensor_new(&x, "cpu", GAL_F32, columns ? 2 : 1, (int64_t[]){rows, columns}));
    must(gal_normal(x, state));
    must(gal_affine(x, x, scale, 0));
    return x;
}

/* Useful operations of one evaluation of one row. */
static double operations(const work *w)
{
    double inner = (w->hidden - 1.0) * w->width * w->width, value = 2 * (D * w->width + inner + w->width * D);
    return value + (w->density ? 2 * (D * inner + (double)w->width * D) : 0);
}

/* Seconds of one integration; the net and the rows are made anew for each work, outside the time. */
static double seconds(const work *w)
{
    static const gal_runge_kutta rk4 = {.stages = 4,
                                        .a = {{0}, {0.5}, {0, 0.5}, {0, 0, 1}},
                                        .b = {1. / 6, 1. / 3, 1. / 3, 1. / 6},
                                        .c = {0, 0.5, 0.5, 1}};
    must(gal_scope_open());
    gal_velocity_net net = {.layers = w->hidden + 1};
    int64_t in = 1 + D + w->context;
    for (int i = 0; i <= w->hidden; i++) {
        int64_t out = i < w->hidden ? w->width : D;
        net.w[i] = normal(out, in, 0.6 / (i ? 16 : 3));
        net.b[i] = normal(out, 0, 0.1);
        net.activation[i] = i < w->hidden ? w->activation : GAL_IDENTITY;
        in = out;
    }
    gal_tensor *theta = normal(w->rows, D, 1),
               *features = w->context ? normal((w->rows + w->share - 1) / w->share, w->context, 1) : NULL;
    gal_tensor *integral = w->density ? normal(w->rows, 0, 1) : NULL, *times;
    must(gal_tensor_new(&times, "cpu", GAL_F64, 1, (int64_t[]){w->steps + 1}));
    double *t = malloc((size_t)(w->steps + 1) * sizeof *t);
    for (int64_t s = 0; t && s <= w->steps; s++)
        t[s] = (double)s / (double)w->steps;
    must(gal_tensor_write(times, t, w->steps + 1));
    free(t);
    double start = gal_now();
    must(gal_flow_integrate(theta, integral, features, 0, w->share, &net, &rk4, times, w->precision));
    double end = gal_now();
    must(gal_scope_close());
    return end - start;
}

/* Microseconds a row-evaluation and the share of the FMA peak. The clock falls within milliseconds under such
 * load (from 3.6 to 3.2 GHz on a Sapphire Rapids), so the peak of a run is measured right behind it: the
 * fastest of sixteen half milliseconds. */
typedef struct measured {
    double us, share, peak;
} measured;

static measured run(const work *w, int threads)
{
    gal_threads(threads);
    double us = seconds(w) / (double)(w->rows * w->steps * 4) * 1e6, rate = peak_of(threads, 16);
    return (measured){us, 1e-3 * operations(w) / us / rate, rate};
}

static measured median(const measured *all, int rounds)
{
    double column[3][1000];
    for (int r = 0; r < rounds; r++)
        column[0][r] = all[r].us, column[1][r] = all[r].share, column[2][r] = all[r].peak;
    for (int i = 0; i < 3; i++)
        qsort(column[i], (size_t)rounds, sizeof(double), ascending);
    return (measured){column[0][rounds / 2], column[1][rounds / 2], column[2][rounds / 2]};
}

/* ---- what is measured ---- */

static const work works[] = {
    {"w3p", 5, 256, 3, GAL_SILU, GAL_IN_F32, 0, 192, 1, 100},
    {"w3i", 261, 256, 3, GAL_SILU, GAL_IN_F32, 0, 192, 1, 100},
    {"w3r", 5, 256, 3, GAL_RELU, GAL_IN_F32, 0, 192, 1, 100},
    {"w4", 5, 256, 3, GAL_SILU, GAL_IN_F32, 1, 32, 1, 100},
    {"w3pb", 5, 256, 3, GAL_SILU, GAL_IN_BF16, 0, 960, 1, 100},
    {"w3ib", 261, 256, 3, GAL_SILU, GAL_IN_BF16, 0, 960, 1, 100},
};
enum { WORKS = sizeof works / sizeof *works };
static const char *const meanings[WORKS] = {
    "W3 photometry",       "W3 image",       "W3 photometry, relu", "W4 photometry",
    "W3 photometry, bf16", "W3 image, bf16",
};

/* A line of the growth table: one thread, then all. */
static void line(const char *label, int64_t n, work w, int threads, int rounds)
{
    printf("%-28s %6lld", label, (long long)n);
    for (int mode = 0; mode < 2; mode++) {
        measured all[1000];
        for (int r = 0; r < rounds; r++)
            all[r] = run(&w, mode ? threads : 1);
        measured m = median(all, rounds);
        printf("  %8.3f (%3.0f %%)", m.us, 100 * m.share);
    }
    printf("\n");
}

static void grow(int threads, int rounds)
{
    work w = works[0], density = works[3];
    printf("medians of %d\n%-35s  us a row-evaluation (share of the FMA peak): 1 and %d threads\n", rounds,
           "", threads);
    for (w.rows = 1; w.rows <= 4096; w.rows *= 4) {
        w.steps = w.rows < 256 ? 100 : 25;
        line("samples, by galaxies", w.rows, w, threads, rounds);
    }
    w.rows = 1000, w.steps = 25;
    for (w.share = 1; w.share <= 1000; w.share *= 10)
        line("samples, by draws of each", w.share, w, threads, rounds);
    w = works[0], w.steps = 25;
    for (w.width = 32; w.width <= 1024; w.width *= 2)
        line("samples, by width", w.width, w, threads, rounds);
    w = works[0], w.steps = 25;
    for (w.hidden = 1; w.hidden <= 5; w.hidden++)
        line("samples, by hidden layers", w.hidden, w, threads, rounds);
    for (density.rows = 1; density.rows <= 256; density.rows *= 4) {
        density.steps = density.rows < 64 ? 100 : 25;
        line("densities, by rows", density.rows, density, threads, rounds);
    }
}

int main(int argc, char **argv)
{
    int rounds = 7, threads = 0, json = 0, growth = 0;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--json"))
            json = 1;
        else if (!strcmp(argv[i], "--grow"))
            growth = 1;
        else if (!strcmp(argv[i], "--rounds") && i + 1 < argc)
            rounds = atoi(argv[++i]);
        else if (!strcmp(argv[i], "--threads") && i + 1 < argc)
            threads = atoi(argv[++i]);
        else {
            fprintf(stderr, "usage: bench_flows [--threads N] [--rounds R] [--json] [--grow]\n");
            return 2;
        }
    }
    if (rounds < 1 || rounds > 1000) {
        fprintf(stderr, "bench_flows: rounds is %d, expected 1 to 1000\n", rounds);
        return 2;
    }
    threads = gal_threads(threads);
    if (growth) {
        grow(threads, rounds);
        return 0;
    }
    static measured all[WORKS][2][1000];
    for (int r = 0; r < rounds; r++)
        for (int i = 0; i < WORKS; i++)
            for (int mode = 0; mode < 2; mode++)
                all[i][mode][r] = run(&works[i], mode ? threads : 1);
    if (!json)
        printf("isa %s; medians of %d\n%-20s us a row-evaluation, share of the FMA peak and the peak, GF/s: "
               "1 thread, then %d\n",
               gal_cpu_isa(), rounds, "", threads);
    for (int i = 0; i < WORKS; i++) {
        measured one = median(all[i][0], rounds), both = median(all[i][1], rounds);
        if (json)
            printf("%s\"%s\": [[%.4f, %.4f, %.1f], [%.4f, %.4f, %.1f]]", i ? ", " : "{", works[i].name,
                   one.us, one.share, one.peak, both.us, both.share, both.peak);
        else
            printf("%-20s %7.3f  %3.0f %%  %4.0f   %7.3f  %3.0f %%  %4.0f\n", meanings[i], one.us,
                   100 * one.share, one.peak, both.us, 100 * both.share, both.peak);
    }
    if (json)
        printf("}\n");
    return 0;
}
