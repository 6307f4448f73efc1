/* images.c: batches of images as an encoder takes them, out of those that lie on a device: check, then issue.
 * Reading them from files is io/images.c's and io/loader.c's. */
#include "ops.h"

/* Where the middle h x w pixels of bin x bin begin in an image of height x width; GAL_SHAPE where they don't
 * fit in. */
static gal_status middle(const gal_tensor *y, const gal_tensor *images, int64_t bin, int64_t *top,
                         int64_t *left)
{
    *top = (images->shape[1] - y->shape[1] * bin) / 2;
    *left = (images->shape[2] - y->shape[2] * bin) / 2;
    if (bin < 1 || y->shape[1] * bin > images->shape[1] || y->shape[2] * bin > images->shape[2])
        return gal_fail(GAL_SHAPE,
                        "gather_images: y is %s of %lld x %lld pixels each, expected no more than "
                        "images %s have",
                        gal_shape_text(y), (long long)bin, (long long)bin, gal_shape_text(images));
    return GAL_OK;
}

gal_status gal_gather_images(gal_tensor *y, const gal_tensor *images, const gal_tensor *index, int64_t first,
                             const gal_tensor *turns, const gal_tensor *mean, const gal_tensor *std,
                             int64_t bin)
{
    int bytes = images && images->dtype == GAL_U8;
    CHECK("gather_images", FLAT(y), {"images", images, bytes ? GAL_U8 : GAL_F32, 1}, FLAT(mean), FLAT(std),
          {"index", index ? index : mean, index ? GAL_I64 : GAL_F32, 1},
          {"turns", turns ? turns : mean, turns ? GAL_U8 : GAL_F32, 1});
    RANK("gather_images", y, 4);
    RANK("gather_images", images, 4);
    SHAPE("gather_images", y, "{n, h, w, channels}", y->shape[0], y->shape[1], y->shape[2], images->shape[3]);
    SHAPE("gather_images", mean, "{channels}", images->shape[3]);
    SHAPE("gather_images", std, "{channels}", images->shape[3]);
    if (index)
        SHAPE("gather_images", index, "{n}", y->shape[0]);
    else if (first < 0 || first > images->shape[0] - y->shape[0])
        return gal_fail(GAL_VALUE, "gather_images: first is %lld, expected 0 to %lld", (long long)first,
                        (long long)(images->shape[0] - y->shape[0]));
    if (turns)
        SHAPE("gather_images", turns, "{N}", images->shape[0]);
    if (turns && y->shape[1] != y->shape[2])
        return gal_fail(GAL_SHAPE, "gather_images: y is %s, expected square images, which can be turned",
                        gal_shape_text(y));
    if (bin != 1 && !bytes)
        return gal_fail(GAL_TYPE, "gather_images: bin is %lld, expected 1 for images that are not uint8",
                        (long long)bin);
    gal_images_args args = {.y = y->data, .images = images->data, .first = first};
    gal_status status = middle(y, images, bin, &args.top, &args.left);
    if (status != GAL_OK)
        return status;
    args.index = index ? index->data : NULL, args.turns = turns ? turns->data : NULL;
    args.mean = mean->data, args.std = std->data, args.type = images->dtype, args.bin = bin;
    args.n = y->shape[0], args.h = y->shape[1], args.w = y->shape[2], args.c = y->shape[3];
    args.rows = images->shape[0], args.height = images->shape[1], args.width = images->shape[2];
    return ISSUE(y, gather_images, &args, gal_tensor_count(y) * (bin * bin + 2));
}
