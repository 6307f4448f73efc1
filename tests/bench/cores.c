/* cores.c: how far two cores are apart: a word there and back, and what a cache line costs to read or write
 * after the other core touched it. */
#define _GNU_SOURCE
#include "galrun.h"
#include <omp.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { TRIPS = 100000, TIMES = 100, LINES = 4096, STEP = 64 / sizeof(long) };
static _Alignas(128) atomic_int turn;
static volatile long *words; /* LINES lines */
static long sink;

static void read_all(void)
{
    long sum = 0;
    for (long i = 0; i < LINES * (long)STEP; i += STEP)
        sum += words[i];
    sink += sum;
}

static void write_all(long value)
{
    for (long i = 0; i < LINES * (long)STEP; i += STEP)
        words[i] = value;
}

static void wait_for(int value)
{
    while (atomic_load_explicit(&turn, memory_order_acquire) != value)
        ;
}

/* What the second core does, and what the first then does in the measured time. */
typedef struct way {
    const char *what;
    int other_writes, writes, read_before;
} way;
static const way ways[] = {{"read what the other wrote", 1, 0, 0},
                           {"write what the other wrote", 1, 1, 0},
                           {"write what both have read", 0, 1, 1}};

static void second(void)
{
    for (int i = 0; i < TRIPS; i++) {
        wait_for(2 * i + 1);
        atomic_store(&turn, 2 * i + 2);
    }
    for (int w = 0, t = 2 * TRIPS; w < 3; w++)
        for (int k = 0; k < TIMES; k++, t += 2) {
            wait_for(t + 1);
            if (ways[w].other_writes)
                write_all(k);
            else
                read_all();
            atomic_store(&turn, t + 2);
        }
}

static void first(void)
{
    double start = gal_now();
    for (int i = 0; i < TRIPS; i++) {
        atomic_store(&turn, 2 * i + 1);
        wait_for(2 * i + 2);
    }
    printf("a word there and back: %.0f ns\n", (gal_now() - start) / TRIPS * 1e9);
    for (int w = 0, t = 2 * TRIPS; w < 3; w++) {
        double best = 1e9;
        for (int k = 0; k < TIMES; k++, t += 2) {
            if (ways[w].read_before)
                read_all();
            atomic_store(&turn, t + 1);
            wait_for(t + 2);
            start = gal_now();
            if (ways[w].writes)
                write_all(k);
            else
                read_all();
            double taken = gal_now() - start;
            best = taken < best ? taken : best;
        }
        printf("%s: %.1f ns a line\n", ways[w].what, best / LINES * 1e9);
    }
}

int main(void)
{
    words = aligned_alloc(64, LINES * 64);
    if (!words || omp_get_num_procs() < 2) {
        fprintf(stderr, "bench_cores: needs two cores\n");
        return 1;
    }
    write_all(0);
#pragma omp parallel num_threads(2)
    {
        if (omp_get_thread_num() == 0)
            first();
        else
            second();
    }
    free((void *)words);
    return sink == 12345;
}
