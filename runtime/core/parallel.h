/* parallel.h: loops of the host over items that do not depend on each other, on all threads. Ops do not use
 * it: they are kernels, and the device spreads those (backend.h). */
#ifndef GAL_PARALLEL_H
#define GAL_PARALLEL_H
#include "galrun.h"

/* Works on items [from, to). A failure's sentence is in gal_error() of the thread that it happens on. */
typedef gal_status gal_range(void *args, int64_t from, int64_t to);

/* Calls range for all of the items [0, n), `grain` at a time, each once, on gal_threads(0) threads, in
 * ascending order as threads become free; one thread, or a call from inside another gal_parallel, runs them
 * in turn. Returns GAL_OK, or the status and in gal_error() the sentence of the first range in that order
 * that failed: those before it have all run, those after it that had not begun do not. So the failure, too,
 * is the same for any number of threads. gal_interrupted() is polled before each range and fails it with
 * GAL_INTERRUPTED. */
gal_status gal_parallel(int64_t n, int64_t grain, gal_range *range, void *args);

#endif
