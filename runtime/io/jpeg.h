/* jpeg.h: how callers of libjpeg meet its errors. libjpeg reports an error by a call that must not return;
 * the one here jumps back to the function that has called libjpeg. */
#ifndef GAL_JPEG_H
#define GAL_JPEG_H
#include <stdint.h>
#include <stdio.h>
#include <setjmp.h>
#include <jpeglib.h>

typedef struct gal_jpeg_failure {
    struct jpeg_error_mgr manager;
    jmp_buf back; /* set by the caller before it calls libjpeg */
    char sentence[JMSG_LENGTH_MAX];
} gal_jpeg_failure;

/* What goes into a compress or decompress struct's err. */
struct jpeg_error_mgr *gal_jpeg_errors(gal_jpeg_failure *failure);

/* *pixels {*height, *width, 3} RGB of the JPEG bytes {n}, of at most `most` pixels a side; the caller frees
 * them with free(). GAL_FILE where anything is missing or wrong, with a sentence without its subject ("is
 * truncated or damaged: …"). */
gal_status gal_jpeg_decode(uint8_t **pixels, int *width, int *height, const uint8_t *bytes, int64_t n,
                           int most);

#endif
