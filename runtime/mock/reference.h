/* reference.h: what the two files of the reference posterior share: proposal.c draws galaxies, reference.c
 * weighs them. */
#ifndef GAL_REFERENCE_H
#define GAL_REFERENCE_H
#include "model.h"

/* The coordinates of a draw: all that its photometry and properties depend on. From smooth offset to
 * metallicity they are unit normals of the prior; OH is the scatter of 12 + log(O/H) that size, gas and its
 * own make together. The scatter of ln A_V includes the inclination's part, so that the posterior is nearly
 * normal in it whatever cos i is. Mass is last: it is proposed given the others. */
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

#define GAL_FITS 3             /* normal distributions that a proposal has at most */
#define GAL_PROPOSAL_CELLS 256 /* of comoving distance: a thousandth in redshift each */

/* The distribution that one galaxy's draws come from. At first its r alone decides: distance and mass make
 * the draw about as bright, all else comes from the prior. Once there are fits, most draws come from normal
 * distributions of all coordinates. */
typedef struct gal_proposal {
    double flux, magnitude;                  /* observed, in r */
    double scatter;                          /* of log M* that the error of flux amounts to */
    double distance[GAL_PROPOSAL_CELLS + 1]; /* comoving, Mpc: the edges of the cells */
    double probability[GAL_PROPOSAL_CELLS];  /* of each cell */
    double up_to[GAL_PROPOSAL_CELLS + 1];    /* of the cells before it together */
    int fits;
    struct gal_fit {
        double mean[GAL_COORDINATES];
        double lower[GAL_COORDINATES][GAL_COORDINATES]; /* covariance = lower lower^T */
        double log_determinant;                         /* of the covariance without mass */
    } fit[GAL_FITS]; /* from wide to narrow; the wide ones stay for the tails */
} gal_proposal;

/* A draw whose weight is not known yet. */
typedef struct gal_proposed {
    double coordinate[GAL_COORDINATES];
    double guess; /* log M* that the narrowest fit expects, given the other coordinates */
    double off;   /* how far log M* will be from `right`, in units of p's scatter; NAN: it is settled */
    double right; /* log M*, about, at which it is as bright in r as observed */
    double dust_scatter;      /* in a draw by r: the unit normal of ln A_V at that inclination */
    gal_mock_latents latents; /* size and gas at 0 */
} gal_proposed;

/* The proposal for a galaxy of this observed flux in r, nanomaggies, without fits. */
void gal_proposal_of(gal_proposal *p, double flux);
/* Draw i of stream `stream`. Where p has fits, the mass in latents is a guess, and gal_proposal_settle must
 * follow with the flux in r that these latents give: it sets the mass. */
void gal_proposal_draw(gal_proposed *draw, const gal_proposal *p, uint64_t seed, uint64_t stream, uint64_t i);
void gal_proposal_settle(gal_proposed *draw, const gal_proposal *p, double flux);
/* ln of prior density / proposal density, up to a constant; -inf where the prior is 0. */
double gal_proposal_log_weight(const gal_proposal *p, const gal_proposed *draw);
/* A draw with its weight: prior x likelihood / proposal. */
typedef struct gal_weighed {
    float log_weight, truth[5], coordinate[GAL_COORDINATES];
} gal_weighed;
/* Adds a normal distribution fitted to n weighed draws to p's fits. largest: the largest log_weight; a weight
 * counts as at most `cap` times that of `largest`. Where the covariance is singular p stays as it is. */
void gal_proposal_fit(gal_proposal *p, const gal_weighed *draw, int64_t n, double largest, double cap);

/* The posterior of one galaxy. */
typedef struct gal_posterior {
    double observed[GAL_BANDS]; /* nanomaggies */
    /* Tests: all latents but the scatter of the burst's offset and of A_V; NULL: none is fixed. */
    const gal_mock_latents *fixed;
    gal_proposal proposal;
    int64_t draws, kept, room; /* drawn in all; kept, as having some weight; allocated */
    gal_weighed *draw;         /* {room}, the first `kept` of them filled */
    double largest;            /* of the logarithms of their weights */
} gal_posterior;
struct gal_reference {
    uint64_t seed;
    int64_t n, first;      /* galaxy k draws from the streams of first + k */
    gal_posterior *galaxy; /* {n} */
};

#endif
