/* cpu.c: the CPU's tables of kernels, one for each instruction set, the choice among them, and the CPU's
 * memory. The kernels are in the files beside it, the threads in lanes.c. */
#define _GNU_SOURCE
#include "cpu.h"
#include "conv_onednn.h"
#include "cpu/fast/fast.h"
#include <omp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- memory ---- */

#define ALIGNMENT 64 /* a cache line, and one AVX-512 vector */

static gal_status cpu_allocate(const gal_backend *device, void **out, size_t bytes)
{
    (void)device;
    *out = NULL;
    if (posix_memalign(out, ALIGNMENT, bytes ? bytes : ALIGNMENT) != 0) {
        *out = NULL;
        return gal_fail(GAL_MEMORY, "cpu: no memory left for %zu bytes", bytes);
    }
    return GAL_OK;
}

static void cpu_release(const gal_backend *device, void *memory, size_t bytes)
{
    (void)device, (void)bytes;
    free(memory);
}

static gal_status cpu_move(const gal_backend *device, void *to, const void *from, size_t bytes)
{
    (void)device;
    if (bytes)
        memcpy(to, from, bytes);
    return GAL_OK;
}

/* ---- order: whatever is issued is done, and what failed of it was reported, when the call returns, so that
 * every event has passed ---- */

static gal_status cpu_synchronize(const gal_backend *device)
{
    (void)device;
    return GAL_OK;
}

static gal_status cpu_event_new(const gal_backend *device, void **event)
{
    *event = (void *)(uintptr_t)device;
    return GAL_OK;
}

static void cpu_event_free(const gal_backend *device, void *event)
{
    (void)device, (void)event;
}

static gal_status cpu_event(const gal_backend *device, void *event)
{
    (void)device, (void)event;
    return GAL_OK;
}

/* ---- calls ---- */

static int cpu_has(const gal_backend *device, int op)
{
    (void)device;
    return op >= 0 && op < GAL_OP_COUNT;
}

/* 27 multiply-adds a value cost about what writing and reading it back does (tests/bench/w2.md), and the
 * memory is saved. */
static int cpu_stores_slope(const gal_backend *device, int64_t out, int64_t kh, int64_t kw, int64_t c)
{
    (void)device, (void)out;
    return kh * kw * c > 32;
}

static gal_status cpu_issue(const gal_backend *device, const gal_call *call)
{
    gal_cpu_stage stages[GAL_CPU_STAGES];
    int count = gal_cpu_expand(stages, device->self, call);
    gal_status status = GAL_OK;
    for (int i = 0; i < count && status == GAL_OK; i++)
        status = gal_cpu_run(&stages[i]);
    return status;
}

static gal_status cpu_prepare(const gal_backend *device, void **plan, const gal_call *calls, int64_t count)
{
    gal_cpu_stage *stages = malloc((size_t)(count + 1) * GAL_CPU_STAGES * sizeof *stages);
    int64_t made = 0;
    if (!stages)
        return gal_fail(GAL_MEMORY, "program: no memory left for a plan of %lld calls", (long long)count);
    for (int64_t i = 0; i < count; i++)
        made += gal_cpu_expand(stages + made, device->self, &calls[i]);
    gal_status status = gal_cpu_plan(plan, stages, made);
    free(stages);
    return status;
}

/* ---- which instruction set ---- */

/* The sets, from the plainest on; one that the machine lacks has no kernels. */
static gal_cpu_kernels tables[4];
static gal_cpu_kernels by_onednn; /* the chosen one, its convolutions oneDNN's */
static int has_onednn;
static const char *chosen_isa;
static gal_backend cpu; /* self: the chosen kernels */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static const char *const isas[4] = {"specification", "plain", "avx2", "avx512"};

static int machine_has(int isa)
{
#ifdef GAL_X86
    __builtin_cpu_init();
    if (isa == 2)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (isa == 3)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512vl");
#endif
    return isa < 2;
}

/* The best set that the user allows, or NULL: GALRUN_ISA, for tests and for a machine whose best set is slow;
 * what limits oneDNN limits these kernels too. */
static const char *wanted_isa(void)
{
    const char *wanted = getenv("GALRUN_ISA"), *dnnl = getenv("DNNL_MAX_CPU_ISA");
    if (wanted || !dnnl)
        return wanted;
    if (!strncmp(dnnl, "AVX2", 4))
        return "avx2";
    return !strcmp(dnnl, "SSE41") || !strcmp(dnnl, "AVX") ? "plain" : NULL;
}

/* Five properties of 65,536 rows are 1.3 MB, and their integration takes over 50 ms, beside which the cost of
 * another call is small; the activations of 64 images of 128 x 128 pixels are some 200 MB. */
static gal_status cpu_about(const gal_backend *device, gal_device_info *out)
{
    (void)device;
    *out = (gal_device_info){.rows = 65536, .images = 64};
    out->free = (int64_t)sysconf(_SC_AVPHYS_PAGES) * sysconf(_SC_PAGE_SIZE);
    out->total = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGE_SIZE);
    snprintf(out->description, sizeof out->description, "CPU, %s, %d threads", chosen_isa, gal_threads(0));
    return GAL_OK;
}

#define ENTRY(name, ...) .name = gal_cpu_##name,
static void make_tables(void)
{
    static const gal_cpu_kernels specification = {GAL_OPS(ENTRY).conv2d_backward_prepare =
                                                      gal_cpu_conv2d_backward_prepare,
                                                  .conv2d_backward_finish = gal_cpu_conv2d_backward_finish};
    gal_cpu_kernels *chosen = NULL;
    const char *wanted = wanted_isa();
    for (int i = 0; i < 4; i++) {
        if (!machine_has(i))
            continue;
        tables[i] = specification;
        if (i == 1)
            gal_fast_plain(&tables[i]);
#ifdef GAL_X86
        if (i == 2)
            gal_fast_avx2(&tables[i]);
        if (i == 3)
            gal_fast_avx512(&tables[i]);
#endif
        if (i == 0 || (wanted && chosen_isa && !strcmp(chosen_isa, wanted)))
            continue;
        chosen = &tables[i];
        chosen_isa = isas[i];
    }
    const char *convolutions = getenv("GALRUN_CONV");
    by_onednn = *chosen;
    has_onednn = gal_cpu_onednn(&by_onednn);
    if (has_onednn && convolutions && !strcmp(convolutions, "onednn"))
        chosen = &by_onednn;
    cpu = (gal_backend){.name = "cpu",
                        .self = chosen,
                        .alignment = ALIGNMENT,
                        .host_readable = 1,
                        .about = cpu_about,
                        .allocate = cpu_allocate,
                        .release = cpu_release,
                        .allocate_pinned = cpu_allocate,
                        .release_pinned = cpu_release,
                        .upload = cpu_move,
                        .upload_pinned = cpu_move,
                        .download = cpu_move,
                        .synchronize = cpu_synchronize,
                        .event_new = cpu_event_new,
                        .event_free = cpu_event_free,
                        .event_record = cpu_event,
                        .event_wait = cpu_event,
                        .has = cpu_has,
                        .has_precision = gal_cpu_has_precision,
                        .stores_slope = cpu_stores_slope,
                        .issue = cpu_issue,
                        .prepare = cpu_prepare,
                        .replay = gal_cpu_replay,
                        .forget = gal_cpu_forget};
}

const gal_cpu_kernels *gal_cpu_table(const char *isa)
{
    pthread_once(&once, make_tables);
    if (!isa)
        return cpu.self;
    for (int i = 0; i < 4; i++)
        if (!strcmp(isa, isas[i]) && tables[i].add)
            return &tables[i];
    return has_onednn && !strcmp(isa, "onednn") ? &by_onednn : NULL;
}

const gal_backend *gal_cpu_backend(void)
{
    pthread_once(&once, make_tables);
    return &cpu;
}

const char *gal_cpu_isa(void)
{
    pthread_once(&once, make_tables);
    return chosen_isa;
}
