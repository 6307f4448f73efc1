/* activation.h: the activations and their derivatives on the card, by the formulas of the CPU's specification
 * (runtime/cpu/activation.h). */
#ifndef GAL_CUDA_ACTIVATION_H
#define GAL_CUDA_ACTIVATION_H
#include "cuda.h"
#include <cmath>
#include <device.h>

static __device__ inline float sigmoid_of_real(float x)
{
    return 1 / (1 + expf(-x));
}

/* The normal distribution function, 1/2 erfc(-x / sqrt 2). */
static __device__ inline float normal_cdf(float x)
{
    return 0.5f * erfcf(-0.70710678118654752f * x);
}

/* d/dx of x sigmoid(x) = s (1 + x (1 - s)). */
static __device__ inline float silu_slope(float x)
{
    float s = sigmoid_of_real(x);
    return s * (1 + x * (1 - s));
}

/* d/dx of x Phi(x) = Phi(x) + x phi(x). */
static __device__ inline float gelu_slope(float x)
{
    return normal_cdf(x) + x * 0.39894228040143268f * expf(-0.5f * x * x);
}

/* f(z), and *slope = f'(z). */
static __device__ inline float activate(int activation, float z, float *slope)
{
    float y = z;
    *slope = 1;
    switch (activation) {
    case GAL_RELU:
        *slope = z > 0 ? 1 : 0;
        y = z > 0 || z != z ? z : 0;
        break;
    case GAL_SILU:
        *slope = silu_slope(z);
        y = z * sigmoid_of_real(z);
        break;
    case GAL_GELU:
        *slope = gelu_slope(z);
        y = z * normal_cdf(z);
        break;
    case GAL_TANH:
        y = tanhf(z);
        *slope = 1 - y * y;
        break;
    }
    return y;
}

/* The same, where products in this precision have rounded z by more than the card's fast exponential and
 * quotient do. */
static __device__ inline float activate_at(int activation, int precision, float z, float *slope)
{
    if (precision == GAL_IN_F32 || activation != GAL_SILU)
        return activate(activation, z, slope);
    float s = __fdividef(1, 1 + __expf(-z));
    *slope = s * (1 + z * (1 - s));
    return z * s;
}
#endif
