/* number.c: numbers in text, as tables write them. strtod alone would follow the locale, which a program may
 * have set, and would take hexadecimal. */
#define _GNU_SOURCE /* strtod_l */
#include "io.h"
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int same(const char *text, int64_t n, const char *word)
{
    return (int64_t)strlen(word) == n && strncasecmp(text, word, (size_t)n) == 0;
}

static const char *skip_digits(const char *at, const char *end)
{
    while (at < end && *at >= '0' && *at <= '9')
        at++;
    return at;
}

/* The C locale; 0 where there is no memory for it, and then the one in force serves. */
static locale_t plain_locale(void)
{
    static _Thread_local locale_t plain;
    if (!plain)
        plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    return plain;
}

/* Powers of ten that a double holds exactly. */
static const double exact_power[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                     1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* The value of text {n}, known to be a decimal number. Up to 2^53 in digits and 10^22 either way one
 * correctly rounded operation gives it (Clinger 1990); strtod reads the others. */
static double decimal_value(const char *text, int64_t n)
{
    const char *at = text, *end = text + n;
    int negative = *at == '-', digits = 0, exponent = 0, point = 0;
    uint64_t mantissa = 0;
    for (at += *at == '-' || *at == '+'; at < end && !strchr("eEdD", *at); at++) {
        if (*at == '.') {
            point = 1;
            continue;
        }
        if (mantissa || *at != '0')
            digits++;
        if (digits > 19)
            break;
        mantissa = mantissa * 10 + (uint64_t)(*at - '0');
        exponent -= point;
    }
    if (at < end && digits <= 19) {
        int sign = at[1] == '-', e = 0;
        for (at += 1 + (at[1] == '-' || at[1] == '+'); at < end && e < 10000; at++)
            e = e * 10 + (*at - '0');
        exponent += sign ? -e : e;
    }
    if (digits <= 19 && mantissa <= ((uint64_t)1 << 53) && exponent >= -22 && exponent <= 22) {
        double value = exponent < 0 ? (double)mantissa / exact_power[-exponent]
                                    : (double)mantissa * exact_power[exponent];
        return negative ? -value : value;
    }
    locale_t plain = plain_locale();
    char copy[512], *longer = n < (int64_t)sizeof copy ? copy : malloc((size_t)n + 1);
    if (!longer)
        return NAN;
    memcpy(longer, text, (size_t)n);
    longer[n] = 0;
    longer[strcspn(longer, "dD")] = longer[strcspn(longer, "dD")] ? 'e' : 0; /* Fortran's exponent */
    double value = plain ? strtod_l(longer, NULL, plain) : strtod(longer, NULL);
    if (longer != copy)
        free(longer);
    return value;
}

/* Whether digits {n}, without a sign, are an int64 of that sign; *i is its value then. */
static int fits_int64(const char *digits, int64_t n, int negative, int64_t *i)
{
    uint64_t value = 0, limit = negative ? (uint64_t)1 << 63 : INT64_MAX;
    if (n > 19)
        return 0;
    for (int64_t k = 0; k < n; k++)
        value = value * 10 + (uint64_t)(digits[k] - '0'); /* 19 digits stay below 2^64 */
    if (value > limit)
        return 0;
    *i = (int64_t)(negative ? 0 - value : value);
    return 1;
}

gal_text_kind gal_number_parse(const char *text, int64_t n, int64_t *i, double *f)
{
    *i = 0;
    if (f)
        *f = NAN;
    for (; n > 0 && (*text == ' ' || *text == '\t'); text++)
        n--;
    while (n > 0 && (text[n - 1] == ' ' || text[n - 1] == '\t'))
        n--;
    if (n == 0 || same(text, n, "null"))
        return GAL_TEXT_MISSING;
    const char *end = text + n, *first = text + (*text == '-' || *text == '+'), *at = skip_digits(first, end);
    int64_t before = at - first, after = 0;
    if (at == end && before > 0) {
        if (f)
            *f = decimal_value(text, n);
        int canonical = *text != '+' && (*first != '0' || n == 1);
        return canonical && fits_int64(first, before, *text == '-', i) ? GAL_TEXT_INTEGER : GAL_TEXT_DIGITS;
    }
    if (at < end && *at == '.') {
        const char *fraction = ++at;
        at = skip_digits(at, end);
        after = at - fraction;
    }
    int fortran = at > first + before && at < end && (*at == 'd' || *at == 'D'); /* 1.5D+01: behind a point */
    if (before + after > 0 && at < end && (*at == 'e' || *at == 'E' || fortran)) {
        const char *exponent = at + 1;
        if (exponent < end && (*exponent == '-' || *exponent == '+'))
            exponent++;
        at = skip_digits(exponent, end);
        if (at == exponent)
            return GAL_TEXT_OTHER;
    }
    if (before + after > 0 && at == end) {
        if (f)
            *f = decimal_value(text, n);
        return GAL_TEXT_FLOAT;
    }
    if (same(first, end - first, "nan"))
        return GAL_TEXT_FLOAT;
    if (same(first, end - first, "inf") || same(first, end - first, "infinity")) {
        if (f)
            *f = *text == '-' ? -HUGE_VAL : HUGE_VAL;
        return GAL_TEXT_FLOAT;
    }
    return GAL_TEXT_OTHER;
}

void gal_number_print(char *text, double value, int single)
{
    char shortest[GAL_NUMBER_TEXT];
    locale_t plain = plain_locale(), before = plain ? uselocale(plain) : (locale_t)0;
    single = single && (double)(float)value == value;
    for (int digits = single ? 6 : 15; digits <= 17; digits++) {
        snprintf(shortest, sizeof shortest, "%.*g", digits, value);
        if (single ? strtof(shortest, NULL) == (float)value : strtod(shortest, NULL) == value)
            break;
    }
    if (plain)
        uselocale(before);
    memcpy(text, shortest, sizeof shortest);
}
