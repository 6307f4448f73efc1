/* png.h: PNG bytes to pixels. */
#ifndef GAL_PNG_H
#define GAL_PNG_H
#include "core/core.h"

/* *pixels {*height, *width, 3} RGB of the PNG bytes {n}, of at most `most` pixels a side; the caller frees
 * them with free(). Grey gets three equal channels, transparency is dropped, of 16 bits the upper 8 are kept.
 * GAL_FILE where anything is missing or wrong, with a sentence without its subject ("is truncated"). */
gal_status gal_png_decode(uint8_t **pixels, int *width, int *height, const uint8_t *bytes, int64_t n,
                          int most);

/* Bits a channel of a PNG's bytes {n}, 1 to 16; 0 where they are no PNG. */
int gal_png_depth(const uint8_t *bytes, int64_t n);
/* The same of a PNG of 16 bits a channel, with all of them: *pixels {*height, *width, *channels}, one channel
 * where it is grey, else three. */
gal_status gal_png_decode_deep(uint16_t **pixels, int *width, int *height, int *channels,
                               const uint8_t *bytes, int64_t n, int most);

#endif
