/* reference.h: formulas in double precision that several tests hold kernels against. */
#ifndef REFERENCE_H
#define REFERENCE_H
#include "galrun.h"
#include <math.h>

/* f(z) of an activation. */
static inline double activation_of(int activation, double z)
{
    switch (activation) {
    case GAL_RELU:
        return z > 0 ? z : 0;
    case GAL_SILU:
        return z / (1 + exp(-z));
    case GAL_GELU:
        return z * 0.5 * erfc(-z * sqrt(0.5));
    case GAL_TANH:
        return tanh(z);
    }
    return z;
}

/* f'(z) by a central difference; that of relu has none across its corner. */
static inline double slope_of(int activation, double z)
{
    double h = 1e-5;
    if (activation == GAL_RELU)
        return z > 0;
    return (activation_of(activation, z + h) - activation_of(activation, z - h)) / (2 * h);
}

#endif
