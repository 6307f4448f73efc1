/* png.h: PNG bytes to pixels. */
#ifndef GAL_PNG_H
#define GAL_PNG_H
#include "core/core.h"

/* *pixels {*height, *width, 3} RGB of the PNG bytes {n}, of at most `most` pixels a side; the caller frees
 * them with free(). Grey gets three equal channels, transparency is dropped, of 16 bits the upper 8 are kept.
 * GAL_FILE where anything is missing or wrong, with a sentence without its subject ("is truncated"). */
gal_status gal_png_decode(uint8_t **pixels, int *width, int *height, const uint8_t *bytes, int64_t n,
                          int most);

#endif
