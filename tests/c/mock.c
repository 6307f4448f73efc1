/* mock.c: the mock survey's draws: fast kernels against the model, sums that its formulas promise, and that nothing depends on who draws. */
#include "check.h"
#include "cpu/cpu.h"
#include "survey/quick.h"
#include <stdlib.h>

enum { DRAWS = 40000 };

/* Every instruction set's flux in r against the model's, over galaxies as they come: masses of 10^8.3 to 10^11.8, the dust and the bursts' tails. */
static void fast_fluxes(void)
{
    CASE("the fast kernels' flux in r is the model's within 0.2 %");
    static float plain[DRAWS], fast[DRAWS];
    static const char *const isas[] = {"plain", "avx2", "avx512"};
    const gal_lane alone = {.index = 0, .count = 1};
    gal_mock_flux_args args = {.y = plain, .seed = 11, .first = 1000003, .count = DRAWS, .tables = gal_mock_quick_ready()};
    IS_OK(gal_cpu_table("specification")->mock_flux(&alone, &args));
    for (int isa = 0; isa < 3; isa++) {
        const gal_backend *table = gal_cpu_table(isas[isa]);
        if (!table)
            continue;
        args.y = fast;
        IS_OK(table->mock_flux(&alone, &args));
        double worst = 0;
        for (int i = 0; i < DRAWS; i++)
            worst = fmax(worst, fabs(fast[i] / plain[i] - 1));
        REPORT(worst < 0.002, "%s: off by up to %.3g, expected 0.002", isas[isa], worst);
        printf("%s %.3g\n", isas[isa], worst);
    }
}

int main(void)
{
    fast_fluxes();
    return finish();
}
