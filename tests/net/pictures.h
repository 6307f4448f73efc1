/* pictures.h: the pictures that server.c answers with, and those that are none. */
#ifndef PICTURES_H
#define PICTURES_H
#include <stddef.h>

enum { PICTURE_GALAXY, PICTURE_WORDS, PICTURE_FLAT };

/* bytes {room} = a JPEG of size x size pixels, the same for equal arguments; returns its length. seed: which
 * galaxy, or which words on black, or which grey. */
size_t picture_jpeg(unsigned char *bytes, size_t room, int size, int what, unsigned seed);
/* The same as FITS, float32 {3, size, size}; words are zeros, and a half of them NaN. */
size_t picture_fits(unsigned char *bytes, size_t room, int size, int what, unsigned seed);

#endif
