/* lanes.c: how calls meet threads. One call now (issue), or a recorded list in one parallel region with
 * barriers of our own between dependent calls (prepare, replay). Threads are OpenMP's, the pool that oneDNN
 * uses too, so that no two pools fight over the cores. */
#define _GNU_SOURCE
#include "lanes.h"
#include <limits.h>
#include <linux/futex.h>
#include <omp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Below so many operations a call is one lane's: a region of its own costs a few microseconds, a barrier in a
 * replay a few tenths. */
#define WORK_OF_REGION 65536
#define WORK_OF_BARRIER 12288
/* Pauses before a waiting lane sleeps: about 25 us. Spinning for ever costs a whole time slice (4 ms a step)
 * when the other core is busy.
 */
#define SPIN 2000

/* The lanes of one region: their barrier, and the first failure, by call and then by lane. */
typedef struct team {
    int lanes;
    int stop; /* the last lane to arrive sets it, before the others go on: all leave at the same barrier */
    _Alignas(64) atomic_int arrived;
    _Alignas(64) atomic_int generation;
    _Alignas(64) atomic_int sleeping;
    _Alignas(64) atomic_int failed;
    pthread_mutex_t lock;
    int64_t at; /* the failing call */
    int by;     /* the failing lane */
    gal_status status;
    char sentence[1024];
} team;
#define TEAM(n) .lanes = n, .lock = PTHREAD_MUTEX_INITIALIZER

static inline void pause_a_little(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

/* No lane goes on before all have come. Returns team->stop. */
static int barrier(team *t)
{
    if (t->lanes == 1)
        return t->stop = atomic_load(&t->failed);
    int generation = atomic_load(&t->generation);
    if (atomic_fetch_add(&t->arrived, 1) + 1 == t->lanes) {
        atomic_store(&t->arrived, 0);
        t->stop = atomic_load(&t->failed);
        atomic_store(&t->generation, generation + 1);
        if (atomic_load(&t->sleeping))
            syscall(SYS_futex, &t->generation, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
        return t->stop;
    }
    for (int i = 0; i < SPIN && atomic_load_explicit(&t->generation, memory_order_acquire) == generation; i++)
        pause_a_little();
    if (atomic_load(&t->generation) == generation) {
        atomic_fetch_add(&t->sleeping, 1);
        while (atomic_load(&t->generation) == generation)
            syscall(SYS_futex, &t->generation, FUTEX_WAIT_PRIVATE, generation, NULL, NULL, 0);
        atomic_fetch_sub(&t->sleeping, 1);
    }
    return t->stop;
}

/* Notes a failure of this thread, and its gal_error(), for the calling thread. */
static void report(team *t, int64_t at, int lane, gal_status status)
{
    pthread_mutex_lock(&t->lock);
    if (!atomic_load(&t->failed) || at < t->at || (at == t->at && lane < t->by)) {
        t->at = at;
        t->by = lane;
        t->status = status;
        snprintf(t->sentence, sizeof t->sentence, "%s", gal_error());
        atomic_store(&t->failed, 1);
    }
    pthread_mutex_unlock(&t->lock);
}

static gal_status outcome(const team *t)
{
    return t->status == GAL_OK ? GAL_OK : gal_fail(t->status, "%s", t->sentence);
}

gal_status gal_cpu_run(const gal_cpu_stage *stage)
{
    int lanes = gal_threads(0);
    if (lanes == 1 || stage->work < WORK_OF_REGION) /* GAL_WHOLE and GAL_SERIAL are below */
        return stage->kernel(&(gal_lane){.index = 0, .count = 1}, stage->args);
    team t = {TEAM(lanes)};
#pragma omp parallel num_threads(lanes)
    {
        gal_lane lane = {.index = omp_get_thread_num(), .count = omp_get_num_threads()};
        gal_status status = stage->kernel(&lane, stage->args);
        if (status != GAL_OK)
            report(&t, 0, lane.index, status);
    }
    return outcome(&t);
}

/* ---- plans ---- */

typedef enum { SERIAL, SHARED, WHOLE } kind;

typedef struct step {
    kind kind;
    int barrier; /* wait for all lanes before it */
} step;

typedef struct plan {
    gal_cpu_stage *stages; /* {count} */
    int64_t count;
    step *steps; /* {count} */
    gal_balance balance;
} plan;

gal_status gal_cpu_plan(void **out, const gal_cpu_stage *stages, int64_t count)
{
    plan *p = calloc(1, sizeof *p);
    step *steps = calloc((size_t)count + 1, sizeof *steps);
    gal_cpu_stage *copy = malloc(((size_t)count + 1) * sizeof *copy);
    *out = p;
    if (!p || !steps || !copy) {
        free(p);
        free(steps);
        free(copy);
        *out = NULL;
        return gal_fail(GAL_MEMORY, "program: no memory left for a plan of %lld stages", (long long)count);
    }
    if (count)
        memcpy(copy, stages, (size_t)count * sizeof *copy);
    *p = (plan){.stages = copy, .count = count, .steps = steps};
    for (int64_t i = 0; i < count; i++) {
        steps[i].kind = stages[i].work == GAL_WHOLE        ? WHOLE
                        : stages[i].work < WORK_OF_BARRIER ? SERIAL
                                                           : SHARED;
        /* Every call may need what the one before wrote. Between two calls that lane 0 runs alone, and where
         * a region ends, no barrier is needed. */
        steps[i].barrier =
            i > 0 && (steps[i].kind == SHARED || steps[i - 1].kind == SHARED) && steps[i - 1].kind != WHOLE;
    }
    return GAL_OK;
}

void gal_cpu_forget(const gal_backend *device, void *plan_)
{
    plan *p = plan_;
    (void)device;
    free(p->stages);
    free(p->steps);
    free(p);
}

static int interrupted(void)
{
    return gal_interrupted() && gal_fail(GAL_INTERRUPTED, "interrupted") != GAL_OK;
}

/* What one lane does of calls [from, to), `times` times over. */
static void run(const plan *p, int64_t from, int64_t to, team *t, gal_lane lane, int64_t times)
{
    for (int64_t k = 0; k < times; k++) {
        int failed = 0;
        if (k > 0) {
            if (lane.index == 0 && interrupted())
                report(t, -1, 0, GAL_INTERRUPTED);
            if (barrier(t))
                return;
        }
        for (int64_t i = from; i < to; i++) {
            if (p->steps[i].barrier && lane.count > 1 && barrier(t))
                return;
            if (failed || (p->steps[i].kind == SERIAL && lane.index > 0))
                continue;
            gal_lane alone = {.index = 0, .count = 1};
            gal_status status =
                p->stages[i].kernel(p->steps[i].kind == SERIAL ? &alone : &lane, p->stages[i].args);
            if (status == GAL_OK)
                continue;
            report(t, i, lane.index, status);
            failed = 1;
        }
    }
}

static gal_status run_lanes(const plan *p, int64_t from, int64_t to, int lanes, int64_t times)
{
    team t = {TEAM(lanes)};
    if (lanes == 1) {
        run(p, from, to, &t, (gal_lane){.index = 0, .count = 1}, times);
    } else {
#pragma omp parallel num_threads(lanes)
        {
#pragma omp single
            t.lanes =
                omp_get_num_threads(); /* may be fewer; the barrier at the end of single makes it known */
            run(p, from, to, &t, (gal_lane){.index = omp_get_thread_num(), .count = t.lanes}, times);
        }
    }
    return outcome(&t);
}

/* The list once or more; calls that bring their own threads stand between regions, so then it is once. */
static gal_status run_list(const plan *p, int lanes, int64_t times)
{
    int64_t from = 0;
    for (int64_t i = 0; i < p->count; i++) {
        if (p->steps[i].kind != WHOLE)
            continue;
        gal_status status = from < i ? run_lanes(p, from, i, lanes, 1) : GAL_OK;
        if (status == GAL_OK)
            status = p->stages[i].kernel(&(gal_lane){.index = 0, .count = 1}, p->stages[i].args);
        if (status != GAL_OK)
            return status;
        from = i + 1;
    }
    return from < p->count ? run_lanes(p, from, p->count, lanes, times) : GAL_OK;
}

static int has_whole(const plan *p)
{
    for (int64_t i = 0; i < p->count; i++)
        if (p->steps[i].kind == WHOLE)
            return 1;
    return 0;
}

gal_status gal_cpu_replay(const gal_backend *device, void *plan_, int64_t times)
{
    plan *p = plan_;
    (void)device;
    int lanes = gal_threads(0), whole = has_whole(p);
    for (int64_t done = 0; done < times;) {
        if (interrupted())
            return GAL_INTERRUPTED;
        int64_t chunk = whole ? 1 : gal_balance_chunk(&p->balance, times - done);
        double start = gal_now();
        gal_status status = run_list(p, gal_balance_lanes(&p->balance, lanes), chunk);
        if (status != GAL_OK)
            return status;
        gal_balance_note(&p->balance, start, gal_now(), chunk);
        done += chunk;
    }
    return GAL_OK;
}
