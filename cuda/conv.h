/* conv.h: what conv.c puts together: the three products of a convolution and its backward (cudnn.c), and what
 * lies between them (conv_pass.cu); and the first layer's own kernels. Valid C11 and C++17. */
#ifndef GAL_CUDA_CONV_H
#define GAL_CUDA_CONV_H
#include "cuda.h"

/* z {n, zh, zw, out} of x {n, h, w, c} and weights {out, kh, kw, c}; x's gradient of z's and the weights; the
 * weights' gradient of x and z's. */
typedef enum gal_conv_part { GAL_CONV_FORWARD, GAL_CONV_INPUT, GAL_CONV_WEIGHT } gal_conv_part;

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gal_conv_plan gal_conv_plan;

/* The plan of a product of these sizes: all three tensors in bfloat16 where g's precision says so, else in
 * float32; TF32 where it says so; sums in float32, in one order. alignment: bytes that the three addresses
 * are multiples of, at most 16. It is made when the sizes first come up, and kept. */
gal_status gal_cuda_conv_plan(gal_cuda *device, const gal_conv_plan **out, const gal_conv_args *g,
                              gal_conv_part part, uint32_t alignment);
/* How many bytes of memory the plan works in, at a multiple of 256. */
size_t gal_cuda_conv_room(const gal_conv_plan *plan);
/* Issues the product; `room`: the memory that it works in. The part says which of x, w, z is written. */
gal_status gal_cuda_conv_run(gal_cuda *device, const gal_conv_plan *plan, const void *x, const void *w,
                             const void *z, void *room);

/* ---- conv_pass.cu. Of one round of images, whose tensors have less than 2^32 values each; z, dz, what is
 * narrowed and what the ends are made from are bfloat16 or float32, by g's precision ---- */
/* x {nx} and w {nw} in bfloat16. */
gal_status gal_conv_narrow(gal_cuda *device, void *x, const float *from_x, int64_t nx, void *w,
                           const float *from_w, int64_t nw);
/* g's y = the means of f(z + bias) over pool x pool pixels. y may be z. */
gal_status gal_conv_output(gal_cuda *device, const gal_conv_args *g, const void *z);
/* dz = f'(z + bias) dy / pool^2, 0 at pixels that are in no mean; sums {*blocks, out}: dz summed over the
 * pixels of each block. z NULL: f is the identity. dz, sums: NULL where not wanted. dz may be z. */
gal_status gal_conv_slopes(gal_cuda *device, const gal_conv_args *g, const void *z, void *dz, double *sums,
                           int64_t *blocks);
/* The most blocks that gal_conv_slopes takes: as many as run at a time. */
static inline int64_t gal_conv_blocks(const gal_cuda *device)
{
    return 8 * device->processors;
}
/* The end of a backward. dx from dx_from and dw from dw_from, NULL where they are there already; db: the sums
 * {blocks, out} added up, or NULL. accumulate: dw and db +=. */
typedef struct gal_conv_ends_args {
    float *dx, *dw, *db;
    const void *dx_from, *dw_from; /* {dx_count}, {dw_count} */
    const double *sums;
    int64_t dx_count, dw_count, blocks, out;
    int32_t accumulate;
} gal_conv_ends_args;
gal_status gal_conv_ends(gal_cuda *device, const gal_conv_args *g, const gal_conv_ends_args *ends);

/* ---- conv_first.cu: a first layer in bfloat16, whole ---- */
/* Whether it takes layers of these sizes. It leaves nothing in the slope's memory. */
int gal_conv_first_takes(const gal_conv_args *g);
gal_status gal_conv_first(gal_cuda *device, const gal_conv_args *g);
/* dw and db; no dx. */
gal_status gal_conv_first_backward(gal_cuda *device, const gal_conv_args *g);

#ifdef __cplusplus
}
#endif
#endif
