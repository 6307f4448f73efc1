/* decode.h: what decode.c, decode_float.c and look.c share: JPEG and PNG in memory to pixels, and sizes. */
#ifndef GAL_DECODE_H
#define GAL_DECODE_H
#include "io.h"

/* *pixels {*height, *width, 3} of bytes {n}, which the caller frees. On failure GAL_FILE and a sentence
 * without its subject ("is truncated or damaged: ..."). */
gal_status gal_decode_bytes(uint8_t **pixels, int *width, int *height, const uint8_t *bytes, int64_t n);
/* A cutout has some kilobytes; a much larger file is not one. */
#define GAL_LARGEST_CUTOUT (64 << 20)

/* gal_fail with the current sentence, without the path that it begins with. */
gal_status gal_fail_without_path(gal_status status, const char *path);
/* y {outer, to, inner} = x {outer, from, inner} resampled along the middle by a triangle as wide as the
 * larger of both pixels: means when it shrinks, linear interpolation when it grows (what Pillow calls
 * BILINEAR). */
void gal_resample(float *y, const float *x, int64_t outer, int64_t from, int64_t to, int64_t inner);
/* The size of a JPEG or PNG, decoded, and its bits a channel, 8 or 16. The sentence is without the path. */
gal_status gal_picture_size(int *width, int *height, int *depth, const char *path);

#endif
