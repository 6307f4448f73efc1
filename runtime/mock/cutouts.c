/* cutouts.c: the pictures of a survey's galaxies, several at a time. What is on them is image.c's. */
#include "cpu/cpu.h"
#include "image.h"
#include "search.h"
#include <stdio.h>

typedef struct cutouts_args {
    const gal_mock *survey;
    const char *folder;
    int64_t from, to;
    unsigned without;
    int neighbours;
} cutouts_args;

/* One lane's part: galaxies from + index, from + index + count, …; those whose file is there and whole are
 * left as they are. */
static gal_status cutouts(const gal_lane *lane, const void *args)
{
    const cutouts_args *a = args;
    uint64_t seed = a->survey->seed;
    gal_status status = GAL_OK;
    for (int64_t k = a->from + lane->index; !status && k < a->to; k += lane->count) {
        char path[4096];
        if (snprintf(path, sizeof path, "%s/%lld.jpg", a->folder, (long long)k + 1) >= (int)sizeof path)
            return gal_fail(GAL_FILE, "%s: the path is too long", a->folder);
        if (gal_interrupted())
            return gal_fail(GAL_INTERRUPTED, "interrupted");
        if (gal_jpeg_whole(path))
            continue;
        gal_mock_galaxy galaxy, donor;
        gal_mock_draw(&galaxy, seed, a->survey->draw[k]);
        if (a->without)
            gal_mock_donor(&donor, seed, a->survey->draw[k]);
        status = gal_mock_cutout(path, &galaxy, a->without ? &donor : NULL, a->without, seed, a->neighbours);
    }
    return status;
}

gal_status gal_mock_cutouts(const gal_mock *survey, const char *folder, int64_t from, int64_t to, int without,
                            int neighbours)
{
    if (from < 0 || from > to || to > survey->found)
        return gal_fail(GAL_VALUE, "cutouts: galaxies %lld to %lld of %lld", (long long)from + 1,
                        (long long)to, (long long)survey->found);
    const cutouts_args args = {survey, folder, from, to, (unsigned)without, neighbours};
    return gal_cpu_issue(&(gal_call){.kernel = cutouts, .args = &args, .work = (to - from) << 20});
}
