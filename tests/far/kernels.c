/* kernels.c: the specification's kernels as a table. */
#include "far.h"

#define ENTRY(name, ...) .name = gal_cpu_##name,
static const gal_cpu_kernels kernels = {GAL_OPS(ENTRY).conv2d_backward_prepare =
                                            gal_cpu_conv2d_backward_prepare,
                                        .conv2d_backward_finish = gal_cpu_conv2d_backward_finish};

const gal_cpu_kernels *far_kernels(void)
{
    return &kernels;
}
