/* cpu.c: the CPU's tables of kernels, one for each instruction set, the choice among them, and the CPU's
 * memory. The kernels are in the files beside it, the threads in lanes.c. */
#define _GNU_SOURCE
#include "cpu.h"
#include "conv_onednn.h"
#include "cpu/fast/fast.h"
#include <omp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static gal_status cpu_allocate(void **out, size_t bytes)
{
    *out = NULL;
    if (posix_memalign(out, 64, bytes ? bytes : 64) != 0) {
        *out = NULL;
        return gal_fail(GAL_MEMORY, "cpu: no memory left for %zu bytes", bytes);
    }
    return GAL_OK;
}

static void cpu_release(void *memory, size_t bytes)
{
    (void)bytes;
    free(memory);
}

static gal_status cpu_move(void *to, const void *from, size_t bytes)
{
    if (bytes)
        memcpy(to, from, bytes);
    return GAL_OK;
}

static gal_status cpu_download(void *host, const void *device, size_t bytes)
{
    return cpu_move(host, device, bytes);
}

/* The tables, the plainest first; the table of a set that the machine lacks has no name. */
static gal_backend tables[4];
static gal_backend by_onednn; /* the chosen one with oneDNN's convolutions */
static const gal_backend *chosen;
static const char *chosen_isa;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static const char *const isas[4] = {"specification", "plain", "avx2", "avx512"};

static int cpu_has(int isa)
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

#define ENTRY(name, ...) .name = gal_cpu_##name,
static void make_tables(void)
{
    const gal_backend specification = {.name = "cpu",
                                       .on_host = 1,
                                       .allocate = cpu_allocate,
                                       .release = cpu_release,
                                       .upload = cpu_move,
                                       .download = cpu_download,
                                       .issue = gal_cpu_issue,
                                       .prepare = gal_cpu_prepare,
                                       .replay = gal_cpu_replay,
                                       .forget = gal_cpu_forget,
                                       GAL_OPS(ENTRY)};
    const char *wanted = wanted_isa();
    for (int i = 0; i < 4; i++) {
        if (!cpu_has(i))
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
    if (!gal_cpu_onednn(&by_onednn))
        by_onednn.name = NULL;
    else if (convolutions && !strcmp(convolutions, "onednn"))
        chosen = &by_onednn;
}

const gal_backend *gal_cpu_table(const char *isa)
{
    pthread_once(&once, make_tables);
    for (int i = 0; i < 4; i++)
        if (!strcmp(isa, isas[i]) && tables[i].name)
            return &tables[i];
    return by_onednn.name && !strcmp(isa, "onednn") ? &by_onednn : NULL;
}

const gal_backend *gal_cpu_backend(void)
{
    pthread_once(&once, make_tables);
    return chosen;
}

const char *gal_cpu_isa(void)
{
    pthread_once(&once, make_tables);
    return chosen_isa;
}
