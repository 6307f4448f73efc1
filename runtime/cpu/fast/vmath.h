/* vmath.h: elementary functions of a vec, within 2 or 3 units in the last place except where stated. The
 * polynomials are Cephes' (Moshier 1992). */
#ifndef GAL_VMATH_H
#define GAL_VMATH_H
#include "vec.h"

/* e^x = 2^n e^r, |r| <= ln 2 / 2, for |x| < 10^6. */
INLINE vec vexp_of_small(vec x)
{
    const vec magic = splat(12582912.0f); /* 1.5 2^23: adding it rounds to a whole number */
    vec n = fma_(x, splat(1.44269504f), magic) - magic;
    vec r = fma_(n, splat(2.12194440e-4f), fma_(n, splat(-0.693359375f), x));
    vec p = splat(1.9875691500e-4f);
    p = fma_(p, r, splat(1.3981999507e-3f));
    p = fma_(p, r, splat(8.3334519073e-3f));
    p = fma_(p, r, splat(4.1665795894e-2f));
    p = fma_(p, r, splat(1.6666665459e-1f));
    p = fma_(p, r, splat(5.0000001201e-1f));
    return scale_by(fma_(r * r, p, r + 1), n);
}

INLINE vec vexp(vec x)
{
    return vexp_of_small(at_least(at_most(x, 89.0f), -104.0f));
}

INLINE vec vlog(vec x)
{
    ivec tiny = x < splat(1.17549435e-38f);
    vec scaled = choose(tiny, x * 8388608.0f, x); /* subnormals by 2^23 */
    ivec e = (ivec)((uvec)scaled - 0x3f3504f3u) >> 23;
    vec m = (vec)((uvec)scaled - ((uvec)e << 23)) - 1, z = m * m;
    vec n = __builtin_convertvector(e, vec) - choose(tiny, splat(23), splat(0));
    vec y = splat(7.0376836292e-2f);
    y = fma_(y, m, splat(-1.1514610310e-1f));
    y = fma_(y, m, splat(1.1676998740e-1f));
    y = fma_(y, m, splat(-1.2420140846e-1f));
    y = fma_(y, m, splat(1.4249322787e-1f));
    y = fma_(y, m, splat(-1.6668057665e-1f));
    y = fma_(y, m, splat(2.0000714765e-1f));
    y = fma_(y, m, splat(-2.4999993993e-1f));
    y = fma_(y, m, splat(3.3333331174e-1f)) * m * z;
    y = fma_(n, splat(-2.12194440e-4f), y);
    y = fma_(n, splat(0.693359375f), m + fma_(splat(-0.5f), z, y));
    y = choose(x == 0, splat(-__builtin_inff()), y);
    y = choose((x < 0) | (x != x), splat(__builtin_nanf("")), y);
    return choose(x == splat(__builtin_inff()), x, y);
}

/* 1 / (1 + e^-x); not below 1.6e-38, where reciprocal would leave its range. */
INLINE vec vsigmoid(vec x)
{
    return reciprocal(vexp_of_small(at_least(at_most(-x, 87.0f), -87.0f)) + 1);
}

/* Near 0 an odd polynomial, so that small x keep their digits; else 1 - 2 / (e^2|x| + 1). */
INLINE vec vtanh(vec x)
{
    vec a = absolute(x), z = x * x;
    vec p = splat(-5.70498872745e-3f);
    p = fma_(p, z, splat(2.06390887954e-2f));
    p = fma_(p, z, splat(-5.37397155531e-2f));
    p = fma_(p, z, splat(1.33314422036e-1f));
    p = fma_(p, z, splat(-3.33332819422e-1f));
    vec near = fma_(p * z, x, x);
    vec far = fma_(splat(-2), reciprocal(vexp_of_small(at_most(a + a, 40.0f)) + 1), splat(1));
    far = (vec)((ivec)far | ((ivec)x & (int32_t)0x80000000));
    return choose(a < splat(0.625f), near, far);
}

/* The normal distribution function by erfc(z) = t e^(-z^2 + polynomial of t), t = 1 / (1 + z / 2), z = |x| /
 * sqrt 2 (Press et al. 1992, erfcc; relative error 1.2e-7 before rounding). density: e^(-x^2 / 2) / sqrt(2
 * pi). */
INLINE vec vnormal_cdf(vec x)
{
    vec z = at_most(absolute(x) * 0.70710678f, 10.0f), t = reciprocal(fma_(z, splat(0.5f), splat(1)));
    vec p = splat(0.17087277f);
    p = fma_(p, t, splat(-0.82215223f));
    p = fma_(p, t, splat(1.48851587f));
    p = fma_(p, t, splat(-1.13520398f));
    p = fma_(p, t, splat(0.27886807f));
    p = fma_(p, t, splat(-0.18628806f));
    p = fma_(p, t, splat(0.09678418f));
    p = fma_(p, t, splat(0.37409196f));
    p = fma_(p, t, splat(1.00002368f));
    p = fma_(p, t, splat(-1.26551223f));
    vec tail = t * 0.5f * vexp_of_small(fma_(-z, z, p));
    return choose(x > 0, 1 - tail, tail);
}
INLINE vec vnormal_density(vec x)
{
    return vexp_of_small(at_least(x * x * -0.5f, -104.0f)) * 0.39894228f;
}

INLINE vec vsilu_slope(vec x, vec s)
{
    return s * fma_(x, 1 - s, splat(1));
}

#endif
