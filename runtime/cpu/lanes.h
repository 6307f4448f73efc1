/* lanes.h: chooses between one lane and all, by timing the runs of a plan (balance.c). */
#ifndef GAL_LANES_H
#define GAL_LANES_H
#include "cpu.h"

/* A second core may be busy with something else, and then lanes that wait for each other are slower than one
 * alone. So now and then a plan runs for a while in the other way, by all lanes or by one, and keeps the
 * faster. Results don't depend on it. Zero-initialise before first use. */
typedef struct gal_balance {
    int lanes;        /* how many there are; with another number the choice starts afresh */
    int alone, trial; /* one lane is the chosen way; the other way is being tried */
    int64_t runs;     /* in the window of time that is being measured */
    double spent;     /* seconds in that window */
    double usual,
        best; /* seconds a run in the chosen way: in its last window, and the least since the choice */
    double next, last, pause; /* when the next trial is due, when the last was, seconds between them */
} gal_balance;
/* How many of `lanes` the next runs are to have; and how many runs of `times` to do before asking again. */
int gal_balance_lanes(gal_balance *b, int lanes);
int64_t gal_balance_chunk(const gal_balance *b, int64_t times);
/* Tells it that `runs` of them took from start to end, in seconds. */
void gal_balance_note(gal_balance *b, double start, double end, int64_t runs);

#endif
