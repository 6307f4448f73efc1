/* error.c: the sentence of the last failure in a thread, and notices, each told once. */
#include "core.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

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

gal_status gal_fault_fail(const gal_fault *fault)
{
    const char *op = gal_op_name(fault->op);
    if (fault->place == GAL_CURSOR)
        return gal_fail(GAL_VALUE, "%s: the cursor is %lld, expected 0 to %lld", op, (long long)fault->index,
                        (long long)fault->rows - 1);
    return gal_fail(GAL_VALUE, "%s: index[%lld] is %lld, expected 0 to %lld for %lld rows", op,
                    (long long)fault->place, (long long)fault->index, (long long)fault->rows - 1,
                    (long long)fault->rows);
}

/* Notices in the order in which they were left; the first `told` have been read. For `left_out` more there
 * was no place; how many is the last notice. */
#define NOTES 256
static char *notes[NOTES];
static int noted, told, left_out;

void gal_note(const char *format, ...)
{
    va_list arguments;
    char text[2048];
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (length >= (int)sizeof text)
        memcpy(text + sizeof text - 4, "...", 4);
    for (int i = 0; i < noted; i++)
        if (!strcmp(notes[i], text))
            return;
    char *kept = noted < NOTES ? strdup(text) : NULL;
    if (kept)
        notes[noted++] = kept;
    else
        left_out++;
}

const char *gal_notice(void)
{
    static char rest[48];
    if (told < noted)
        return notes[told++];
    if (left_out == 0)
        return NULL;
    snprintf(rest, sizeof rest, "notices that are left out: %d", left_out);
    left_out = 0;
    return rest;
}

void gal_leave_notice(const char *sentence)
{
    gal_note("%s", sentence);
}

const char *gal_version(void)
{
    return GAL_VERSION;
}
