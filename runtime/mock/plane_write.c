/* plane_write.c: cutouts as FITS files: the picture in nanomaggies before SkyServer's colours, three planes
 * of single precision (FITS standard 4.0, sections 3.3 and 4.4.1). */
#include "image.h"
#include "io/io.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 2880
#define CARD 80
#define PIXELS_BYTES (GAL_PLANES * GAL_CUTOUT_PIXELS * 4)
#define FILE_BYTES (BLOCK + (PIXELS_BYTES + BLOCK - 1) / BLOCK * BLOCK)

/* Card k of the header, of 80 characters: key = value. */
static void card(char *header, int *k, const char *key, const char *value)
{
    char text[CARD + 1];
    int n = snprintf(text, sizeof text, *value == '\'' ? "%-8s= %s" : "%-8s= %20s", key, value);
    memcpy(header + *k * CARD, text, (size_t)(n < CARD ? n : CARD));
    ++*k;
}

static void number(char *header, int *k, const char *key, const char *form, double value)
{
    char text[32];
    snprintf(text, sizeof text, form, value);
    card(header, k, key, text);
}

/* bytes {BLOCK}: a tangent plane around ra and dec, degrees, north up. */
static void make_header(char *bytes, double ra, double dec)
{
    int k = 0;
    memset(bytes, ' ', BLOCK);
    card(bytes, &k, "SIMPLE", "T");
    number(bytes, &k, "BITPIX", "%.0f", -32);
    number(bytes, &k, "NAXIS", "%.0f", 3);
    number(bytes, &k, "NAXIS1", "%.0f", GAL_CUTOUT);
    number(bytes, &k, "NAXIS2", "%.0f", GAL_CUTOUT);
    number(bytes, &k, "NAXIS3", "%.0f", GAL_PLANES);
    card(bytes, &k, "BANDS", "'gri     '");
    card(bytes, &k, "BUNIT", "'nanomaggy'");
    card(bytes, &k, "CTYPE1", "'RA---TAN'");
    card(bytes, &k, "CTYPE2", "'DEC--TAN'");
    number(bytes, &k, "CRPIX1", "%.1f", GAL_CUTOUT / 2 + 0.5);
    number(bytes, &k, "CRPIX2", "%.1f", GAL_CUTOUT / 2 + 0.5);
    number(bytes, &k, "CRVAL1", "%.9f", ra);
    number(bytes, &k, "CRVAL2", "%.9f", dec);
    number(bytes, &k, "CD1_1", "%.12f", -GAL_PIXEL_ARCSEC / 3600);
    number(bytes, &k, "CD1_2", "%.1f", 0);
    number(bytes, &k, "CD2_1", "%.1f", 0);
    number(bytes, &k, "CD2_2", "%.12f", GAL_PIXEL_ARCSEC / 3600);
    memcpy(bytes + k * CARD, "END", 3);
}

gal_status gal_planes_write(const char *path, const float *gri, double ra, double dec)
{
    unsigned char *bytes = calloc(1, FILE_BYTES);
    if (!bytes)
        return gal_fail(GAL_MEMORY, "%s: no memory for a FITS file", path);
    unsigned char *at = bytes + BLOCK;
    make_header((char *)bytes, ra, dec);
    for (int band = 0; band < GAL_PLANES; band++)
        for (int y = GAL_CUTOUT - 1; y >= 0; y--) /* FITS counts rows from below */
            for (int x = 0; x < GAL_CUTOUT; x++, at += 4) {
                uint32_t bits;
                memcpy(&bits, gri + band * GAL_CUTOUT_PIXELS + y * GAL_CUTOUT + x, sizeof bits);
                at[0] = (unsigned char)(bits >> 24), at[1] = (unsigned char)(bits >> 16);
                at[2] = (unsigned char)(bits >> 8), at[3] = (unsigned char)bits;
            }
    gal_writer writer;
    gal_status status = gal_writer_open(&writer, path);
    if (!status)
        status = gal_writer_put(&writer, bytes, FILE_BYTES);
    if (!status)
        status = gal_writer_commit_unsynced(&writer);
    free(bytes);
    return status;
}

int gal_planes_whole(const char *path)
{
    int64_t bytes = 0, modified = 0;
    return gal_file_stamp(path, &bytes, &modified) == 1 && bytes == FILE_BYTES;
}
