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

/* Notices in the order in which they were left; the first `told` have been read. */
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
