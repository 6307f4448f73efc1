/* image.c: a galaxy's cutout, from its shape to SkyServer's colours. shape.c decides what the galaxy looks
 * like, field.c what else is in the frame; fast/ has the loops over pixels. */
#include "image.h"
#include "field.h"
#include "core/core.h"
#include "io/io.h"
#include "mock/fast/kernels.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct gal_mock_canvas {
    float gri[GAL_PLANES * GAL_CUTOUT_PIXELS];
    float disc[GAL_CUTOUT_PIXELS], arms[GAL_CUTOUT_PIXELS], bulge[GAL_CUTOUT_PIXELS],
        light[GAL_CUTOUT_PIXELS];
    float work[GAL_PICTURE_WORK];
    uint8_t rgb[GAL_PLANES * GAL_CUTOUT_PIXELS];
    gal_mock_field field;
    gal_mock_shape shape;
};

gal_status gal_mock_canvas_new(gal_mock_canvas **out)
{
    *out = malloc(sizeof **out);
    return *out ? GAL_OK : gal_fail(GAL_MEMORY, "no memory to draw a cutout in");
}

void gal_mock_canvas_free(gal_mock_canvas *canvas)
{
    free(canvas);
}

static const gal_picture_kernels *kernels(void)
{
    return gal_mock_kernels_of(gal_cpu_isa())->picture;
}

/* weight {GAL_TAPS} = G(s) at distances 0, 1, ..., cut at `reach` deviations, normalised, so that rows and
 * columns together have the sum `share`. Returns how many distances. */
static int gaussian(float *weight, double s, double share, double reach)
{
    int taps = (int)ceil(reach * s) + 1;
    taps = taps < GAL_TAPS ? taps : GAL_TAPS;
    double sum = 0;
    for (int i = 0; i < taps; i++)
        sum += (i ? 2 : 1) * exp(-0.5 * i * i / (s * s));
    for (int i = 0; i < taps; i++)
        weight[i] = (float)(sqrt(share) * exp(-0.5 * i * i / (s * s)) / sum);
    return taps;
}

/* seen {128}: the share of the light of each column (or row) that stays in the frame when it is blurred. */
static void kept(float *seen, const float *weight, int taps)
{
    for (int i = 0; i < GAL_CUTOUT; i++) {
        seen[i] = weight[0];
        for (int k = 1; k < taps; k++)
            seen[i] += ((i >= k) + (i + k < GAL_CUTOUT)) * weight[k];
    }
}

/* plane += the clumps, whose flux is 1 in all. Returns their flux in the frame. */
static double draw_clumps(float *plane, const gal_mock_shape *shape, int b)
{
    double sum = 0, c = cos(shape->angle), s = sin(shape->angle);
    for (int i = 0; i < shape->clump_count; i++) {
        const gal_mock_clump *k = &shape->clump[i];
        double x = k->x * c - k->y * s + shape->shift[b][0], y = k->x * s + k->y * c + shape->shift[b][1];
        sum += gal_mock_spot(plane, x, y, k->sigma, k->weight);
    }
    return sum;
}

/* v->light = the galaxy in band b before the seeing, scaled so that the blurred frame has its flux. seen:
 * what `kept` says of the near and the far part of the PSF. */
static void draw_galaxy(gal_mock_canvas *v, const gal_mock_shape *shape, int b,
                        const float seen[2][GAL_CUTOUT])
{
    const gal_picture_kernels *fast = kernels();
    double h = shape->scale[1];
    gal_picture_disc d = {.cosine = (float)cos(shape->angle),
                          .sine = (float)sin(shape->angle),
                          .axis_ratio = (float)shape->axis_ratio,
                          .soft = 0.5f,
                          .arm = (float)shape->arm_strength,
                          .winding = (float)(shape->arms / tan(shape->pitch)),
                          .phase = (float)(shape->phase - shape->arms * log(h) / tan(shape->pitch)),
                          .reach = (float)h,
                          .arms = (int)shape->arms,
                          .lopsided = (float)shape->lopsided,
                          .lopsided_cosine = (float)cos(shape->lopsided_phase),
                          .lopsided_sine = (float)sin(shape->lopsided_phase),
                          .lane = shape->axis_ratio < .35 ? (float)(.12 * h) + 1e-3f : 0};
    for (int i = 0; i < GAL_PLANES; i++) {
        d.scale[i] = (float)shape->scale[i];
        d.shift[i][0] = (float)shape->shift[i][0];
        d.shift[i][1] = (float)shape->shift[i][1];
    }
    double disc = fast->disc(v->disc, v->arms, &d, b);
    double bulge = fast->bulge(v->bulge, d.cosine, d.sine, (float)shape->bulge_axis_ratio,
                               (float)shape->bulge_radius, d.shift[b][0], d.shift[b][1]);
    memset(v->light, 0, sizeof v->light);
    double clumps = draw_clumps(v->light, shape, b), of_clumps = clumps > 1e-6 ? shape->clumps[b] : 0;
    float by_disc = (float)((1 - shape->bulge[b] - of_clumps) / disc),
          by_bulge = (float)(shape->bulge[b] / bulge);
    float by_clumps = clumps > 1e-6 ? (float)(of_clumps / clumps) : 0;
    double in_frame = 0;
    for (int row = 0; row < GAL_CUTOUT; row++) {
        float part[2] = {0};
        for (int col = 0; col < GAL_CUTOUT; col++) {
            int at = row * GAL_CUTOUT + col;
            float value = by_disc * v->disc[at] + by_bulge * v->bulge[at] + by_clumps * v->light[at];
            v->light[at] = value;
            part[0] += seen[0][col] * value;
            part[1] += seen[1][col] * value;
        }
        in_frame += (double)seen[0][row] * part[0] + (double)seen[1][row] * part[1];
    }
    float scale = (float)(shape->flux[b] / in_frame);
    for (int at = 0; at < GAL_CUTOUT_PIXELS; at++)
        v->light[at] *= scale;
}

/* plane += the camera's noise of sky and photons, smoothed as by the resampling onto the cutout's grid. At
 * the frame's edge, where the smoothing lacks neighbours, it is scaled to the same variance. */
static void add_noise(gal_mock_canvas *v, float *plane, int b, gal_mock_stream pixels)
{
    const gal_picture_kernels *fast = kernels();
    int band = b + 1; /* of ugriz */
    double sigma = gal_mock_pixel_sigma[band];
    float weight[GAL_TAPS], edge[GAL_CUTOUT], whole = 0;
    int taps = gaussian(weight, GAL_RESAMPLED, 1, 4);
    for (int k = 0; k < taps; k++)
        whole += (k ? 2 : 1) * weight[k] * weight[k];
    for (int i = 0; i < GAL_CUTOUT; i++) {
        float part = 0;
        for (int k = 1 - taps; k < taps; k++)
            part += i + k >= 0 && i + k < GAL_CUTOUT ? weight[abs(k)] * weight[abs(k)] : 0;
        edge[i] = sqrtf(whole / part);
    }
    fast->noise(v->disc, plane, (float)(sigma * sigma), (float)(gal_mock_dn[band] / gal_mock_gain[band]),
                pixels.key, pixels.block + (uint64_t)b * (GAL_CUTOUT_PIXELS / 4), pixels.stream);
    fast->blur(v->bulge, v->disc, weight, taps, NULL, 0, v->work);
    for (int row = 0; row < GAL_CUTOUT; row++)
        for (int col = 0; col < GAL_CUTOUT; col++)
            plane[row * GAL_CUTOUT + col] += edge[row] * edge[col] * v->bulge[row * GAL_CUTOUT + col];
}

void gal_mock_render(gal_mock_canvas *canvas, float *gri, const gal_mock_shape *shape, int64_t draw,
                     unsigned parts, uint64_t seed)
{
    const gal_picture_kernels *fast = kernels();
    gal_mock_field_draw(&canvas->field, draw, parts, seed);
    for (int b = 0; b < GAL_PLANES; b++) {
        float *plane = gri + b * GAL_CUTOUT_PIXELS;
        float near[GAL_TAPS], far[GAL_TAPS], seen[2][GAL_CUTOUT];
        int near_taps = gaussian(near, shape->seeing[b], .9, 4.5),
            far_taps = gaussian(far, 3 * shape->seeing[b], .1, 3.5);
        kept(seen[0], near, near_taps);
        kept(seen[1], far, far_taps);
        draw_galaxy(canvas, shape, b, (const float(*)[GAL_CUTOUT])seen);
        gal_mock_field_galaxies(canvas->light, &canvas->field, b);
        fast->blur(plane, canvas->light, near, near_taps, far, far_taps, canvas->work);
        gal_mock_field_stars(plane, &canvas->field, b, shape->seeing[b]);
        if (parts & GAL_RENDER_NOISE)
            add_noise(canvas, plane, b, gal_mock_stream_of(seed, draw, GAL_MOCK_PIXELS));
    }
}

void gal_mock_colours(uint8_t *rgb, const float *gri)
{
    kernels()->colours(rgb, gri);
}

gal_status gal_mock_cutout(const char *path, const gal_mock_galaxy *galaxy, const gal_mock_galaxy *donor,
                           unsigned without, uint64_t seed, int neighbours)
{
    gal_mock_canvas *canvas;
    gal_status status = gal_mock_canvas_new(&canvas);
    if (status)
        return status;
    gal_mock_shape_of(&canvas->shape, galaxy, donor, without, seed);
    gal_mock_render(canvas, canvas->gri, &canvas->shape, galaxy->draw,
                    neighbours ? GAL_RENDER_ALL : GAL_RENDER_ALL & ~GAL_RENDER_FIELD, seed);
    if (gal_name_ends(path, ".fits")) {
        double ra, dec;
        gal_mock_position(&ra, &dec, seed, galaxy->draw);
        status = gal_planes_write(path, canvas->gri, ra, dec);
    } else {
        gal_mock_colours(canvas->rgb, canvas->gri);
        status = gal_jpeg_write(path, canvas->rgb, GAL_CUTOUT, GAL_CUTOUT);
    }
    gal_mock_canvas_free(canvas);
    return status;
}
