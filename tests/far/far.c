/* far.c: a device for tests, libgalrun_far.so. It has what a GPU has and a CPU hides: memory that the host
 * can't touch (its pages are closed but while the queue is run), calls that happen later (at a download, a
 * synchronize or the end of a replay), failures that surface then, blocks at multiples of 256 bytes, and
 * fresh memory full of NaN. What a call computes is the CPU's specification, one lane. "far" and "far:1" are
 * two of them. galrun loads it where GALRUN_TEST_DEVICE names its path; nothing installs it. */
#define _GNU_SOURCE
#include "far.h"
#include <execinfo.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define ALIGNMENT 256
#define SPACE ((size_t)32 << 30) /* addresses reserved for a device; pages come as they are written */
#define DEVICES 2
#define MOST 16384 /* calls in a queue that nobody asks the results of */

typedef enum { CALL, UPLOAD, UPLOAD_PINNED, POISON } kind;

/* One thing to do: a call, or bytes to write into device memory. */
typedef struct entry {
    kind kind;
    gal_call call;    /* args: a copy that is the entry's own, but in a plan */
    void *to;         /* of uploads and poison */
    const void *from; /* of uploads: a copy, or the caller's pinned memory */
    size_t bytes;
} entry;

typedef struct block {
    struct block *next;
    void *memory;
    size_t bytes;
} block;

typedef struct far {
    gal_backend device;
    char *base; /* {SPACE} */
    size_t used, live;
    block *free;
    entry *queue; /* {MOST} */
    int count;
    gal_status status; /* the first failure since the last report */
    char sentence[1024];
    gal_fault fault;
    int faulted;
} far;

static far devices[DEVICES];
static far *running; /* whose queue is being run: its kernels' failures are kept there */
static const gal_host *host;

/* ---- what the CPU's specification asks of the runtime ---- */

gal_status gal_fail(gal_status status, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (!running)
        return host->fail(status, "%s", text);
    if (running->status == GAL_OK) {
        running->status = status;
        snprintf(running->sentence, sizeof running->sentence, "%s", text);
    }
    return status;
}

gal_status gal_fault_fail(const gal_fault *fault)
{
    if (running->status == GAL_OK) {
        running->status = GAL_VALUE;
        running->fault = *fault;
        running->faulted = 1;
    }
    return GAL_VALUE;
}

void gal_note(const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    host->note("%s", text);
}

size_t gal_dtype_size(int dtype)
{
    static const size_t sizes[] = {4, 1, 8, 8};
    return sizes[dtype];
}

int gal_interrupted(void)
{
    return host->interrupted();
}

int gal_threads(int n)
{
    (void)n;
    return 1;
}

/* ---- memory ---- */

static int holds(const far *f, const void *memory, size_t bytes)
{
    const char *p = memory;
    return p >= f->base && p + bytes <= f->base + f->used;
}

/* A mistake of the runtime that no test could go on after. */
static void wrong(const char *what, const void *memory)
{
    fprintf(stderr, "far: %s (%p)\n", what, memory);
    void *frames[32];
    backtrace_symbols_fd(frames, backtrace(frames, 32), 2);
    abort();
}

/* Says that it was device memory that the host touched, then lets the process end as it would have. */
static void touched(int signal, siginfo_t *info, void *context)
{
    (void)context;
    for (int i = 0; i < DEVICES; i++) {
        const char *p = info->si_addr;
        if (devices[i].base && p >= devices[i].base && p < devices[i].base + SPACE) {
            fprintf(stderr, "far: the host touched memory of the device %s at %p\n", devices[i].device.name,
                    info->si_addr);
            void *frames[32];
            backtrace_symbols_fd(frames, backtrace(frames, 32), 2);
        }
    }
    struct sigaction usual = {.sa_handler = SIG_DFL};
    sigaction(signal, &usual, NULL);
}

static void doors(far *f, int protection)
{
    size_t page = (size_t)sysconf(_SC_PAGE_SIZE);
    if (f->used && mprotect(f->base, (f->used + page - 1) / page * page, protection) != 0)
        wrong("mprotect failed", f->base);
}

/* Bytes that the device has, unless GALRUN_FAR_BYTES says so. */
static size_t capacity(void)
{
    const char *bytes = getenv("GALRUN_FAR_BYTES");
    return bytes ? (size_t)strtoull(bytes, NULL, 10) : (size_t)8 << 30;
}

/* Small pieces, so that the loops over them are run in tests. */
static gal_status far_about(const gal_backend *device, gal_device_info *out)
{
    const far *f = device->self;
    *out = (gal_device_info){.rows = 4096, .images = 8, .description = "a device for tests"};
    out->total = (int64_t)capacity();
    out->free = out->total - (int64_t)f->live;
    return GAL_OK;
}

static gal_status push(far *f, const entry *e);

static gal_status far_allocate(const gal_backend *device, void **out, size_t bytes)
{
    far *f = device->self;
    bytes = (bytes ? bytes + ALIGNMENT - 1 : ALIGNMENT) / ALIGNMENT * ALIGNMENT;
    *out = NULL;
    if (f->live + bytes > capacity())
        return host->fail(GAL_MEMORY, "%s: no memory left for %zu bytes", device->name, bytes);
    for (block **at = &f->free; *at; at = &(*at)->next)
        if ((*at)->bytes == bytes) {
            block *found = *at;
            *out = found->memory;
            *at = found->next;
            free(found);
            break;
        }
    if (!*out) {
        if (f->used + bytes > SPACE)
            return host->fail(GAL_MEMORY, "%s: no memory left for %zu bytes", device->name, bytes);
        *out = f->base + f->used;
        f->used += bytes;
    }
    f->live += bytes;
    return push(f, &(entry){.kind = POISON, .to = *out, .bytes = bytes});
}

static void far_release(const gal_backend *device, void *memory, size_t bytes)
{
    far *f = device->self;
    bytes = (bytes ? bytes + ALIGNMENT - 1 : ALIGNMENT) / ALIGNMENT * ALIGNMENT;
    if (!memory)
        return;
    if (!holds(f, memory, bytes))
        wrong("a block was released that is not this device's", memory);
    block *b = malloc(sizeof *b);
    f->live -= bytes;
    if (!b)
        return;
    *b = (block){f->free, memory, bytes};
    f->free = b;
}

static gal_status far_allocate_pinned(const gal_backend *device, void **out, size_t bytes)
{
    *out = bytes <= capacity() ? malloc(bytes ? bytes : 1) : NULL;
    return *out ? GAL_OK : host->fail(GAL_MEMORY, "%s: no pinned memory left", device->name);
}

static void drain(far *f, const gal_call *more, int64_t count);

static void far_release_pinned(const gal_backend *device, void *memory, size_t bytes)
{
    (void)bytes;
    if (!memory)
        wrong("pinned memory was released that is none", memory);
    drain(device->self, NULL, 0); /* what failed is kept for the next report */
    free(memory);
}

/* ---- the queue ---- */

static void run(const gal_call *call)
{
    gal_cpu_stage stages[GAL_CPU_STAGES];
    int count = gal_cpu_expand(stages, far_kernels(), call);
    gal_status status = GAL_OK;
    for (int i = 0; i < count && status == GAL_OK; i++)
        status = stages[i].kernel(&(gal_lane){.index = 0, .count = 1}, stages[i].args);
}

static void run_entry(const entry *e)
{
    if (e->kind == CALL)
        run(&e->call);
    else if (e->kind == POISON)
        memset(e->to, 0xff, e->bytes);
    else
        memcpy(e->to, e->from, e->bytes);
}

/* Does all that is in the queue, and then `more` of a plan. */
static void drain(far *f, const gal_call *more, int64_t count)
{
    doors(f, PROT_READ | PROT_WRITE);
    running = f;
    for (int i = 0; i < f->count; i++) {
        entry *e = &f->queue[i];
        run_entry(e);
        if (e->kind == CALL)
            free((void *)(uintptr_t)e->call.args);
        if (e->kind == UPLOAD)
            free((void *)(uintptr_t)e->from);
    }
    f->count = 0;
    for (int64_t i = 0; i < count; i++)
        run(&more[i]);
    running = NULL;
    doors(f, PROT_NONE);
}

/* The first failure, once. */
static gal_status report(far *f)
{
    gal_status status = f->status;
    int faulted = f->faulted;
    f->status = GAL_OK;
    f->faulted = 0;
    if (status == GAL_OK)
        return GAL_OK;
    return faulted ? host->fault(&f->fault) : host->fail(status, "%s", f->sentence);
}

static gal_status push(far *f, const entry *e)
{
    if (f->count == MOST)
        drain(f, NULL, 0);
    f->queue[f->count++] = *e;
    return GAL_OK;
}

static void *copy_of(const void *from, size_t bytes)
{
    void *copy = malloc(bytes ? bytes : 1);
    if (!copy)
        wrong("no memory left for a queue", from);
    memcpy(copy, from, bytes);
    return copy;
}

static gal_status upload(const gal_backend *device, void *to, const void *from, size_t bytes, int pinned)
{
    far *f = device->self;
    if (bytes == 0)
        return GAL_OK;
    if (!holds(f, to, bytes))
        wrong("an upload to memory that is not this device's", to);
    return push(f, &(entry){.kind = pinned ? UPLOAD_PINNED : UPLOAD,
                            .to = to,
                            .from = pinned ? from : copy_of(from, bytes),
                            .bytes = bytes});
}

static gal_status far_upload(const gal_backend *device, void *to, const void *from, size_t bytes)
{
    return upload(device, to, from, bytes, 0);
}

static gal_status far_upload_pinned(const gal_backend *device, void *to, const void *pinned, size_t bytes)
{
    return upload(device, to, pinned, bytes, 1);
}

static gal_status far_synchronize(const gal_backend *device)
{
    far *f = device->self;
    drain(f, NULL, 0);
    return report(f);
}

static gal_status far_download(const gal_backend *device, void *to, const void *from, size_t bytes)
{
    far *f = device->self;
    if (bytes && !holds(f, from, bytes))
        wrong("a download of memory that is not this device's", from);
    drain(f, NULL, 0);
    doors(f, PROT_READ);
    if (bytes)
        memcpy(to, from, bytes);
    doors(f, PROT_NONE);
    return report(f);
}

/* An event passes when the queue is run; so that waiting for one runs it. What fails then is kept for the
 * next report. */
static gal_status far_event_new(const gal_backend *device, void **event)
{
    *event = (void *)(uintptr_t)device;
    return GAL_OK;
}

static void far_event_free(const gal_backend *device, void *event)
{
    if (event != device)
        wrong("an event was freed that is none", event);
}

/* Fails where GALRUN_FAR_EVENTS is "none". */
static gal_status far_event_record(const gal_backend *device, void *event)
{
    const char *events = getenv("GALRUN_FAR_EVENTS");
    (void)event;
    return events && !strcmp(events, "none")
               ? host->fail(GAL_DEVICE, "%s: no event can be recorded", device->name)
               : GAL_OK;
}

static gal_status far_event_wait(const gal_backend *device, void *event)
{
    (void)event;
    drain(device->self, NULL, 0);
    return GAL_OK;
}

/* ---- calls ---- */

static int far_has(const gal_backend *device, int op)
{
    (void)device;
    return op >= 0 && op < GAL_OP_COUNT;
}

static int far_stores_slope(const gal_backend *device, int64_t out, int64_t kh, int64_t kw, int64_t c)
{
    (void)device, (void)out, (void)kh, (void)kw, (void)c;
    return 1;
}

static gal_status far_issue(const gal_backend *device, const gal_call *call)
{
    entry e = {.kind = CALL, .call = *call};
    e.call.args = copy_of(call->args, call->size);
    return push(device->self, &e);
}

typedef struct plan {
    const gal_call *calls;
    int64_t count;
} plan;

static gal_status far_prepare(const gal_backend *device, void **out, const gal_call *calls, int64_t count)
{
    plan *p = malloc(sizeof *p);
    (void)device;
    *out = p;
    if (!p)
        return host->fail(GAL_MEMORY, "program: no memory left");
    *p = (plan){calls, count};
    return GAL_OK;
}

static gal_status far_replay(const gal_backend *device, void *plan_, int64_t times)
{
    far *f = device->self;
    const plan *p = plan_;
    for (int64_t i = 0; i < times; i++) {
        if (host->interrupted())
            return host->fail(GAL_INTERRUPTED, "interrupted");
        drain(f, p->calls, p->count);
        if (f->status != GAL_OK)
            break;
    }
    return report(f);
}

static void far_forget(const gal_backend *device, void *plan_)
{
    (void)device;
    free(plan_);
}

/* ---- opening ---- */

static const char *const names[DEVICES] = {"far", "far:1"};

static gal_status make(far *f, const char *name)
{
    f->queue = malloc(MOST * sizeof *f->queue);
    f->base = mmap(NULL, SPACE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (!f->queue || f->base == MAP_FAILED)
        return host->fail(GAL_DEVICE, "device \"%s\" can't be had: no addresses left", name);
    f->device = (gal_backend){.name = name,
                              .self = f,
                              .alignment = ALIGNMENT,
                              .host_readable = 0,
                              .about = far_about,
                              .allocate = far_allocate,
                              .release = far_release,
                              .allocate_pinned = far_allocate_pinned,
                              .release_pinned = far_release_pinned,
                              .upload = far_upload,
                              .upload_pinned = far_upload_pinned,
                              .download = far_download,
                              .synchronize = far_synchronize,
                              .event_new = far_event_new,
                              .event_free = far_event_free,
                              .event_record = far_event_record,
                              .event_wait = far_event_wait,
                              .has = far_has,
                              .has_precision = gal_cpu_has_precision,
                              .stores_slope = far_stores_slope,
                              .issue = far_issue,
                              .prepare = far_prepare,
                              .replay = far_replay,
                              .forget = far_forget};
    return GAL_OK;
}

__attribute__((visibility("default"))) gal_status gal_backend_open(const gal_backend **device, int number,
                                                                   const gal_host *from)
{
    if (from->version != GAL_BACKEND_VERSION)
        return from->fail(GAL_DEVICE, "device \"far\" can't be had: it is of another version of galrun");
    host = from;
    if (number < 0 || number >= DEVICES)
        return host->fail(GAL_DEVICE, "device \"far:%d\" can't be had: there are %d", number, DEVICES);
    far *f = &devices[number];
    gal_status status = f->base ? GAL_OK : make(f, names[number]);
    if (status != GAL_OK)
        return status;
    struct sigaction action = {.sa_sigaction = touched, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, NULL);
    *device = &f->device;
    return GAL_OK;
}
