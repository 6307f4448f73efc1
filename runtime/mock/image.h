/* image.h: the cutout of a mock galaxy: its shape, the picture in nanomaggies, SkyServer's colours, the JPEG.
 * IMAGES.md beside this file has the model, number by number.
 *
 * Pictures are planes g, r, i of GAL_CUTOUT rows of GAL_CUTOUT pixels; row 0 is the top. Positions are pixels
 * from the centre, which lies between the pixels 63 and 64, x to the right and y downwards. */
#ifndef GAL_IMAGE_H
#define GAL_IMAGE_H
#include "mock.h"

#define GAL_PLANES 3                                /* g r i */
#define GAL_CUTOUT_PIXELS (GAL_CUTOUT * GAL_CUTOUT) /* of one plane */
#define GAL_RESAMPLED 0.9       /* pixels: the Gaussian that resampling smooths noise by */
#define GAL_MOCK_MOST_CLUMPS 96 /* of one galaxy */

/* What is rendered besides the galaxy: photon and sky noise; stars and galaxies of the field; what the
 * subtraction of the sky has left. */
enum { GAL_RENDER_NOISE = 1, GAL_RENDER_FIELD = 2, GAL_RENDER_SKY = 4, GAL_RENDER_ALL = 7 };

typedef struct gal_mock_clump {
    float x, y, sigma; /* pixels; position from the galaxy's centre along its major and minor axis */
    float weight;      /* share of the clumps' flux */
} gal_mock_clump;

/* All that a picture is made from, except noise and field. Lengths are pixels; bands are g, r, i. */
typedef struct gal_mock_shape {
    double
        flux[GAL_PLANES]; /* nanomaggies: F', so that picture and catalogue share the calibration's error */
    double bulge[GAL_PLANES], clumps[GAL_PLANES]; /* shares of flux; the rest is disc */
    /* The features, from which sizes and shares follow: BT, mag/dex of g - i, c (IMAGES.md). */
    double bulge_to_total, gradient, clumpiness;
    double axis_ratio, bulge_axis_ratio, angle; /* angle: of the major axis from x towards y, radians */
    double radius;                              /* half-light, along the major axis */
    double scale[GAL_PLANES];                   /* the disc's exponential scale length */
    double bulge_radius;                        /* half-light */
    double arms, arm_strength;                  /* how many; amplitude */
    double pitch, phase;                        /* radians; the pitch's sign is the handedness */
    double lopsided, lopsided_phase;            /* amplitude and direction of a one-armed distortion */
    double seeing[GAL_PLANES];                  /* s of the PSF .9 G(s) + .1 G(3s) */
    double shift[GAL_PLANES][2];                /* position of the centre in each band: their registration */
    int clump_count;
    gal_mock_clump clump[GAL_MOCK_MOST_CLUMPS];
} gal_mock_shape;

/* The shape of a galaxy in the survey `seed`. The features in `without`, a sum of gal_mock_coupling, are made
 * from the latents of the donor instead; it may be NULL where without is 0. */
void gal_mock_shape_of(gal_mock_shape *shape, const gal_mock_galaxy *galaxy, const gal_mock_galaxy *donor,
                       unsigned without, uint64_t seed);

/* A Poisson number, at most `most`, by multiplication of uniforms (Knuth 1969). */
int gal_mock_poisson(gal_mock_stream *s, double mean, int most);

/* Memory to render in, for one thread at a time; the caller frees it. */
typedef struct gal_mock_canvas gal_mock_canvas;
gal_status gal_mock_canvas_new(gal_mock_canvas **out);
void gal_mock_canvas_free(gal_mock_canvas *canvas);

/* gri {3, 128, 128} = nanomaggies a pixel of the galaxy with this shape and draw; parts: what else, a sum of
 * GAL_RENDER_…. The galaxy alone sums to shape->flux in each band: it is scaled up by what lies beyond the
 * frame. The numbers depend on (seed, draw) and the instruction set, not on threads. */
void gal_mock_render(gal_mock_canvas *canvas, float *gri, const gal_mock_shape *shape, int64_t draw,
                     unsigned parts, uint64_t seed);

/* rgb {128, 128, 3}: SkyServer's colours of gri {3, 128, 128}. X = (2.0 i, 2.5 r, 3.3 g) nanomaggies a pixel,
 * I their mean, RGB = 255 X asinh(8 I) / (8 I), divided by the largest of the three where that is above 1,
 * and 0 where it is negative. */
void gal_mock_colours(uint8_t *rgb, const float *gri);

/* Writes rgb {height, width, 3} to path as a JPEG, quality 92 and 4:2:0 like SkyServer's: under a temporary
 * name, then renamed, but not synced: gal_disk_sync syncs thousands of files at once. GAL_MEMORY, or GAL_FILE
 * with the path. */
gal_status gal_jpeg_write(const char *path, const uint8_t *rgb, int width, int height);

/* Writes gri {3, 128, 128} to path as a FITS cube in nanomaggies a pixel, BANDS = 'gri', around ra and dec,
 * degrees: under a temporary name, then renamed, not synced. GAL_MEMORY, or GAL_FILE with the path. */
gal_status gal_planes_write(const char *path, const float *gri, double ra, double dec);
/* Whether path is a file as long as those are. */
int gal_planes_whole(const char *path);

/* Whether path is a file that begins and ends as a JPEG does. After a crash of the machine an unsynced file
 * may be shorter than what was written. */
int gal_jpeg_whole(const char *path);

#endif
