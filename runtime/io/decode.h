/* decode.h: JPEG and PNG in memory to pixels. */
#ifndef GAL_DECODE_H
#define GAL_DECODE_H
#include "io.h"

/* *pixels {*height, *width, 3} of bytes {n}, which the caller frees. On failure GAL_FILE and a sentence
 * without its subject ("is truncated or damaged: ..."). */
gal_status gal_decode_bytes(uint8_t **pixels, int *width, int *height, const uint8_t *bytes, int64_t n);

#endif
