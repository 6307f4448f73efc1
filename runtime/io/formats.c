/* formats.c: which formats there are (the lists stand in io.h), and how a file finds its own: arrays by the
 * end of their file's name, tables by what their file begins with, then by the name. */
#include "io.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENTRY(name) &gal_##name##_format,
static const gal_array_format *const array_formats[] = {GAL_ARRAY_FORMATS(ENTRY)};
static const gal_table_format *const table_formats[] = {GAL_TABLE_FORMATS(ENTRY)};
#define ENDINGS (int)(sizeof((gal_table_format *)0)->endings / sizeof(char *))
#define ARRAY_FORMATS (sizeof array_formats / sizeof *array_formats)
#define TABLE_FORMATS (sizeof table_formats / sizeof *table_formats)

/* Appends word to a list in words: "a", "a or b", "a, b or c". left: how many words are still to come. */
static void append(char *text, size_t size, const char *word, size_t left)
{
    size_t n = strlen(text);
    snprintf(text + n, size - n, "%s%s", n == 0 ? "" : left ? ", " : " or ", word);
}

/* ---- arrays ---- */

static const gal_array_format *array_format(const char *path)
{
    for (size_t k = 0; k < ARRAY_FORMATS; k++)
        if (gal_name_ends(path, array_formats[k]->ending))
            return array_formats[k];
    return NULL;
}

int gal_arrays_holds(const char *path)
{
    const gal_array_format *format = array_format(path);
    return format ? format->holds : GAL_HOLDS_NONE;
}

const char *gal_arrays_endings(void)
{
    static _Thread_local char text[128];
    text[0] = 0;
    for (size_t k = 0; k < ARRAY_FORMATS; k++)
        append(text, sizeof text, array_formats[k]->ending, ARRAY_FORMATS - 1 - k);
    return text;
}

static gal_status no_array_format(const char *path)
{
    return gal_fail(GAL_FILE, "%s: its name does not end in %s", path, gal_arrays_endings());
}

gal_status gal_arrays_open(gal_arrays **out, const char *path)
{
    *out = NULL;
    const gal_array_format *format = array_format(path);
    if (!format)
        return no_array_format(path);
    gal_arrays *arrays = calloc(1, sizeof *arrays);
    if (!arrays || !(arrays->path = strdup(path))) {
        free(arrays);
        return gal_fail(GAL_MEMORY, "%s: no memory to open it", path);
    }
    arrays->format = format;
    gal_status status = gal_file_open(&arrays->file, arrays->path);
    if (!status)
        status = format->open(arrays);
    if (status) {
        gal_arrays_free(arrays);
        return status;
    }
    *out = arrays;
    return GAL_OK;
}

gal_status gal_arrays_write(const char *path, int64_t count, const char *const *names,
                            const gal_tensor *const *tensors, int64_t pairs, const char *const *keys,
                            const char *const *values)
{
    const gal_array_format *format = array_format(path);
    if (!format)
        return no_array_format(path);
    if (format->holds == GAL_HOLDS_ONE && count != 1)
        return gal_fail(GAL_VALUE, "%s: %lld tensors, but a %s file holds one", path, (long long)count,
                        format->ending);
    if (format->holds != GAL_HOLDS_METADATA && pairs > 0)
        return gal_fail(GAL_VALUE, "%s: a %s file holds no metadata", path, format->ending);
    return format->write(path, count, names, tensors, pairs, keys, values);
}

/* ---- tables ---- */

/* Whether path ends in one of the format's first `endings` endings, behind which .gz may stand where packed
 * is set. */
static int is_named(const gal_table_format *format, const char *path, int endings, int packed)
{
    for (int k = 0; k < endings && format->endings[k]; k++) {
        char with_gz[32];
        snprintf(with_gz, sizeof with_gz, "%s.gz", format->endings[k]);
        if (gal_name_ends(path, format->endings[k]) || (packed && gal_name_ends(path, with_gz)))
            return 1;
    }
    return 0;
}

static const gal_table_format *format_named(const char *path)
{
    for (size_t k = 0; k < TABLE_FORMATS; k++)
        if (is_named(table_formats[k], path, ENDINGS, 1))
            return table_formats[k];
    return NULL;
}

/* The format whose mark bytes {n} begin with, or NULL. */
static const gal_table_format *format_marked(const char *bytes, int64_t n)
{
    for (size_t k = 0; k < TABLE_FORMATS; k++) {
        const char *mark = table_formats[k]->mark;
        if (mark && n >= (int64_t)strlen(mark) && memcmp(bytes, mark, strlen(mark)) == 0)
            return table_formats[k];
    }
    return NULL;
}

const char *gal_table_reads(void)
{
    static _Thread_local char text[256];
    char marked[64] = "", named[160] = "";
    for (size_t k = 0; k < TABLE_FORMATS; k++) {
        const gal_table_format *f = table_formats[k];
        if (f->mark)
            append(marked, sizeof marked, f->name, 1);
        for (int e = 0; !f->mark && e < ENDINGS && f->endings[e]; e++)
            append(named, sizeof named, f->endings[e], 1);
    }
    snprintf(text, sizeof text, "a %s file, or a name that ends in %s or these with .gz", marked, named);
    return text;
}

/* The file begins otherwise than its name says. */
static gal_status unmarked(const gal_table_format *format, const char *path, const char *when)
{
    return gal_fail(GAL_FILE, "%s: is no %s file: %sit does not begin with %.*s", path, format->name, when,
                    (int)strcspn(format->mark, " "), format->mark);
}

/* start {have >= 1}: what the file begins with. */
static gal_status begin_of(char *start, int64_t size, int64_t *have, const char *path)
{
    gal_file file;
    gal_status status = gal_file_open(&file, path);
    if (status)
        return status;
    *have = file.size < size ? file.size : size;
    status = gal_file_at(&file, start, *have, 0);
    gal_file_close(&file);
    if (!status && *have == 0)
        status = gal_fail(GAL_FILE, "%s: is empty (0 bytes), expected a table", path);
    return status;
}

/* Unpacks bytes {n} where they are gzipped; on failure they are freed. */
static gal_status unpack(char **bytes, int64_t *n, const char *path)
{
    if (!gal_gzip_is(*bytes, *n))
        return GAL_OK;
    char *packed = *bytes;
    *bytes = NULL;
    gal_status status = gal_gzip_inflate(bytes, n, packed, *n, path);
    gal_file_free(packed);
    return status;
}

/* Fills table from the file at path. */
static gal_status open_table(gal_table *table, const char *path, const gal_table_choice *choice)
{
    char start[16] = {0}, *bytes = NULL;
    int64_t n = 0;
    gal_status status = begin_of(start, sizeof start, &n, path);
    if (status)
        return status;
    const gal_table_format *marked = format_marked(start, n), *named = format_named(path);
    if (marked)
        return marked->open(table, NULL, 0, choice);
    status = gal_foreign_refuse(path, start, n);
    if (status)
        return status;
    if (!named)
        return gal_fail(GAL_FILE, "%s: is no table: expected %s", path, gal_table_reads());
    if (named->mark && !gal_gzip_is(start, n))
        return unmarked(named, path, "");
    status = gal_file_read(&bytes, &n, path);
    if (!status)
        status = unpack(&bytes, &n, path);
    if (status)
        return status;
    marked = format_marked(bytes, n);
    if (!marked && named->mark) {
        gal_file_free(bytes);
        return unmarked(named, path, "unpacked, ");
    }
    return (marked ? marked : named)->open(table, bytes, n, choice);
}

gal_status gal_table_open(gal_table **out, const char *path, const gal_table_choice *choice)
{
    static const gal_table_choice any = {.hdu = -1};
    *out = NULL;
    gal_table *table = calloc(1, sizeof *table);
    if (!table || !(table->path = strdup(path ? path : ""))) {
        free(table);
        return gal_fail(GAL_MEMORY, "%s: no memory to open it", path);
    }
    gal_status status = open_table(table, table->path, choice ? choice : &any);
    if (!status && table->rows == 0)
        status = gal_fail(GAL_VALUE, "%s: the table has no rows", path);
    if (status) {
        gal_table_free(table);
        return status;
    }
    for (int i = 0; i < table->columns; i++)
        gal_table_count(table, i);
    if (table->source)
        gal_memory_outside(GAL_HANDLE_BYTES);
    *out = table;
    return GAL_OK;
}

/* The format that a table is written in under this name; NULL with a sentence where there is none. */
static const gal_table_format *written_format(const char *path)
{
    char endings[64] = "";
    for (size_t k = 0; k < TABLE_FORMATS; k++) {
        if (is_named(table_formats[k], path, table_formats[k]->written, 0))
            return table_formats[k];
        append(endings, sizeof endings, table_formats[k]->endings[0], TABLE_FORMATS - 1 - k);
    }
    gal_fail(GAL_FILE, "%s: a table is written as %s", path, endings);
    return NULL;
}

gal_status gal_table_write(const char *path, gal_table *table)
{
    const gal_table_format *format = written_format(path);
    if (!format)
        return GAL_FILE;
    if (table->columns == 0 || table->rows == 0)
        return gal_fail(GAL_VALUE, "%s: the table to write has no %s", path,
                        table->columns == 0 ? "columns" : "rows");
    for (int i = 0; i < table->columns; i++)
        if (table->column[i].type == GAL_COLUMN_OTHER)
            return gal_fail(GAL_TYPE,
                            "%s: column \"%s\" holds complex numbers, bits or lists of varying length, which "
                            "are not written: t:drop(\"%s\") takes it out",
                            path, table->column[i].name, table->column[i].name);
    return format->write(path, table);
}
