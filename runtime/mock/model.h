/* model.h: the model's inside: its tables, and the steps by which population.c, spectrum.c and photometry.c
 * make a galaxy. mock.h is its outside. */
#ifndef GAL_MODEL_H
#define GAL_MODEL_H
#include "mock.h"
#include <math.h>

/* 10^x; pow takes three times as long. */
static inline double gal_mock_ten_to(double x)
{
    return exp(M_LN10 * x);
}

#define GAL_METALLICITIES 3 /* Z = .004, .02, .05 */

/* Stars of one bin of age and one metallicity, per solar mass formed (basis.c). */
typedef struct gal_mock_basis {
    double magnitude[GAL_BANDS][3]; /* AB at 10 pc, a polynomial in redshift */
    double surviving;               /* mass left in stars and remnants */
    double dn4000;
    double log_4000; /* log10 of F_nu at 4000-4100 Angstrom, relative to the youngest at Z = .02 */
} gal_mock_basis;
extern const double gal_mock_edges[GAL_AGES + 1]; /* Gyr */
extern const gal_mock_basis gal_mock_stars[GAL_METALLICITIES][GAL_AGES];

/* log M* as a function of its quantile in (0, 1), linear between GAL_MASS_NODES + 1 nodes: the inverse of
 * mass function times volume. */
#define GAL_MASS_NODES 16384
/* x = gamma A0 as a function of ln y, y = (1 - e^-x) / x from 0.02 to 60, linear between nodes. */
#define GAL_HISTORY_NODES 4096
#define GAL_HISTORY_LOW 0.02
#define GAL_HISTORY_HIGH 60.0
typedef struct gal_mock_tables {
    double log_mass[GAL_MASS_NODES + 1];
    double history[GAL_HISTORY_NODES + 1];
} gal_mock_tables;
const gal_mock_tables *gal_mock_tables_ready(void);

#define GAL_MASS_LOW 8.3
#define GAL_MASS_HIGH 11.8
#define GAL_Z_LOW 0.02
#define GAL_Z_HIGH 0.25
/* Nanomaggies of r = 17.78 and r = 16: 10^(0.4 (22.5 - r)). */
#define GAL_FLUX_FAINT 77.268058509570254
#define GAL_FLUX_BRIGHT 398.10717055349725

/* Comoving distance, Mpc, and its inverse; the largest redshift at which a galaxy of that mass can be in the
 * survey. */
double gal_mock_comoving(double z);
double gal_mock_redshift(double comoving);
double gal_mock_redshift_limit(double log_mass);

/* x = gamma A0 of a history e^(-gamma a) over lookback times a < A0 with (1 - e^-x) / x = y; y is clipped to
 * the table's range. */
double gal_mock_history_rate(double y);

/* The independent numbers that all of a galaxy's latents follow from. The normals are the scatter of: smooth
 * offset, burst offset, size, gas, 12 + log(O/H), stellar metallicity, A_V. */
typedef struct gal_mock_latents {
    double log_mass, z, cos_inclination, normal[7];
} gal_mock_latents;
void gal_mock_latents_of(gal_mock_latents *latents, uint64_t seed, int64_t draw);
/* Galaxies per dex of mass and unit of comoving volume, up to a factor. */
double gal_mock_mass_function(double log_mass);

/* The steps of a draw, each from the fields that those before it filled. noiseless clears *g, fills the
 * latents and does history and spectrum: all but draw and what observe and labels add. */
void gal_mock_noiseless(gal_mock_galaxy *g, const gal_mock_latents *latents);
void gal_mock_history(gal_mock_galaxy *g);                /* mass, log_sfr, dn4000, truth */
void gal_mock_spectrum(gal_mock_galaxy *g);               /* stars, flux */
void gal_mock_observe(gal_mock_galaxy *g, uint64_t seed); /* calibrated, observed, variance */
void gal_mock_labels(gal_mock_galaxy *g, uint64_t seed);  /* label */

/* ---- flux.c ---- */
/* flux {count}: noiseless, in r, nanomaggies, of draws first ... first + count of the survey `seed`; or,
 * where latents is not NULL, of latents {10, count}: log M*, redshift, cos i and the seven normals of
 * gal_mock_latents. The first is in float32, within 0.2 % of the second and many times as fast. */
void gal_mock_fluxes(float *flux, const float *latents, uint64_t seed, int64_t first, int64_t count);
void gal_mock_fluxes_by_model(float *flux, const float *latents, uint64_t seed, int64_t first, int64_t count);

/* The variance of a flux in a band, nanomaggies squared: pixels, photons and, where `floor` is not 0,
 * calibration. */
double gal_mock_variance(int band, double flux, int floor);
/* Standard deviations of label - truth: log M*, log SFR, 12 + log(O/H), Dn4000, A_V. */
extern const double gal_mock_label_error[5];

#endif
