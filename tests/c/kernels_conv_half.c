/* Convolutions of bfloat16, by every way that this machine has (AMX, dot products, the specification),
 * against double precision whose factors are rounded too: so what is tested is the sums, at float32's
 * precision, and that exactly x, w and dz are rounded. And the claims of galrun.h: bits that depend neither
 * on the other images nor on the threads; float32, and a notice, where a processor has no such products. */
#include "kernels_conv.h"

/* Whether a small convolution has the bits of float32, so that nothing was rounded. */
static int is_float32(void)
{
    gal_tensor *x = TENSOR(1, 5, 6, 7), *w = TENSOR(20, 3, 3, 7), *y = TENSOR(1, 5, 6, 20),
               *exact = TENSOR(1, 5, 6, 20);
    random_fill(x);
    random_fill(w);
    IS_OK(gal_conv2d(exact, NULL, x, w, NULL, 1, GAL_SAME, GAL_SILU, 1, GAL_EXACT));
    IS_OK(gal_conv2d(y, NULL, x, w, NULL, 1, GAL_SAME, GAL_SILU, 1, GAL_BF16));
    int same = !memcmp(y->data, exact->data, (size_t)gal_tensor_count(y) * 4);
    sentinels_and_free();
    return same;
}

/* One set of kernels with GALRUN_BF16 = way. */
static void by(const char *isa, const char *way)
{
    char name[40];
    snprintf(name, sizeof name, "%s, %s", isa, way);
    setenv("GALRUN_BF16", way, 1);
    table = gal_cpu_table(isa);
    if (!table)
        return;
    while (gal_notice())
        ;
    CASE("without products of bfloat16 a convolution is float32, and a notice says so");
    if (is_float32()) {
        static int told;
        const char *said = gal_notice();
        REPORT(told || (said && strstr(said, "float32")), "%s: computed in float32, said: %s", name,
               said ? said : "nothing");
        REPORT(strcmp(isa, "specification") != 0, "%s rounds nothing", name);
        told = 1;
        return;
    }
    REPORT(strcmp(way, "none") || !strcmp(isa, "specification"), "%s rounds all the same", name);
    for (size_t k = 0; k < sizeof layers / sizeof *layers; k++)
        conv_case(&layers[k], GAL_BF16, name, 0);
    bits(GAL_BF16, name);
}

int main(void)
{
    by("specification", "none");
    by("plain", "amx");
    by("avx2", "amx");
    by("avx512", "none");
    by("avx512", "dot");
    by("avx512", "amx");
    return finish();
}
