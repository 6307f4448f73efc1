/* float_image.h: an image of any number of bands in single precision, as the formats that hold such images
 * give it: FITS (fits_image.c) and PNG of 16 bits (png.c). cutouts.c makes rows of a survey of them. */
#ifndef GAL_FLOAT_IMAGE_H
#define GAL_FLOAT_IMAGE_H
#include "core/core.h"

/* values are freed by free(). The top row comes first; a pixel without a value is NaN. */
typedef struct gal_float_image {
    float *values; /* {height, width, bands} */
    int64_t height, width, bands;
    double scale;               /* arcsec a pixel; 0 where the file doesn't say */
    char names[GAL_BANDS_TEXT]; /* of the bands, separated by commas */
} gal_float_image;

/* The image of a FITS file's bytes {n}: see gal_cutouts_decode. On failure GAL_FILE, and a sentence that
 * begins with the path. */
gal_status gal_fits_image_decode(gal_float_image *out, const char *path, const char *bytes, int64_t n);
/* Whether a band of so many values of a file can be held: GAL_FILE where the image is too large. */
gal_status gal_float_image_new(gal_float_image *out, const char *path, int64_t height, int64_t width,
                               int64_t bands);

#endif
