/* error.c: the last failure's sentence, the interrupt flag, the clock, and how tensors are spelt in sentences. */
#define _POSIX_C_SOURCE 200809L
#include "runtime.h"
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static _Thread_local char sentence[1024];

gal_status gal_fail(gal_status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char text[sizeof sentence]; /* the arguments may point into the old sentence */
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    memcpy(sentence, text, sizeof sentence);
    return status;
}

const char *gal_error(void)
{
    return sentence;
}

/* Sentences not yet told, and those told: each is told once. */
#define NOTES 16
static char notes[NOTES][256];
static int noted, told;

void gal_note(const char *format, ...)
{
    va_list arguments;
    char text[sizeof notes[0]];
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    for (int i = 0; i < noted; i++)
        if (!strcmp(notes[i], text))
            return;
    if (noted < NOTES)
        memcpy(notes[noted++], text, sizeof text);
}

const char *gal_notice(void)
{
    return told < noted ? notes[told++] : NULL;
}

void gal_leave_notice(const char *sentence)
{
    gal_note("%s", sentence);
}

const char *gal_version(void)
{
    return GAL_VERSION;
}

static volatile sig_atomic_t interrupt_flag;

void gal_interrupt_set(int on)
{
    interrupt_flag = on;
}

int gal_interrupted(void)
{
    return interrupt_flag;
}

double gal_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

const char *gal_dtype_name(int dtype)
{
    static const char *const names[] = {"float32", "uint8", "int64", "float64"};
    return dtype >= GAL_F32 && dtype <= GAL_F64 ? names[dtype] : "no dtype";
}

size_t gal_dtype_size(int dtype)
{
    static const size_t sizes[] = {4, 1, 8, 8};
    return sizes[dtype];
}

const char *gal_shape_text(const gal_tensor *x)
{
    static _Thread_local char ring[8][160];
    static _Thread_local unsigned next;
    char *text = ring[next++ % 8];
    int used = snprintf(text, sizeof ring[0], "{");
    for (int i = 0; i < x->rank; i++)
        used += snprintf(text + used, sizeof ring[0] - used, i ? ", %lld" : "%lld", (long long)x->shape[i]);
    snprintf(text + used, sizeof ring[0] - used, "}");
    return text;
}
