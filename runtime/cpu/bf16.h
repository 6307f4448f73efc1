/* bf16.h: bfloat16, the upper half of a float: 8 bits of precision. Its products are exact in float32. */
#ifndef GAL_BF16_H
#define GAL_BF16_H
#include <math.h>
#include <stdint.h>
#include <string.h>

/* Rounded to nearest, ties to even; NaN stays one. */
static inline uint16_t gal_to_bf16(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, 4);
    if (x != x)
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/* To bfloat16 and back. */
static inline float gal_as_bf16(float x)
{
    uint32_t bits = (uint32_t)gal_to_bf16(x) << 16;
    memcpy(&x, &bits, 4);
    return x;
}

#endif
