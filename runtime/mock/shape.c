/* shape.c: what a galaxy of the mock survey looks like: sizes, shares of light, arms and clumps, from its
 * latents (IMAGES.md). */
#include "image.h"
#include <math.h>

/* Kiloparsecs to pixels at redshift z, by the angular diameter distance d_L / (1 + z)^2. */
static double pixels_of(double kpc, double z)
{
    return kpc / (gal_mock_distance(z) * 1e3 / ((1 + z) * (1 + z))) * (180 * 3600 / M_PI) / GAL_PIXEL_ARCSEC;
}

/* The half-light radius of late types, kpc: Shen et al. 2003, equations 18 and 19, with .8 of their scatter
 * and 11 % smaller, so that surface brightnesses are those of real cutouts (IMAGES.md). */
static double half_light_kpc(double log_mass, double residual)
{
    double mass = pow(10, log_mass), ratio = mass / 3.98e10;
    return 0.1 * pow(mass, .14) * pow(1 + ratio, .25) *
           exp(.8 * (.34 + .13 / (1 + ratio * ratio)) * residual - .12);
}

/* The share of a band's stellar light that comes from the ages [from, to). */
static double share_of(const gal_mock_galaxy *g, int band, int from, int to)
{
    double part = 0, all = 0;
    for (int k = 0; k < GAL_AGES; k++) {
        all += g->stars[band][k];
        if (k >= from && k < to)
            part += g->stars[band][k];
    }
    return part / all;
}

static double clip(double x, double low, double high)
{
    return x < low ? low : x > high ? high : x;
}

/* Gamma(2): the radius, in scale lengths, of a star of an exponential disc. Not beyond 3 scale lengths, where
 * star formation ends (Martin & Kennicutt 2001). */
static double clump_radius(gal_mock_stream *s)
{
    for (int attempt = 0; attempt < 8; attempt++) {
        double radius = -log(gal_mock_uniform(s) * gal_mock_uniform(s));
        if (radius < 3)
            return radius;
    }
    return 1;
}

int gal_mock_poisson(gal_mock_stream *s, double mean, int most)
{
    double limit = exp(-mean), product = gal_mock_uniform(s);
    int n = 0;
    for (; product > limit && n < most; n++)
        product *= gal_mock_uniform(s);
    return n;
}

static void draw_clumps(gal_mock_shape *shape, gal_mock_stream *s, double kpc)
{
    double h = shape->scale[1], sum = 0;
    shape->clump_count = gal_mock_poisson(s, 30, GAL_MOCK_MOST_CLUMPS);
    for (int i = 0; i < shape->clump_count; i++) {
        gal_mock_clump *k = &shape->clump[i];
        double u = clump_radius(s), angle = 0;
        /* By rejection: the density goes as the arms' brightness there, which is at most 2. */
        for (int attempt = 0; attempt < 8; attempt++) {
            angle = 2 * M_PI * gal_mock_uniform(s);
            double wave = cos(shape->arms * angle - shape->arms * log(u) / tan(shape->pitch) - shape->phase);
            if (gal_mock_uniform(s) * 2 < 1 + shape->arm_strength * wave * (1 - exp(-u * u)))
                break;
        }
        k->x = (float)(u * h * cos(angle));
        k->y = (float)(u * h * sin(angle) * shape->axis_ratio);
        k->sigma = (float)fmax(.35 * kpc, .6);
        k->weight = (float)-log(gal_mock_uniform(s));
        sum += k->weight;
    }
    for (int i = 0; i < shape->clump_count; i++)
        shape->clump[i].weight /= (float)sum;
}

void gal_mock_shape_of(gal_mock_shape *shape, const gal_mock_galaxy *galaxy, const gal_mock_galaxy *donor,
                       unsigned without, uint64_t seed)
{
    const gal_mock_galaxy *g = galaxy;
#define FROM(coupling) (without & (coupling) ? donor : galaxy)
    gal_mock_stream s = gal_mock_stream_of(seed, g->draw, GAL_MOCK_MORPHOLOGY);
    *shape = (gal_mock_shape){.angle = M_PI * gal_mock_uniform(&s)};
    const gal_mock_galaxy *inclined = FROM(GAL_MOCK_INCLINATION), *bt = FROM(GAL_MOCK_BT),
                          *young = FROM(GAL_MOCK_CLUMPS), *old = FROM(GAL_MOCK_BULGE_COLOUR),
                          *sized = FROM(GAL_MOCK_SIZE), *sloped = FROM(GAL_MOCK_GRADIENT);
#undef FROM

    double logit = -1.7 + 1.1 * (bt->log_mass - 10) - 2.2 * bt->smooth_offset + .7 * gal_mock_normal(&s);
    shape->bulge_to_total = 1 / (1 + exp(-logit));
    shape->gradient = -.20 - .6 * (sloped->oh - 8.95) + .05 * gal_mock_normal(&s);
    shape->clumpiness = -1 + .9 * young->burst_offset + .4 * young->smooth_offset + .15 * young->gas +
                        .12 * gal_mock_normal(&s);

    double kpc = pixels_of(1, g->z);
    shape->axis_ratio = inclined->axis_ratio;
    shape->bulge_axis_ratio = 1 - .35 * (1 - inclined->cos_inclination);
    shape->radius = half_light_kpc(g->log_mass, sized->size_residual) * kpc / sqrt(shape->axis_ratio);
    double h = shape->radius * (1 + .6 * shape->bulge_to_total) / 1.678;
    shape->bulge_radius = .35 * shape->radius * sqrt(shape->axis_ratio) * (.6 + .8 * shape->bulge_to_total);

    double beta = fmin(shape->bulge_to_total / share_of(old, 2, 5, GAL_AGES), .9),
           clumps = fmin(3.5 * pow(10, shape->clumpiness), .8);
    static const double kappa[GAL_PLANES] = {.119, 0, -.119};
    for (int b = 0; b < GAL_PLANES; b++) {
        shape->flux[b] = g->calibrated[b + 1];
        shape->bulge[b] = beta * share_of(old, b + 1, 5, GAL_AGES);
        shape->clumps[b] = fmin(clumps * share_of(young, b + 1, 0, 2), 1 - shape->bulge[b]);
        shape->scale[b] = h * (1 - kappa[b] * shape->gradient);
    }

    shape->arms = gal_mock_uniform(&s) < .75 ? 2 : 3;
    shape->pitch = (10 + 20 * gal_mock_uniform(&s)) * (M_PI / 180) * (gal_mock_uniform(&s) < .5 ? -1 : 1);
    shape->phase = 2 * M_PI * gal_mock_uniform(&s);
    shape->arm_strength = clip(.35 + .6 * (shape->clumpiness + 1), 0, .9);
    shape->lopsided = fmin(fabs(.15 * gal_mock_normal(&s)), .95 - shape->arm_strength);
    shape->lopsided_phase = 2 * M_PI * gal_mock_uniform(&s);
    static const double fwhm[GAL_PLANES] = {1.44, 1.32, 1.26}; /* arcsec */
    for (int b = 0; b < GAL_PLANES; b++)
        shape->seeing[b] = .92 * fwhm[b] / 2.355 / GAL_PIXEL_ARCSEC * exp(.1 * gal_mock_normal(&s));
    for (int b = 0; b < GAL_PLANES; b++)
        for (int i = 0; i < 2; i++)
            shape->shift[b][i] = .15 * gal_mock_normal(&s);
    draw_clumps(shape, &s, kpc);
}
