/* csv_write.c: a table as comma-separated text that csv.c reads back to the same values. */
#include "csv.h"
#include <stdlib.h>
#include <string.h>

/* Bytes that wait to be written, so that not every value is a system call. */
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

/* What a field is. */
typedef enum field { NUMBER, TEXT, NAME } field;

/* Whether text without quotes would read back as something else: it has a comma, a quote, a line's end, outer
 * blanks or a # in front (a comment), is the word null, or, of a column of text, looks like a float or is
 * another word that numbers stand beside, or is a column's name and looks like a number. In a table of one
 * column blanks would separate. */
static int needs_quotes(const char *text, field what, int alone)
{
    size_t n = strlen(text);
    int64_t i;
    if (n == 0)
        return 0;
    gal_text_kind kind = gal_number_parse(text, (int64_t)n, &i, NULL);
    int word = kind == GAL_TEXT_OTHER && gal_csv_word_of(text, (int64_t)n) != GAL_WORD_OTHER;
    return strpbrk(text, ",\"\r\n") || strchr(" \t#", text[0]) || strchr(" \t", text[n - 1]) ||
           (alone && strpbrk(text, " \t;")) || kind == GAL_TEXT_MISSING ||
           (what == TEXT && (kind == GAL_TEXT_FLOAT || word)) || (what == NAME && kind != GAL_TEXT_OTHER);
}

static gal_status put_text(buffered *b, const char *text, field what, int alone)
{
    if (!needs_quotes(text, what, alone))
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

/* Whether all numbers of a column of floats look like integers: then they get ".0", so that it is read back
 * as a column of floats. */
static int looks_whole(gal_table *table, int i)
{
    const gal_column *c = &table->column[i];
    int64_t value;
    int numbers = 0;
    if (c->type != GAL_COLUMN_F64)
        return 0;
    for (int64_t row = 0; row < table->rows; row++) {
        const char *text = "";
        gal_table_text(&text, table, i, row); /* can't fail: the column is loaded */
        if (*text && gal_number_parse(text, (int64_t)strlen(text), &value, NULL) == GAL_TEXT_FLOAT)
            return 0;
        numbers |= *text != 0;
    }
    return numbers;
}

static int is_empty(gal_table *table, int64_t row)
{
    const char *text = "";
    for (int i = 0; !*text && i < table->columns; i++)
        gal_table_text(&text, table, i, row); /* can't fail: the columns are loaded */
    return !*text;
}

/* whole {columns}: looks_whole of each. */
static gal_status put_rows(buffered *b, gal_table *table, const char *whole)
{
    gal_status status = GAL_OK;
    for (int64_t row = -1; !status && row < table->rows; row++)
        for (int i = 0; !status && i < table->columns; i++) {
            const char *text = table->column[i].name;
            field what = table->column[i].type == GAL_COLUMN_STRING ? TEXT : NUMBER;
            if (row < 0)
                what = NAME;
            else
                status = gal_table_text(&text, table, i, row);
            if (!status && !*text && (table->columns == 1 || (i == 0 && row >= 0 && is_empty(table, row))))
                status = put(b, "\"\"", 2); /* a line of separators would be no row */
            else if (!status)
                status = put_text(b, text, what, table->columns == 1);
            if (!status && row >= 0 && whole[i] && *text)
                status = put(b, ".0", 2);
            if (!status)
                status = put(b, i + 1 < table->columns ? "," : "\n", 1);
        }
    return status;
}

gal_status gal_csv_write(const char *path, gal_table *table)
{
    for (int i = 0; i < table->columns; i++)
        if (table->column[i].width != 1)
            return gal_fail(GAL_TYPE, "%s: column \"%s\" has %lld values per row, a CSV file holds one", path,
                            table->column[i].name, (long long)table->column[i].width);
    buffered *b = malloc(sizeof *b);
    char *whole = calloc((size_t)table->columns, 1);
    gal_status status = b && whole ? GAL_OK : gal_fail(GAL_MEMORY, "%s: no memory to write it", path);
    gal_column *c;
    for (int i = 0; !status && i < table->columns; i++)
        if (!(status = gal_table_loaded(&c, table, i)))
            whole[i] = (char)looks_whole(table, i);
    if (!status) {
        b->used = 0;
        status = gal_writer_open(&b->writer, path);
    }
    if (!status) {
        status = put_rows(b, table, whole);
        if (!status)
            status = gal_writer_put(&b->writer, b->bytes, b->used);
        if (!status)
            status = gal_writer_commit(&b->writer);
        else
            gal_writer_abandon(&b->writer);
    }
    free(whole);
    free(b);
    return status;
}
