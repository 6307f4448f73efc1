/* spectrum.c: from a galaxy's latents to its star formation history, its light in ugriz and its Dn4000
 * (README.md, section 2), all without noise, which photometry.c adds. */
#include "model.h"
#include <math.h>

#define AGES_OF_SFR 2 /* the last 100 Myr */
/* Stars below 10 Myr and lines are behind 1 / 0.44 times the others' dust (Charlot & Fall 2000). */
#define YOUNG_DUST 0.44
#define DUST_SLOPE -0.7     /* A ~ lambda^-0.7, the same paper */
#define V_WAVELENGTH 5500.0 /* Angstrom */

/* The two metallicities around a galaxy's and the weight of the second; all is linear in log Z between them.
 */
typedef struct between {
    const gal_mock_basis *a, *b; /* {GAL_AGES} */
    double weight;
} between;

static between metallicities(double log_metallicity)
{
    const double low = log10(0.004 / 0.02), high = log10(0.05 / 0.02);
    if (log_metallicity < 0)
        return (between){gal_mock_stars[0], gal_mock_stars[1], 1 - log_metallicity / low};
    return (between){gal_mock_stars[1], gal_mock_stars[2], log_metallicity / high};
}

static double mix(double a, double b, double weight)
{
    return a + weight * (b - a);
}

/* Masses formed: e^(-gamma a) over lookback time, the bins of the last 300 Myr raised by the burst, scaled so
 * that what survives is M*. */
void gal_mock_history(gal_mock_galaxy *g)
{
    between at = metallicities(g->log_metallicity);
    double oldest = fmin(gal_mock_age(g->z) - 1, 13.4); /* Gyr of lookback time */
    double y = gal_mock_ten_to(g->log_mass - g->main_sequence - g->smooth_offset) / (0.57e9 * oldest),
           gamma = gal_mock_history_rate(y) / oldest;
    double burst = gal_mock_ten_to(g->burst_offset), surviving = 0, before = 0;
    for (int k = 0; k < GAL_AGES; k++) {
        double edge = fmin(gal_mock_edges[k + 1], oldest),
               formed = fabs(gamma) < 1e-9 ? edge : -expm1(-gamma * edge) / gamma;
        g->mass[k] = (formed - before) * (k < AGES_OF_SFR ? burst : k == AGES_OF_SFR ? sqrt(burst) : 1);
        surviving += g->mass[k] * mix(at.a[k].surviving, at.b[k].surviving, at.weight);
        before = formed;
    }
    double scale = gal_mock_ten_to(g->log_mass) / surviving, light = 0, weighted = 0;
    for (int k = 0; k < GAL_AGES; k++) {
        g->mass[k] *= scale;
        double near = g->mass[k] * gal_mock_ten_to(mix(at.a[k].log_4000, at.b[k].log_4000, at.weight));
        light += near;
        weighted += near / mix(at.a[k].dn4000, at.b[k].dn4000, at.weight);
    }
    g->log_sfr = log10((g->mass[0] + g->mass[1]) / 1e8);
    g->dn4000 = light / weighted;
    const double truth[5] = {g->log_mass, g->log_sfr, g->oh, g->dn4000, g->a_v};
    for (int i = 0; i < 5; i++)
        g->truth[i] = truth[i];
}

/* ---- emission lines ---- */

enum { LINES = 7 };
static const double line_wavelength[LINES] = {
    3727, 4861, 4959, 5007, 6563, 6584, 6724}; /* [O II], H beta, [O III] twice, H alpha, [N II], [S II] */

/* A bandpass as a trapezoid: T / integral T dln lambda rises from 0 at edge[0] to height[0] at edge[1], goes
 * to height[1] at edge[2] and falls to 0 at edge[3]. */
static const struct bandpass {
    double edge[4], height[2];
} bandpasses[GAL_BANDS] = {
    {{3087, 3423, 3724, 3972}, {5.47, 6.54}},  {{3817, 4213, 5213, 5442}, {2.94, 4.25}},
    {{5443, 5736, 6625, 6867}, {4.95, 5.69}},  {{6765, 7052, 8113, 8305}, {6.97, 4.38}},
    {{8077, 8418, 8563, 10232}, {6.68, 7.84}},
};

static double transmission(const struct bandpass *b, double wavelength)
{
    const double *e = b->edge, *h = b->height;
    if (wavelength <= e[0] || wavelength >= e[3])
        return 0;
    if (wavelength < e[1])
        return h[0] * (wavelength - e[0]) / (e[1] - e[0]);
    if (wavelength < e[2])
        return mix(h[0], h[1], (wavelength - e[1]) / (e[2] - e[1]));
    return h[1] * (e[3] - wavelength) / (e[3] - e[2]);
}

static double clip(double x, double low, double high)
{
    return fmin(fmax(x, low), high);
}

/* Luminosities, erg/s: H alpha from the star formation of the last 10 Myr (Kennicutt & Evans 2012), the
 * others by ratios that depend on the gas's metallicity. */
static void line_luminosities(double luminosity[LINES], const gal_mock_galaxy *g)
{
    double h_alpha = gal_mock_ten_to(41.27) * g->mass[0] / 1e7, h_beta = h_alpha / 2.86, x = g->oh - 8.69;
    double nitrogen = gal_mock_ten_to(clip(-0.55 + 0.9 * (x - 0.2), -1.8, -0.2)),
           oxygen3 = gal_mock_ten_to(clip(-1.6 * (x - 0.15), -0.7, 0.8));
    double oxygen2 = gal_mock_ten_to(clip(0.38 - 0.6 * clip(x - 0.05, 0, 1), -0.3, 0.45));
    const double l[LINES] = {oxygen2 * h_beta, h_beta,  oxygen3 * h_beta / 3,
                             oxygen3 * h_beta, h_alpha, nitrogen * h_alpha,
                             0.28 * h_alpha};
    for (int i = 0; i < LINES; i++)
        luminosity[i] = l[i];
}

/* Nanomaggies that the lines add to each band: f_nu = F lambda T / c, lambda and T as observed. */
static void add_lines(gal_mock_galaxy *g)
{
    double luminosity[LINES], centimetres = gal_mock_distance(g->z) * 3.0857e24,
                              area = 4 * M_PI * centimetres * centimetres;
    line_luminosities(luminosity, g);
    for (int i = 0; i < LINES; i++) {
        double wavelength = line_wavelength[i] * (1 + g->z),
               magnitudes = g->a_v / YOUNG_DUST * pow(line_wavelength[i] / V_WAVELENGTH, DUST_SLOPE);
        double f_nu = luminosity[i] * gal_mock_ten_to(-0.4 * magnitudes) / area * wavelength /
                      2.99792458e18; /* c in Angstrom/s */
        for (int b = 0; b < GAL_BANDS; b++)
            g->flux[b] += f_nu * transmission(&bandpasses[b], wavelength) / 3.631e-29;
    }
}

void gal_mock_spectrum(gal_mock_galaxy *g)
{
    between at = metallicities(g->log_metallicity);
    double modulus = 5 * log10(gal_mock_distance(g->z) * 1e5); /* of 10 pc */
    for (int b = 0; b < GAL_BANDS; b++) {
        double dust = g->a_v * pow(gal_mock_pivot[b] / (1 + g->z) / V_WAVELENGTH, DUST_SLOPE);
        g->flux[b] = 0;
        for (int k = 0; k < GAL_AGES; k++) {
            const double *x = at.a[k].magnitude[b], *y = at.b[k].magnitude[b];
            double magnitude = mix(x[0], y[0], at.weight) +
                               g->z * (mix(x[1], y[1], at.weight) + g->z * mix(x[2], y[2], at.weight));
            g->stars[b][k] =
                g->mass[k] *
                gal_mock_ten_to(-0.4 * (magnitude + modulus + (k == 0 ? dust / YOUNG_DUST : dust) - 22.5));
            g->flux[b] += g->stars[b][k];
        }
    }
    add_lines(g);
}
