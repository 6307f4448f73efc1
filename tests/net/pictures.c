/* pictures.c: pictures of galaxies and of none, as JPEG by libjpeg and as FITS by hand: a client that reads
 * FITS by CFITSIO is not tested by what CFITSIO wrote. */
#include "pictures.h"
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <jpeglib.h>

/* The value of band c at x, y, from 0 to 255. */
static double value(int size, int what, unsigned seed, int x, int y, int c)
{
    if (what == PICTURE_FLAT)
        return 40 + seed % 100;
    if (what == PICTURE_WORDS) /* strokes on a band of an eighth of the height */
        return y > size / 2 && y < size / 2 + size / 8 && (unsigned)x / 3 % 3 == seed % 3 ? 255 : 0;
    double dx = x - size / 2.0, dy = y - size / 2.0, wide = size * (0.05 + 0.1 * (double)(seed % 7) / 7);
    unsigned noise = (seed + (unsigned)(x + size * (y + size * c))) * 2654435761u;
    return 12 + (noise >> 28) + (200 - 40 * c) * exp(-sqrt(dx * dx + 2 * dy * dy) / wide);
}

size_t picture_jpeg(unsigned char *bytes, size_t room, int size, int what, unsigned seed)
{
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    unsigned char *out = NULL, *row = malloc((size_t)size * 3);
    unsigned long n = 0;
    if (!row)
        exit(3);
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    jpeg_mem_dest(&jpeg, &out, &n);
    jpeg.image_width = jpeg.image_height = (JDIMENSION)size;
    jpeg.input_components = 3;
    jpeg.in_color_space = JCS_RGB;
    jpeg_set_defaults(&jpeg);
    jpeg_start_compress(&jpeg, TRUE);
    for (int y = 0; y < size; y++) {
        for (int k = 0; k < size * 3; k++)
            row[k] = (unsigned char)value(size, what, seed, k / 3, y, k % 3);
        jpeg_write_scanlines(&jpeg, &row, 1);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    free(row);
    if (n > room)
        exit(3);
    memcpy(bytes, out, n);
    free(out);
    return n;
}

size_t picture_fits(unsigned char *bytes, size_t room, int size, int what, unsigned seed)
{
    size_t data = (size_t)size * (size_t)size * 12, length = 2880 + (data + 2879) / 2880 * 2880, at = 0;
    char card[81];
    if (length > room)
        exit(3);
    memset(bytes, ' ', 2880);
    memset(bytes + 2880, 0, length - 2880);
    const char *const names[] = {"SIMPLE", "BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "NAXIS3"};
    for (int i = 0; i < 6; i++, at += 80) {
        int number[] = {0, -32, 3, size, size, 3};
        int n =
            i ? sprintf(card, "%-8s= %20d", names[i], number[i]) : sprintf(card, "%-8s= %20s", names[i], "T");
        memcpy(bytes + at, card, (size_t)n);
    }
    memcpy(bytes + at, "END", 3);
    unsigned char *to = bytes + 2880;
    for (int c = 0; c < 3; c++)
        for (int k = 0; k < size * size; k++, to += 4) {
            float v = (float)value(size, what, seed, k % size, k / size, c) / 100;
            if (what == PICTURE_WORDS)
                v = k % 2 ? NAN : 0;
            uint32_t bits;
            memcpy(&bits, &v, 4);
            for (int b = 0; b < 4; b++)
                to[b] = (unsigned char)(bits >> (24 - 8 * b));
        }
    return length;
}
