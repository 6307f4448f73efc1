/* product.h: what linear layers and products of matrices ask of product.cu. */
#ifndef GAL_CUDA_PRODUCT_H
#define GAL_CUDA_PRODUCT_H
#include "cuda.h"

/* y {m, n} (row stride ldy) = f(a b + bias), or += a b. A row of y depends neither on the other rows nor on
 * how many there are. */
typedef struct product_args {
    gal_matmul_args g;
    const float *bias; /* {n} or NULL */
    float *slope;      /* {m, n}, contiguous: f', or NULL */
    float *sums;       /* {m}: sums of a's rows, += where g.accumulate, or NULL */
    int32_t activation;
} product_args;

/* Our own product, in float32, of any strides. */
gal_status gal_own_product(gal_cuda *device, const product_args *product);
#endif
