/* images.c: batches of images as an encoder takes them: chosen by an index, cropped, binned, turned and
 * standardised in one pass. The index is data, so the kernel checks it. */
#include "cpu.h"

/* Where the pixels of one image of y are in its stored image, counted in elements: pixel (r, c) of y begins
 * at from + r * down + c * right. */
typedef struct places {
    int64_t from, down, right;
} places;

/* turn & 4 mirrors left for right; then turn & 3 quarter turns anticlockwise follow, for which h = w. */
static places turned(const gal_images_args *g, int turn)
{
    int64_t row = g->bin * g->width * g->c, pixel = g->bin * g->c, last = g->w - 1;
    int64_t right = turn & 4 ? -pixel : pixel;
    int64_t from = (g->top * g->width + g->left) * g->c + (turn & 4 ? last * pixel : 0);
    switch (turn & 3) {
    case 1:
        return (places){from + last * right, -right, row};
    case 2:
        return (places){from + last * (row + right), -row, -right};
    case 3:
        return (places){from + last * row, right, -row};
    default:
        return (places){from, row, right};
    }
}

/* The mean of bin x bin pixels whose first is x, of one channel, rounded to a whole number. */
static uint8_t binned(const gal_images_args *g, const uint8_t *x)
{
    int64_t sum = 0, area = g->bin * g->bin;
    for (int64_t i = 0; i < g->bin; i++)
        for (int64_t j = 0; j < g->bin; j++)
            sum += x[(i * g->width + j) * g->c];
    return (uint8_t)((sum + area / 2) / area);
}

/* One channel of one row of pixels: y {w, c} = x / unit / std - mean / std, where the whole image of x begins
 * at element `at` of images. */
static void channel(float *y, const gal_images_args *g, int64_t at, int64_t right, float factor, float shift)
{
    if (g->type == GAL_F32) {
        const float *x = (const float *)g->images + at;
        for (int64_t i = 0; i < g->w; i++)
            y[i * g->c] = x[i * right] * factor - shift;
    } else if (g->bin == 1) {
        const uint8_t *x = (const uint8_t *)g->images + at;
        for (int64_t i = 0; i < g->w; i++)
            y[i * g->c] = (float)x[i * right] * factor - shift;
    } else {
        const uint8_t *x = (const uint8_t *)g->images + at;
        for (int64_t i = 0; i < g->w; i++)
            y[i * g->c] = (float)binned(g, x + i * right) * factor - shift;
    }
}

static gal_status outside(int64_t place, int64_t index, int64_t rows)
{
    return gal_fault_fail(
        &(gal_fault){.op = GAL_OP_gather_images, .place = place, .index = index, .rows = rows});
}

/* Lanes share the rows of pixels of all images. */
gal_status gal_cpu_gather_images(const gal_lane *lane, const void *args)
{
    const gal_images_args *g = args;
    float unit = g->type == GAL_U8 ? (float)(1.0 / 255) : 1;
    int64_t from, to;
    gal_share(lane, g->n * g->h, 1, &from, &to);
    for (int64_t i = from; i < to; i++) {
        int64_t image = i / g->h, r = i % g->h;
        int64_t row = g->index ? g->index[image] : g->first + image;
        if (row < 0 || row >= g->rows)
            return outside(image, row, g->rows);
        places p = turned(g, g->turns ? g->turns[row] & 7 : 0);
        int64_t at = row * g->height * g->width * g->c + p.from + r * p.down;
        for (int64_t k = 0; k < g->c; k++)
            channel(g->y + i * g->w * g->c + k, g, at + k, p.right, unit / g->std[k], g->mean[k] / g->std[k]);
    }
    return GAL_OK;
}
