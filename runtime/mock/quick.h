/* quick.h: the model's tables for the vector kernel (fast/flux.c): in float32, and everything that is linear
 * in log Z as three numbers: the value at Z = .02 and the slopes below and above. */
#ifndef GAL_QUICK_H
#define GAL_QUICK_H
#include "model.h"

#define QUICK_LINES 6

typedef struct gal_mock_bend {
    float at, below, above;
} gal_mock_bend;

typedef struct gal_mock_quick {
    float log_mass[GAL_MASS_NODES + 1];
    float volume[GAL_MASS_NODES + 1]; /* cube of the comoving distance to which that mass can be seen, in
                                         units of the Hubble distance */
    float history[GAL_HISTORY_NODES + 1];
    gal_mock_bend r[GAL_AGES][3]; /* magnitude in r, as a polynomial in redshift */
    gal_mock_bend surviving[GAL_AGES];
    float line_dust[QUICK_LINES]; /* log10 of what dust of A_V = 1 leaves of H beta, [O III] twice, H alpha,
                                     [N II] and [S II] */
    float nearest;                /* volume at the survey's lowest redshift */
    float history_low, history_step; /* ln y of history's first node; nodes per unit of ln y */
} gal_mock_quick;
const gal_mock_quick *gal_mock_quick_ready(void);

#endif
