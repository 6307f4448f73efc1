/* flux.c: the flux in r by which draws of the mock survey are looked through: by the model itself, which is
 * the specification of fast/flux.c, and by those kernels. */
#include "model.h"
#include "mock/fast/kernels.h"

void gal_mock_fluxes(float *flux, const float *latents, uint64_t seed, int64_t first, int64_t count)
{
    gal_mock_kernels_of(gal_cpu_isa())->flux(flux, latents, seed, first, count);
}

void gal_mock_fluxes_by_model(float *flux, const float *latents, uint64_t seed, int64_t first, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        gal_mock_galaxy galaxy;
        gal_mock_latents drawn;
        gal_mock_latents_of(&drawn, seed, first + i);
        if (latents) {
            const float *at = latents + i;
            drawn = (gal_mock_latents){.log_mass = at[0], .z = at[count], .cos_inclination = at[2 * count]};
            for (int k = 0; k < 7; k++)
                drawn.normal[k] = at[(3 + k) * count];
        }
        gal_mock_noiseless(&galaxy, &drawn);
        flux[i] = (float)galaxy.flux[2];
    }
}
