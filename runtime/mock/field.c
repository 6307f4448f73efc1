/* field.c: stars, galaxies of the background and the sky's residuals (IMAGES.md, "The field"). */
#include "field.h"
#include <math.h>
#include <string.h>

#define CENTRE ((GAL_CUTOUT - 1) / 2.0)

/* A magnitude between bright and faint whose counts grow as 10^(slope m). */
static double magnitude(gal_mock_stream *s, double bright, double faint, double slope)
{
    double low = pow(10, slope * bright), high = pow(10, slope * faint);
    return log10(low + (high - low) * gal_mock_uniform(s)) / slope;
}

static void colour(float flux[GAL_PLANES], double r, double gr, double ri)
{
    flux[0] = (float)pow(10, .4 * (22.5 - r - gr));
    flux[1] = (float)pow(10, .4 * (22.5 - r));
    flux[2] = (float)pow(10, .4 * (22.5 - r + ri));
}

/* On the stellar locus (Covey et al. 2007): two fifths near the turn-off, the rest M dwarfs, all of g - r
 * = 1.4. */
static void draw_star(struct gal_field_star *star, gal_mock_stream *s)
{
    double r = magnitude(s, 13, 22.5, .2), gr, ri;
    star->x = (float)(GAL_CUTOUT * (gal_mock_uniform(s) - .5));
    star->y = (float)(GAL_CUTOUT * (gal_mock_uniform(s) - .5));
    double kind = gal_mock_uniform(s), first = gal_mock_normal(s), second = gal_mock_normal(s);
    if (kind < .4) {
        gr = .45 + .15 * first;
        ri = .36 * gr - .02 + .03 * second;
    } else {
        gr = 1.4 + .08 * first;
        double late = (kind - .4) / .6;
        ri = .5 + late * late + .05 * second;
    }
    colour(star->flux, r, gr, ri);
}

static void draw_galaxy(struct gal_field_galaxy *galaxy, gal_mock_stream *s)
{
    double r = magnitude(s, 17, 24.5, .36);
    galaxy->x = (float)(GAL_CUTOUT * (gal_mock_uniform(s) - .5));
    galaxy->y = (float)(GAL_CUTOUT * (gal_mock_uniform(s) - .5));
    double gr = .75 + .35 * gal_mock_normal(s), ri = .1 + .4 * gr + .1 * gal_mock_normal(s);
    colour(galaxy->flux, r, gr, ri);
    double half_light = 1.4 * pow(10, -.11 * (r - 18) + .15 * gal_mock_normal(s)); /* arcsec */
    galaxy->scale = (float)fmax(half_light / 1.678 / GAL_PIXEL_ARCSEC, .4);
    galaxy->axis_ratio = (float)(.35 + .65 * gal_mock_uniform(s));
    galaxy->angle = (float)(M_PI * gal_mock_uniform(s));
}

void gal_mock_field_draw(gal_mock_field *field, int64_t draw, unsigned parts, uint64_t seed)
{
    memset(field, 0, sizeof *field);
    gal_mock_stream s = gal_mock_stream_of(seed, draw, GAL_MOCK_FIELD);
    double glow = gal_mock_uniform(&s), strength = gal_mock_uniform(&s),
           direction = 2 * M_PI * gal_mock_uniform(&s);
    for (int b = 0; b < GAL_PLANES; b++)
        for (int i = 0; i < 3; i++)
            field->sky[b][i] = (float)(gal_mock_pixel_sigma[b + 1] *
                                       (.08 * gal_mock_normal(&s) + (i == 0 && b == 2 ? .06 : 0)));
    /* One frame in sixteen is near a bright star, whose light is scattered into it, mostly red. */
    static const double red[GAL_PLANES] = {.15, .4, 1};
    for (int b = 0; b < GAL_PLANES && glow < 1 / 16.0; b++) {
        double level = red[b] * (.008 + .022 * strength);
        field->sky[b][0] += (float)level;
        field->sky[b][1] += (float)(.8 * level * cos(direction));
        field->sky[b][2] += (float)(.8 * level * sin(direction));
    }
    if (!(parts & GAL_RENDER_SKY))
        memset(field->sky, 0, sizeof field->sky);
    if (!(parts & GAL_RENDER_FIELD))
        return;
    field->spikes = (float)(M_PI / 2 * gal_mock_uniform(&s));
    field->stars = gal_mock_poisson(&s, 1.7, GAL_FIELD_MOST);
    for (int i = 0; i < field->stars; i++)
        draw_star(&field->star[i], &s);
    field->galaxies = gal_mock_poisson(&s, 10, GAL_FIELD_MOST);
    for (int i = 0; i < field->galaxies; i++)
        draw_galaxy(&field->galaxy[i], &s);
}

/* The first and the last pixel within `reach` of position `at` along an axis, inside the frame. */
static int first_of(double at, double reach)
{
    double i = ceil(at + CENTRE - reach);
    return i < 0 ? 0 : i > GAL_CUTOUT ? GAL_CUTOUT : (int)i;
}

static int last_of(double at, double reach)
{
    double i = floor(at + CENTRE + reach);
    return i < -1 ? -1 : i > GAL_CUTOUT - 1 ? GAL_CUTOUT - 1 : (int)i;
}

double gal_mock_spot(float *plane, double x, double y, double sigma, double flux)
{
    double reach = 4 * sigma;
    int left = first_of(x, reach), right = last_of(x, reach), top = first_of(y, reach),
        bottom = last_of(y, reach);
    float across[GAL_CUTOUT], sum = 0;
    for (int i = left; i <= right; i++) {
        float d = (float)((i - CENTRE - x) / sigma);
        across[i] = expf(-.5f * d * d);
        sum += across[i];
    }
    double all = 0;
    for (int j = top; j <= bottom; j++) {
        float d = (float)((j - CENTRE - y) / sigma),
              value = (float)(flux / (2 * M_PI * sigma * sigma)) * expf(-.5f * d * d);
        for (int i = left; i <= right; i++)
            plane[j * GAL_CUTOUT + i] += value * across[i];
        all += value * sum;
    }
    return all;
}

void gal_mock_field_galaxies(float *plane, const gal_mock_field *field, int b)
{
    for (int k = 0; k < field->galaxies; k++) {
        const struct gal_field_galaxy *g = &field->galaxy[k];
        float c = cosf(g->angle), s = sinf(g->angle), reach = 6 * g->scale, flat = 1 / g->axis_ratio,
              soft = .3f * flat;
        /* The profile's sum over the whole plane, whatever part of it the frame shows: its integral times
         * what softening leaves, (1 + soft / scale) e^(-soft / scale). */
        float norm = 2 * (float)M_PI * g->scale * g->scale * g->axis_ratio * (1 + soft / g->scale) *
                     expf(-soft / g->scale);
        int left = first_of(g->x, reach), right = last_of(g->x, reach), top = first_of(g->y, reach),
            bottom = last_of(g->y, reach);
        for (int j = top; j <= bottom; j++)
            for (int i = left; i <= right; i++) {
                float x = i - (float)CENTRE - g->x, y = j - (float)CENTRE - g->y;
                float u = x * c + y * s, v = (y * c - x * s) * flat;
                plane[j * GAL_CUTOUT + i] +=
                    g->flux[b] / norm * expf(-sqrtf(u * u + v * v + soft * soft) / g->scale);
            }
    }
}

/* The far wing of a bright star, 2 % of its light as (1 + (r / 10 px)^2)^-1.5, and four spikes. */
static void draw_wing(float *plane, const struct gal_field_star *star, float flux, float spikes)
{
    float c = cosf(spikes), s = sinf(spikes), wing = .02f * flux / (2 * (float)M_PI * 100),
          spike = .002f * flux / 60;
    for (int j = 0; j < GAL_CUTOUT; j++)
        for (int i = 0; i < GAL_CUTOUT; i++) {
            float x = i - (float)CENTRE - star->x, y = j - (float)CENTRE - star->y,
                  t = 1 + (x * x + y * y) * .01f;
            float u = fabsf(x * c + y * s), v = fabsf(y * c - x * s);
            float cross = expf(-u / 30 - v * v * .3f) + expf(-v / 30 - u * u * .3f);
            plane[j * GAL_CUTOUT + i] += wing / (t * sqrtf(t)) + spike * cross;
        }
}

void gal_mock_field_stars(float *plane, const gal_mock_field *field, int b, double s)
{
    for (int k = 0; k < field->stars; k++) {
        const struct gal_field_star *star = &field->star[k];
        gal_mock_spot(plane, star->x, star->y, s, .9 * star->flux[b]);
        gal_mock_spot(plane, star->x, star->y, 3 * s, .1 * star->flux[b]);
        if (star->flux[1] > 630) /* r < 15.5 */
            draw_wing(plane, star, star->flux[b], field->spikes);
    }
    const float *sky = field->sky[b];
    for (int j = 0; j < GAL_CUTOUT; j++)
        for (int i = 0; i < GAL_CUTOUT; i++)
            plane[j * GAL_CUTOUT + i] +=
                sky[0] + sky[1] * (i - (float)CENTRE) / 64 + sky[2] * (j - (float)CENTRE) / 64;
}
