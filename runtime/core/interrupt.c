/* interrupt.c: the flag that Ctrl-C sets and long loops poll, and the clock. */
#define _POSIX_C_SOURCE 200809L
#include "core.h"
#include <signal.h>
#include <time.h>

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
