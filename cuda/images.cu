/* images.cu: batches of images as an encoder takes them: chosen by an index, cropped, binned, turned and
 * standardised in one pass. The index is data, so the kernel checks it. */
#include "launch.h"

/* Where the pixels of one image of y are in its stored image, counted in elements: pixel (r, c) of y begins
 * at from + r * down + c * right. */
struct places {
    int64_t from, down, right;
};

/* turn & 4 mirrors left for right; then turn & 3 quarter turns anticlockwise follow, for which h = w. */
static __device__ inline places turned(const gal_images_args &g, int turn)
{
    int64_t row = g.bin * g.width * g.c, pixel = g.bin * g.c, last = g.w - 1;
    int64_t right = turn & 4 ? -pixel : pixel;
    int64_t from = (g.top * g.width + g.left) * g.c + (turn & 4 ? last * pixel : 0);
    switch (turn & 3) {
    case 1:
        return places{from + last * right, -right, row};
    case 2:
        return places{from + last * (row + right), -row, -right};
    case 3:
        return places{from + last * row, right, -row};
    default:
        return places{from, row, right};
    }
}

/* The mean of bin x bin pixels whose first is x, of one channel, rounded to a whole number. */
static __device__ inline float binned(const gal_images_args &g, const uint8_t *x)
{
    int64_t sum = 0, area = g.bin * g.bin;
    for (int64_t i = 0; i < g.bin; i++)
        for (int64_t j = 0; j < g.bin; j++)
            sum += x[(i * g.width + j) * g.c];
    return (float)((sum + area / 2) / area);
}

/* A thread for each element of y: x / unit / std - mean / std. */
__global__ void __launch_bounds__(BLOCK)
    gather_images(const __grid_constant__ gal_images_args g, gal_cuda_fault *fault, uint32_t call)
{
    float unit = g.type == GAL_U8 ? (float)(1.0 / 255) : 1;
    GAL_EACH (i, g.n * g.h * g.w * g.c) {
        int64_t k = i % g.c, column = i / g.c % g.w, r = i / (g.c * g.w) % g.h, image = i / (g.c * g.w * g.h);
        int64_t row = g.index ? g.index[image] : g.first + image;
        if (row < 0 || row >= g.rows) {
            gal_leave_fault(fault, call, gal_fault{image, row, g.rows, GAL_OP_gather_images});
            continue;
        }
        places p = turned(g, g.turns ? g.turns[row] & 7 : 0);
        int64_t at = row * g.height * g.width * g.c + p.from + r * p.down + column * p.right + k;
        float x = g.type == GAL_F32 ? ((const float *)g.images)[at]
                  : g.bin == 1      ? (float)((const uint8_t *)g.images)[at]
                                    : binned(g, (const uint8_t *)g.images + at);
        g.y[i] = x * (unit / g.std[k]) - g.mean[k] / g.std[k];
    }
}

extern "C" gal_status gal_cuda_gather_images(gal_cuda *device, const void *args)
{
    const gal_images_args *g = (const gal_images_args *)args;
    int64_t count = g->n * g->h * g->w * g->c;
    if (count == 0)
        return GAL_OK;
    return GAL_LAUNCH(device, gather_images, gal_grid(count), BLOCK, 0, *g, device->fault, device->calls);
}
