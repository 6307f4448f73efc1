/* mock.c: the flux by which draws of the mock survey are looked through, by the model itself: the
 * specification of fast/mock.c. */
#include "cpu/cpu.h"
#include "model.h"

gal_status gal_cpu_mock_flux(const gal_lane *lane, const void *args)
{
    const gal_mock_flux_args *g = args;
    int64_t from, to;
    gal_share(lane, g->count, 1, &from, &to);
    for (int64_t i = from; i < to; i++) {
        gal_mock_galaxy galaxy;
        gal_mock_latents latents;
        gal_mock_latents_of(&latents, g->seed, g->first + i);
        if (g->latents) {
            const float *at = g->latents + i;
            latents =
                (gal_mock_latents){.log_mass = at[0], .z = at[g->count], .cos_inclination = at[2 * g->count]};
            for (int k = 0; k < 7; k++)
                latents.normal[k] = at[(3 + k) * g->count];
        }
        gal_mock_noiseless(&galaxy, &latents);
        g->y[i] = (float)galaxy.flux[2];
    }
    return GAL_OK;
}
