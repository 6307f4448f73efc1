/* reference.h: the reference posterior as its two files know it: proposal.c says where galaxies are drawn
 * from, reference.c weighs them. */
#ifndef GAL_REFERENCE_H
#define GAL_REFERENCE_H
#include "model.h"

/* The coordinates of a draw: all that its photometry and properties hang on. From smooth offset to
 * metallicity they are unit normals of the prior; OH is the scatter of 12 + log(O/H) that size, gas and its
 * own make together. ln A_V's scatter contains what the inclination adds, so that the posterior is nearly
 * normal in it whatever cos i. Mass is last: it is proposed given the others. */
enum {
    GAL_LN_DISTANCE,
    GAL_SMOOTH,
    GAL_BURST,
    GAL_OH,
    GAL_METALLICITY,
    GAL_LN_DUST,
    GAL_LOG_MASS,
    GAL_COORDINATES
};

#define GAL_FITS 3             /* normal distributions that a proposal may have */
#define GAL_PROPOSAL_CELLS 256 /* of comoving distance: a thousandth in redshift each */

/* Where a galaxy's posterior is drawn from: by its r alone, distance and mass so that it is about as bright
 * and the rest from the prior; and once fitted, mostly from normal distribution of all coordinates. */
typedef struct gal_proposal {
    double flux, magnitude, scatter; /* observed, in r; dex of mass that its error is worth */
    double distance[GAL_PROPOSAL_CELLS + 1], probability[GAL_PROPOSAL_CELLS],
        up_to[GAL_PROPOSAL_CELLS + 1]; /* comoving, Mpc; of a cell; of those before it */
    int fits;
    struct gal_fit {
        double mean[GAL_COORDINATES], lower[GAL_COORDINATES][GAL_COORDINATES],
            log_determinant; /* covariance = lower lower^T; determinant without mass */
    } fit[GAL_FITS];         /* from wide to narrow; the wide ones stay for the tails */
} gal_proposal;

/* A draw on its way. */
typedef struct gal_proposed {
    double coordinate[GAL_COORDINATES];
    double guess; /* log M* that the fit expects of the other coordinates */
    double off; /* unit normal times its scale: how far the mass is to be from the right one; NAN: the mass is
                   settled */
    double right;             /* log M* that would make it as bright in r as observed, about */
    double dust_scatter;      /* in a draw by r: the unit normal of ln A_V at that inclination */
    gal_mock_latents latents; /* size and gas at 0 */
} gal_proposed;

void gal_proposal_of(gal_proposal *p, double flux);
/* Draw i of stream `stream`. Where p has fits, latents have the mass guessed, and gal_proposal_settle has to
 * be told the flux in r that they give. */
void gal_proposal_draw(gal_proposed *draw, const gal_proposal *p, uint64_t seed, uint64_t stream, uint64_t i);
void gal_proposal_settle(gal_proposed *draw, const gal_proposal *p, double flux);
/* ln of prior density / proposal density, up to a constant; -inf where the prior is 0. */
double gal_proposal_log_weight(const gal_proposal *p, const gal_proposed *draw);
/* One draw that counts. */
typedef struct gal_weighed {
    float log_weight, truth[5], coordinate[GAL_COORDINATES];
} gal_weighed;
/* Adds a normal distribution fitted to n weighed draws, the largest logarithm of a weight `largest`; weights
 * relative to it count as `cap` at most. Leaves things as they are where their covariance is singular. */
void gal_proposal_fit(gal_proposal *p, const gal_weighed *draw, int64_t n, double largest, double cap);

/* The posterior of one galaxy. */
typedef struct gal_posterior {
    double observed[GAL_BANDS];    /* nanomaggies */
    const gal_mock_latents *fixed; /* all latents but the scatter of the burst's offset and of A_V, or NULL:
                                      none is fixed (tests) */
    gal_proposal proposal;
    int64_t draws, kept, room;
    gal_weighed *draw; /* {room}, kept of them there */
    double largest;    /* of the logarithms of their weights */
} gal_posterior;
struct gal_reference {
    uint64_t seed;
    int64_t n, first;      /* galaxy k draws from the streams of first + k */
    gal_posterior *galaxy; /* {n} */
};

#endif
