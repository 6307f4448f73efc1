/* csv_write.c: a table as comma-separated text that csv.c reads back to the same values. */
#include "io.h"
#include <stdlib.h>
#include <string.h>

/* What waits to be written, so that a value is no system call. */
typedef struct buffered {
    gal_writer writer;
    char bytes[65536];
    int64_t used;
} buffered;

static gal_status put(buffered *b, const char *text, int64_t n)
{
    gal_status status = GAL_OK;
    if (b->used + n > (int64_t)sizeof b->bytes) {
        status = gal_writer_put(&b->writer, b->bytes, b->used);
        b->used = 0;
    }
    if (!status && n > (int64_t)sizeof b->bytes)
        return gal_writer_put(&b->writer, text, n);
    if (!status) {
        memcpy(b->bytes + b->used, text, (size_t)n);
        b->used += n;
    }
    return status;
}

/* Whether text would read back as something else without quotes: what CSV cuts at, outer blanks, a first # (a comment), the word null. */
static int needs_quotes(const char *text)
{
    size_t n = strlen(text);
    int64_t i;
    return strpbrk(text, ",\"\r\n") || (n > 0 && (strchr(" \t#", text[0]) || strchr(" \t", text[n - 1]))) ||
           (n > 0 && gal_number_parse(text, (int64_t)n, &i, NULL) == GAL_TEXT_MISSING);
}

static gal_status put_text(buffered *b, const char *text)
{
    if (!needs_quotes(text))
        return put(b, text, (int64_t)strlen(text));
    gal_status status = put(b, "\"", 1);
    while (!status && *text) {
        int64_t n = (int64_t)strcspn(text, "\"");
        status = put(b, text, n);
        text += n;
        if (!status && *text) {
            status = put(b, "\"\"", 2);
            text++;
        }
    }
    return status ? status : put(b, "\"", 1);
}

static gal_status put_rows(buffered *b, gal_table *table)
{
    gal_status status = GAL_OK;
    for (int64_t row = -1; !status && row < table->rows; row++)
        for (int i = 0; !status && i < table->columns; i++) {
            const char *text = table->column[i].name;
            if (row >= 0)
                status = gal_table_text(&text, table, i, row);
            if (!status)
                status = put_text(b, text);
            if (!status)
                status = put(b, i + 1 < table->columns ? "," : "\n", 1);
        }
    return status;
}

gal_status gal_table_write(const char *path, gal_table *table)
{
    if (!gal_name_ends(path, ".csv"))
        return gal_fail(GAL_FILE, "%s: a table is written as .csv", path);
    if (table->columns == 0 || table->rows == 0)
        return gal_fail(GAL_VALUE, "%s: the table to write has no %s", path, table->columns == 0 ? "columns" : "rows");
    for (int i = 0; i < table->columns; i++)
        if (table->column[i].width != 1)
            return gal_fail(GAL_TYPE, "%s: column \"%s\" has %lld values per row, a CSV file holds one", path, table->column[i].name,
                            (long long)table->column[i].width);
    buffered *b = malloc(sizeof *b);
    if (!b)
        return gal_fail(GAL_MEMORY, "%s: no memory to write it", path);
    b->used = 0;
    gal_status status = gal_writer_open(&b->writer, path);
    if (!status) {
        status = put_rows(b, table);
        if (!status)
            status = gal_writer_put(&b->writer, b->bytes, b->used);
        if (!status)
            status = gal_writer_commit(&b->writer);
        else
            gal_writer_abandon(&b->writer); /* a column that could not be read has not done it */
    }
    free(b);
    return status;
}
