/* images.h: what the loader asks of a set of images (images.c). */
#ifndef GAL_IMAGES_H
#define GAL_IMAGES_H
#include "io.h"

int64_t gal_images_bytes(const gal_images *images);   /* of one image, cropped and binned */
int64_t gal_images_scratch(const gal_images *images); /* bytes that gal_images_at needs to work in */
/* y {gal_images_bytes} = image i turned by `turn` (0 to 7, gal_images_read); scratch {gal_images_scratch} is
 * room to work in. May be called from any thread. */
gal_status gal_images_at(uint8_t *y, const gal_images *images, int64_t i, int turn, uint8_t *scratch);

#endif
