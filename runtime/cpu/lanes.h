/* lanes.h: whether threads pay at all, judged while a plan is replayed (balance.c). */
#ifndef GAL_LANES_H
#define GAL_LANES_H
#include "cpu.h"

/* A second core may be busy with something else, and then lanes that wait for each other are slower than one
 * alone. So now and then a plan runs for a while the other way, all lanes or one, and stays with the faster.
 * The results don't depend on it. All zeros is a good start.
 */
typedef struct gal_balance {
    int lanes;          /* that there are to choose from; another number starts afresh */
    int alone, trial;   /* the way chosen is one lane; the other way is being tried */
    int64_t runs;       /* in the window that is being measured */
    double spent;       /* seconds in it */
    double usual, best; /* seconds a run, the chosen way: in its last window, and its best since chosen */
    double next, last, pause; /* when the next trial is due, when the last was, seconds between them */
} gal_balance;
/* How many lanes the next runs are to have, of `lanes`; and how many runs of `times` may pass before the next
 * look. */
int gal_balance_lanes(gal_balance *b, int lanes);
int64_t gal_balance_chunk(const gal_balance *b, int64_t times);
/* `runs` of them took from start to end, seconds. */
void gal_balance_note(gal_balance *b, double start, double end, int64_t runs);

#endif
