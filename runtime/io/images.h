/* images.h: what the loader asks of a set of images (images.c), and what images.c and images_float.c share.
 */
#ifndef GAL_IMAGES_H
#define GAL_IMAGES_H
#include "io.h"

/* Where pixels lie. Sets of images that were selected from one another share it and count their references.
 */
typedef struct gal_images_source {
    int references;
    gal_arrays *arrays; /* the file, or NULL */
    gal_storage *memory;
    const uint8_t *data;          /* the tensor's first row, where memory is set */
    int64_t offset;               /* byte of the first row in the file */
    int64_t count;                /* rows */
    int64_t height, width, pixel; /* of a stored image; bytes of a pixel */
    int64_t channels;             /* of a pixel */
    gal_dtype dtype;
} gal_images_source;

struct gal_images {
    gal_images_source *source;
    int64_t count;
    int64_t *rows;                    /* {count}: which rows of the source; NULL: all of them in order */
    int64_t top, left, height, width; /* the part that is read */
    int64_t bin;                      /* and then averaged */
    int is_scaled;
    gal_scaling scaling; /* of float32 images, where is_scaled */
};

int64_t gal_images_bytes(const gal_images *images);   /* of one image, cropped and binned */
int64_t gal_images_scratch(const gal_images *images); /* bytes that gal_images_at needs to work in */
/* y {gal_images_bytes} = image i turned by `turn` (0 to 7, gal_images_read); scratch {gal_images_scratch} is
 * room to work in. May be called from any thread. */
gal_status gal_images_at(uint8_t *y, const gal_images *images, int64_t i, int turn, uint8_t *scratch);

/* images_float.c: y {height / bin, width / bin, gal_images_channels} = float32 pixels, the first of which is
 * x, with rows `stride` bytes apart: means over bin x bin of them, and scaled. */
void gal_images_show(float *y, const gal_images *images, const uint8_t *x, int64_t stride);

#endif
