/* kernels.c: chooses among the sets of kernels in fast/, one an instruction set. */
#include "mock/fast/kernels.h"
#include <stddef.h>
#include <string.h>

static const struct set {
    const char *isa;
    gal_mock_kernels kernels;
} sets[] = {
    {"plain", {gal_fast_flux_plain, &gal_fast_picture_plain}},
#ifdef GAL_X86
    {"avx2", {gal_fast_flux_avx2, &gal_fast_picture_avx2}},
    {"avx512", {gal_fast_flux_avx512, &gal_fast_picture_avx512}},
#endif
};

const gal_mock_kernels *gal_mock_kernels_of(const char *isa)
{
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
        if (!strcmp(sets[i].isa, isa))
            return &sets[i].kernels;
    return NULL;
}
