/* activate.h: the activations of a vec with their derivatives. */
#ifndef GAL_ACTIVATE_H
#define GAL_ACTIVATE_H
#include "cpu/activation.h"
#include "vmath.h"

/* Element by element by the specification's formula. */
INLINE vec activate_each(const int activation, vec z, vec *slope)
{
    vec y;
    for (int i = 0; i < VL; i++) {
        float d;
        y[i] = gal_activate(activation, z[i], &d);
        (*slope)[i] = d;
    }
    return y;
}

/* f(z) and f'(z). `activation` is a constant where this is inlined, so no branch is left. An activation
 * without a vector formula here is as slow as its specification. */
INLINE vec activate(const int activation, vec z, vec *slope)
{
    vec s;
    switch (activation) {
    case GAL_IDENTITY:
        *slope = splat(1);
        return z;
    case GAL_RELU:
        *slope = choose(z > 0, splat(1), splat(0));
        return choose(z <= 0, splat(0), z);
    case GAL_SILU:
        s = vsigmoid(z);
        *slope = vsilu_slope(z, s);
        return z * s;
    case GAL_GELU:
        s = vnormal_cdf(z);
        *slope = fma_(z, vnormal_density(z), s);
        return z * s;
    case GAL_TANH:
        s = vtanh(z);
        *slope = fma_(-s, s, splat(1));
        return s;
    default:
        return activate_each(activation, z, slope);
    }
}

#endif
