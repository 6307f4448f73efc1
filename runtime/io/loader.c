/* loader.c: one plain thread that gathers the next batches of images while this one trains: reads them,
 * crops, bins and turns them. No OpenMP in it: a second pool of threads would fight with the first for the
 * cores. Batches lie in slots that the device can read by itself (pinned memory) while the host goes on: a
 * slot is filled again once the event behind its upload has passed. */
#define _POSIX_C_SOURCE 200809L
#include "images.h"
#include "ops/ops.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Slots: one whose batch is being uploaded, one that is taken next and one that is being filled. */
#define AHEAD 3

/* Everything below the lock is read and written under it, but for order and turns, which change only while
 * the thread is not busy, and for a slot's pixels: the thread writes them while `busy`, and the taker reads
 * them once `ready` counts them. */
struct gal_loader {
    const gal_backend *device; /* that batches are taken to */
    gal_images *images;
    int64_t batch, bytes; /* images in a batch, bytes of one image */
    uint8_t *scratch;     /* {gal_images_scratch} */
    void *slots[AHEAD];   /* {batch, bytes} each, batch k in slot k % AHEAD */
    void *events[AHEAD];  /* pass when what was taken from the slot has been uploaded */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int64_t *order;             /* {rows}: the images of an epoch in their order */
    uint8_t *turns;             /* {rows} or NULL */
    int64_t rows, first, ready; /* batches [first, first + ready) are in their slots */
    int64_t taken;              /* the slots of batches [first - taken, first) may still be uploading */
    int stop, busy;
    int64_t plan; /* counts starts and leaps: a batch loaded for an older plan is dropped */
    gal_status status;
    char sentence[1024];
};

/* Gathers batch k into its slot. */
static gal_status gather(gal_loader *l, int64_t k)
{
    uint8_t *y = l->slots[k % AHEAD];
    for (int64_t i = k * l->batch; i < (k + 1) * l->batch; i++, y += l->bytes) {
        gal_status status =
            gal_images_at(y, l->images, l->order[i], l->turns ? l->turns[i] & 7 : 0, l->scratch);
        if (status != GAL_OK)
            return status;
    }
    return GAL_OK;
}

static int has_work(const gal_loader *l)
{
    return l->status == GAL_OK && l->taken + l->ready < AHEAD &&
           (l->first + l->ready + 1) * l->batch <= l->rows;
}

static void *work(void *loader)
{
    gal_loader *l = loader;
    pthread_mutex_lock(&l->lock);
    while (!l->stop) {
        if (!has_work(l)) {
            pthread_cond_wait(&l->changed, &l->lock);
            continue;
        }
        int64_t k = l->first + l->ready, plan = l->plan;
        l->busy = 1;
        pthread_mutex_unlock(&l->lock);
        gal_status status = gather(l, k);
        pthread_mutex_lock(&l->lock);
        l->busy = 0;
        if (plan == l->plan) {
            l->ready += status == GAL_OK;
            l->status = status;
            if (status != GAL_OK)
                snprintf(l->sentence, sizeof l->sentence, "%s", gal_error());
        }
        pthread_cond_broadcast(&l->changed);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

/* Starts the thread with every signal blocked: Ctrl-C goes to the main thread. */
static int start_thread(gal_loader *l)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&l->thread, NULL, work, l);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed;
}

static void free_parts(gal_loader *l)
{
    gal_images_free(l->images);
    for (int i = 0; i < AHEAD; i++) {
        if (l->slots[i])
            l->device->release_pinned(l->device, l->slots[i], (size_t)(l->batch * l->bytes));
        if (l->events[i])
            l->device->event_free(l->device, l->events[i]);
    }
    free(l->scratch);
    free(l->order);
    free(l->turns);
    free(l);
}

/* The slots and their events, on the device's terms. */
static gal_status make_slots(gal_loader *l)
{
    gal_status status = GAL_OK;
    for (int i = 0; i < AHEAD && status == GAL_OK; i++) {
        status = l->device->allocate_pinned(l->device, &l->slots[i], (size_t)(l->batch * l->bytes));
        if (status == GAL_OK)
            status = l->device->event_new(l->device, &l->events[i]);
    }
    return status;
}

gal_status gal_loader_new(gal_loader **out, const gal_images *images, int64_t batch, const char *device)
{
    const gal_backend *backend;
    gal_status found = gal_backend_find(&backend, device);
    if (found != GAL_OK)
        return found;
    if (batch < 1)
        return gal_fail(GAL_VALUE, "loader: batch is %lld, expected at least 1", (long long)batch);
    gal_loader *l = calloc(1, sizeof *l);
    if (!l)
        return gal_fail(GAL_MEMORY, "loader: no memory left");
    l->device = backend;
    l->batch = batch;
    l->bytes = gal_images_bytes(images);
    gal_status status = gal_images_select(&l->images, images, NULL, 0);
    if (status == GAL_OK &&
        (batch > INT64_MAX / l->bytes || !(l->scratch = malloc((size_t)gal_images_scratch(images)))))
        status = gal_fail(GAL_MEMORY, "loader: no memory left for batches of %lld images", (long long)batch);
    if (status == GAL_OK)
        status = make_slots(l);
    if (status != GAL_OK) {
        free_parts(l);
        return status;
    }
    pthread_condattr_t clock;
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->changed, &clock);
    pthread_condattr_destroy(&clock);
    int reason = start_thread(l);
    if (reason) {
        free_parts(l);
        return gal_fail(reason == EAGAIN ? GAL_MEMORY : GAL_STATE, "loader: its thread can't be started: %s",
                        strerror(reason));
    }
    gal_memory_outside(GAL_HANDLE_BYTES);
    *out = l;
    return GAL_OK;
}

/* Waits until at most `most` slots may still be uploading; the first failure to wait, which is no failure of
 * the device's work: that surfaces elsewhere (backend.h). By the thread that takes, which alone changes
 * `taken` to more. */
static gal_status give_back(gal_loader *l, int64_t most)
{
    gal_status status = GAL_OK;
    for (; l->taken > most; l->taken--) {
        gal_status waited = l->device->event_wait(l->device, l->events[(l->first - l->taken) % AHEAD]);
        status = status == GAL_OK ? waited : status;
    }
    return status;
}

void gal_loader_free(gal_loader *l)
{
    if (!l)
        return;
    pthread_mutex_lock(&l->lock);
    give_back(l, 0); /* nobody hears of a failure here */
    l->stop = 1;
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->lock);
    pthread_join(l->thread, NULL);
    pthread_cond_destroy(&l->changed);
    pthread_mutex_destroy(&l->lock);
    free_parts(l);
}

/* Goes on with batch k, under the lock, and drops what is loaded or being loaded for another place. What
 * give_back says of the slots. */
static gal_status leap(gal_loader *l, int64_t k)
{
    gal_status status = give_back(l, 0);
    l->plan++;
    l->first = k;
    l->ready = 0;
    l->status = GAL_OK;
    while (l->busy)
        pthread_cond_wait(&l->changed, &l->lock);
    pthread_cond_broadcast(&l->changed);
    return status;
}

gal_status gal_loader_start(gal_loader *l, const gal_tensor *order, const gal_tensor *turns)
{
    int64_t rows = gal_tensor_count(order), count = gal_images_count(l->images);
    if (turns && gal_tensor_count(turns) != rows)
        return gal_fail(GAL_SHAPE, "loader: turns is %s, expected one for each of %lld rows",
                        gal_shape_text(turns), (long long)rows);
    int64_t *new_order = malloc((size_t)(rows ? rows : 1) * sizeof *new_order);
    uint8_t *new_turns = turns ? malloc((size_t)(rows ? rows : 1)) : NULL;
    gal_status status = new_order && (!turns || new_turns)
                            ? GAL_OK
                            : gal_fail(GAL_MEMORY, "loader: no memory for %lld rows", (long long)rows);
    if (status == GAL_OK && (order->dtype != GAL_I64 || (turns && turns->dtype != GAL_U8)))
        status = gal_fail(GAL_TYPE, "loader: order is %s and turns %s, expected int64 and uint8",
                          gal_dtype_name(order->dtype), turns ? gal_dtype_name(turns->dtype) : "missing");
    if (status == GAL_OK)
        status = gal_tensor_read(order, new_order, rows);
    if (status == GAL_OK && turns)
        status = gal_tensor_read(turns, new_turns, rows);
    for (int64_t i = 0; i < rows && status == GAL_OK; i++)
        if (new_order[i] < 0 || new_order[i] >= count)
            status = gal_fail(GAL_VALUE, "loader: order[%lld] is %lld, expected 0 to %lld", (long long)i,
                              (long long)new_order[i], (long long)count - 1);
    if (status != GAL_OK) {
        free(new_order);
        free(new_turns);
        return status;
    }
    pthread_mutex_lock(&l->lock);
    l->rows = 0; /* leaves the thread nothing to do until the new order is in its place */
    status = leap(l, 0);
    free(l->order);
    free(l->turns);
    l->order = new_order;
    l->turns = new_turns;
    l->rows = rows;
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->lock);
    return status;
}

/* Waits under the lock until batch `first` is ready, or for Ctrl-C. */
static gal_status wait_ready(gal_loader *l)
{
    while (l->ready == 0 && l->status == GAL_OK) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += 50000000;
        if (until.tv_nsec >= 1000000000)
            until.tv_sec++, until.tv_nsec -= 1000000000;
        if (pthread_cond_timedwait(&l->changed, &l->lock, &until) == ETIMEDOUT && gal_interrupted())
            return gal_fail(GAL_INTERRUPTED, "interrupted");
    }
    return l->ready ? GAL_OK : gal_fail(l->status, "%s", l->sentence);
}

/* Batch k out of its slot into y, whose upload may go on when this returns. */
static gal_status take(gal_loader *l, gal_tensor *y, int64_t k)
{
    size_t bytes = (size_t)(l->batch * l->bytes);
    gal_status status = wait_ready(l);
    if (status != GAL_OK)
        return status;
    pthread_mutex_unlock(&l->lock);
    status = l->device->upload_pinned(l->device, y->data, l->slots[k % AHEAD], bytes);
    if (status == GAL_OK)
        status = l->device->event_record(l->device, l->events[k % AHEAD]);
    if (status != GAL_OK) { /* no event will tell when the slot has been read */
        gal_status waited = l->device->synchronize(l->device);
        status = waited == GAL_OK ? status : waited;
    }
    pthread_mutex_lock(&l->lock);
    l->first++;
    l->ready--;
    l->taken++;
    return status == GAL_OK ? give_back(l, 1) : status;
}

gal_status gal_loader_take(gal_tensor *y, gal_loader *loader, int64_t k)
{
    gal_loader *l = loader;
    if (gal_recording())
        return gal_fail(GAL_RECORDING,
                        "loader_take: can't take a batch of images while a program is recorded");
    if (!gal_tensor_contiguous(y) || gal_backend_of(y) != l->device ||
        (int64_t)gal_dtype_size(y->dtype) * gal_tensor_count(y) != l->batch * l->bytes)
        return gal_fail(GAL_SHAPE,
                        "loader_take: y is %s of %s on %s, expected %lld images of %lld bytes on %s",
                        gal_shape_text(y), gal_dtype_name(y->dtype), gal_tensor_device(y),
                        (long long)l->batch, (long long)l->bytes, l->device->name);
    pthread_mutex_lock(&l->lock);
    gal_status status = GAL_OK;
    if (k < 0 || (k + 1) * l->batch > l->rows)
        status = gal_fail(GAL_VALUE, "loader_take: the batch is %lld, expected 0 to %lld for %lld rows",
                          (long long)k, (long long)(l->rows / l->batch - 1), (long long)l->rows);
    else if (k != l->first)
        status = leap(l, k);
    if (status == GAL_OK)
        status = take(l, y, k);
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->lock);
    return status;
}
