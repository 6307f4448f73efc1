/* activation.h: the activations and their derivatives, once, for map.c and matmul.c. */
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

/* f(z) and f'(z). */
static inline float gal_activate(int activation, float z, float *slope)
{
    switch (activation) {
    case GAL_RELU:
        *slope = z > 0 ? 1 : 0;
        return z > 0 ? z : z != z ? z : 0;
    case GAL_SILU:
        *slope = gal_silu_slope(z);
        return z * gal_sigmoid_of(z);
    case GAL_GELU:
        *slope = gal_gelu_slope(z);
        return z * gal_normal_cdf(z);
    case GAL_TANH: {
        float y = tanhf(z);
        *slope = 1 - y * y;
        return y;
    }
    default:
        *slope = 1;
        return z;
    }
}

#endif
