/* check.h: the few macros of the C tests. A failing check prints the case's sentence, both values and the
 * tolerance; main returns finish(). */
#ifndef CHECK_H
#define CHECK_H
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "galrun.h"

static int check_passed, check_failed;
static const char *check_case = "";

#define CASE(sentence) (check_case = (sentence))
#define REPORT(ok, ...)                                                        \
    do {                                                                       \
        if (ok) {                                                              \
            check_passed++;                                                    \
        } else {                                                               \
            check_failed++;                                                    \
            printf("%s:%d: not so: %s\n    ", __FILE__, __LINE__, check_case); \
            printf(__VA_ARGS__);                                               \
            printf("\n");                                                      \
            fflush(stdout); /* the next line may crash */                      \
        }                                                                      \
    } while (0)
#define IS_TRUE(condition) REPORT(condition, "%s", #condition)
#define IS_INT(value, expected)                                        \
    do {                                                               \
        long long v_ = (long long)(value), e_ = (long long)(expected); \
        REPORT(v_ == e_, "%s is %lld, expected %lld", #value, v_, e_); \
    } while (0)
#define IS_NEAR(value, expected, tolerance)                                                       \
    do {                                                                                          \
        double v_ = (value), e_ = (expected), t_ = (tolerance);                                   \
        REPORT(fabs(v_ - e_) <= t_, "%s is %.9g, expected %.9g within %.3g", #value, v_, e_, t_); \
    } while (0)
#define IS_OK(call)                                                             \
    do {                                                                        \
        gal_status s_ = (call);                                                 \
        REPORT(s_ == GAL_OK, "%s: status %d: %s", #call, (int)s_, gal_error()); \
    } while (0)
/* The call fails with this status and a sentence that contains `text`. */
#define FAILS(call, status, text)                                                                            \
    do {                                                                                                     \
        gal_status s_ = (call);                                                                              \
        REPORT(s_ == (status) && strstr(gal_error(), text), "%s: status %d, \"%s\", expected %d and \"%s\"", \
               #call, (int)s_, gal_error(), (int)(status), text);                                            \
    } while (0)

/* Whether the next part of a test is this process's: one that runs as two (halves.sh) has every other. */
static inline int mine(void)
{
    static int seen;
    const char *half = getenv("GALRUN_TEST_HALF");
    seen++;
    return !half || seen % 2 == atoi(half);
}

static inline int finish(void)
{
    printf("%d passed, %d failed\n", check_passed, check_failed);
    return check_failed != 0;
}
#endif
