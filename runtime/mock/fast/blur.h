/* blur.h: a plane convolved with the sum of two separable kernels, which is how the PSF is made. */
#ifndef GAL_BLUR_H
#define GAL_BLUR_H
#include "kernels.h"
#include "cpu/fast/vec.h"

/* One pass: GAL_SIDE outputs from `in` on, taps `step` floats apart. */
INLINE void pass(vec *out, const float *in, int64_t step, const float *weight, int taps)
{
    for (int i = 0; i < GAL_SIDE / VL; i++)
        out[i] = load(in + i * VL) * weight[0];
    for (int k = 1; k < taps; k++)
        for (int i = 0; i < GAL_SIDE / VL; i++)
            out[i] =
                fma_(load(in + i * VL - k * step) + load(in + i * VL + k * step), splat(weight[k]), out[i]);
}

/* work holds in with zeros to its left and right, then the rows' result with zeros above and below. */
static float blur(float *out, const float *in, const float *near, int near_taps, const float *far,
                  int far_taps, float *work)
{
    vec sum = splat(0), line[GAL_SIDE / VL];
    float *wide = work, *tall = work + GAL_SIDE * GAL_PICTURE_ROW;
    memset(work, 0, GAL_PICTURE_WORK * sizeof *work);
    for (int row = 0; row < GAL_SIDE; row++)
        memcpy(wide + row * GAL_PICTURE_ROW + GAL_TAPS, in + row * GAL_SIDE, GAL_SIDE * sizeof *in);
    for (int part = 0; part < 2 && (part ? far_taps : near_taps); part++) {
        const float *weight = part ? far : near;
        int taps = part ? far_taps : near_taps;
        for (int row = 0; row < GAL_SIDE; row++) {
            pass(line, wide + row * GAL_PICTURE_ROW + GAL_TAPS, 1, weight, taps);
            memcpy(tall + (row + GAL_TAPS) * GAL_SIDE, line, sizeof line);
        }
        for (int row = 0; row < GAL_SIDE; row++) {
            pass(line, tall + (row + GAL_TAPS) * GAL_SIDE, GAL_SIDE, weight, taps);
            for (int i = 0; i < GAL_SIDE / VL; i++) {
                float *to = out + row * GAL_SIDE + i * VL;
                vec value = part ? load(to) + line[i] : line[i];
                store(to, value);
                if (part || !far_taps)
                    sum += value;
            }
        }
    }
    return total(sum);
}

#endif
