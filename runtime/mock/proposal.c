/* proposal.c: the distribution that one galaxy's draws come from (README.md, section 4), and its density, by
 * which they are weighed. */
#include "reference.h"
#include "core/random.h"
#include <pthread.h>
#include <string.h>

/* Two proposals: by the flux in r alone; and the mixture of the first, with share WIDE, and the fits. So no
 * weight under the second exceeds 1 / WIDE times that under the first. */
#define WIDE 0.15
/* The fits are widened by CORE, and for a share TAILS of the draws by TAIL. Of four settings tried on a
 * galaxy with a curved posterior only these let no single draw outweigh thousands (1.8 million draws:
 * effective 23,800; with 1.2, 2.0, 0.3 and narrowest 0.6: 1,760). */
#define CORE 1.3
#define TAIL 3.0
#define TAILS 0.25
#define NARROWEST 0.5 /* share of the last fit */
/* The scatter of 12 + log(O/H) that -0.5 rho - 0.5 g + 0.707 xi make together, in units of a unit normal. */
#define OH_SCATTER sqrt(0.25 + 0.25 + 0.707 * 0.707)
/* log M/L in r of selected galaxies is 0.25 + 0.26 (log L - 10) with a scatter of 0.22 dex (50,000 mock
 * galaxies), tails to 1 dex. */
#define NARROW_SCATTER 0.25
#define BROAD_SCATTER 0.5
#define BROAD 0.2 /* share of the draws with the broad scatter */

/* ---- dust ---- */

/* What the inclination adds to ln A_V. */
static double tilted(double cos_inclination)
{
    double tilt = 0.5 * log10(cos_inclination * cos_inclination * 0.96 + 0.04);
    return log(1 + 3.4 * tilt * tilt);
}

#define DUST_LOW -4.0
#define DUST_HIGH 5.0
enum { DUST_NODES = 1800, ANGLES = 500 };
static double dust_density[DUST_NODES + 1];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void fill_dust(void)
{
    for (int i = 0; i <= DUST_NODES; i++)
        for (int angle = 0; angle < ANGLES; angle++) {
            double off = DUST_LOW + (DUST_HIGH - DUST_LOW) * i / DUST_NODES - tilted((angle + 0.5) / ANGLES);
            dust_density[i] += exp(-0.5 * off * off / (0.35 * 0.35)) / ANGLES;
        }
}

/* Prior density of ln A_V's scatter, the inclination's part included, up to a factor. No property and no flux
 * depends on the two separately, so the inclination is integrated out. */
static double dust_prior(double x)
{
    double at = (x - DUST_LOW) / (DUST_HIGH - DUST_LOW) * DUST_NODES;
    if (!(at >= 0 && at < DUST_NODES))
        return 0;
    int node = (int)at;
    return dust_density[node] + (at - node) * (dust_density[node + 1] - dust_density[node]);
}

/* ---- proposals ---- */

/* log M*, about, of a galaxy at redshift z that is as bright in r as p's. */
static double mass_at(const gal_proposal *p, double z)
{
    double light = 0.4 * (4.65 - (p->magnitude - 5 * log10(gal_mock_distance(z) * 1e5)));
    return light + 0.25 + 0.26 * (light - 10);
}

void gal_proposal_of(gal_proposal *p, double flux)
{
    double near = gal_mock_comoving(GAL_Z_LOW), far = gal_mock_comoving(GAL_Z_HIGH), total = 0;
    pthread_once(&once, fill_dust);
    *p = (gal_proposal){.flux = flux,
                        .magnitude = 22.5 - 2.5 * log10(flux),
                        .scatter = sqrt(gal_mock_variance(2, flux, 1)) / flux / M_LN10};
    for (int j = 0; j <= GAL_PROPOSAL_CELLS; j++)
        p->distance[j] = near + (far - near) * j / GAL_PROPOSAL_CELLS;
    for (int j = 0; j < GAL_PROPOSAL_CELLS; j++) {
        double middle = (p->distance[j] + p->distance[j + 1]) / 2,
               mass = mass_at(p, gal_mock_redshift(middle));
        double inside = fmin(fmax(mass, GAL_MASS_LOW), GAL_MASS_HIGH),
               outside = (mass - inside) / 0.3; /* the scatter may still lead inside */
        p->probability[j] = middle * middle * gal_mock_mass_function(inside) * exp(-0.5 * outside * outside);
        total += p->probability[j];
    }
    for (int j = 0; j < GAL_PROPOSAL_CELLS; j++) {
        p->probability[j] = 0.98 * p->probability[j] / total + 0.02 / GAL_PROPOSAL_CELLS;
        p->up_to[j + 1] = p->up_to[j] + p->probability[j];
    }
}

static double uniform(uint32_t word)
{
    return (word + 0.5) * 0x1p-32;
}

/* The first proposal: the distance by cells, then the mass that makes the galaxy as bright, all else from the
 * prior. place, choice: uniforms. */
static void draw_by_r(double x[GAL_COORDINATES], const gal_proposal *p, double place, double choice,
                      const float normal[8], double cos_inclination)
{
    int low = 0, high = GAL_PROPOSAL_CELLS;
    place *= p->up_to[GAL_PROPOSAL_CELLS];
    while (high - low > 1) {
        int middle = (low + high) / 2;
        if (p->up_to[middle] <= place)
            low = middle;
        else
            high = middle;
    }
    double distance = p->distance[low] + (p->distance[low + 1] - p->distance[low]) * (place - p->up_to[low]) /
                                             p->probability[low];
    x[GAL_LN_DISTANCE] = log(distance);
    x[GAL_LOG_MASS] = mass_at(p, gal_mock_redshift(distance)) +
                      (choice < BROAD ? BROAD_SCATTER : NARROW_SCATTER) * normal[0];
    for (int i = GAL_SMOOTH; i < GAL_LN_DUST; i++)
        x[i] = normal[i];
    x[GAL_LN_DUST] = 0.35 * normal[GAL_LN_DUST] + tilted(cos_inclination);
}

/* z = lower^-1 (x - mean), without the mass: unit normals under the fit. */
static void whiten(double z[GAL_LOG_MASS], const struct gal_fit *f, const double x[GAL_COORDINATES])
{
    for (int a = 0; a < GAL_LOG_MASS; a++) {
        z[a] = x[a] - f->mean[a];
        for (int b = 0; b < a; b++)
            z[a] -= f->lower[a][b] * z[b];
        z[a] /= f->lower[a][a];
    }
}

/* log M* that the narrowest fit expects of the other coordinates. */
static double expected_mass(const gal_proposal *p, const double x[GAL_COORDINATES])
{
    const struct gal_fit *f = &p->fit[p->fits - 1];
    double z[GAL_LOG_MASS], mass = f->mean[GAL_LOG_MASS];
    whiten(z, f, x);
    for (int a = 0; a < GAL_LOG_MASS; a++)
        mass += f->lower[GAL_LOG_MASS][a] * z[a];
    return mass;
}

/* The share of fit i among the draws from fits: NARROWEST for the last, the rest evenly. */
static double share(const gal_proposal *p, int i)
{
    return p->fits == 1 ? 1 : i == p->fits - 1 ? NARROWEST : (1 - NARROWEST) / (p->fits - 1);
}

void gal_proposal_draw(gal_proposed *d, const gal_proposal *p, uint64_t seed, uint64_t stream, uint64_t i)
{
    uint32_t word[12];
    float normal[8];
    double *x = d->coordinate;
    for (uint64_t b = 0; b < 3; b++)
        gal_random_block(word + 4 * b, seed, 3 * i + b, stream);
    for (int k = 0; k < 8; k += 2)
        gal_random_normals(word[4 + k], word[5 + k], &normal[k], &normal[k + 1]);
    double which = uniform(word[0]), cos_inclination = uniform(word[1]), choice = uniform(word[3]);
    d->off = NAN;
    if (p->fits && which > WIDE) {
        double scale = choice < TAILS ? TAIL : CORE, rest = (which - WIDE) / (1 - WIDE);
        int i = 0;
        while (i < p->fits - 1 && (rest -= share(p, i)) > 0)
            i++;
        const struct gal_fit *f = &p->fit[i];
        for (int a = 0; a < GAL_LOG_MASS; a++) {
            x[a] = f->mean[a];
            for (int b = 0; b <= a; b++)
                x[a] += scale * f->lower[a][b] * normal[b];
        }
        d->off = scale * normal[GAL_LOG_MASS];
    } else {
        draw_by_r(x, p, uniform(word[2]), choice, normal, cos_inclination);
    }
    if (p->fits)
        d->guess = expected_mass(p, x);
    d->latents = (gal_mock_latents){.log_mass = p->fits ? d->guess : x[GAL_LOG_MASS],
                                    .z = gal_mock_redshift(exp(x[GAL_LN_DISTANCE])),
                                    .cos_inclination = 1}; /* face-on: tilted(1) is 0 */
    d->latents.normal[0] = x[GAL_SMOOTH];
    d->latents.normal[1] = x[GAL_BURST];
    d->latents.normal[4] = x[GAL_OH] * OH_SCATTER / 0.707;
    d->latents.normal[5] = x[GAL_METALLICITY];
    d->latents.normal[6] = x[GAL_LN_DUST] / 0.35;
    d->dust_scatter = normal[GAL_LN_DUST];
}

void gal_proposal_settle(gal_proposed *d, const gal_proposal *p, double flux)
{
    d->right = d->guess + log10(p->flux / flux);
    if (!isnan(d->off))
        d->coordinate[GAL_LOG_MASS] = d->right + d->off * p->scatter;
    d->latents.log_mass = d->coordinate[GAL_LOG_MASS];
}

static double normal_density(double x, double deviation)
{
    return exp(-0.5 * x * x / (deviation * deviation)) / (sqrt(2 * M_PI) * deviation);
}

/* Density of the fits' mixture at the draw. */
static double fitted_density(const gal_proposal *p, const gal_proposed *d)
{
    double off = (d->coordinate[GAL_LOG_MASS] - d->right) / p->scatter, density = 0;
    for (int i = 0; i < p->fits; i++) {
        double z[GAL_LOG_MASS], squares = off * off;
        whiten(z, &p->fit[i], d->coordinate);
        for (int a = 0; a < GAL_LOG_MASS; a++)
            squares += z[a] * z[a];
        double core = exp(-0.5 * squares / (CORE * CORE)) / pow(CORE, GAL_COORDINATES),
               tail = exp(-0.5 * squares / (TAIL * TAIL)) / pow(TAIL, GAL_COORDINATES);
        density += share(p, i) * ((1 - TAILS) * core + TAILS * tail) * exp(-0.5 * p->fit[i].log_determinant);
    }
    return density * pow(2 * M_PI, -0.5 * GAL_COORDINATES) / p->scatter;
}

double gal_proposal_log_weight(const gal_proposal *p, const gal_proposed *d)
{
    const double *x = d->coordinate, log_mass = d->latents.log_mass, z = d->latents.z;
    if (log_mass < GAL_MASS_LOW || log_mass > GAL_MASS_HIGH || z < GAL_Z_LOW ||
        z > gal_mock_redshift_limit(log_mass))
        return -INFINITY;
    double distance = exp(x[GAL_LN_DISTANCE]), width = p->distance[1] - p->distance[0],
           off = log_mass - mass_at(p, z);
    int cell = (int)((distance - p->distance[0]) / width);
    cell = cell < 0 ? 0 : cell < GAL_PROPOSAL_CELLS ? cell : GAL_PROPOSAL_CELLS - 1;
    /* Densities per unit of every coordinate; the prior is uniform in volume, so distance^3 per unit of ln
     * distance. */
    double mass =
        BROAD * normal_density(off, BROAD_SCATTER) + (1 - BROAD) * normal_density(off, NARROW_SCATTER);
    double scatter = dust_prior(x[GAL_LN_DUST]) / (sqrt(2 * M_PI) * 0.35);
    for (int i = GAL_SMOOTH; i < GAL_LN_DUST; i++)
        scatter *= normal_density(x[i], 1);
    double density = p->probability[cell] / width * distance * mass * scatter;
    if (p->fits)
        density = WIDE * density + (1 - WIDE) * fitted_density(p, d);
    return scatter <= 0
               ? -INFINITY
               : log(gal_mock_mass_function(log_mass) * distance * distance * distance * scatter / density);
}

void gal_proposal_fit(gal_proposal *p, const gal_weighed *draw, int64_t n, double largest, double cap)
{
    double sum = 0, mean[GAL_COORDINATES] = {0}, c[GAL_COORDINATES][GAL_COORDINATES] = {{0}},
           lower[GAL_COORDINATES][GAL_COORDINATES] = {{0}};
    for (int64_t i = 0; i < n; i++) {
        double w = fmin(cap, exp(draw[i].log_weight - largest));
        sum += w;
        for (int a = 0; a < GAL_COORDINATES; a++)
            mean[a] += w * draw[i].coordinate[a];
    }
    for (int a = 0; a < GAL_COORDINATES; a++)
        mean[a] /= sum;
    for (int64_t i = 0; i < n; i++) {
        double w = fmin(cap, exp(draw[i].log_weight - largest)) / sum;
        for (int a = 0; a < GAL_COORDINATES; a++)
            for (int b = 0; b <= a; b++)
                c[a][b] += w * (draw[i].coordinate[a] - mean[a]) * (draw[i].coordinate[b] - mean[b]);
    }
    double log_determinant = 0;
    for (int a = 0; a < GAL_COORDINATES; a++) /* Cholesky, row by row */
        for (int b = 0; b <= a; b++) {
            double rest = c[a][b];
            for (int k = 0; k < b; k++)
                rest -= lower[a][k] * lower[b][k];
            if (a == b && !(rest > 1e-10))
                return;
            lower[a][b] = a == b ? sqrt(rest) : rest / lower[b][b];
            log_determinant += a == b && a < GAL_LOG_MASS ? log(rest) : 0;
        }
    struct gal_fit *f = &p->fit[p->fits++];
    memcpy(f->mean, mean, sizeof mean);
    memcpy(f->lower, lower, sizeof lower);
    f->log_determinant = log_determinant;
}
