/* cutouts.c: the mock survey's pictures against what IMAGES.md says of them: flux, PSF, noise, colours, what
 * depends on the galaxy and what does not, the JPEG. */
#include "check.h"
#include "core/parallel.h"
#include "cpu/cpu.h"
#include "mock/fast/kernels.h"
#include "mock/field.h"
#include "mock/image.h"
#include "io/io.h"
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <jpeglib.h>

enum { PIXELS = GAL_CUTOUT_PIXELS, GALAXIES = 1500 };
#define SEED 3
static gal_mock_galaxy galaxy[GALAXIES], donor[GALAXIES];
static float gri[3 * PIXELS], other[3 * PIXELS];
static gal_mock_canvas *canvas;

static double sum_of(const float *plane)
{
    double sum = 0;
    for (int i = 0; i < PIXELS; i++)
        sum += plane[i];
    return sum;
}

static void flux(void)
{
    CASE("a galaxy's picture sums to its calibrated flux in every band, whichever couplings are off");
    for (int k = 0; k < 60; k++)
        for (unsigned without = 0; without < 64; without = without ? 2 * without : 1) {
            gal_mock_shape shape;
            gal_mock_shape_of(&shape, &galaxy[k], &donor[k], without, SEED);
            gal_mock_render(canvas, gri, &shape, galaxy[k].draw, 0, SEED);
            for (int b = 0; b < 3; b++)
                IS_NEAR(sum_of(gri + b * PIXELS) / galaxy[k].calibrated[b + 1], 1, 1e-4);
        }
    CASE("the shares of bulge and clumps stay between 0 and 1 together");
    for (int k = 0; k < GALAXIES; k++) {
        gal_mock_shape shape;
        gal_mock_shape_of(&shape, &galaxy[k], &donor[k], 63, SEED);
        for (int b = 0; b < 3; b++)
            IS_TRUE(shape.bulge[b] >= 0 && shape.clumps[b] >= 0 &&
                    shape.bulge[b] + shape.clumps[b] <= 1 + 1e-12);
    }
}

/* A galaxy that is all bulge, much smaller than a pixel, on the pixel right below the middle. */
static gal_mock_shape point(double flux)
{
    gal_mock_shape shape = {
        .axis_ratio = 1, .bulge_axis_ratio = 1, .radius = 1, .bulge_radius = .01, .arms = 2, .pitch = .3};
    for (int b = 0; b < 3; b++) {
        shape.flux[b] = flux;
        shape.bulge[b] = 1;
        shape.scale[b] = 1;
        shape.seeing[b] = 1.3 + .1 * b;
        shape.shift[b][0] = shape.shift[b][1] = .5;
    }
    return shape;
}

static void seeing(void)
{
    CASE("a point source is .9 G(s) + .1 G(3 s)");
    gal_mock_shape shape = point(1);
    gal_mock_render(canvas, gri, &shape, 0, 0, SEED);
    for (int b = 0; b < 3; b++) {
        double s = shape.seeing[b], peak = .91 / (2 * M_PI * s * s), second = 0;
        for (int j = 0; j < 128; j++)
            for (int i = 0; i < 128; i++) {
                double r2 = (i - 64) * (i - 64) + (j - 64) * (j - 64), value = gri[b * PIXELS + j * 128 + i];
                double psf = .9 / (2 * M_PI * s * s) * exp(-r2 / (2 * s * s)) +
                             .1 / (18 * M_PI * s * s) * exp(-r2 / (18 * s * s));
                second += value * r2 / 2;
                if (abs(i - 64) < 20 && abs(j - 64) < 20)
                    IS_NEAR(value, psf, 1e-3 * peak);
            }
        CASE("its second moment is that of the sum, 1.8 s^2, less what is cut off at 3.5 deviations");
        IS_NEAR(second / (1.8 * s * s), 1, .02);
    }
}

/* The Gaussian's weights at whole distances, to 4 deviations: sum of squares, the share of white noise's
 * variance that smoothing leaves along one axis. */
static double left_by_smoothing(void)
{
    double sum = 0, squares = 0;
    for (int k = -4; k <= 4; k++) {
        double w = exp(-.5 * k * k / (GAL_RESAMPLED * GAL_RESAMPLED));
        sum += w;
        squares += w * w;
    }
    return squares / (sum * sum);
}

enum { DRAWS = 60 }; /* pictures that noise is measured on */

static void sky_noise(void)
{
    double all[3] = {0}, edge[3] = {0}, blocks[3] = {0}, cross = 0, mean[3] = {0};
    gal_mock_shape dark = point(1e-9);
    for (int draw = 0; draw < DRAWS; draw++) {
        gal_mock_render(canvas, gri, &dark, draw, GAL_RENDER_NOISE, SEED);
        for (int b = 0; b < 3; b++) {
            const float *plane = gri + b * PIXELS;
            double sigma = gal_mock_pixel_sigma[b + 1], unit = 1 / (sigma * sigma);
            for (int i = 0; i < PIXELS; i++) {
                all[b] += plane[i] * plane[i] * unit / (DRAWS * PIXELS);
                mean[b] += plane[i] / sigma / (DRAWS * PIXELS);
            }
            for (int i = 0; i < 128; i++)
                edge[b] += (plane[i] * plane[i] + plane[i * 128] * plane[i * 128]) * unit / (DRAWS * 256);
            for (int block = 0; block < 64; block++) {
                double sum = 0;
                for (int i = 0; i < 256; i++)
                    sum += plane[(block / 8 * 16 + i / 16) * 128 + block % 8 * 16 + i % 16];
                blocks[b] += sum * sum * unit / 256 / (DRAWS * 64);
            }
        }
        for (int i = 0; i < PIXELS; i++)
            cross += gri[i] * gri[PIXELS + i] / (gal_mock_pixel_sigma[1] * gal_mock_pixel_sigma[2]) /
                     (DRAWS * PIXELS);
    }
    /* About ten pixels vary together, so that 60 pictures have 10^5 independent values: 5 standard errors of
     * a variance are 2.2 %. */
    double expected = left_by_smoothing() * left_by_smoothing();
    for (int b = 0; b < 3; b++) {
        CASE("the sky's noise in a pixel is sigma_pix, smoothed by the resampling, and 0 in the mean");
        IS_NEAR(all[b] / expected, 1, .022);
        IS_NEAR(mean[b], 0, 5 / sqrt(DRAWS * PIXELS));
        CASE("the noise at the frame's edge has the variance of the middle");
        IS_NEAR(edge[b] / expected, 1,
                .1); /* 15,360 values, four of which vary together: 5 standard errors are 11 % */
        CASE("smoothing takes nothing from the noise of sixteen by sixteen pixels");
        /* 3,840 blocks: 5 standard errors are 11 %; a block's rim is shared with its neighbours: 1 - 2 .9 /
         * (16 sqrt pi) squared = .88. */
        IS_NEAR(blocks[b], .88, .1);
    }
    CASE("the bands' noises don't correlate");
    IS_NEAR(cross / expected, 0, 5 / sqrt(DRAWS * PIXELS / 10.0));
}

static void photon_noise(void)
{
    CASE("a source's photons add F n / G to a pixel's variance");
    gal_mock_shape bright = point(4e6);
    double expected = left_by_smoothing() * left_by_smoothing();
    double ratio = 0;
    int count = 0;
    gal_mock_render(canvas, other, &bright, 0, 0, SEED);
    for (int draw = 0; draw < DRAWS; draw++) {
        gal_mock_render(canvas, gri, &bright, draw, GAL_RENDER_NOISE, SEED);
        /* On the far wing, where neighbours are alike. */
        for (int j = 52; j < 77; j += 4)
            for (int i = 52; i < 77; i += 4)
                for (int b = 0; b < 3; b++) {
                    double light = other[b * PIXELS + j * 128 + i], sigma = gal_mock_pixel_sigma[b + 1],
                           d = gri[b * PIXELS + j * 128 + i] - light;
                    if (hypot(i - 64, j - 64) < 7)
                        continue;
                    ratio += d * d /
                             (expected * (sigma * sigma + light * gal_mock_dn[b + 1] / gal_mock_gain[b + 1]));
                    count++;
                }
    }
    IS_NEAR(ratio / count, 1,
            5 * sqrt(2.0 / count) + .06); /* the wing's curvature within the smoothing: 6 % */
}

static void colours(void)
{
    CASE(
        "colours are 255 X asinh(8 I) / (8 I), of the largest where it is above 1, of 0 where X is negative");
    static uint8_t rgb[3 * PIXELS];
    for (int i = 0; i < PIXELS; i++)
        for (int b = 0; b < 3; b++) /* from -.1 over 0 to 300 nanomaggies, dense near 0 */
            gri[b * PIXELS + i] = i < 8 ? 0
                                        : (float)(pow(10, (i * (b + 1) * 37 % 4096) / 4096.0 * 7.5 - 5) -
                                                  .1 * ((i >> b) % 3 == 0));
    gal_mock_colours(rgb, gri);
    for (int i = 0; i < PIXELS; i++) {
        double x[3] = {2.0 * gri[2 * PIXELS + i], 2.5 * gri[PIXELS + i], 3.3 * gri[i]},
               mean = (x[0] + x[1] + x[2]) / 3;
        double factor = mean != 0 ? asinh(8 * mean) / (8 * mean) : 1, largest = 1;
        for (int c = 0; c < 3; c++)
            largest = fmax(largest, x[c] * factor);
        for (int c = 0; c < 3; c++) {
            double value = 255 * fmax(x[c] * factor, 0) / largest;
            REPORT(fabs(rgb[3 * i + c] - value) <= .502, "pixel %d: channel %d is %d, expected %.3f", i, c,
                   rgb[3 * i + c], value);
        }
    }
}

static double correlation(const double *x, const double *y, int n)
{
    double sx = 0, sy = 0, sxx = 0, syy = 0, sxy = 0;
    for (int i = 0; i < n; i++)
        sx += x[i], sy += y[i], sxx += x[i] * x[i], syy += y[i] * y[i], sxy += x[i] * y[i];
    return (sxy - sx * sy / n) / sqrt((sxx - sx * sx / n) * (syy - sy * sy / n));
}

/* The feature of a coupling, what it should follow, and every feature of the shape for the comparison of the
 * others. */
static double feature(const gal_mock_shape *s, unsigned coupling)
{
    switch (coupling) {
    case GAL_MOCK_INCLINATION:
        return s->axis_ratio;
    case GAL_MOCK_SIZE:
        return log(s->radius * sqrt(s->axis_ratio));
    case GAL_MOCK_GRADIENT:
        return s->gradient;
    case GAL_MOCK_BULGE_COLOUR:
        return s->bulge[0] / s->bulge[2];
    case GAL_MOCK_CLUMPS:
        return s->clumpiness;
    default:
        return log(s->bulge_to_total / (1 - s->bulge_to_total));
    }
}

static double cause(const gal_mock_galaxy *g, unsigned coupling)
{
    double old[2] = {0}, all[2] = {0};
    for (int k = 0; k < GAL_AGES; k++)
        for (int i = 0; i < 2; i++) {
            all[i] += g->stars[1 + 2 * i][k];
            old[i] += k >= 5 ? g->stars[1 + 2 * i][k] : 0;
        }
    switch (coupling) {
    case GAL_MOCK_INCLINATION:
        return g->cos_inclination;
    case GAL_MOCK_SIZE:
        return g->size_residual;
    case GAL_MOCK_GRADIENT:
        return g->oh;
    case GAL_MOCK_BULGE_COLOUR:
        return old[0] / all[0] / (old[1] / all[1]);
    case GAL_MOCK_CLUMPS:
        return g->burst_offset;
    default:
        return g->log_mass - 2 * g->smooth_offset;
    }
}

static void couplings(void)
{
    static double on[GALAXIES], off[GALAXIES], latent[GALAXIES];
    for (unsigned coupling = 1; coupling < 64; coupling *= 2) {
        double mean[2] = {0}, square[2] = {0};
        CASE("switching one coupling off changes no other feature");
        for (int k = 0; k < GALAXIES; k++) {
            gal_mock_shape with, without;
            gal_mock_shape_of(&with, &galaxy[k], NULL, 0, SEED);
            gal_mock_shape_of(&without, &galaxy[k], &donor[k], coupling, SEED);
            on[k] = feature(&with, coupling);
            off[k] = feature(&without, coupling);
            latent[k] = cause(&galaxy[k], coupling);
            mean[0] += on[k] / GALAXIES, square[0] += on[k] * on[k] / GALAXIES;
            mean[1] += off[k] / GALAXIES, square[1] += off[k] * off[k] / GALAXIES;
            /* The bulge's colour is allowed to move with its share. */
            for (unsigned c = 1; c < 64; c *= 2)
                if (c != coupling)
                    REPORT(fabs(feature(&with, c) - feature(&without, c)) < 1e-9,
                           "without %u feature %u of galaxy %d moved", coupling, c, k);
        }
        CASE("a feature follows its galaxy's latent while the coupling is on");
        REPORT(fabs(correlation(on, latent, GALAXIES)) > .4, "coupling %u: correlation %.3f", coupling,
               correlation(on, latent, GALAXIES));
        CASE("a coupling switched off leaves the feature independent of its galaxy");
        REPORT(fabs(correlation(off, latent, GALAXIES)) < 5 / sqrt(GALAXIES), "coupling %u: correlation %.3f",
               coupling, correlation(off, latent, GALAXIES));
        CASE("a coupling switched off leaves the feature's mean and deviation");
        double deviation = sqrt(square[0] - mean[0] * mean[0]);
        REPORT(fabs(mean[1] - mean[0]) < 5 * deviation * sqrt(2.0 / GALAXIES),
               "coupling %u: means %.4f and %.4f", coupling, mean[0], mean[1]);
        REPORT(fabs(sqrt(square[1] - mean[1] * mean[1]) / deviation - 1) < 5 * sqrt(2.0 / GALAXIES),
               "coupling %u: deviations %.4f and %.4f", coupling, deviation,
               sqrt(square[1] - mean[1] * mean[1]));
    }
}

static void field(void)
{
    CASE("stars, neighbours and sky are the same whatever the galaxy is");
    gal_mock_shape one, two;
    gal_mock_shape_of(&one, &galaxy[0], NULL, 0, SEED);
    gal_mock_shape_of(&two, &galaxy[1], NULL, 0, SEED);

    memcpy(two.seeing, one.seeing, sizeof one.seeing);
    static float plain[2][3 * PIXELS];
    double worst = 0, brightest = 0;
    for (int draw = 0; draw < 20; draw++) {
        gal_mock_render(canvas, plain[0], &one, draw, 0, SEED);
        gal_mock_render(canvas, plain[1], &two, draw, 0, SEED);
        gal_mock_render(canvas, gri, &one, draw, GAL_RENDER_FIELD | GAL_RENDER_SKY, SEED);
        gal_mock_render(canvas, other, &two, draw, GAL_RENDER_FIELD | GAL_RENDER_SKY, SEED);
        for (int i = 0; i < 3 * PIXELS; i++) {
            double a = gri[i] - plain[0][i], b = other[i] - plain[1][i];
            worst = fmax(worst, fabs(a - b));
            brightest = fmax(brightest, fabs(a));
        }
    }
    IS_TRUE(brightest > .1);
    IS_NEAR(worst, 0, 1e-4);

    CASE("as many stars and galaxies as IMAGES.md says, to r = 22.5 and 24.5");
    double stars = 0, galaxies = 0, faintest[2] = {1e9, 1e9};
    static gal_mock_field f;
    for (int draw = 0; draw < 4000; draw++) {
        gal_mock_field_draw(&f, draw, GAL_RENDER_ALL, SEED);
        stars += f.stars / 4000.0;
        galaxies += f.galaxies / 4000.0;
        for (int i = 0; i < f.stars; i++)
            faintest[0] = fmin(faintest[0], f.star[i].flux[1]);
        for (int i = 0; i < f.galaxies; i++)
            faintest[1] = fmin(faintest[1], f.galaxy[i].flux[1]);
    }
    IS_NEAR(stars, 1.7, 5 * sqrt(1.7 / 4000));
    IS_NEAR(galaxies, 10, 5 * sqrt(10.0 / 4000));
    IS_NEAR(22.5 - 2.5 * log10(faintest[0]), 22.5, .02);
    IS_NEAR(22.5 - 2.5 * log10(faintest[1]), 24.5, .02);

    CASE("a neighbour that lies in the frame has its flux in it");
    for (int k = 0; k < 4; k++) {
        memset(&f, 0, sizeof f);
        memset(gri, 0, sizeof gri);
        f.galaxies = 1;
        f.galaxy[0] = (struct gal_field_galaxy){.x = 3.3f,
                                                .y = -8.1f,
                                                .flux = {100, 100, 100},
                                                .scale = .6f + k,
                                                .axis_ratio = 1 - .2f * k,
                                                .angle = k};
        gal_mock_field_galaxies(gri, &f, 1);
        IS_NEAR(sum_of(gri) / 100, 1, .03);
        memset(gri, 0, sizeof gri);
        IS_NEAR(gal_mock_spot(gri, 3.3, -8.1, 1 + k, 100) / 100, 1, 1e-3);
        IS_NEAR(sum_of(gri) / 100, 1, 1e-3);
    }
}

enum { BITS = 24 }; /* pictures */
static float first_picture[BITS][3 * PIXELS];
static int drawn_before; /* whether they are there */

/* Draws pictures, in this order or the other, and compares those that are there. */
static gal_status draw_again(void *args, int64_t from, int64_t to)
{
    atomic_int *differ = args;
    gal_mock_canvas *own = NULL;
    float *picture = malloc(sizeof gri);
    gal_status status = gal_mock_canvas_new(&own);
    for (int64_t i = from; picture && !status && i < to; i++) {
        int64_t k = drawn_before ? BITS - 1 - i : i;
        gal_mock_shape shape;
        gal_mock_shape_of(&shape, &galaxy[k], &donor[k], 1, SEED);
        gal_mock_render(own, picture, &shape, galaxy[k].draw, GAL_RENDER_ALL, SEED);
        if (!drawn_before)
            memcpy(first_picture[k], picture, sizeof gri);
        atomic_fetch_add(differ, memcmp(first_picture[k], picture, sizeof gri) != 0);
    }
    gal_mock_canvas_free(own);
    free(picture);
    return status;
}

static void bits(void)
{
    CASE("a picture has the same bits on one thread and on two, alone and after others");
    atomic_int differ = 0;
    for (drawn_before = 0; drawn_before < 2; drawn_before++) {
        gal_threads(1 + drawn_before);
        IS_OK(gal_parallel(BITS, 3, draw_again, &differ));
    }
    IS_INT(differ, 0);
}

/* One of the loops over planes, by its number. */
static void plane_step(const gal_picture_kernels *kernels, int step, float *out, float *arms)
{
    static const gal_picture_disc disc = {.cosine = .6f,
                                          .sine = .8f,
                                          .axis_ratio = .3f,
                                          .soft = .5f,
                                          .scale = {6, 7, 8},
                                          .arm = .5f,
                                          .winding = 7,
                                          .phase = 40,
                                          .reach = 7,
                                          .arms = 3,
                                          .lopsided = .1f,
                                          .lopsided_cosine = 1,
                                          .lane = 1};
    static const float near[GAL_TAPS] = {.4f, .2f, .1f}, far[GAL_TAPS] = {.1f, .05f};
    static float work[GAL_PICTURE_WORK];
    if (step == 0)
        kernels->disc(out, arms, &disc, 0);
    else if (step == 1)
        kernels->bulge(out, .6f, .8f, .7f, 3, .1f, .2f);
    else if (step == 2)
        kernels->blur(out, arms, near, 3, far, 2, work);
    else
        kernels->noise(out, arms, 1, .1f, 5, 6, 7);
}

static void instruction_sets(void)
{
    CASE("every instruction set makes the same picture within 1e-5 of its brightest pixel, and colours "
         "within 1");
    static const char *const isas[] = {"avx2", "avx512"};
    const gal_picture_kernels *plain = gal_mock_kernels_of("plain")->picture;
    static float arms[2][PIXELS];
    static uint8_t rgb[2][3 * PIXELS];
    for (int k = 0; k < 2; k++) {
        if (!gal_cpu_table(isas[k])) /* this machine has no such instructions */
            continue;
        const gal_picture_kernels *fast = gal_mock_kernels_of(isas[k])->picture;
        for (int step = 0; step < 4; step++) {
            plane_step(plain, step, gri, arms[0]);
            plane_step(fast, step, other, step ? arms[0] : arms[1]);
            double largest = 0, apart = 0;
            for (int i = 0; i < PIXELS; i++) {
                largest = fmax(largest, fabs(gri[i]));
                apart = fmax(apart, fabs(gri[i] - other[i]));
            }
            REPORT(largest > 0 && apart <= 1e-5 * largest, "%s, step %d: %.3g apart, %.3g at most", isas[k],
                   step, apart, 1e-5 * largest);
        }
        gal_mock_shape shape;
        gal_mock_shape_of(&shape, &galaxy[0], &donor[0], 1, SEED);
        gal_mock_render(canvas, gri, &shape, galaxy[0].draw, GAL_RENDER_ALL, SEED);
        plain->colours(rgb[0], gri);
        fast->colours(rgb[1], gri);
        int apart = 0;
        for (int i = 0; i < 3 * PIXELS; i++)
            apart = abs(rgb[0][i] - rgb[1][i]) > apart ? abs(rgb[0][i] - rgb[1][i]) : apart;
        IS_TRUE(apart <= 1);
    }
}

static void jpeg(void)
{
    const char *path = "cutouts_test.jpg";
    static uint8_t rgb[3 * PIXELS], row[3 * 128];
    gal_mock_shape shape;
    gal_mock_shape_of(&shape, &galaxy[2], NULL, 0, SEED);
    gal_mock_render(canvas, gri, &shape, galaxy[2].draw, GAL_RENDER_ALL, SEED);
    gal_mock_colours(rgb, gri);
    IS_OK(gal_mock_cutout(path, &galaxy[2], NULL, 0, SEED, 1));
    CASE("the file is a JPEG of quality 92 and 4:2:0 that reads back within 2.5 counts in the mean");
    struct jpeg_decompress_struct in;
    struct jpeg_error_mgr errors;
    in.err = jpeg_std_error(&errors);
    jpeg_create_decompress(&in);
    FILE *file = fopen(path, "rb");
    if (!file) {
        IS_TRUE(!"the file is there");
        return;
    }
    jpeg_stdio_src(&in, file);
    jpeg_read_header(&in, TRUE);
    IS_INT(in.image_width, 128);
    IS_INT(in.image_height, 128);
    IS_INT(in.comp_info[0].h_samp_factor, 2);
    IS_INT(in.comp_info[0].v_samp_factor, 2);
    IS_INT(in.comp_info[1].h_samp_factor, 1);
    /* The standard's tables (ITU-T T.81, K.1) times 200 - 2 quality, per cent: 16 .16 = 2.56 and 99 .16
     * = 15.84. */
    IS_INT(in.quant_tbl_ptrs[0]->quantval[0], 3);
    IS_INT(in.quant_tbl_ptrs[0]->quantval[63], 16);
    jpeg_start_decompress(&in);
    double apart[3] = {0};
    for (int j = 0; j < 128; j++) {
        JSAMPROW rows = row;
        jpeg_read_scanlines(&in, &rows, 1);
        for (int i = 0; i < 3 * 128; i++)
            apart[i % 3] += fabs((double)row[i] - rgb[j * 3 * 128 + i]) / PIXELS;
    }
    jpeg_finish_decompress(&in);
    jpeg_destroy_decompress(&in);
    fclose(file);
    for (int c = 0; c < 3; c++)
        IS_NEAR(apart[c], 0, 2.5);
    remove(path);
    CASE("a cutout that can't be written is one sentence with its path");
    FAILS(gal_mock_cutout("no_such_folder/1.jpg", &galaxy[2], NULL, 0, SEED, 1), GAL_FILE,
          "no_such_folder/1.jpg");
    FAILS(gal_disk_sync("no_such_folder"), GAL_FILE, "no_such_folder");
    IS_OK(gal_disk_sync("."));
}

int main(void)
{
    int found = 0;
    for (int64_t draw = 0; found < GALAXIES; draw++) {
        gal_mock_draw(&galaxy[found], SEED, draw);
        if (!gal_mock_selected(&galaxy[found]))
            continue;
        gal_mock_donor(&donor[found], SEED, draw);
        found++;
    }
    IS_OK(gal_mock_canvas_new(&canvas));
    flux();
    seeing();
    sky_noise();
    photon_noise();
    colours();
    couplings();
    field();
    bits();
    instruction_sets();
    jpeg();
    gal_mock_canvas_free(canvas);
    return finish();
}
