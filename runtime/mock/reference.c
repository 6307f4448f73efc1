/* reference.c: p(theta | ugriz) of mock galaxies without a network, by importance sampling (README.md,
 * section 4): galaxies are drawn from a proposal near the posterior (proposal.c) and weighed by prior x
 * likelihood / proposal. */
#include "reference.h"
#include "core/core.h"
#include "core/parallel.h"
#include <stdlib.h>
#include <string.h>

#define ROUND 8192 /* draws at a time */
/* The proposal is fitted three times, to draws weighed with the photometry's errors taken 4, 2 and 1 times;
 * these draws are not used again. */
#define FIT_FROM 150    /* effective draws from which a fit is made */
#define FIT_LAST 262144 /* after so many draws it is made from fewer */
#define FIT_LEAST 75    /* effective draws that cutting the largest weights leaves in a fit at least */
#define REACH 6.0       /* a draw whose r is farther from the observed, in deviations, has no weight: e^-18 */
#define NEGLIGIBLE 16.0 /* a draw whose log weight is farther below the largest is dropped */
#define MOST_GALAXIES ((int64_t)1 << 18)
#define MOST_DRAWS ((int64_t)1 << 32)

gal_status gal_reference_new(gal_reference **out, int64_t seed, int64_t n, int64_t first,
                             const double *observed)
{
    *out = NULL;
    if (n < 1 || first < 0 || first + n > MOST_GALAXIES)
        return gal_fail(GAL_VALUE, "reference: %lld galaxies, expected 1 to %lld", (long long)(first + n),
                        (long long)MOST_GALAXIES);
    for (int64_t k = 0; k < n; k++) {
        int good = observed[k * GAL_BANDS + 2] > 0;
        for (int b = 0; b < GAL_BANDS; b++)
            good = good && isfinite(observed[k * GAL_BANDS + b]);
        if (!good)
            return gal_fail(
                GAL_VALUE,
                "reference: galaxy %lld has no flux in some band, expected finite ones and that in r above 0",
                (long long)k + 1);
    }
    gal_reference *r = calloc(1, sizeof *r);
    if (!r || !(r->galaxy = calloc((size_t)n, sizeof *r->galaxy))) {
        free(r);
        return gal_fail(GAL_MEMORY, "reference: no memory for %lld galaxies", (long long)n);
    }
    r->seed = (uint64_t)seed;
    r->n = n;
    r->first = first;
    for (int64_t k = 0; k < n; k++) {
        memcpy(r->galaxy[k].observed, observed + k * GAL_BANDS, sizeof r->galaxy[k].observed);
        r->galaxy[k].largest = -INFINITY;
        gal_proposal_of(&r->galaxy[k].proposal, observed[k * GAL_BANDS + 2]);
    }
    *out = r;
    return GAL_OK;
}

void gal_reference_free(gal_reference *r)
{
    if (!r)
        return;
    for (int64_t k = 0; k < r->n; k++)
        free(r->galaxy[k].draw);
    free(r->galaxy);
    free(r);
}

/* ---- weighing ---- */

/* ln p(observed | noiseless): normal in each band, the variance that of the noiseless flux, calibration
 * included. */
static double log_likelihood(const double *observed /* {GAL_BANDS} */, const gal_mock_galaxy *g,
                             double errors)
{
    double sum = 0, product = 1;
    for (int b = 0; b < GAL_BANDS; b++) {
        double variance = gal_mock_variance(b, g->flux[b], 1), off = observed[b] - g->flux[b];
        sum -= 0.5 * off * off / variance / (errors * errors);
        product *= variance;
    }
    return sum - 0.5 * log(product);
}

static void forget_negligible(gal_posterior *p)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < p->kept; i++)
        if (p->draw[i].log_weight > p->largest - NEGLIGIBLE)
            p->draw[kept++] = p->draw[i];
    p->kept = kept;
}

static gal_status keep(gal_posterior *p, const gal_mock_galaxy *g, const double coordinate[GAL_COORDINATES],
                       double log_weight)
{
    if (!(log_weight > p->largest - NEGLIGIBLE))
        return GAL_OK;
    if (p->kept == p->room) {
        int64_t room = p->room ? 2 * p->room : 1024;
        gal_weighed *more = realloc(p->draw, (size_t)room * sizeof *more);
        if (!more)
            return gal_fail(GAL_MEMORY, "reference: no memory for %lld draws of a galaxy", (long long)room);
        p->draw = more;
        p->room = room;
    }
    gal_weighed *w = &p->draw[p->kept++];
    w->log_weight = (float)log_weight;
    for (int i = 0; i < 5; i++)
        w->truth[i] = (float)g->truth[i];
    for (int i = 0; i < GAL_COORDINATES; i++)
        w->coordinate[i] = (float)coordinate[i];
    p->largest = fmax(p->largest, log_weight);
    return GAL_OK;
}

/* ROUND draws on their way: flat {10, ROUND} are their latents for gal_mock_fluxes, flux {ROUND} the result.
 */
typedef struct round_of {
    gal_proposed draw[ROUND];
    float flat[10][ROUND], flux[ROUND];
} round_of;

/* r->flux = the flux in r of the draws' latents. */
static void brightness(round_of *r)
{
    for (int i = 0; i < ROUND; i++) {
        const gal_mock_latents *l = &r->draw[i].latents;
        r->flat[0][i] = (float)l->log_mass;
        r->flat[1][i] = (float)l->z;
        r->flat[2][i] = (float)l->cos_inclination;
        for (int n = 0; n < 7; n++)
            r->flat[3 + n][i] = (float)l->normal[n];
    }
    gal_mock_fluxes(r->flux, *r->flat, 0, 0, ROUND);
}

/* r = ROUND more draws of galaxy k with their flux in r, by which weigh_round leaves most of them out. */
static void draw_round(gal_posterior *p, uint64_t seed, int64_t k, round_of *r)
{
    for (int i = 0; i < ROUND; i++) {
        gal_mock_latents *l = &r->draw[i].latents;
        gal_proposal_draw(&r->draw[i], &p->proposal, seed, (uint64_t)k << 8 | GAL_MOCK_PROPOSAL,
                          (uint64_t)(p->draws + i));
        if (p->fixed) { /* a draw by r takes the two that are free from the prior */
            double burst = l->normal[1];
            *l = *p->fixed;
            l->normal[1] = burst;
            l->normal[6] = r->draw[i].dust_scatter;
        }
    }
    brightness(r);
    if (p->proposal.fits) {
        for (int i = 0; i < ROUND; i++)
            gal_proposal_settle(&r->draw[i], &p->proposal, r->flux[i]);
        brightness(r);
    }
    p->draws += ROUND;
}

/* Keeps the draws that have weight. errors: the factor by which the photometry's errors are taken. */
static gal_status weigh_round(gal_posterior *p, const round_of *r, double errors)
{
    double f = p->observed[2], reach = REACH * errors, low = f / (1 + reach * gal_mock_floor[2]),
           high = f / (1 - reach * gal_mock_floor[2]);
    double pixels = reach * sqrt(gal_mock_variance(2, high, 0));
    gal_status status = GAL_OK;
    for (int i = 0; !status && i < ROUND; i++) {
        if (!(r->flux[i] > 0.995 * (low - pixels) && r->flux[i] < 1.005 * (high + pixels)))
            continue;
        gal_mock_galaxy g;
        double log_weight = p->fixed ? 0 : gal_proposal_log_weight(&p->proposal, &r->draw[i]);
        if (log_weight == -INFINITY)
            continue;
        gal_mock_noiseless(&g, &r->draw[i].latents);
        status = keep(p, &g, r->draw[i].coordinate, log_weight + log_likelihood(p->observed, &g, errors));
    }
    return status;
}

static double weight(const gal_posterior *p, int64_t d)
{
    return exp(p->draw[d].log_weight - p->largest);
}

/* Effective sample size: (sum w)^2 / sum w^2 (Kong 1992). */
static double effective(const gal_posterior *p)
{
    double sum = 0, squares = 0;
    for (int64_t d = 0; d < p->kept; d++) {
        double w = weight(p, d);
        sum += w;
        squares += w * w;
    }
    return squares > 0 ? sum * sum / squares : 0;
}

/* How many draws remain, in the mean, when each is kept with probability min(1, w / cap); *cut: the share of
 * the weight above the cap. */
static double left_by(const gal_posterior *p, double cap, double *cut)
{
    double left = 0, sum = 0, over = 0;
    for (int64_t d = 0; d < p->kept; d++) {
        double w = weight(p, d);
        sum += w;
        left += fmin(1, w / cap);
        over += fmax(0, w - cap);
    }
    *cut = sum > 0 ? over / sum : 0;
    return left;
}

/* The largest cap, in units of the largest weight and at most 1, under which `wanted` draws remain. */
static double cap_for(const gal_posterior *p, double wanted, double *cut)
{
    double low = -NEGLIGIBLE, high = 0;
    if (left_by(p, 1, cut) >= wanted)
        return 1;
    for (int halving = 0; halving < 30; halving++) {
        double middle = (low + high) / 2;
        if (left_by(p, exp(middle), cut) < wanted)
            high = middle;
        else
            low = middle;
    }
    left_by(p, exp(low), cut);
    return exp(low);
}

/* ---- the search ---- */

/* Draws for galaxy k until their effective number is ess, or `most` have been drawn. */
static gal_status search(gal_posterior *p, uint64_t seed, int64_t k, double ess, int64_t most, round_of *r)
{
    gal_status status = GAL_OK;
    int fits = p->fixed ? GAL_FITS : p->proposal.fits;
    int64_t since = p->draws;
    double cut;
    while (!status && (fits < GAL_FITS || effective(p) < ess) && p->draws < most) {
        if (gal_interrupted())
            return gal_fail(GAL_INTERRUPTED, "interrupted");
        for (int round = fits < GAL_FITS ? 7 : 0; !status && round < 8; round++) {
            draw_round(p, seed, k, r);
            status = weigh_round(p, r, fits < GAL_FITS ? 1 << (GAL_FITS - 1 - fits) : 1);
        }
        forget_negligible(p);
        if (fits < GAL_FITS && (effective(p) >= FIT_FROM || p->draws >= since + FIT_LAST)) {
            gal_proposal_fit(&p->proposal, p->draw, p->kept, p->largest, cap_for(p, FIT_LEAST, &cut));
            since = p->draws;
            p->kept = 0;
            p->largest = -INFINITY;
            fits++;
        }
    }
    if (!status && fits < GAL_FITS) { /* stopped by `most`: these draws are weighed with too large errors */
        p->kept = 0;
        p->largest = -INFINITY;
    }
    return status;
}

typedef struct search_args {
    gal_reference *reference;
    int64_t first, most; /* the galaxy of item 0 */
    double ess;
} search_args;

static gal_status search_range(void *args, int64_t from, int64_t to)
{
    const search_args *a = args;
    gal_reference *whole = a->reference;
    round_of *r = malloc(sizeof *r);
    gal_status status = r ? GAL_OK : gal_fail(GAL_MEMORY, "reference: no memory to draw");
    for (int64_t k = a->first + from; !status && k < a->first + to; k++)
        status = search(&whole->galaxy[k], whole->seed, whole->first + k, a->ess, a->most, r);
    free(r);
    return status;
}

static gal_status check_galaxy(const gal_reference *r, int64_t k)
{
    if (k < 0 || k >= r->n)
        return gal_fail(GAL_VALUE, "reference: galaxy %lld of %lld", (long long)k + 1, (long long)r->n);
    return GAL_OK;
}

gal_status gal_reference_search(gal_reference *r, int64_t from, int64_t to, double ess, int64_t most)
{
    if (from < 0 || from > to || to > r->n)
        return gal_fail(GAL_VALUE, "reference: galaxies %lld to %lld of %lld", (long long)from + 1,
                        (long long)to, (long long)r->n);
    search_args args = {r, from, most < MOST_DRAWS ? most : MOST_DRAWS - 8 * ROUND, ess};
    return gal_parallel(to - from, 1, search_range, &args);
}

gal_status gal_reference_state(double *ess, int64_t *draws, const gal_reference *r, int64_t k)
{
    gal_status status = check_galaxy(r, k);
    if (status)
        return status;
    *ess = effective(&r->galaxy[k]);
    *draws = r->galaxy[k].draws;
    return GAL_OK;
}

/* ---- the posterior ---- */

static gal_status check_draws(const gal_reference *r, int64_t k)
{
    gal_status status = check_galaxy(r, k);
    if (!status && r->galaxy[k].kept == 0)
        status = gal_fail(GAL_STATE, "reference: galaxy %lld has no draws yet; search for some first",
                          (long long)k + 1);
    return status;
}

gal_status gal_reference_moments(double *mean, double *covariance, const gal_reference *r, int64_t k)
{
    gal_status status = check_draws(r, k);
    if (status)
        return status;
    const gal_posterior *p = &r->galaxy[k];
    double sum = 0;
    memset(mean, 0, 5 * sizeof *mean);
    memset(covariance, 0, 25 * sizeof *covariance);
    for (int pass = 0; pass < 2; pass++) {
        for (int64_t d = 0; d < p->kept; d++) {
            double w = weight(p, d);
            sum += pass == 0 ? w : 0;
            for (int i = 0; i < 5; i++) {
                if (pass == 0)
                    mean[i] += w * p->draw[d].truth[i];
                for (int j = 0; pass == 1 && j < 5; j++)
                    covariance[5 * i + j] +=
                        w * (p->draw[d].truth[i] - mean[i]) * (p->draw[d].truth[j] - mean[j]) / sum;
            }
        }
        for (int i = 0; pass == 0 && i < 5; i++)
            mean[i] /= sum;
    }
    for (int i = 0; i < 5; i++)
        covariance[6 * i] += gal_mock_label_error[i] * gal_mock_label_error[i];
    return GAL_OK;
}

gal_status gal_reference_sample(float *theta, double *cut, const gal_reference *r, int64_t k, int64_t n)
{
    gal_status status = check_draws(r, k);
    if (status)
        return status;
    const gal_posterior *p = &r->galaxy[k];
    double ess = effective(p);
    if (n < 1 || 3 * (double)n > ess)
        return gal_fail(GAL_VALUE,
                        "reference: %lld samples of galaxy %lld, expected 1 to a third of its effective "
                        "sample size, %.0f; search for more",
                        (long long)n, (long long)k + 1, ess);
    gal_mock_stream s = gal_mock_stream_of(r->seed, r->first + k, GAL_MOCK_CHOICE);
    /* How many remain is a matter of chance: five deviations more than n. */
    double cap = cap_for(p, (double)n + 5 * sqrt((double)n), cut);
    int64_t taken = 0;
    for (int64_t d = 0; d < p->kept && taken < n; d++) {
        if (gal_mock_uniform(&s) >= weight(p, d) / cap)
            continue;
        for (int i = 0; i < 5; i++)
            theta[5 * taken + i] =
                p->draw[d].truth[i] + (float)(gal_mock_label_error[i] * gal_mock_normal(&s));
        taken++;
    }
    return taken == n
               ? GAL_OK
               : gal_fail(
                     GAL_VALUE,
                     "reference: galaxy %lld has %lld distinct draws, %lld were asked for; search for more",
                     (long long)k + 1, (long long)taken, (long long)n);
}

gal_status gal_reference_log_prob(double *log_prob, const gal_reference *r, int64_t k, const double *theta)
{
    gal_status status = check_draws(r, k);
    if (status)
        return status;
    const gal_posterior *p = &r->galaxy[k];
    double sum = 0, density = 0, unit = 0;
    for (int i = 0; i < 5; i++)
        unit -= log(gal_mock_label_error[i]) + 0.5 * log(2 * M_PI);
    for (int64_t d = 0; d < p->kept; d++) {
        double w = weight(p, d), distance = 0;
        for (int i = 0; i < 5; i++) {
            double off = (theta[i] - p->draw[d].truth[i]) / gal_mock_label_error[i];
            distance += off * off;
        }
        sum += w;
        density += w * exp(-0.5 * distance);
    }
    *log_prob = log(density / sum) + unit;
    return GAL_OK;
}
