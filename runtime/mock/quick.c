/* quick.c: fills the tables of quick.h, once. */
#include "quick.h"
#include <math.h>
#include <pthread.h>

static gal_mock_quick quick;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static gal_mock_bend bend(double low, double middle, double high)
{
    return (gal_mock_bend){(float)middle, (float)((middle - low) / log10(0.02 / 0.004)),
                           (float)((high - middle) / log10(0.05 / 0.02))};
}

static void fill(void)
{
    const gal_mock_tables *t = gal_mock_tables_ready();
    double hubble = gal_mock_distance(1e-9) / 1e-9;
    for (int i = 0; i <= GAL_MASS_NODES; i++) {
        quick.log_mass[i] = (float)t->log_mass[i];
        quick.volume[i] = (float)pow(gal_mock_comoving(gal_mock_redshift_limit(t->log_mass[i])) / hubble, 3);
    }
    for (int i = 0; i <= GAL_HISTORY_NODES; i++)
        quick.history[i] = (float)t->history[i];
    quick.nearest = (float)pow(gal_mock_comoving(GAL_Z_LOW) / hubble, 3);
    quick.history_low = (float)log(GAL_HISTORY_LOW);
    quick.history_step = (float)(GAL_HISTORY_NODES / log(GAL_HISTORY_HIGH / GAL_HISTORY_LOW));
    static const double wavelength[QUICK_LINES] = {4861, 4959, 5007, 6563, 6584, 6724};
    for (int i = 0; i < QUICK_LINES; i++)
        quick.line_dust[i] = (float)(-0.4 / 0.44 * pow(wavelength[i] / 5500, -0.7));
    for (int k = 0; k < GAL_AGES; k++) {
        const gal_mock_basis *low = &gal_mock_stars[0][k], *middle = &gal_mock_stars[1][k],
                             *high = &gal_mock_stars[2][k];
        for (int power = 0; power < 3; power++)
            quick.r[k][power] =
                bend(low->magnitude[2][power], middle->magnitude[2][power], high->magnitude[2][power]);
        quick.surviving[k] = bend(low->surviving, middle->surviving, high->surviving);
    }
}

const gal_mock_quick *gal_mock_quick_ready(void)
{
    pthread_once(&once, fill);
    return &quick;
}
