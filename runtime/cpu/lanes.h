/* lanes.h: the two judgements that a replay rests on: which calls may run side by side (depends.c), and whether threads pay at all
 * (balance.c). */
#ifndef GAL_LANES_H
#define GAL_LANES_H
#include "cpu.h"

/* Whether `later` must wait until every lane has done its share of `earlier`: one writes what the other touches, or nothing is known of one
 * of them. */
int gal_cpu_depends(const gal_call *later, const gal_call *earlier);

/* A second core may be busy with something else, and then lanes that wait for each other are slower than one alone. So now and then a plan
 * runs for a while the other way, all lanes or one, and stays with the faster. The results don't depend on it. All zeros is a good start.
 */
typedef struct gal_balance {
    int alone, trial;         /* the way chosen is one lane; the other way is being tried */
    int64_t runs;             /* in the window that is being measured */
    double spent;             /* seconds in it */
    double usual, best;       /* seconds a run, the chosen way: in its last window, and its best since chosen */
    double next, last, pause; /* when the next trial is due, when the last was, seconds between them */
} gal_balance;
int gal_balance_lanes(const gal_balance *b, int lanes);
int64_t gal_balance_chunk(const gal_balance *b, int64_t times);
void gal_balance_note(gal_balance *b, double start, double end, int64_t runs);

#endif
