/* photometry.c: the measurements of a galaxy: fluxes with calibration errors and photon noise as SDSS has
 * them, and the five labels with theirs (README.md, sections 1 and 2). */
#include "model.h"
#include <math.h>

const double gal_mock_pixel_sigma[GAL_BANDS] = {.051, .018, .029, .046, .179};
const double gal_mock_gain[GAL_BANDS] = {1.62, 3.9, 4.72, 5.0, 4.7};
const double gal_mock_dn[GAL_BANDS] = {.0105, .0038, .0051, .0068, .034};
const double gal_mock_floor[GAL_BANDS] = {.03, .02, .02, .02, .025};
const double gal_mock_pivot[GAL_BANDS] = {3556.5, 4702.5, 6175.6, 7490.0, 8946.7};
const double gal_mock_label_error[5] = {.07, .15, .03, .03, .10};

/* The pixels whose noise is in a magnitude: 8.93 (R^2 + s^2) square arcseconds, for R = 2.5" and seeing s =
 * 0.9". */
#define PIXELS (8.93 * (2.5 * 2.5 + 0.9 * 0.9) / 0.1568)

double gal_mock_variance(int b, double flux, int floor)
{
    double sigma = gal_mock_pixel_sigma[b], calibration = floor ? gal_mock_floor[b] * flux : 0;
    return sigma * sigma * PIXELS + flux * gal_mock_dn[b] / gal_mock_gain[b] + calibration * calibration;
}

void gal_mock_observe(gal_mock_galaxy *g, uint64_t seed)
{
    gal_mock_stream s = gal_mock_stream_of(seed, g->draw, GAL_MOCK_PHOTOMETRY);
    for (int b = 0; b < GAL_BANDS; b++)
        g->calibrated[b] = g->flux[b] * (1 + gal_mock_floor[b] * gal_mock_normal(&s));
    for (int b = 0; b < GAL_BANDS; b++) {
        g->observed[b] = g->calibrated[b] + sqrt(gal_mock_variance(b, g->flux[b], 0)) * gal_mock_normal(&s);
        g->variance[b] = gal_mock_variance(b, fmax(g->observed[b], 0), 1);
    }
}

void gal_mock_labels(gal_mock_galaxy *g, uint64_t seed)
{
    gal_mock_stream s = gal_mock_stream_of(seed, g->draw, GAL_MOCK_LABELS);
    for (int i = 0; i < 5; i++)
        g->label[i] = g->truth[i] + gal_mock_label_error[i] * gal_mock_normal(&s);
}
