/* transpose.h: a matrix of VL x VL floats transposed in registers, for packing. */
#ifndef GAL_TRANSPOSE_H
#define GAL_TRANSPOSE_H
#include "vec.h"

/* r[i][l] and r[l][i] exchanged, in log VL rounds. */
INLINE void transpose(vec *r)
{
#if VL == 16
#define LANES(f) \
    f(0), f(1), f(2), f(3), f(4), f(5), f(6), f(7), f(8), f(9), f(10), f(11), f(12), f(13), f(14), f(15)
#elif VL == 8
#define LANES(f) f(0), f(1), f(2), f(3), f(4), f(5), f(6), f(7)
#else
#define LANES(f) f(0), f(1), f(2), f(3)
#endif
#define LOW(l) (STEP & (l) ? VL - STEP + (l) : (l))
#define HIGH(l) (STEP & (l) ? VL + (l) : STEP + (l))
#define ROUND()                                                    \
    for (int i = 0; i < VL; i++)                                   \
        if (!(i & STEP)) {                                         \
            vec low = SHUFFLE(r[i], r[i + STEP], LANES(LOW));      \
            r[i + STEP] = SHUFFLE(r[i], r[i + STEP], LANES(HIGH)); \
            r[i] = low;                                            \
        }
#if VL == 16
#define STEP 8
#pragma GCC unroll 16
    ROUND()
#undef STEP
#endif
#if VL >= 8
#define STEP 4
#pragma GCC unroll 16
    ROUND()
#undef STEP
#endif
#define STEP 2
#pragma GCC unroll 16
    ROUND()
#undef STEP
#define STEP 1
#pragma GCC unroll 16
    ROUND()
#undef STEP
}

#endif
