/* png.c: PNG bytes to pixels by libpng, row by row, so that memory is that of the picture. A few bytes of PNG
 * may claim gigabytes of pixels, or unpack to them: what a file claims is compared with what it can hold, and
 * unpacking ends with the last pixel. */
#include "png.h"
#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* Deflate makes at most 258 bytes of 2 bits (zlib's technical notes). */
#define LARGEST_RATIO 1032
/* What packing may cost beyond the bytes of incompressible pixels: an encoder's small blocks, texts skipped.
 */
#define SLACK 65536

/* The bytes that libpng reads, and where it has come to. */
typedef struct source {
    const uint8_t *bytes;
    int64_t n, at;
    int64_t end; /* how far libpng may read */
    char sentence[128];
} source;

static uint32_t big_endian(const uint8_t *b)
{
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

/* NULL, or what is wrong with a PNG's chunks: length, type, content, CRC of the last two (RFC 2083, 3.2).
 * *packed: the bytes of its pixels as they are packed. */
static const char *fault(int64_t *packed, const uint8_t *b, int64_t n)
{
    *packed = 0;
    for (int64_t at = 8; at + 12 <= n;) {
        int64_t length = big_endian(b + at);
        if (length > n - at - 12)
            break;
        if (crc32(0, b + at + 4, (uInt)length + 4) != big_endian(b + at + 8 + length))
            return "is damaged: a checksum is wrong";
        if (!memcmp(b + at + 4, "IDAT", 4))
            *packed += length;
        if (!memcmp(b + at + 4, "IEND", 4))
            return NULL;
        at += 12 + length;
    }
    return "is truncated";
}

static void fail(png_structp png, png_const_charp why)
{
    source *s = png_get_error_ptr(png);
    snprintf(s->sentence, sizeof s->sentence, "%s", why);
    png_longjmp(png, 1);
}

static void ignore(png_structp png, png_const_charp why)
{
    (void)png, (void)why;
}

static void take(png_structp png, png_bytep to, size_t n)
{
    source *s = png_get_io_ptr(png);
    if ((int64_t)n > s->n - s->at)
        png_error(png, "it ends too early");
    if (s->at + (int64_t)n > s->end)
        png_error(png, "it holds more than its pixels");
    memcpy(to, s->bytes + s->at, n);
    s->at += (int64_t)n;
}

/* Reads the header and asks for 8 bits and three channels, or, where deep is set, for what the file has in
 * the machine's own order of bytes. GAL_OK where memory for the pixels may be taken. */
static gal_status begin(png_structp png, png_infop info, int64_t packed, int most, int deep)
{
    /* Texts and colour profiles are skipped: they may unpack to megabytes. */
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
    png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    png_read_info(png, info);
    int64_t w = png_get_image_width(png, info), h = png_get_image_height(png, info);
    if (w > most || h > most)
        return gal_fail(GAL_FILE, "is too large: %lld x %lld pixels, expected at most %d a side",
                        (long long)w, (long long)h, most);
    if (h * (int64_t)png_get_rowbytes(png, info) > packed * LARGEST_RATIO)
        return gal_fail(GAL_FILE, "is truncated or damaged: %lld bytes can't hold %lld x %lld pixels",
                        (long long)packed, (long long)w, (long long)h);
    png_set_strip_alpha(png);
    if (deep) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        png_set_swap(png);
#endif
        return GAL_OK;
    }
    png_set_expand(png);
    png_set_strip_16(png);
    png_set_gray_to_rgb(png);
    return GAL_OK;
}

/* y {h, w, channels} = the pixels. */
static void read_rows(png_structp png, png_infop info, uint8_t *y)
{
    source *s = png_get_io_ptr(png);
    int passes = png_set_interlace_handling(png);
    int64_t h = png_get_image_height(png, info), packed = (int64_t)png_get_rowbytes(png, info);
    png_read_update_info(png, info);
    int64_t stride = (int64_t)png_get_rowbytes(png, info);
    s->end = s->at + SLACK + 2 * h * packed;
    for (int pass = 0; pass < passes; pass++)
        for (int64_t row = 0; row < h; row++) {
            if (pass == passes - 1 && row == h - 1) /* behind it libpng unpacks what is left to its end */
                s->end = s->at + SLACK + 2 * packed;
            png_read_row(png, y + row * stride, NULL);
        }
}

/* All of it, once libpng's structs are made; an error of libpng's comes back here. */
static gal_status decode(png_structp png, png_infop info, uint8_t **pixels, int64_t packed, int most,
                         int deep)
{
    source *s = png_get_io_ptr(png);
    *pixels = NULL;
    if (setjmp(png_jmpbuf(png))) {
        free(*pixels);
        return gal_fail(GAL_FILE, "is truncated or damaged: %s", s->sentence);
    }
    gal_status status = begin(png, info, packed, most, deep);
    if (status != GAL_OK)
        return status;
    size_t w = png_get_image_width(png, info), h = png_get_image_height(png, info);
    *pixels = malloc(w * h * (deep ? 6 : 3));
    if (!*pixels)
        return gal_fail(GAL_MEMORY, "no memory for an image of %zu x %zu pixels", w, h);
    read_rows(png, info, *pixels);
    return GAL_OK;
}

int gal_png_depth(const uint8_t *bytes, int64_t n)
{
    return n > 24 && !png_sig_cmp(bytes, 0, 8) ? bytes[24] : 0;
}

/* *pixels {*height, *width, *channels} of the bytes: 8 bits and three channels, or deep, 16 bits and the
 * file's channels. */
static gal_status read_all(uint8_t **pixels, int *width, int *height, int *channels, const uint8_t *bytes,
                           int64_t n, int most, int deep)
{
    source s = {.bytes = bytes, .n = n, .end = n};
    int64_t packed;
    const char *why = fault(&packed, bytes, n);
    if (why)
        return gal_fail(GAL_FILE, "%s", why);
    png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &s, fail, ignore);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    gal_status status = info ? GAL_OK : gal_fail(GAL_MEMORY, "no memory to read a PNG");
    if (status == GAL_OK) {
        png_set_read_fn(png, &s, take);
        status = decode(png, info, pixels, packed, most, deep);
        *width = (int)png_get_image_width(png, info), *height = (int)png_get_image_height(png, info);
        *channels = png_get_channels(png, info);
    }
    png_destroy_read_struct(&png, &info, NULL);
    return status;
}

gal_status gal_png_decode(uint8_t **pixels, int *width, int *height, const uint8_t *bytes, int64_t n,
                          int most)
{
    int channels;
    return read_all(pixels, width, height, &channels, bytes, n, most, 0);
}

gal_status gal_png_decode_deep(uint16_t **pixels, int *width, int *height, int *channels,
                               const uint8_t *bytes, int64_t n, int most)
{
    uint8_t *values = NULL;
    *pixels = NULL;
    if (gal_png_depth(bytes, n) != 16)
        return gal_fail(GAL_FILE, "is no PNG of 16 bits a channel");
    gal_status status = read_all(&values, width, height, channels, bytes, n, most, 1);
    *pixels = (uint16_t *)(void *)values;
    return status;
}
