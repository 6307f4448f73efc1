/* catalogue.c: a mock survey's galaxies as a table: SDSS's columns, the truth, the latents. */
#include "core/core.h"
#include "core/parallel.h"
#include "io/io.h"
#include "search.h"
#include <stdlib.h>

static double magnitude(double flux)
{
    return flux > 0 ? 22.5 - 2.5 * log10(flux) : -9999;
}

/* Position on the sky, degrees: anywhere, since no property depends on it. */
void gal_mock_position(double *ra, double *dec, uint64_t seed, int64_t draw)
{
    gal_mock_stream s = gal_mock_stream_of(seed, draw, GAL_MOCK_SKY);
    *ra = 360 * gal_mock_uniform(&s);
    *dec = asin(2 * gal_mock_uniform(&s) - 1) * 180 / M_PI;
}

typedef double value_of(const gal_mock_galaxy *g, int i);

#define FIELD(name)                                          \
    static double of_##name(const gal_mock_galaxy *g, int i) \
    {                                                        \
        (void)i;                                             \
        return g->name;                                      \
    }
FIELD(z)
FIELD(main_sequence)
FIELD(smooth_offset)
FIELD(burst_offset)
FIELD(size_residual)
FIELD(gas)
FIELD(log_metallicity)
FIELD(cos_inclination)
FIELD(axis_ratio)

static double model_magnitude(const gal_mock_galaxy *g, int band)
{
    return magnitude(g->observed[band]);
}

static double magnitude_error(const gal_mock_galaxy *g, int band)
{
    return g->observed[band] > 0 ? 2.5 / M_LN10 * sqrt(g->variance[band]) / g->observed[band] : -9999;
}

static double none(const gal_mock_galaxy *g, int i)
{
    (void)g, (void)i;
    return 0;
}

static double flux(const gal_mock_galaxy *g, int band)
{
    return g->flux[band];
}

static double label(const gal_mock_galaxy *g, int property)
{
    return g->label[property];
}

static double truth(const gal_mock_galaxy *g, int property)
{
    return g->truth[property];
}

/* The columns after objID, ra and dec, in order. unit: one of the FITS standard's, which has none for
 * logarithms and nanomaggies; README.md says what they are. */
static const struct column {
    const char *name, *unit;
    value_of *value;
    int i;
} columns[] = {
    {"z", "", of_z, 0},
    {"modelMag_u", "mag", model_magnitude, 0},
    {"modelMag_g", "mag", model_magnitude, 1},
    {"modelMag_r", "mag", model_magnitude, 2},
    {"modelMag_i", "mag", model_magnitude, 3},
    {"modelMag_z", "mag", model_magnitude, 4},
    {"modelMagErr_u", "mag", magnitude_error, 0},
    {"modelMagErr_g", "mag", magnitude_error, 1},
    {"modelMagErr_r", "mag", magnitude_error, 2},
    {"modelMagErr_i", "mag", magnitude_error, 3},
    {"modelMagErr_z", "mag", magnitude_error, 4},
    {"extinction_u", "mag", none, 0},
    {"extinction_g", "mag", none, 0},
    {"extinction_r", "mag", none, 0},
    {"extinction_i", "mag", none, 0},
    {"extinction_z", "mag", none, 0},
    {"petroMag_r", "mag", model_magnitude, 2},
    {"lgm_tot_p50", "", label, 0},
    {"sfr_tot_p50", "", label, 1},
    {"oh_p50", "", label, 2},
    {"d4000_n", "", label, 3},
    {"a_v", "mag", label, 4},
    {"true_log_mass", "", truth, 0},
    {"true_log_sfr", "", truth, 1},
    {"true_oh", "", truth, 2},
    {"true_dn4000", "", truth, 3},
    {"true_a_v", "mag", truth, 4},
    {"true_flux_u", "", flux, 0},
    {"true_flux_g", "", flux, 1},
    {"true_flux_r", "", flux, 2},
    {"true_flux_i", "", flux, 3},
    {"true_flux_z", "", flux, 4},
    {"main_sequence", "", of_main_sequence, 0},
    {"smooth_offset", "", of_smooth_offset, 0},
    {"burst_offset", "", of_burst_offset, 0},
    {"size_residual", "", of_size_residual, 0},
    {"gas", "", of_gas, 0},
    {"log_metallicity", "", of_log_metallicity, 0},
    {"cos_inclination", "", of_cos_inclination, 0},
    {"axis_ratio", "", of_axis_ratio, 0},
};
enum { COLUMNS = sizeof columns / sizeof *columns };

/* Appends a column of n values and its unit. */
static gal_status add(gal_table *table, const char *name, const char *unit, int type, int letter,
                      const void *values)
{
    gal_status status = gal_table_add(table, name, type, letter, 1, values);
    return status ? status : gal_table_set_unit(table, gal_table_columns(table) - 1, unit);
}

typedef struct catalogue_args {
    const gal_mock *survey;
    double *values; /* {COLUMNS + 2, n}: those of the list, then ra and dec */
    int64_t *ids;   /* {3, n}: objID, draw, bptclass */
} catalogue_args;

static gal_status fill(void *args, int64_t from, int64_t to)
{
    const catalogue_args *a = args;
    int64_t n = a->survey->found;
    double *ra = a->values + COLUMNS * n, *dec = ra + n;
    for (int64_t k = from; k < to; k++) {
        gal_mock_galaxy g;
        gal_mock_draw(&g, a->survey->seed, a->survey->draw[k]);
        for (int c = 0; c < COLUMNS; c++)
            a->values[c * n + k] = columns[c].value(&g, columns[c].i);
        gal_mock_position(&ra[k], &dec[k], a->survey->seed, g.draw);
        a->ids[k] = k + 1;
        a->ids[n + k] = g.draw;
        a->ids[2 * n + k] = 1;
    }
    return GAL_OK;
}

static gal_status add_all(gal_table *table, const catalogue_args *a)
{
    int64_t n = a->survey->found;
    const double *values = a->values;
    const int64_t *ids = a->ids;
    gal_status status = add(table, "objID", "", GAL_COLUMN_I64, 'K', ids);
    status = status ? status : add(table, "ra", "deg", GAL_COLUMN_F64, 'D', values + COLUMNS * n);
    status = status ? status : add(table, "dec", "deg", GAL_COLUMN_F64, 'D', values + (COLUMNS + 1) * n);
    for (int c = 0; !status && c < COLUMNS; c++)
        status = add(table, columns[c].name, columns[c].unit, GAL_COLUMN_F64, 'E', values + c * n);
    status = status ? status : add(table, "bptclass", "", GAL_COLUMN_I64, 'B', ids + 2 * n);
    status = status ? status : add(table, "draw", "", GAL_COLUMN_I64, 'K', ids + n);
    status = status ? status : gal_table_set_key(table, "MOCKSEED", NULL, (double)a->survey->seed);
    return status ? status : gal_table_set_key(table, "CREATOR", "galrun " GAL_VERSION, 0);
}

gal_status gal_mock_table(gal_table **out, const gal_mock *survey)
{
    int64_t n = survey->found;
    *out = NULL;
    gal_table *table = NULL;
    double *values = malloc((size_t)(n + 1) * (COLUMNS + 2) * sizeof *values);
    int64_t *ids = malloc((size_t)(n + 1) * 3 * sizeof *ids);
    gal_status status =
        values && ids
            ? GAL_OK
            : gal_fail(GAL_MEMORY, "mock survey: no memory for a catalogue of %lld galaxies", (long long)n);
    if (!status)
        status = gal_table_new(&table, n);
    catalogue_args args = {survey, values, ids};
    if (!status)
        status = gal_parallel(n, 256, fill, &args);
    if (!status)
        status = add_all(table, &args);
    free(values);
    free(ids);
    if (status) {
        gal_table_free(table);
        return status;
    }
    *out = table;
    return GAL_OK;
}
