/* field.h: what a cutout shows besides its galaxy: stars, other galaxies, and what the subtraction of the sky
 * has left. It has a random stream of its own and is independent of the galaxy. */
#ifndef GAL_FIELD_H
#define GAL_FIELD_H
#include "image.h"

enum { GAL_FIELD_MOST = 24 };

typedef struct gal_mock_field {
    int stars, galaxies;
    struct gal_field_star {
        float x, y, flux[GAL_PLANES];
    } star[GAL_FIELD_MOST];
    struct gal_field_galaxy {
        float x, y, flux[GAL_PLANES];
        float scale, axis_ratio, angle; /* exponential profile; scale in pixels along the major axis */
    } galaxy[GAL_FIELD_MOST];
    float spikes; /* direction of the diffraction spikes, radians */
    /* Nanomaggies a pixel: in the middle, and how much more at the right and at the lower edge. */
    float sky[GAL_PLANES][3];
} gal_mock_field;

/* The field of a draw; without GAL_RENDER_FIELD it has no objects, without GAL_RENDER_SKY a sky of 0. */
void gal_mock_field_draw(gal_mock_field *field, int64_t draw, unsigned parts, uint64_t seed);
/* plane {128, 128} += the galaxies in band b, before the seeing. */
void gal_mock_field_galaxies(float *plane, const gal_mock_field *field, int b);
/* plane += the stars, in seeing s pixels, and the sky. */
void gal_mock_field_stars(float *plane, const gal_mock_field *field, int b, double s);
/* plane += a round Gaussian of this flux and deviation sigma, pixels, at x, y. Returns its flux in the frame.
 */
double gal_mock_spot(float *plane, double x, double y, double sigma, double flux);

#endif
