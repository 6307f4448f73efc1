/* balance.c: times the runs of a plan and chooses between one lane and all (lanes.h). */
#include "lanes.h"

#define WINDOW 0.020  /* s: several time slices, so that a busy neighbour shows in the mean */
#define FIRST 0.25    /* s from the first trial, or one that changed something, to the next */
#define LONGEST 8.0   /* s between trials that change nothing */
#define HURRY 0.1     /* s from a trial until a slowdown may bring on the next */
#define SLOWDOWN 1.25 /* times the best: something happened on the other core */
#define MARGIN 0.95   /* the other way is chosen below this part of the usual time */

int gal_balance_lanes(gal_balance *b, int lanes)
{
    if (b->lanes != lanes)
        *b = (gal_balance){.lanes = lanes};
    return b->alone != b->trial ? 1 : lanes;
}

int64_t gal_balance_chunk(const gal_balance *b, int64_t times)
{
    int64_t chunk = b->usual > 0 ? (int64_t)(WINDOW / b->usual) / (b->trial ? 8 : 1)
                                 : 1; /* a trial may be several times slower */
    chunk = chunk > 1 ? chunk : 1;
    return chunk < times ? chunk : times;
}

static double least(double a, double b)
{
    return a < b ? a : b;
}

/* At the end of a window. */
static void judge(gal_balance *b, double mean, double now)
{
    if (b->trial) {
        int change = mean < MARGIN * b->usual;
        b->trial = 0;
        b->last = now;
        b->pause = change ? FIRST : least(2 * b->pause, LONGEST);
        b->pause = b->pause > 50 * mean ? b->pause : 50 * mean; /* trials of slow runs cost more */
        b->next = now + b->pause;
        if (change) {
            b->alone = !b->alone;
            b->usual = b->best = mean;
        }
        return;
    }
    b->usual = mean;
    b->best = b->best > 0 ? least(b->best, mean) : mean;
    int slower =
        !b->alone &&
        mean > SLOWDOWN * b->best; /* one lane alone can only be slowed by what would slow all of them */
    b->trial = now >= b->next || (slower && now > b->last + HURRY && now > b->last + 10 * mean);
}

void gal_balance_note(gal_balance *b, double start, double end, int64_t runs)
{
    if (b->lanes == 1)
        return;
    if (b->next == 0) {
        b->pause = FIRST / 2;
        b->next = b->last = start; /* the first trial comes after one window of all lanes */
    }
    b->spent += end - start;
    b->runs += runs;
    if (b->spent < WINDOW)
        return;
    judge(b, b->spent / (double)b->runs, end);
    b->spent = 0;
    b->runs = 0;
}
