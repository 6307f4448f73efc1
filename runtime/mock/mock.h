/* mock.h: what the parts of the mock survey share: one galaxy, from its latents to its row of the catalogue,
 * and the streams that its random numbers come from. population.c draws the latents, spectrum.c turns them
 * into light, photometry.c measures it for the catalogue, image.c renders the cutout. README.md beside this
 * file has the model, number by number. Everything is double; magnitudes are AB, fluxes nanomaggies (22.5
 * - 2.5 log10 F). */
#ifndef GAL_MOCK_H
#define GAL_MOCK_H
#include "galrun.h"

#define GAL_BANDS 5 /* u g r i z */
#define GAL_AGES 8  /* lookback time: 0 to .01, .1, .3, 1, 2, 4, 8, 13.5 Gyr */

/* What a stream of random numbers is for. Its key is the survey's seed and its number is made of (draw,
 * purpose), so a galaxy is the same however many others are drawn, on any number of threads. A purpose
 * appended to the list changes no galaxy; another order changes all. */
typedef enum gal_mock_purpose {
    GAL_MOCK_POPULATION = 0, /* all latents below */
    GAL_MOCK_PHOTOMETRY,     /* calibration errors and photon noise */
    GAL_MOCK_LABELS,         /* errors of the five labels */
    GAL_MOCK_MORPHOLOGY, /* position angle, arms, clumps, seeing, scatter of bulge, gradient and clumpiness */
    GAL_MOCK_PIXELS,     /* noise of the pixels */
    GAL_MOCK_FIELD,      /* stars and neighbours */
    GAL_MOCK_SKY,        /* position on the sky */
    GAL_MOCK_PROPOSAL,   /* the reference posterior's draws */
    GAL_MOCK_CHOICE      /* which of them are samples, and their labels' errors */
} gal_mock_purpose;

/* A galaxy of the mock survey. `draw` is its index among all draws, before selection. */
typedef struct gal_mock_galaxy {
    int64_t draw;
    /* latents */
    double log_mass, z;        /* log10 of solar masses in stars; redshift */
    double main_sequence;      /* log10 SFR that the main sequence has there, solar masses a year */
    double smooth_offset;      /* delta_l, dex: of the whole history from the main sequence */
    double burst_offset;       /* delta_b, dex: of the last 100 Myr */
    double size_residual, gas; /* rho, g ~ N(0, 1) */
    double oh;                 /* 12 + log(O/H) */
    double log_metallicity;    /* of the stars, log10 (Z / 0.02) */
    double cos_inclination, axis_ratio, a_v;
    /* computed from the latents and, where errors come in, the galaxy's other streams */
    double mass[GAL_AGES]; /* solar masses formed in each bin of age */
    double log_sfr, dn4000;
    double stars[GAL_BANDS][GAL_AGES]; /* noiseless flux of the stars of each age behind their dust */
    double flux[GAL_BANDS];            /* F: noiseless, lines included */
    double calibrated[GAL_BANDS];      /* F' = F (1 + f xi), which catalogue and image share */
    double observed[GAL_BANDS];        /* the catalogue's */
    double variance[GAL_BANDS]; /* as the catalogue states it: from the observed flux, floor included */
    /* log M*, log SFR, 12 + log(O/H), Dn4000, A_V */
    double truth[5], label[5];
} gal_mock_galaxy;

#define GAL_CUTOUT 128 /* pixels along a side */
#define GAL_PIXEL_ARCSEC 0.396

/* Couplings between a galaxy and its image that can be switched off. The feature then comes from the latents
 * of a donor, an unrelated galaxy, so that its distribution over the survey stays what it was. */
typedef enum gal_mock_coupling {
    GAL_MOCK_INCLINATION = 1, /* axis ratio of disc and bulge */
    GAL_MOCK_SIZE = 2,
    GAL_MOCK_GRADIENT = 4,     /* colour gradient of the disc */
    GAL_MOCK_BULGE_COLOUR = 8, /* the shares of the light from ages above 2 Gyr */
    GAL_MOCK_CLUMPS = 16,      /* clumpiness, arms and the shares of the light from the youngest two ages */
    GAL_MOCK_BT = 32           /* bulge to total */
} gal_mock_coupling;

/* ---- population.c ---- */
/* Galaxy number `draw` (from 0, below 2^39) of the survey `seed`: everything in the struct. The same bits
 * however often and in whichever order. */
void gal_mock_draw(gal_mock_galaxy *out, uint64_t seed, int64_t draw);
/* Whether its observed r is within the survey's limits, 16 < r < 17.78, and every band was detected. */
int gal_mock_selected(const gal_mock_galaxy *galaxy);
/* The donor of a draw: a galaxy that the survey would select, from draws that no survey reaches. A function
 * of (seed, draw) only. */
void gal_mock_donor(gal_mock_galaxy *out, uint64_t seed, int64_t draw);

/* The random numbers of a galaxy for one purpose, in order: words of Philox, uniforms in (0, 1), normals in
 * pairs. */
typedef struct gal_mock_stream {
    uint64_t key, stream, block;
    uint32_t word[4];
    int used;      /* words of the block */
    int has_spare; /* a second normal waits in spare */
    float spare;
} gal_mock_stream;
gal_mock_stream gal_mock_stream_of(uint64_t seed, int64_t draw, gal_mock_purpose purpose);
double gal_mock_uniform(gal_mock_stream *stream);
double gal_mock_normal(gal_mock_stream *stream);

/* Luminosity distance, Mpc; age of the universe, Gyr: flat, Omega_m 0.3, H0 70. */
double gal_mock_distance(double z);
double gal_mock_age(double z);

/* ---- photometry.c: SDSS's imaging, by band ---- */
extern const double gal_mock_pixel_sigma[GAL_BANDS]; /* sky and readout noise of a pixel, nanomaggies */
extern const double gal_mock_gain[GAL_BANDS];        /* electrons per DN */
/* Nanomaggies per DN: the variance of F nanomaggies of light is F dn / gain. */
extern const double gal_mock_dn[GAL_BANDS];
extern const double gal_mock_floor[GAL_BANDS]; /* calibration error, relative */
extern const double gal_mock_pivot[GAL_BANDS]; /* pivot wavelengths, Angstrom */

/* ---- image.c ---- */
/* Degrees: where a galaxy is, uniform on the sphere. */
void gal_mock_position(double *ra, double *dec, uint64_t seed, int64_t draw);
/* Renders the cutout of a galaxy and writes it to path as a JPEG, or, where that ends in .fits, as a FITS
 * cube in nanomaggies; whole or not at all. without: the couplings that are off, a sum of gal_mock_coupling;
 * donor may be NULL where it is 0. neighbours != 0: with stars and galaxies of the field. GAL_MEMORY, or
 * GAL_FILE with the path. */
gal_status gal_mock_cutout(const char *path, const gal_mock_galaxy *galaxy, const gal_mock_galaxy *donor,
                           unsigned without, uint64_t seed, int neighbours);

#endif
