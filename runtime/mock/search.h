/* search.h: a mock survey as its files know it. */
#ifndef GAL_SEARCH_H
#define GAL_SEARCH_H
#include "model.h"

/* A survey is kept as the numbers of its draws: a galaxy is worked out anew, in microseconds, wherever it is
 * wanted. */
struct gal_mock {
    uint64_t seed;
    int64_t n, found, drawn;
    int64_t *draw; /* {n}, found of them known, ascending */
};

#endif
