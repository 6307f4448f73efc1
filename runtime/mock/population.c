/* population.c: the galaxies of the mock survey: draws a galaxy's latents from the prior (README.md, section
 * 1) and decides whether the survey selects it. spectrum.c and photometry.c compute the rest. */
#include "model.h"
#include "core/random.h"
#include <pthread.h>

/* ---- random numbers ---- */

/* Draws from here on are for donors: 4,096 candidates for each draw of a survey. */
#define DONORS ((int64_t)1 << 51)

gal_mock_stream gal_mock_stream_of(uint64_t seed, int64_t draw, gal_mock_purpose purpose)
{
    return (gal_mock_stream){.key = seed, .stream = (uint64_t)draw << 8 | (uint64_t)purpose, .used = 4};
}

static uint32_t word(gal_mock_stream *s)
{
    if (s->used == 4) {
        gal_random_block(s->word, s->key, s->block++, s->stream);
        s->used = 0;
    }
    return s->word[s->used++];
}

double gal_mock_uniform(gal_mock_stream *s)
{
    return (word(s) + 0.5) * 0x1p-32;
}

double gal_mock_normal(gal_mock_stream *s)
{
    if (s->has_spare) {
        s->has_spare = 0;
        return s->spare;
    }
    float first;
    uint32_t a = word(s), b = word(s);
    gal_random_normals(a, b, &first, &s->spare);
    s->has_spare = 1;
    return first;
}

/* ---- cosmology: flat, Omega_m 0.3, Omega_Lambda 0.7, H0 70 ---- */

#define HUBBLE_DISTANCE (299792.458 / 70) /* Mpc */

double gal_mock_distance(double z)
{
    return HUBBLE_DISTANCE * z * (1 + 0.775 * z - 0.27375 * z * z);
}

double gal_mock_age(double z)
{
    return 11.13 * asinh(1.5275 * pow(1 + z, -1.5));
}

double gal_mock_comoving(double z)
{
    return gal_mock_distance(z) / (1 + z);
}

/* The z with z (1 + 0.775 z - 0.27375 z^2) = x: Newton's method from z = x; six steps are exact below z =
 * 0.3. */
static double distance_inverse(double x)
{
    double z = x;
    for (int step = 0; step < 6; step++)
        z -= (z * (1 + 0.775 * z - 0.27375 * z * z) - x) / (1 + 1.55 * z - 0.82125 * z * z);
    return z;
}

/* By iterating a contraction, of less than 0.06 below z = 0.25: twelve steps are exact. */
double gal_mock_redshift(double comoving)
{
    double x = comoving / HUBBLE_DISTANCE, z = x;
    for (int step = 0; step < 12; step++)
        z = x * (1 + z) / (1 + 0.775 * z - 0.27375 * z * z);
    return z;
}

/* ---- masses and distances ---- */

double gal_mock_redshift_limit(double log_mass)
{
    double modulus = 17.83 - (4.65 - 2.5 * (log_mass + 0.55)), distance = gal_mock_ten_to((modulus - 25) / 5);
    return distance < gal_mock_distance(GAL_Z_HIGH) ? distance_inverse(distance / HUBBLE_DISTANCE)
                                                    : GAL_Z_HIGH;
}

static double cube(double x)
{
    return x * x * x;
}

/* The mass function of blue galaxies (Baldry et al. 2012) times the share that a BPT diagram leaves among the
 * star forming. */
double gal_mock_mass_function(double log_mass)
{
    double x = gal_mock_ten_to(log_mass - 10.72);
    return pow(x, 1 - 1.45) * exp(-x) / (1 + gal_mock_ten_to(2.2 * (log_mass - 10.85)));
}

/* Number of galaxies per dex of mass that could be in the survey. */
static double mass_density(double log_mass)
{
    return gal_mock_mass_function(log_mass) *
           (cube(gal_mock_comoving(gal_mock_redshift_limit(log_mass))) - cube(gal_mock_comoving(GAL_Z_LOW)));
}

/* ---- tables ---- */

static gal_mock_tables tables;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* Quantiles of mass_density, by the trapezoidal rule over 70,000 cells, linear inside a cell. */
static void fill_masses(void)
{
    enum { CELLS = 70000 };
    double width = (GAL_MASS_HIGH - GAL_MASS_LOW) / CELLS, total = 0, sum = 0,
           before = mass_density(GAL_MASS_LOW);
    for (int pass = 0, node = 0; pass < 2; pass++) {
        before = mass_density(GAL_MASS_LOW);
        for (int i = 1; i <= CELLS; i++) {
            double here = mass_density(GAL_MASS_LOW + i * width), cell = (before + here) / 2;
            if (pass == 0)
                total += cell;
            for (; pass == 1 && node < GAL_MASS_NODES && node * total <= (sum + cell) * GAL_MASS_NODES;
                 node++)
                tables.log_mass[node] =
                    GAL_MASS_LOW + (i - 1 + (node * total / GAL_MASS_NODES - sum) / cell) * width;
            sum += pass ? cell : 0;
            before = here;
        }
    }
    tables.log_mass[GAL_MASS_NODES] = GAL_MASS_HIGH;
}

/* ln ((1 - e^-x) / x), and its slope. */
static double log_mean(double x, double *slope)
{
    if (fabs(x) < 1e-5) {
        *slope = -0.5 + x / 12;
        return -0.5 * x + x * x / 24;
    }
    *slope = 1 / expm1(x) - 1 / x;
    return log(-expm1(-x) / x);
}

static void fill_histories(void)
{
    double low = log(GAL_HISTORY_LOW), step = log(GAL_HISTORY_HIGH / GAL_HISTORY_LOW) / GAL_HISTORY_NODES;
    for (int i = 0; i <= GAL_HISTORY_NODES; i++) {
        double a = -10, b = 60, slope; /* (1 - e^-x) / x is 2203 and 0.0167 there */
        for (int halving = 0; halving < 60; halving++) {
            double middle = (a + b) / 2;
            if (log_mean(middle, &slope) > low + i * step)
                a = middle;
            else
                b = middle;
        }
        tables.history[i] = (a + b) / 2;
    }
}

static void fill(void)
{
    fill_masses();
    fill_histories();
}

const gal_mock_tables *gal_mock_tables_ready(void)
{
    pthread_once(&once, fill);
    return &tables;
}

double gal_mock_history_rate(double y)
{
    const gal_mock_tables *t = gal_mock_tables_ready();
    double wanted = log(fmin(fmax(y, GAL_HISTORY_LOW), GAL_HISTORY_HIGH)), slope;
    double at = (wanted - log(GAL_HISTORY_LOW)) / log(GAL_HISTORY_HIGH / GAL_HISTORY_LOW) * GAL_HISTORY_NODES;
    int node = at < GAL_HISTORY_NODES ? (int)at : GAL_HISTORY_NODES - 1;
    double x = t->history[node] + (at - node) * (t->history[node + 1] - t->history[node]);
    double here = log_mean(x, &slope); /* one step of Newton's method takes the table's 1e-5 to 1e-10 */
    return x - (here - wanted) / slope;
}

/* ---- one galaxy ---- */

static double clip(double x, double low, double high)
{
    return fmin(fmax(x, low), high);
}

/* Order of the stream: three uniforms and one unused, then normals. */
void gal_mock_latents_of(gal_mock_latents *l, uint64_t seed, int64_t draw)
{
    const gal_mock_tables *t = gal_mock_tables_ready();
    gal_mock_stream s = gal_mock_stream_of(seed, draw, GAL_MOCK_POPULATION);
    double u_mass = gal_mock_uniform(&s), u_volume = gal_mock_uniform(&s), at = u_mass * GAL_MASS_NODES;
    int node = (int)at;
    l->log_mass = t->log_mass[node] + (at - node) * (t->log_mass[node + 1] - t->log_mass[node]);
    double near = cube(gal_mock_comoving(GAL_Z_LOW)),
           far = cube(gal_mock_comoving(gal_mock_redshift_limit(l->log_mass)));
    l->z = gal_mock_redshift(cbrt(near + u_volume * (far - near)));
    l->cos_inclination = gal_mock_uniform(&s);
    (void)gal_mock_uniform(&s);
    for (int i = 0; i < 7; i++)
        l->normal[i] = gal_mock_normal(&s);
}

/* The population's relations: README.md, section 1, line by line. */
static void relations(gal_mock_galaxy *g, const gal_mock_latents *x)
{
    g->log_mass = x->log_mass;
    g->z = x->z;
    g->cos_inclination = x->cos_inclination;
    g->smooth_offset = 0.24 * x->normal[0];
    g->burst_offset = 0.22 * x->normal[1];
    g->size_residual = x->normal[2];
    g->gas = x->normal[3];
    double m = g->log_mass - 10, offset = g->smooth_offset + g->burst_offset, bend = fmax(0, m - 0.3);
    g->main_sequence = -0.03 + 0.80 * m - 0.2 * bend * bend + 2.5 * log10((1 + g->z) / 1.07);

    double l = clip(g->log_mass, 8.5, 11.5),
           mean = -1.492 + 1.847 * l - 0.08026 * l * l + 0.48 * fmin(g->log_mass - 8.5, 0);
    double slope = 0.5 * clip(-0.14 + 0.12 * m - 0.108 * g->main_sequence, -0.35, 0),
           sigma = clip(0.095 - 0.06 * m, 0.06, 0.16);
    g->oh =
        fmin(mean + slope * offset + sigma * (-0.5 * g->size_residual - 0.5 * g->gas + 0.707 * x->normal[4]),
             9.45);
    g->log_metallicity = clip(1.3 * (g->oh - 8.95) - 0.12 + 0.12 * x->normal[5], -0.7, 0.4);

    double h_alpha = clip(0.91 + 0.77 * m + 0.11 * m * m - 0.09 * m * m * m, 0.15, 2.2);
    double face_on = 0.42 * (h_alpha / 0.91) * gal_mock_ten_to(0.25 * offset) * exp(0.35 * x->normal[6]);
    g->axis_ratio = sqrt(g->cos_inclination * g->cos_inclination * (1 - 0.04) + 0.04);
    double tilt = log10(g->axis_ratio);
    g->a_v = fmin(4, face_on * (1 + 3.4 * tilt * tilt));
}

void gal_mock_noiseless(gal_mock_galaxy *g, const gal_mock_latents *latents)
{
    *g = (gal_mock_galaxy){.draw = 0};
    relations(g, latents);
    gal_mock_history(g);
    gal_mock_spectrum(g);
}

void gal_mock_draw(gal_mock_galaxy *out, uint64_t seed, int64_t draw)
{
    gal_mock_latents latents;
    gal_mock_latents_of(&latents, seed, draw);
    gal_mock_noiseless(out, &latents);
    out->draw = draw;
    gal_mock_observe(out, seed);
    gal_mock_labels(out, seed);
}

int gal_mock_selected(const gal_mock_galaxy *g)
{
    for (int b = 0; b < GAL_BANDS; b++)
        if (!(g->observed[b] > 0))
            return 0;
    return g->observed[2] > GAL_FLUX_FAINT && g->observed[2] < GAL_FLUX_BRIGHT;
}

void gal_mock_donor(gal_mock_galaxy *out, uint64_t seed, int64_t draw)
{
    /* One draw in twelve is selected: none of 4,096 is, once in 10^150 galaxies. */
    for (int64_t k = 0; k < 4096; k++) {
        gal_mock_draw(out, seed, DONORS + draw * 4096 + k);
        if (gal_mock_selected(out))
            return;
    }
}
