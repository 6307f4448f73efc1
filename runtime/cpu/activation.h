/* activation.h: the activations and their derivatives, one function each: the specification, and what the
 * vector kernels use of those that fast/activate.h has no vector formula for. map.c has the same formulas as
 * ops. */
#ifndef GAL_ACTIVATION_H
#define GAL_ACTIVATION_H
#include "galrun.h"
#include <math.h>

static inline float gal_sigmoid_of(float x)
{
    return 1 / (1 + expf(-x));
}

/* The normal distribution function, 1/2 erfc(-x / sqrt 2): accurate in the lower tail too. */
static inline float gal_normal_cdf(float x)
{
    return 0.5f * erfcf(-0.70710678118654752f * x);
}

/* d/dx of x sigmoid(x) = s (1 + x (1 - s)). */
static inline float gal_silu_slope(float x)
{
    float s = gal_sigmoid_of(x);
    return s * (1 + x * (1 - s));
}

/* d/dx of x Phi(x) = Phi(x) + x phi(x). */
static inline float gal_gelu_slope(float x)
{
    return gal_normal_cdf(x) + x * 0.39894228040143268f * expf(-0.5f * x * x);
}

/* gal_activate_NAME(z, &slope): f(z), and slope = f'(z). */
#define ACTIVATION(name) static inline float gal_activate_##name(float z, float *slope)

ACTIVATION(identity)
{
    *slope = 1;
    return z;
}

ACTIVATION(relu)
{
    *slope = z > 0 ? 1 : 0;
    return z > 0 ? z : z != z ? z : 0;
}

ACTIVATION(silu)
{
    *slope = gal_silu_slope(z);
    return z * gal_sigmoid_of(z);
}

ACTIVATION(gelu)
{
    *slope = gal_gelu_slope(z);
    return z * gal_normal_cdf(z);
}

ACTIVATION(tanh)
{
    float y = tanhf(z);
    *slope = 1 - y * y;
    return y;
}
#undef ACTIVATION

/* f(z) and f'(z) of any activation. */
static inline float gal_activate(int activation, float z, float *slope)
{
    switch (activation) {
#define CASE(NAME, name) \
    case GAL_##NAME:     \
        return gal_activate_##name(z, slope);
        GAL_ACTIVATIONS(CASE)
#undef CASE
    }
    return gal_activate_identity(z, slope);
}

#endif
