/* kernels_images.c: batches of images out of stored ones against io/images.c, which crops, bins and turns by
 * loops of its own, and the elementwise ops, which standardise. */
#include "io/images.h"
#include "kernels.h"

enum { ROWS = 5, HEIGHT = 9, WIDTH = 7, N = 8 };

static gal_tensor *tensor(int dtype, int rank, const int64_t *shape)
{
    gal_tensor *x = NULL;
    IS_OK(gal_tensor_new(&x, "cpu", dtype, rank, shape));
    return x;
}

/* What is asked of the op: of ROWS images {HEIGHT, WIDTH, 3}, N of them. */
typedef struct problem {
    gal_tensor *images, *index, *turns, *mean, *std;
} problem;

static problem made(int dtype)
{
    problem p = {.images = tensor(dtype, 4, (int64_t[]){ROWS, HEIGHT, WIDTH, 3}),
                 .index = tensor(GAL_I64, 1, (int64_t[]){N}),
                 .turns = tensor(GAL_U8, 1, (int64_t[]){ROWS}),
                 .mean = tensor(GAL_F32, 1, (int64_t[]){3}),
                 .std = tensor(GAL_F32, 1, (int64_t[]){3})};
    for (int64_t i = 0; i < gal_tensor_count(p.images); i++)
        if (dtype == GAL_U8)
            ((uint8_t *)p.images->data)[i] = (uint8_t)number(0, 256);
        else
            ((float *)p.images->data)[i] = (float)number(0, 1);
    for (int i = 0; i < N; i++)
        ((int64_t *)p.index->data)[i] = (3 * i + 4) % ROWS;
    for (int k = 0; k < 3; k++) {
        ((float *)p.mean->data)[k] = (float)number(.1, .6);
        ((float *)p.std->data)[k] = (float)number(.05, .3);
    }
    return p;
}

static void unmade(problem *p)
{
    gal_tensor *all[] = {p->images, p->index, p->turns, p->mean, p->std};
    for (int i = 0; i < 5; i++)
        gal_tensor_free(all[i]);
}

/* y by the sets of images and the elementwise ops; first < 0: those of the index, turned. */
static void composed(gal_tensor *y, const problem *p, int64_t crop, int64_t bin, int64_t first)
{
    gal_images *set = NULL;
    gal_tensor *raw = tensor(p->images->dtype, 4, y->shape), *unit = tensor(GAL_F32, 1, (int64_t[]){3}),
               *factor = tensor(GAL_F32, 1, (int64_t[]){3}), *shift = tensor(GAL_F32, 1, (int64_t[]){3});
    uint8_t turns[N];
    for (int i = 0; i < N; i++)
        turns[i] = ((uint8_t *)p->turns->data)[((int64_t *)p->index->data)[i]];
    IS_OK(gal_images_of(&set, p->images));
    IS_OK(gal_images_shape(set, crop, bin));
    IS_OK(gal_images_read(raw, set, first, first < 0 ? p->index->data : NULL, first < 0 ? turns : NULL));
    IS_OK(gal_fill(unit, p->images->dtype == GAL_U8 ? 1.0 / 255 : 1));
    IS_OK(gal_div(factor, unit, p->std));
    IS_OK(gal_div(shift, p->mean, p->std));
    IS_OK(gal_copy(y, raw));
    IS_OK(gal_mul(y, y, factor));
    IS_OK(gal_sub(y, y, shift));
    gal_images_free(set);
    gal_tensor *all[] = {raw, unit, factor, shift};
    for (int i = 0; i < 4; i++)
        gal_tensor_free(all[i]);
}

/* Whether op and composition agree to the last bit, with one lane and with several. */
static void compare(const problem *p, int64_t crop, int64_t bin)
{
    int64_t h = (crop ? crop : HEIGHT) / bin, w = (crop ? crop : WIDTH) / bin;
    gal_tensor *expected = tensor(GAL_F32, 4, (int64_t[]){N, h, w, 3}),
               *few = tensor(GAL_F32, 4, (int64_t[]){3, h, w, 3});
    gal_tensor *y = tensor(GAL_F32, 4, expected->shape), *part = tensor(GAL_F32, 4, few->shape);
    for (int turn = 0; turn < (crop ? 8 : 1); turn++) {
        for (int i = 0; i < ROWS; i++)
            ((uint8_t *)p->turns->data)[i] = crop ? (uint8_t)((turn + i) % 8) : 0;
        composed(expected, p, crop, bin, -1);
        IS_OK(gal_gather_images(y, p->images, p->index, 0, crop ? p->turns : NULL, p->mean, p->std, bin));
        IS_INT(memcmp(y->data, expected->data, (size_t)gal_tensor_count(y) * 4), 0);
    }
    composed(few, p, crop, bin, 2);
    IS_OK(gal_gather_images(part, p->images, NULL, 2, NULL, p->mean, p->std, bin));
    IS_INT(memcmp(part->data, few->data, (size_t)gal_tensor_count(few) * 4), 0);
    gal_tensor *all[] = {expected, few, y, part};
    for (int i = 0; i < 4; i++)
        gal_tensor_free(all[i]);
}

static void batches(int dtype)
{
    problem p = made(dtype);
    compare(&p, 0, 1);
    compare(&p, 6, 1);
    compare(&p, 5, 1);
    if (dtype == GAL_U8) {
        compare(&p, 6, 2);
        compare(&p, 6, 3);
    }
    unmade(&p);
}

/* The kernel's arguments for crops of 6 x 6 pixels, binned to 3 x 3, y {N, 3, 3, 3}. */
static gal_images_args arguments(const problem *p, float *y)
{
    gal_images_args args = {.y = y, .images = p->images->data, .index = p->index->data, .top = 1, .bin = 2};
    args.turns = p->turns->data, args.mean = p->mean->data, args.std = p->std->data, args.type = GAL_U8;
    args.n = N, args.h = 3, args.w = 3, args.c = 3;
    args.rows = ROWS, args.height = HEIGHT, args.width = WIDTH;
    return args;
}

static void lanes(void)
{
    CASE("an image that is gathered does not depend on the lanes, and nothing is written beside it");
    problem p = made(GAL_U8);
    enum { COUNT = N * 27 };
    float *one = walled(COUNT), *y = walled(COUNT);
    for (int i = 0; i < ROWS; i++)
        ((uint8_t *)p.turns->data)[i] = (uint8_t)(i + 3);
    EACH_TABLE(table, isa)
    {
        gal_images_args args = arguments(&p, one);
        IS_OK(by_lanes(table->gather_images, &args, 1));
        for (int count = 2; count < 8; count++) {
            memset(y, 0, COUNT * sizeof *y);
            args.y = y;
            IS_OK(by_lanes(table->gather_images, &args, count));
            IS_TRUE(same_bits(y, one, COUNT));
        }
        IS_TRUE(walls_stand(y, COUNT) && walls_stand(one, COUNT));
    }
    unwall(one);
    unwall(y);
    unmade(&p);
}

static void refused(void)
{
    CASE("what does not fit is refused, and an index outside named with its place");
    problem p = made(GAL_U8), floats = made(GAL_F32);
    gal_tensor *y = tensor(GAL_F32, 4, (int64_t[]){N, 6, 6, 3}),
               *oblong = tensor(GAL_F32, 4, (int64_t[]){N, 6, 4, 3});
    gal_tensor *x = p.images, *at = p.index, *mean = p.mean, *std = p.std;
    FAILS(gal_gather_images(y, x, at, 0, NULL, mean, std, 2), GAL_SHAPE, "2 x 2 pixels each");
    FAILS(gal_gather_images(y, x, NULL, -1, NULL, mean, std, 1), GAL_VALUE, "first is -1, expected 0");
    FAILS(gal_gather_images(y, x, at, 0, at, mean, std, 1), GAL_TYPE, "turns is int64, expected uint8");
    FAILS(gal_gather_images(oblong, x, at, 0, p.turns, mean, std, 1), GAL_SHAPE, "expected square images");
    FAILS(gal_gather_images(y, x, at, 0, NULL, at, std, 1), GAL_TYPE, "mean is int64, expected float32");
    FAILS(gal_gather_images(y, floats.images, at, 0, NULL, mean, std, 2), GAL_TYPE, "bin is 2, expected 1");
    FAILS(gal_gather_images(y, NULL, at, 0, NULL, mean, std, 1), GAL_VALUE, "images is missing");
    for (int wrong = -1; wrong < 2 * ROWS; wrong += ROWS + 1) {
        char sentence[64];
        snprintf(sentence, sizeof sentence, "gather_images: index[3] is %d, expected 0 to 4", wrong);
        ((int64_t *)at->data)[3] = wrong;
        FAILS(gal_gather_images(y, x, at, 0, NULL, mean, std, 1), GAL_VALUE, sentence);
    }
    gal_tensor_free(y);
    gal_tensor_free(oblong);
    unmade(&p);
    unmade(&floats);
}

int main(void)
{
    CASE("bytes are cropped, binned, turned and standardised as by the set and the elementwise ops");
    batches(GAL_U8);
    CASE("floats are cropped, turned and standardised as by the set and the elementwise ops");
    batches(GAL_F32);
    lanes();
    refused();
    return finish();
}
