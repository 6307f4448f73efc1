/* parallel.c: how many threads there are, and the host's loops on all of them (parallel.h). Threads are
 * OpenMP's, the pool that kernels and oneDNN use too, so that no two pools fight over the cores. */
#include "parallel.h"
#include "core.h"
#include <omp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

static int threads; /* 0: not asked yet */
/* libgomp keeps a region's threads on the stack: some 70,000 of them leave none. */
#define LARGEST_THREADS 1024

int gal_threads(int n)
{
    int wanted = n > 0 ? n : threads ? threads : omp_get_max_threads(); /* OMP_NUM_THREADS may be anything */
    if (wanted > LARGEST_THREADS)
        wanted = LARGEST_THREADS;
    if (wanted != threads) {
        threads = wanted;
        omp_set_num_threads(threads);
    }
    return threads;
}

typedef struct loop {
    gal_range *range;
    void *args;
    int64_t n, grain;
    atomic_int_least64_t next; /* the range to begin next, from 0 */
    atomic_int_least64_t end;  /* the first that failed, or how many there are */
    pthread_mutex_t lock;      /* of end, status and sentence */
    gal_status status;
    char sentence[1024];
} loop;

static void failed(loop *l, int64_t at, gal_status status)
{
    pthread_mutex_lock(&l->lock);
    if (at < atomic_load(&l->end)) {
        atomic_store(&l->end, at);
        l->status = status;
        snprintf(l->sentence, sizeof l->sentence, "%s", gal_error());
    }
    pthread_mutex_unlock(&l->lock);
}

static void run(loop *l)
{
    for (int64_t at; (at = atomic_fetch_add(&l->next, 1)) < atomic_load(&l->end);) {
        int64_t from = at * l->grain, rest = l->n - from;
        gal_status status = gal_interrupted()
                                ? gal_fail(GAL_INTERRUPTED, "interrupted")
                                : l->range(l->args, from, from + (rest < l->grain ? rest : l->grain));
        if (status != GAL_OK)
            failed(l, at, status);
    }
}

gal_status gal_parallel(int64_t n, int64_t grain, gal_range *range, void *args)
{
    int64_t count = (n + grain - 1) / grain;
    int lanes = gal_threads(0) < count ? gal_threads(0) : (int)count;
    loop l = {.range = range,
              .args = args,
              .n = n,
              .grain = grain,
              .end = count,
              .lock = PTHREAD_MUTEX_INITIALIZER};
    if (lanes <= 1) {
        run(&l);
    } else {
#pragma omp parallel num_threads(lanes)
        run(&l);
    }
    return l.status == GAL_OK ? GAL_OK : gal_fail(l.status, "%s", l.sentence);
}
