/* galrun_mock.h: the mock survey: galaxies whose true posterior is known, and that posterior. The model is
 * described in mock/README.md. */
#ifndef GALRUN_MOCK_H
#define GALRUN_MOCK_H
#include "galrun_io.h"

GAL_BEGIN

/* A survey in the making: galaxies 1 ... n are the first n draws of `seed` that it selects, so a galaxy
 * depends neither on n nor on the threads. */
typedef struct gal_mock gal_mock;
GAL_API gal_status gal_mock_new(gal_mock **out, int64_t seed, int64_t n);
GAL_API void gal_mock_free(gal_mock *survey); /* NULL does nothing */
/* Looks through about the next `draws` draws; *found and *drawn: how many galaxies there are now, at most n,
 * and of how many draws. After GAL_INTERRUPTED it can go on. */
GAL_API gal_status gal_mock_search(int64_t *found, int64_t *drawn, gal_mock *survey, int64_t draws);
/* The catalogue of the galaxies that were found: SDSS's columns, true values and latents, with units. objID
 * is the galaxy's number. The caller frees it with gal_table_free. */
GAL_API gal_status gal_mock_table(gal_table **out, const gal_mock *survey);

/* p(theta | ugriz) of n galaxies by importance sampling, without any network; theta are the five labels, with
 * their errors. observed {n, 5}: fluxes in nanomaggies. Galaxy k, from 0, takes the random numbers of number
 * first + k. */
typedef struct gal_reference gal_reference;
GAL_API gal_status gal_reference_new(gal_reference **out, int64_t seed, int64_t n, int64_t first,
                                     const double *observed);
GAL_API void gal_reference_free(gal_reference *reference); /* NULL does nothing */
/* Draws for galaxies [from, to), from 0, until each has an effective sample size of ess, or `most` were drawn
 * for it. After GAL_INTERRUPTED it can go on. A galaxy's draws depend on seed and first + k alone. */
GAL_API gal_status gal_reference_search(gal_reference *reference, int64_t from, int64_t to, double ess,
                                        int64_t most);
/* Of galaxy k, from 0: effective sample size, and how many galaxies were drawn for it. */
GAL_API gal_status gal_reference_state(double *ess, int64_t *draws, const gal_reference *reference,
                                       int64_t k);
/* mean {5} and covariance {5, 5} of theta. */
GAL_API gal_status gal_reference_moments(double *mean, double *covariance, const gal_reference *reference,
                                         int64_t k);
/* theta {n, 5}: different draws, by rejection with the largest weights cut down; *cut: the share of the
 * weight that the cut takes off. GAL_VALUE for n above a third of the effective sample size. */
GAL_API gal_status gal_reference_sample(float *theta, double *cut, const gal_reference *reference, int64_t k,
                                        int64_t n);
/* *log_prob: ln p(theta | ugriz) at theta {5}, in nats per product of theta's units: the mean, over the
 * weighed draws, of the normal density of the labels' errors around each. */
GAL_API gal_status gal_reference_log_prob(double *log_prob, const gal_reference *reference, int64_t k,
                                          const double *theta);

/* Writes folder/<objID>.jpg, or .fits where fits is set (g, r and i in nanomaggies), 128 x 128 pixels, for
 * those of galaxies [from, to), from 0, that have none yet; the search must have found them. without:
 * couplings that are off (gal_mock_coupling in mock/mock.h); neighbours != 0: with stars and galaxies of the
 * field. GAL_INTERRUPTED after Ctrl-C; no file is ever there in part. */
GAL_API gal_status gal_mock_cutouts(const gal_mock *survey, const char *folder, int64_t from, int64_t to,
                                    int without, int neighbours, int fits);

GAL_END
#endif
