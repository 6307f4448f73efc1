/* field.h: what is in a cutout beside its galaxy: stars, other galaxies, and what the subtraction of the sky
 * left. It has a random stream of its own and tells nothing of the galaxy. */
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
        float x, y, flux[GAL_PLANES], scale, axis_ratio,
            angle; /* exponential; scale in pixels along the major axis */
    } galaxy[GAL_FIELD_MOST];
    float spikes; /* direction of the diffraction spikes, radians */
    float sky[GAL_PLANES]
             [3]; /* nanomaggies a pixel: in the middle, and how much more at the right and lower edge */
} gal_mock_field;

/* The field of a draw; without GAL_RENDER_FIELD it has no objects, without GAL_RENDER_SKY a sky of 0. */
void gal_mock_field_draw(gal_mock_field *field, int64_t draw, unsigned parts, uint64_t seed);
/* plane {128, 128} += the galaxies in band b, as above the atmosphere. */
void gal_mock_field_galaxies(float *plane, const gal_mock_field *field, int b);
/* plane += the stars, in seeing s pixels, and the sky. */
void gal_mock_field_stars(float *plane, const gal_mock_field *field, int b, double s);
/* plane += a round Gaussian of deviation sigma, pixels, at x, y; returns the flux that fell into the frame.
 */
double gal_mock_spot(float *plane, double x, double y, double sigma, double flux);

#endif
