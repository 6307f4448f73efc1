/* cutouts.c: the pictures of a survey's galaxies, several at a time. image.c draws one. */
#include "core/core.h"
#include "core/parallel.h"
#include "image.h"
#include "search.h"
#include <stdio.h>

typedef struct cutouts_args {
    const gal_mock *survey;
    const char *folder;
    int64_t first; /* the galaxy of item 0 */
    unsigned without;
    int neighbours, fits;
} cutouts_args;

/* The picture of galaxy k; a file that is there and whole stays as it is. */
static gal_status cutout(const cutouts_args *a, int64_t k)
{
    char path[4096];
    if (snprintf(path, sizeof path, "%s/%lld.%s", a->folder, (long long)k + 1, a->fits ? "fits" : "jpg") >=
        (int)sizeof path)
        return gal_fail(GAL_FILE, "%s: the path is too long", a->folder);
    if (a->fits ? gal_planes_whole(path) : gal_jpeg_whole(path))
        return GAL_OK;
    uint64_t seed = a->survey->seed;
    gal_mock_galaxy galaxy, donor;
    gal_mock_draw(&galaxy, seed, a->survey->draw[k]);
    if (a->without)
        gal_mock_donor(&donor, seed, a->survey->draw[k]);
    return gal_mock_cutout(path, &galaxy, a->without ? &donor : NULL, a->without, seed, a->neighbours);
}

static gal_status cutouts(void *args, int64_t from, int64_t to)
{
    const cutouts_args *a = args;
    gal_status status = GAL_OK;
    for (int64_t i = from; !status && i < to; i++)
        status = cutout(a, a->first + i);
    return status;
}

gal_status gal_mock_cutouts(const gal_mock *survey, const char *folder, int64_t from, int64_t to, int without,
                            int neighbours, int fits)
{
    if (from < 0 || from > to || to > survey->found)
        return gal_fail(GAL_VALUE, "cutouts: galaxies %lld to %lld of %lld", (long long)from + 1,
                        (long long)to, (long long)survey->found);
    cutouts_args args = {survey, folder, from, (unsigned)without, neighbours, fits};
    return gal_parallel(to - from, 1, cutouts, &args);
}
