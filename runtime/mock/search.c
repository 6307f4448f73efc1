/* search.c: a mock survey's galaxies: the draws that pass the selection, in order. */
#include "core/core.h"
#include "core/parallel.h"
#include "search.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK 4096  /* draws that one thread looks through at a time */
#define TOGETHER 64 /* chunks whose selected draws are held at once */

gal_status gal_mock_new(gal_mock **out, int64_t seed, int64_t n)
{
    *out = NULL;
    if (n < 1 || n > (int64_t)1 << 34)
        return gal_fail(GAL_VALUE, "mock survey: n is %lld, expected 1 to 2^34 galaxies", (long long)n);
    gal_mock *survey = calloc(1, sizeof *survey);
    if (!survey || !(survey->draw = malloc((size_t)n * sizeof *survey->draw))) {
        free(survey);
        return gal_fail(GAL_MEMORY, "mock survey: no memory for %lld galaxies", (long long)n);
    }
    survey->seed = (uint64_t)seed;
    survey->n = n;
    *out = survey;
    return GAL_OK;
}

void gal_mock_free(gal_mock *survey)
{
    if (!survey)
        return;
    free(survey->draw);
    free(survey);
}

/* The noiseless fluxes, in r, outside which no noise brings a draw into the survey: a normal made from 24
 * bits is below 5.78 (random.h), so the search misses none. The 0.5 % are for the error of gal_mock_fluxes,
 * at most 0.2 %. */
static void reach(double *low, double *high)
{
    const double most = 5.78;
    *low = GAL_FLUX_FAINT;
    *high = GAL_FLUX_BRIGHT;
    for (int step = 0; step < 20; step++) {
        *low = (GAL_FLUX_FAINT - most * sqrt(gal_mock_variance(2, *low, 0))) / (1 + most * gal_mock_floor[2]);
        *high =
            (GAL_FLUX_BRIGHT + most * sqrt(gal_mock_variance(2, *high, 0))) / (1 - most * gal_mock_floor[2]);
    }
    *low *= 0.995;
    *high *= 1.005;
}

/* selected: which of draws first ... first + CHUNK - 1 are selected, counted from first, ascending. Returns
 * how many. */
static int search_chunk(int32_t selected[CHUNK], uint64_t seed, int64_t first, double low, double high)
{
    float flux[CHUNK];
    int count = 0;
    gal_mock_fluxes(flux, NULL, seed, first, CHUNK);
    for (int i = 0; i < CHUNK; i++) {
        if (!(flux[i] > low && flux[i] < high))
            continue;
        gal_mock_galaxy g;
        gal_mock_draw(&g, seed, first + i);
        if (gal_mock_selected(&g))
            selected[count++] = i;
    }
    return count;
}

typedef struct search_args {
    uint64_t seed;
    int64_t first; /* draw of chunk 0 */
    double low, high;
    int32_t (*selected)[CHUNK]; /* {TOGETHER}, count of them each */
    int *count;                 /* {TOGETHER} */
} search_args;

static gal_status search_chunks(void *args, int64_t from, int64_t to)
{
    const search_args *a = args;
    for (int64_t c = from; c < to; c++)
        a->count[c] = search_chunk(a->selected[c], a->seed, a->first + c * CHUNK, a->low, a->high);
    return GAL_OK;
}

gal_status gal_mock_search(int64_t *found, int64_t *drawn, gal_mock *survey, int64_t draws)
{
    int32_t(*selected)[CHUNK] = malloc(TOGETHER * sizeof *selected);
    int count[TOGETHER];
    search_args args = {.seed = survey->seed, .selected = selected, .count = count};
    reach(&args.low, &args.high);
    gal_status status = selected ? GAL_OK : gal_fail(GAL_MEMORY, "mock survey: no memory to search it");
    for (int64_t done = 0; !status && done < draws && survey->found < survey->n; done += TOGETHER * CHUNK) {
        args.first = survey->drawn;
        status = gal_parallel(TOGETHER, 1, search_chunks, &args);
        if (status)
            break;
        for (int c = 0; c < TOGETHER; c++)
            for (int i = 0; i < count[c] && survey->found < survey->n; i++)
                survey->draw[survey->found++] = survey->drawn + (int64_t)c * CHUNK + selected[c][i];
        survey->drawn += TOGETHER * CHUNK;
    }
    free(selected);
    *found = survey->found;
    *drawn = survey->drawn;
    return status;
}
