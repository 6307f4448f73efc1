/* kde.c: the Gaussian kernel estimate of a density: check, then issue. */
#include "ops.h"
#include "core/random.h"

gal_status gal_kde_log_density(gal_tensor *y, const gal_tensor *points, const gal_tensor *data, int skip_self)
{
    CHECK("kde_log_density", FLAT(y), FLAT(points), FLAT(data));
    RANK("kde_log_density", points, 2);
    RANK("kde_log_density", data, 2);
    SHAPE("kde_log_density", points, "{points, d}", points->shape[0], data->shape[1]);
    SHAPE("kde_log_density", y, "{points}", points->shape[0]);
    if (skip_self && points->shape[0] > data->shape[0])
        return gal_fail(
            GAL_SHAPE,
            "kde_log_density: points is %s, expected the first rows of data %s, to leave each out of its own",
            gal_shape_text(points), gal_shape_text(data));
    if (data->shape[0] - (skip_self != 0) < 1)
        return gal_fail(GAL_SHAPE, "kde_log_density: data is %s, expected at least %d rows",
                        gal_shape_text(data), 1 + (skip_self != 0));
    gal_kde_args args = {.y = y->data,
                         .points = points->data,
                         .data = data->data,
                         .m = points->shape[0],
                         .n = data->shape[0],
                         .d = data->shape[1]};
    args.skip_self = skip_self;
    return ISSUE(y, kde_log_density, &args, args.m * args.n * (3 * args.d + 10));
}
