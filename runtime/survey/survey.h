/* survey.h: what the parts of the mock survey share: one galaxy, from its latents to its catalogue row, and the streams its random numbers come from.
 * population.c draws the latents, spectrum.c makes light of them, photometry.c the catalogue; image.c renders the cutout. The model is described, number by
 * number, in README.md beside this file. Everything is double; magnitudes are AB, fluxes nanomaggies (22.5 - 2.5 log10 F). */
#ifndef GAL_SURVEY_H
#define GAL_SURVEY_H
#include "galrun.h"

#define GAL_BANDS 5 /* u g r i z */
#define GAL_AGES 8  /* lookback time: 0 to .01, .1, .3, 1, 2, 4, 8, 13.5 Gyr */

/* What a stream of random numbers is for. The stream of a galaxy and purpose is Philox keyed by the survey's seed, {draw, purpose}: a galaxy is the same
 * however many others are drawn, and by any number of threads. Appending a purpose changes no galaxy; reordering changes all. */
typedef enum gal_mock_purpose {
    GAL_MOCK_POPULATION = 0, /* all latents below */
    GAL_MOCK_PHOTOMETRY,     /* calibration errors and photon noise */
    GAL_MOCK_LABELS,         /* errors of the five labels */
    GAL_MOCK_MORPHOLOGY,     /* position angle, arms, clumps, seeing, scatter of bulge, gradient and clumpiness */
    GAL_MOCK_PIXELS,         /* noise of the pixels */
    GAL_MOCK_FIELD           /* stars and neighbours */
} gal_mock_purpose;

/* A galaxy of the mock survey. `draw` is its index among all draws, before selection. */
typedef struct gal_mock_galaxy {
    int64_t draw;
    /* latents */
    double log_mass, z;            /* log10 of solar masses in stars; redshift */
    double main_sequence;          /* log10 SFR that the main sequence has there, solar masses a year */
    double smooth_offset;          /* delta_l, dex: of the whole history from the main sequence */
    double burst_offset;           /* delta_b, dex: of the last 100 Myr */
    double size_residual, gas;     /* rho, g ~ N(0, 1) */
    double oh;                     /* 12 + log(O/H) */
    double log_metallicity;        /* of the stars, log10 (Z / 0.02) */
    double cos_inclination, axis_ratio, a_v;
    /* what follows from them */
    double mass[GAL_AGES];         /* solar masses formed in each bin of age */
    double log_sfr, dn4000;
    double stars[GAL_BANDS][GAL_AGES]; /* noiseless flux of the stars of each age behind their dust */
    double flux[GAL_BANDS];        /* noiseless flux, lines included */
    double calibrated[GAL_BANDS];  /* F' = F (1 + f xi), which catalogue and image share */
    double observed[GAL_BANDS];    /* the catalogue's */
    double variance[GAL_BANDS];    /* its variance as the catalogue states it: computed from the observed flux, floor included */
    /* log M*, log SFR, 12 + log(O/H), Dn4000, A_V */
    double truth[5], label[5];
} gal_mock_galaxy;

#define GAL_CUTOUT 128          /* pixels along a side */
#define GAL_PIXEL_ARCSEC 0.396

#endif
