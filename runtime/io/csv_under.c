/* csv_under.c: skips lines between the names and the first row of a table in text that are not rows: units
 * (VizieR), rules (psql, astropy's two-line tables). And decimal commas, as European spreadsheets save them.
 */
#include "csv.h"
#include <string.h>

/* Whether the line at s is a rule: at least three dashes or equals signs in a row, and separators. */
static int is_rule(const gal_scanner *s)
{
    int run = 0, longest = 0;
    for (const char *at = s->at; at < s->end && *at != '\n' && *at != '\r'; at++) {
        if (!strchr("-=+:| \t", *at) && *at != s->separator)
            return 0;
        run = *at == '-' || *at == '=' ? run + 1 : 0;
        longest = run > longest ? run : longest;
    }
    return longest >= 3;
}

/* How many fields of a row are numbers, and how many of these have a word above them, in another row. */
typedef struct above {
    int fields, fields_above;
    int numbers, numbers_above;
    int words;
} above;

static int is_number(const gal_scanner *s)
{
    int64_t i;
    gal_text_kind kind = gal_number_parse(s->text, s->n, &i, NULL);
    return kind == GAL_TEXT_INTEGER || kind == GAL_TEXT_DIGITS || kind == GAL_TEXT_FLOAT;
}

static int is_word(const gal_scanner *s)
{
    int64_t i;
    return gal_number_parse(s->text, s->n, &i, NULL) == GAL_TEXT_OTHER &&
           gal_csv_word_of(s->text, s->n) == GAL_WORD_OTHER;
}

/* Compares the row at s with the one at upper; all 0 where a quote is never closed. */
static above compare(gal_scanner upper, gal_scanner s)
{
    above found = {0};
    for (upper.last = s.last = 0; !upper.last || !s.last;) {
        int word = 0, number = 0;
        if (!upper.last) {
            if (gal_scan_field(&upper))
                return (above){0};
            word = is_word(&upper);
            found.numbers_above += is_number(&upper);
            found.fields_above++;
        }
        if (!s.last) {
            if (gal_scan_field(&s))
                return (above){0};
            number = is_number(&s);
            found.numbers += number;
            found.fields++;
        }
        found.words += word && number;
    }
    return found;
}

/* Whether the line at s has the units of the row below it: no number, as many fields, and words above more
 * than half of at least two numbers; above one is enough where a rule lies between. With the line taken for a
 * row, none of these columns could be read as numbers. */
static int is_units(const gal_scanner *s)
{
    gal_scanner row = *s;
    gal_scan_skip_line(&row);
    gal_scan_empty(&row);
    int ruled = row.at < row.end && is_rule(&row);
    if (ruled)
        gal_scan_skip_line(&row);
    gal_scan_empty(&row);
    if (row.at == row.end)
        return 0;
    above found = compare(*s, row);
    return found.fields == found.fields_above && found.numbers_above == 0 && found.numbers >= 2 &&
           (2 * found.words > found.numbers || (ruled && found.words > 0));
}

void gal_csv_skip_under(gal_scanner *s)
{
    int units = 0, rule = 0;
    for (gal_scan_empty(s); s->at < s->end; gal_scan_empty(s)) {
        int is_first_rule = !rule && is_rule(s);
        if (!is_first_rule && (units || !is_units(s)))
            return;
        if (is_first_rule) {
            rule = 1;
        } else {
            units = 1;
            gal_note("%s: line %lld, under the names, is taken for their units", s->path, (long long)s->line);
        }
        gal_scan_skip_line(s);
    }
}

/* ---- decimal commas ---- */

/* Whether text {n} is a number with a decimal comma; *comma is where it stands. */
static int has_comma(const char *text, int64_t n, int64_t *comma)
{
    char copy[64];
    int64_t i;
    const char *at = memchr(text, ',', (size_t)n);
    if (!at || n >= (int64_t)sizeof copy || n < 2)
        return 0;
    memcpy(copy, text, (size_t)n);
    *comma = at - text;
    copy[*comma] = '.';
    return gal_number_parse(copy, n, &i, NULL) == GAL_TEXT_FLOAT;
}

gal_status gal_csv_decimal_commas(char *text, const gal_scanner *rows)
{
    int64_t commas = 0, comma = 0;
    if (rows->separator != ';')
        return GAL_OK;
    for (int pass = 0; pass < 2; pass++) {
        gal_scanner s = *rows;
        for (gal_scan_empty(&s); s.at < s.end; gal_scan_empty(&s))
            for (s.last = 0; !s.last;) {
                gal_status status = gal_scan_field(&s);
                if (status)
                    return status;
                if (memchr(s.text, '.', (size_t)s.n) && is_number(&s))
                    return GAL_OK; /* points are decimal here */
                if (!has_comma(s.text, s.n, &comma))
                    continue;
                commas++;
                if (pass == 1)
                    text[s.text - text + comma] = '.';
            }
        if (commas == 0)
            return GAL_OK;
    }
    gal_note("%s: decimal commas are read as decimal points", rows->path);
    return GAL_OK;
}
