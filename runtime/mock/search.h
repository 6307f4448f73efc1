/* search.h: the inside of gal_mock, for search.c, catalogue.c and cutouts.c. */
#ifndef GAL_SEARCH_H
#define GAL_SEARCH_H
#include "model.h"

/* A survey stores the numbers of its draws; gal_mock_draw computes a galaxy from its number again, in
 * microseconds, wherever one is needed. */
struct gal_mock {
    uint64_t seed;
    int64_t n, found, drawn; /* galaxies wanted and found; draws looked through */
    int64_t *draw;           /* {n}, the first `found` of them filled, ascending */
};

#endif
