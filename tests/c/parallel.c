/* parallel.c: host loops on all threads: every item once, the first failure with its sentence, Ctrl-C. */
#include "check.h"
#include "core/core.h"
#include "core/parallel.h"
#include <stdatomic.h>
#include <unistd.h>

enum { MOST = 5000 };
static atomic_int calls[MOST]; /* of each item */
static int64_t most_at_once;   /* the longest range */

typedef struct items {
    int64_t first_bad, second_bad; /* items that fail, or -1 */
    int64_t stop_at;               /* the item that Ctrl-C comes at, or -1 */
    int64_t late;                  /* the bad item that fails after the other, or 0: as it comes */
} items;

static void reset(void)
{
    most_at_once = 0;
    for (int i = 0; i < MOST; i++)
        atomic_store(&calls[i], 0);
}

/* For bad items that two threads work on at once: the first waits until the second has begun, and the late
 * one until the other has failed, some milliseconds. */
static void arrange(const items *a, int64_t i)
{
    for (int k = 0; i == a->first_bad && k < 1000 && !atomic_load(&calls[a->second_bad]); k++)
        usleep(1000);
    if (i == a->late)
        usleep(5000);
}

static gal_status visit(void *args, int64_t from, int64_t to)
{
    const items *a = args;
    if (to - from > most_at_once)
        most_at_once = to - from;
    for (int64_t i = from; i < to; i++) {
        atomic_fetch_add(&calls[i], 1);
        if (i == a->stop_at)
            gal_interrupt_set(1);
        if (a->late)
            arrange(a, i);
        if (i == a->first_bad || i == a->second_bad)
            return gal_fail(GAL_FILE, "item %lld is bad", (long long)i);
    }
    return GAL_OK;
}

static int visited(int64_t from, int64_t to)
{
    int sum = 0;
    for (int64_t i = from; i < to; i++)
        sum += atomic_load(&calls[i]);
    return sum;
}

static void every_item_once(void)
{
    CASE("every item is worked on once, in ranges of at most the grain, for any number of threads");
    static const int64_t counts[] = {0, 1, 2, 63, 64, 65, 1000, MOST}, grains[] = {1, 3, 64};
    items all = {-1, -1, -1, 0};
    for (int threads = 1; threads <= 3; threads++)
        for (int c = 0; c < 8; c++)
            for (int g = 0; g < 3; g++) {
                reset();
                gal_threads(threads);
                IS_OK(gal_parallel(counts[c], grains[g], visit, &all));
                int once = 0;
                for (int64_t i = 0; i < MOST; i++)
                    once += atomic_load(&calls[i]) == (i < counts[c]);
                IS_INT(once, MOST);
                IS_TRUE(most_at_once <= grains[g]);
            }
}

static void first_failure(void)
{
    CASE("the failure told is that of the first item that fails, with its sentence, for any number of "
         "threads");
    items two = {700, 702, -1, 0};
    for (int threads = 1; threads <= 4; threads++)
        for (int64_t late = 700; late <= 702; late += 2) {
            reset();
            gal_threads(threads);
            two.late = threads > 1 ? late : 0;
            FAILS(gal_parallel(MOST, 1, visit, &two), GAL_FILE, "item 700 is bad");
            IS_INT(visited(0, 701), 701);
        }
    CASE("behind a failure only what had begun is worked on");
    reset();
    gal_threads(1);
    two.late = 0;
    FAILS(gal_parallel(MOST, 10, visit, &two), GAL_FILE, "item 700 is bad");
    IS_INT(visited(701, MOST), 0);
}

static void ctrl_c(void)
{
    CASE("Ctrl-C ends a loop between two ranges");
    items stopped = {-1, -1, 20, 0};
    for (int threads = 1; threads <= 2; threads++) {
        reset();
        gal_threads(threads);
        FAILS(gal_parallel(MOST, 1, visit, &stopped), GAL_INTERRUPTED, "interrupted");
        gal_interrupt_set(0);
        IS_INT(visited(0, 21), 21);
        IS_TRUE(visited(21, MOST) < MOST / 2);
    }
    CASE("a failure before the item that Ctrl-C came at is still told");
    items both = {20, -1, 20, 0};
    gal_threads(1);
    FAILS(gal_parallel(MOST, 1, visit, &both), GAL_FILE, "item 20 is bad");
    gal_interrupt_set(0);
}

static gal_status nested(void *args, int64_t from, int64_t to)
{
    gal_status status = GAL_OK;
    for (int64_t i = from; status == GAL_OK && i < to; i++)
        status = gal_parallel(100, 7, visit, args);
    return status;
}

static void loops_in_loops(void)
{
    CASE("a loop inside a loop works on all of its items each time");
    items all = {-1, -1, -1, 0};
    reset();
    gal_threads(2);
    IS_OK(gal_parallel(10, 1, nested, &all));
    IS_INT(visited(0, 100), 1000);
    items bad = {50, -1, -1, 0};
    FAILS(gal_parallel(10, 1, nested, &bad), GAL_FILE, "item 50 is bad");
}

int main(void)
{
    every_item_once();
    first_failure();
    ctrl_c();
    loops_in_loops();
    return finish();
}
