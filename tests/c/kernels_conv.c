/* Convolutions in every table of kernels (specification, plain, avx2, avx512, onednn) against double
 * precision written another way (by scattering), the reference's gradients against finite differences, and
 * the claims of galrun.h: bits that depend neither on the other images nor on the threads. */
#include "kernels_conv.h"

/* A recorded step gives the same bits when it is replayed. */
static void replays(void)
{
    CASE("a replayed convolution equals the eager one bit for bit");
    gal_tensor *x = TENSOR(3, 10, 12, 3), *w = TENSOR(8, 3, 3, 3), *b = TENSOR(8), *dy = TENSOR(3, 5, 6, 8);
    gal_tensor *y = TENSOR(3, 5, 6, 8), *dx = TENSOR(3, 10, 12, 3), *dw = TENSOR(8, 3, 3, 3), *db = TENSOR(8),
               *y2 = TENSOR(3, 5, 6, 8), *dw2 = TENSOR(8, 3, 3, 3);
    gal_tensor *dx2 = TENSOR(3, 10, 12, 3);
    gal_tensor *filled[] = {x, w, b, dy};
    for (int i = 0; i < 4; i++)
        random_fill(filled[i]);
    gal_program *p = NULL;
    IS_OK(gal_program_begin(&p, "cpu"));
    IS_OK(gal_conv2d(y, NULL, x, w, b, 1, GAL_SAME, GAL_SILU, 2, GAL_EXACT));
    IS_OK(gal_conv2d_backward(dx, dw, db, dy, NULL, x, w, b, 1, GAL_SAME, GAL_SILU, 2, GAL_EXACT, 0));
    IS_OK(gal_program_end(p));
    random_fill(x);
    IS_OK(gal_conv2d(y2, NULL, x, w, b, 1, GAL_SAME, GAL_SILU, 2, GAL_EXACT));
    IS_OK(gal_conv2d_backward(dx2, dw2, db, dy, NULL, x, w, b, 1, GAL_SAME, GAL_SILU, 2, GAL_EXACT, 0));
    IS_TRUE(memcmp(y->data, y2->data, (size_t)gal_tensor_count(y) * 4) != 0);
    IS_OK(gal_program_replay(p, 2));
    IS_TRUE(!memcmp(y->data, y2->data, (size_t)gal_tensor_count(y) * 4));
    IS_TRUE(!memcmp(dx->data, dx2->data, (size_t)gal_tensor_count(dx) * 4));
    IS_TRUE(!memcmp(dw->data, dw2->data, (size_t)gal_tensor_count(dw) * 4));
    gal_program_free(p);
    sentinels_and_free();
}

int main(void)
{
    const char *isas[] = {"specification", "plain", "avx2", "avx512"};
    for (int i = 0; i < 4; i++) {
        table = gal_cpu_table(isas[i]);
        for (size_t k = 0; table && k < sizeof layers / sizeof *layers; k++)
            conv_case(&layers[k], GAL_EXACT, isas[i], !strcmp(isas[i], "specification"));
        if (table)
            bits(GAL_EXACT, isas[i]);
    }
    table = gal_cpu_table("onednn");
    for (size_t k = 0; table && k < sizeof layers / sizeof *layers; k++)
        conv_case(&layers[k], GAL_EXACT, "onednn", 0);
    for (const char *notice = gal_notice(); notice; notice = gal_notice())
        printf("notice: %s\n", notice);
    table = gal_cpu_backend();
    replays();
    return finish();
}
