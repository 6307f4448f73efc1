/* mock.c: the mock survey: its model against another program's values, its fast kernels against the model,
 * and the reference posterior where the answer is known: the real model with only dust and burst free, on a
 * grid. */
#include "check.h"
#include "cpu/cpu.h"
#include "mock/fast/kernels.h"
#include "mock/reference.h"
#include <stdlib.h>

static double cell(gal_table *table, const char *name, int64_t row)
{
    static double values[64];
    for (int i = 0; i < gal_table_columns(table); i++)
        if (!strcmp(gal_table_name(table, i), name) && gal_table_numbers(values, table, i) == GAL_OK)
            return values[row];
    REPORT(0, "no column %s", name);
    return NAN;
}

/* golden/mock_survey.py is the model in numpy, with a root finder of its own. Twenty galaxies: the middle,
 * both ends of mass and redshift, and any. */
static void golden(void)
{
    CASE("fluxes, star formation, metallicity, dust and Dn4000 are those of the model written down a second "
         "time in numpy");
    static const char *const normals[] = {"n0", "n1", "n2", "n3", "n4", "n5", "n6"}, *const fluxes[] = {
                                                                                         "u", "g", "r", "i",
                                                                                         "z_band"};
    gal_table *t = NULL;
    IS_OK(gal_table_open(&t, "golden/mock_survey.csv", NULL));
    if (!t)
        return;
    IS_INT(gal_table_rows(t), 20);
    for (int64_t row = 0; row < gal_table_rows(t); row++) {
        gal_mock_latents l = {.log_mass = cell(t, "log_mass", row),
                              .z = cell(t, "z", row),
                              .cos_inclination = cell(t, "cos_inclination", row)};
        for (int i = 0; i < 7; i++)
            l.normal[i] = cell(t, normals[i], row);
        gal_mock_galaxy g;
        gal_mock_noiseless(&g, &l);
        IS_NEAR(g.oh, cell(t, "oh", row), 1e-9);
        IS_NEAR(g.log_metallicity, cell(t, "log_metallicity", row), 1e-9);
        IS_NEAR(g.a_v, cell(t, "a_v", row), 1e-9);
        IS_NEAR(g.log_sfr, cell(t, "log_sfr", row), 1e-6); /* the history is solved to 1e-8 */
        IS_NEAR(g.dn4000, cell(t, "dn4000", row), 1e-6);
        for (int b = 0; b < GAL_BANDS; b++) {
            double expected = cell(t, fluxes[b], row);
            IS_NEAR(g.flux[b] / expected, 1, 1e-6);
        }
    }
    gal_table_free(t);
}

static void fast_fluxes(void)
{
    CASE("the fast kernels' flux in r is the model's within 0.2 %, drawn and given");
    enum { DRAWS = 20001 };
    static float plain[DRAWS], fast[DRAWS], given[10][DRAWS];
    static const char *const isas[] = {"plain", "avx2", "avx512"};
    for (int i = 0; i < DRAWS; i++) {
        gal_mock_latents l;
        gal_mock_latents_of(&l, 11, 1000003 + i);
        given[0][i] = (float)l.log_mass, given[1][i] = (float)l.z, given[2][i] = (float)l.cos_inclination;
        for (int n = 0; n < 7; n++)
            given[3 + n][i] = (float)l.normal[n];
    }
    gal_mock_fluxes_by_model(plain, NULL, 11, 1000003, DRAWS);
    for (int isa = 0; isa < 3; isa++)
        for (int latents = 0; latents < 2 && gal_cpu_table(isas[isa]); latents++) {
            const gal_mock_kernels *kernels = gal_mock_kernels_of(isas[isa]);
            kernels->flux(fast, latents ? *given : NULL, 11, 1000003, DRAWS);
            double worst = 0;
            for (int i = 0; i < DRAWS; i++)
                worst = fmax(worst, fabs(fast[i] / plain[i] - 1));
            REPORT(worst < 0.002, "%s: off by up to %.3g, expected 0.002", isas[isa], worst);
        }
}

static void nonsense(void)
{
    CASE("latents beyond all sense give a flux or none, and read no memory that isn't theirs");
    enum { DRAWS = 32 };
    float latents[10][DRAWS], y[DRAWS];
    for (int i = 0; i < DRAWS; i++) {
        for (int k = 0; k < 10; k++)
            latents[k][i] = i % 2 ? 1e30f : -1e30f;
        latents[i % 10][i] = NAN;
    }
    gal_mock_fluxes(y, *latents, 0, 0, DRAWS);
    IS_INT(DRAWS, 32);
}

static void search_is_complete(void)
{
    CASE("the search finds exactly the draws that the model selects, in order");
    gal_mock *survey = NULL;
    int64_t found = 0, drawn = 0, seen = 0;
    IS_OK(gal_mock_new(&survey, 5, 1000));
    IS_OK(gal_mock_search(&found, &drawn, survey, 1 << 20));
    IS_INT(found, 1000);
    gal_table *t = NULL;
    IS_OK(gal_mock_table(&t, survey));
    int64_t draws[1000];
    uint8_t missing[1000];
    for (int i = 0; i < gal_table_columns(t); i++)
        if (!strcmp(gal_table_name(t, i), "draw"))
            IS_OK(gal_table_integers(draws, missing, t, i));
    for (int64_t draw = 0; seen < 1000 && draw < drawn; draw++) {
        gal_mock_galaxy g;
        gal_mock_draw(&g, 5, draw);
        if (!gal_mock_selected(&g))
            continue;
        if (draws[seen] != draw)
            REPORT(0, "galaxy %lld is draw %lld, expected %lld", (long long)seen + 1, (long long)draws[seen],
                   (long long)draw);
        seen++;
    }
    IS_INT(seen, 1000);
    gal_table_free(t);
    gal_mock_free(survey);
}

/* ---- the reference posterior ---- */

enum { GRID = 400 };
static const double label_error[5] = {.07, .15, .03, .03, .10};

static double log_likelihood(const double *observed, const gal_mock_galaxy *g)
{
    double sum = 0;
    for (int b = 0; b < GAL_BANDS; b++) {
        double f = gal_mock_floor[b] * g->flux[b], sigma = gal_mock_pixel_sigma[b];
        double variance = sigma * sigma * 8.93 * (2.5 * 2.5 + 0.9 * 0.9) / 0.1568 +
                          g->flux[b] * gal_mock_dn[b] / gal_mock_gain[b] + f * f;
        sum -= 0.5 * (observed[b] - g->flux[b]) * (observed[b] - g->flux[b]) / variance + 0.5 * log(variance);
    }
    return sum;
}

/* Mean and deviation of the true properties when all of the galaxy's latents are known but the scatter of
 * burst and dust: a grid over both, -6 to 6. */
static void by_grid(double mean[5], double deviation[5], const double *observed,
                    const gal_mock_latents *latents)
{
    static double weight[GRID * GRID], truth[GRID * GRID][5];
    double largest = -INFINITY, sum = 0;
    for (int i = 0; i < GRID; i++)
        for (int j = 0; j < GRID; j++) {
            gal_mock_latents l = *latents;
            gal_mock_galaxy g;
            l.normal[1] = 12 * (i + 0.5) / GRID - 6;
            l.normal[6] = 12 * (j + 0.5) / GRID - 6;
            gal_mock_noiseless(&g, &l);
            double log_weight = -0.5 * (l.normal[1] * l.normal[1] + l.normal[6] * l.normal[6]);
            log_weight += log_likelihood(observed, &g);
            weight[i * GRID + j] = log_weight;
            memcpy(truth[i * GRID + j], g.truth, sizeof g.truth);
            largest = fmax(largest, log_weight);
        }
    for (int k = 0; k < 5; k++)
        mean[k] = deviation[k] = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < GRID * GRID; i++) {
            double w = exp(weight[i] - largest);
            sum += pass ? 0 : w;
            for (int k = 0; k < 5; k++) {
                double v = truth[i][k] - (pass ? mean[k] : 0);
                *(pass ? &deviation[k] : &mean[k]) += w * (pass ? v * v : v);
            }
        }
        for (int k = 0; k < 5; k++)
            *(pass ? &deviation[k] : &mean[k]) /= sum;
    }
    for (int k = 0; k < 5; k++)
        deviation[k] = sqrt(deviation[k]);
}

static void only_dust_and_burst(void)
{
    CASE("with only dust and burst free, the reference posterior's moments are those of a 400 x 400 grid "
         "within 1 %");
    int64_t draw = 0;
    for (int galaxy = 0; galaxy < 3; galaxy++, draw++) {
        gal_mock_galaxy g;
        gal_mock_latents latents;
        do
            gal_mock_draw(&g, 21, draw++);
        while (!gal_mock_selected(&g));
        gal_mock_latents_of(&latents, 21, draw - 1);
        if (!mine())
            continue;
        gal_reference *r = NULL;
        double mean[5], deviation[5], expected[5], width[5], covariance[25];
        by_grid(expected, width, g.observed, &latents);
        IS_OK(gal_reference_new(&r, 22, 1, 0, g.observed));
        r->galaxy[0].fixed = &latents;
        IS_OK(gal_reference_search(r, 0, 1, 80000, (int64_t)1 << 28));
        IS_OK(gal_reference_moments(mean, covariance, r, 0));
        for (int k = 0; k < 5; k++) {
            if (width[k] < 1e-9)
                continue; /* mass and metals are known */
            deviation[k] =
                sqrt(covariance[6 * k] -
                     label_error[k] * label_error[k]); /* of the truth: labels would hide what is wrong */
            IS_NEAR(deviation[k] / width[k], 1, 0.01);
            IS_NEAR((mean[k] - expected[k]) / width[k], 0, 0.015); /* four standard errors */
        }
        gal_reference_free(r);
    }
}

/* Posterior moments by the plainest method: 16 million draws of the prior, each weighed by its likelihood.
 * *ess: how many they are worth.
 */
static void by_prior(double mean[5], double deviation[5], double *ess, const double *observed)
{
    enum { CHUNK = 65536, CHUNKS = 256 };
    static float flux[CHUNK];
    double sum = 0, squares = 0, first[5] = {0}, second[5] = {0};
    for (int64_t chunk = 0; chunk < CHUNKS; chunk++) {
        gal_mock_fluxes(flux, NULL, 33, chunk * CHUNK, CHUNK);
        for (int64_t i = 0; i < CHUNK; i++) {
            gal_mock_latents l;
            gal_mock_galaxy g;
            if (!(fabs(flux[i] / observed[2] - 1) < 0.13))
                continue;
            gal_mock_latents_of(&l, 33, chunk * CHUNK + i);
            gal_mock_noiseless(&g, &l);
            double w = exp(log_likelihood(observed, &g));
            sum += w;
            squares += w * w;
            for (int k = 0; k < 5; k++) {
                first[k] += w * g.truth[k];
                second[k] += w * g.truth[k] * g.truth[k];
            }
        }
    }
    *ess = sum * sum / squares;
    for (int k = 0; k < 5; k++) {
        mean[k] = first[k] / sum;
        deviation[k] = sqrt(second[k] / sum - mean[k] * mean[k] + label_error[k] * label_error[k]);
    }
}

static void proposals(void)
{
    CASE("the posterior from proposals is that from draws of the prior");
    int64_t draw = 0;
    gal_mock_galaxy g;
    do
        gal_mock_draw(&g, 31, draw++);
    while (!gal_mock_selected(&g) || g.observed[2] > 85);
    double mean[5], covariance[25], expected[5], width[5], ess;
    gal_reference *r = NULL;
    by_prior(expected, width, &ess, g.observed);
    REPORT(ess > 1000, "draws of the prior are worth %.0f, expected 1,000", ess);
    IS_OK(gal_reference_new(&r, 32, 1, 0, g.observed));
    IS_OK(gal_reference_search(r, 0, 1, 10000, (int64_t)1 << 24));
    IS_OK(gal_reference_moments(mean, covariance, r, 0));
    for (int k = 0; k < 5; k++) { /* four standard errors */
        IS_NEAR((mean[k] - expected[k]) / width[k], 0, 4 * sqrt(1 / ess + 1 / 10000.));
        IS_NEAR(sqrt(covariance[6 * k]) / width[k], 1, 4 * sqrt(0.5 / ess + 0.5 / 10000.));
    }
    gal_reference_free(r);
}

static void stopped_early(void)
{
    CASE("a search that ends before its proposal is fitted leaves no draws that were weighed otherwise");
    double bright[5] = {20, 50, 90, 120, 150}, ess = -1;
    int64_t draws;
    gal_reference *r = NULL;
    IS_OK(gal_reference_new(&r, 0, 1, 0, bright));
    IS_OK(gal_reference_search(r, 0, 1, 1, 1));
    IS_OK(gal_reference_state(&ess, &draws, r, 0));
    IS_NEAR(ess, 0, 0);
    gal_reference_free(r);
}

static void refusals(void)
{
    gal_reference *r = NULL;
    gal_mock *survey = NULL;
    double dark[5] = {1, 1, -1, 1, 1}, bright[5] = {20, 50, 90, 120, 150};
    float theta[50];
    double cut;
    CASE("what can't be asked is refused in a sentence");
    FAILS(gal_mock_new(&survey, 0, 0), GAL_VALUE, "n is 0");
    FAILS(gal_reference_new(&r, 0, 1, 0, dark), GAL_VALUE, "galaxy 1");
    IS_OK(gal_reference_new(&r, 0, 1, 0, bright));
    FAILS(gal_reference_sample(theta, &cut, r, 0, 10), GAL_STATE, "galaxy 1 has no draws yet");
    FAILS(gal_reference_search(r, 0, 2, 1, 1), GAL_VALUE, "of 1");
    IS_OK(gal_reference_search(r, 0, 1, 100, (int64_t)1 << 20));
    FAILS(gal_reference_sample(theta, &cut, r, 0, 10000000), GAL_VALUE, "10000000 samples of galaxy 1");
    gal_reference_free(r);
}

int main(void)
{
    static void (*const parts[])(void) = {golden,        fast_fluxes, nonsense, search_is_complete,
                                          stopped_early, proposals,   refusals};
    for (size_t k = 0; k < sizeof parts / sizeof *parts; k++)
        if (mine())
            parts[k]();
    only_dust_and_burst(); /* a galaxy is a part */
    return finish();
}
