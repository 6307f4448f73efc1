/* csv_layout.c: how a text holds a table, before its values are looked at: fields and what separates them,
 * comments, the line of names, which may be a comment (numpy.savetxt, TOPCAT), and ECSV's description of
 * columns. Nothing here takes memory. */
#include "csv.h"
#include <stdio.h>
#include <string.h>
#include <strings.h>

static int is_blank(const gal_scanner *s, char c)
{
    return c == ' ' || (c == '\t' && s->separator != '\t');
}

static void skip_blanks(gal_scanner *s)
{
    while (s->at < s->end && is_blank(s, *s->at))
        s->at++;
}

/* Skips the end of a line: \n, \r\n or a lone \r. */
static void next_line(gal_scanner *s)
{
    if (s->at < s->end && *s->at == '\r')
        s->at++;
    if (s->at < s->end && *s->at == '\n')
        s->at++;
    s->line++;
}

static int at_line_end(const gal_scanner *s)
{
    return s->at == s->end || *s->at == '\n' || *s->at == '\r';
}

void gal_scan_skip_line(gal_scanner *s)
{
    while (!at_line_end(s))
        s->at++;
    next_line(s);
}

static int at_separator(const gal_scanner *s)
{
    return s->separator == ' ' ? is_blank(s, *s->at) : *s->at == s->separator;
}

/* Takes a field in quotes, s->at being on the first. */
static gal_status take_quoted(gal_scanner *s)
{
    int64_t began = s->line;
    s->text = ++s->at;
    for (; s->at < s->end; s->at++) {
        if (*s->at == '\n' || (*s->at == '\r' && s->at + 1 < s->end && s->at[1] != '\n'))
            s->line++;
        if (*s->at != '"')
            continue;
        if (s->at + 1 == s->end || s->at[1] != '"') {
            s->n = s->at++ - s->text;
            return GAL_OK;
        }
        s->at++;
    }
    return gal_fail(GAL_FILE, "%s: line %lld has a quote that is never closed", s->path, (long long)began);
}

int64_t gal_scan_copy(char *out, const gal_scanner *s)
{
    char *to = out;
    for (int64_t k = 0; k < s->n; k++) {
        *to++ = s->text[k];
        k += s->quoted && s->text[k] == '"';
    }
    *to++ = 0;
    return to - out;
}

gal_status gal_scan_field(gal_scanner *s)
{
    gal_status status = GAL_OK;
    skip_blanks(s);
    if (s->end - s->at > 1 && s->at[0] == '=' && s->at[1] == '"')
        s->at++; /* ="1237648704043942146" keeps a spreadsheet from rounding an id */
    s->quoted = s->at < s->end && *s->at == '"';
    if (s->quoted) {
        status = take_quoted(s);
        if (status)
            return status;
        if (s->separator != ' ')
            skip_blanks(s);
        if (!at_line_end(s) && !at_separator(s))
            return gal_fail(GAL_FILE, "%s: line %lld has text behind a closing quote", s->path,
                            (long long)s->line);
    } else {
        s->text = s->at;
        while (!at_line_end(s) && !at_separator(s))
            s->at++;
        const char *stop = s->at;
        while (stop > s->text && is_blank(s, stop[-1]))
            stop--;
        s->n = stop - s->text;
    }
    if (s->separator == ' ')
        skip_blanks(s); /* those before the line's end are no field */
    s->last = at_line_end(s);
    if (s->last)
        next_line(s);
    else if (s->separator != ' ')
        s->at++;
    return GAL_OK;
}

/* Whether the line at s is how psql, sqlcmd and CasJobs end a table: "(40 rows)", "(40 row(s) affected)". */
static int counts_rows(const gal_scanner *s)
{
    const char *at = s->at + 1;
    if (s->end - s->at < 7 || *s->at != '(')
        return 0;
    while (at < s->end && *at >= '0' && *at <= '9')
        at++;
    return at > s->at + 1 && s->end - at > 4 && memcmp(at, " row", 4) == 0;
}

/* Skips blanks and, where no quotes stand between them, separators: a row without a value, as spreadsheets
 * leave them. */
static void skip_separators(gal_scanner *s)
{
    while (s->at < s->end && (is_blank(s, *s->at) || *s->at == s->separator))
        s->at++;
}

void gal_scan_empty(gal_scanner *s)
{
    for (;;) {
        gal_scanner ahead = *s;
        if (s->separator)
            skip_separators(&ahead);
        if (!at_line_end(&ahead)) {
            ahead = *s;
            skip_blanks(&ahead);
        }
        if (ahead.at < ahead.end && counts_rows(&ahead)) {
            gal_scan_skip_line(s);
            continue;
        }
        if (s->comments && ahead.at < ahead.end && *ahead.at == '#') {
            gal_scan_skip_line(s);
            continue;
        }
        if (!at_line_end(&ahead))
            return;
        s->at = ahead.at;
        if (s->at == s->end)
            return;
        next_line(s);
    }
}

/* ---- what separates fields ---- */

/* What the fields of a row are. */
typedef struct look {
    int fields;
    int numbers, empty; /* so many of them are numbers, or nothing */
    int quoted;         /* so many numbers stand in quotes */
    int counting;       /* they are 0, 1, 2, … or 1, 2, 3, …, as pandas names columns without names */
    int closed;         /* all quotes are */
} look;

/* The look of the row at s, were its fields separated so. */
static look look_at(gal_scanner s, char separator)
{
    look found = {.counting = 1, .closed = 1};
    int64_t i, first = 0;
    if (s.at == s.end)
        return found;
    s.separator = separator;
    for (s.last = 0; !s.last; found.fields++) {
        if (gal_scan_field(&s) != GAL_OK) {
            found.closed = 0;
            return found;
        }
        gal_text_kind kind = gal_number_parse(s.text, s.n, &i, NULL);
        if (found.fields == 0)
            first = i;
        found.empty += kind == GAL_TEXT_MISSING;
        int number = kind == GAL_TEXT_INTEGER || kind == GAL_TEXT_DIGITS || kind == GAL_TEXT_FLOAT;
        found.numbers += number;
        found.quoted += number && s.quoted;
        found.counting &= kind == GAL_TEXT_INTEGER && i == first + found.fields && first <= 1 && first >= 0;
    }
    return found;
}

static const char separators[] = {',', '\t', ';', '|', ' '};

/* Whether the two rows have as many fields, more than one, where they are separated so. */
static int agree(const gal_scanner *a, const gal_scanner *b, char separator)
{
    look first = look_at(*a, separator), second = look_at(*b, separator);
    return first.fields > 1 && first.fields == second.fields && first.closed && second.closed;
}

/* What separates the fields of a table whose names are at a and whose first row is at b (at its end where
 * there is none): the first separator that gives both as many; else the first that splits the names. */
static char separator_of(const gal_scanner *a, const gal_scanner *b)
{
    for (size_t k = 0; k < sizeof separators; k++)
        if (agree(a, b, separators[k]))
            return separators[k];
    for (size_t k = 0; k < sizeof separators; k++)
        if (look_at(*a, separators[k]).fields > 1 && (separators[k] != ' ' || look_at(*b, ' ').fields > 1))
            return separators[k];
    return ',';
}

/* ---- where the names are ---- */

/* Whether the comment at c, behind its #, has a name for each field of a row that has numbers and looks so,
 * {separators}, by separator; then *separator is what separates both. One name, of one column, has none. */
static int names_row(const gal_scanner *c, const look *row, char *separator)
{
    for (size_t k = 0; k < sizeof separators; k++) {
        look names = look_at(*c, separators[k]);
        if (names.fields != row[k].fields || !names.closed || !row[k].closed)
            continue;
        if (names.fields == 1 && look_at(*c, ' ').fields != 1)
            continue;
        if (names.numbers > 0 || names.empty > 0 || row[k].numbers == 0)
            continue;
        if (names.fields == 1 && row[sizeof separators - 1].fields != 1)
            continue;
        *separator = separators[k];
        return 1;
    }
    return 0;
}

/* Whether two fields of the row at c are the same, as in a line of units. */
static int repeats(gal_scanner c, char separator)
{
    gal_scanner other = c;
    c.separator = separator;
    for (int field = 0; !c.last && field < 1000; field++) { /* more are no line of units */
        if (gal_scan_field(&c) != GAL_OK)
            return 1;
        other = c;
        while (!other.last) {
            if (gal_scan_field(&other) != GAL_OK)
                return 1;
            if (other.n == c.n && memcmp(other.text, c.text, (size_t)c.n) == 0)
                return 1;
        }
    }
    return 0;
}

/* How many characters begin a comment above the names: #, %, !, // or, before a blank, ;. 0 where the line at
 * s is none. */
static int64_t comment_mark(const gal_scanner *s)
{
    const char *at = s->at;
    while (at < s->end && (*at == '#' || *at == '%' || *at == '!'))
        at++;
    if (at == s->at && s->end - at > 2 && (memcmp(at, "//", 2) == 0 || memcmp(at, "; ", 2) == 0))
        at += *at == ';' ? 1 : 2;
    return at - s->at;
}

/* The first comment from `comment` on that names the columns of the row at s: units may stand below it, in
 * one more. *comment is that one, *separator what separates both. */
static int names_comment(gal_scanner *comment, const gal_scanner *s, char *separator)
{
    gal_scanner at = *comment;
    look row[sizeof separators];
    for (size_t k = 0; k < sizeof separators; k++)
        row[k] = look_at(*s, separators[k]);
    while (at.at < s->at) {
        gal_scanner line = at;
        gal_scan_skip_line(&at);
        int64_t mark = comment_mark(&line);
        if (mark == 0)
            continue;
        line.at += mark;
        line.end = at.at;
        if (names_row(&line, row, separator) && !repeats(line, *separator)) {
            *comment = line;
            return 1;
        }
    }
    return 0;
}

/* The line of names that is missing: the first line has numbers only. */
static gal_status no_names(const gal_scanner *s)
{
    int64_t n = 0;
    while (s->at + n < s->end && n < 40 && s->at[n] != '\n' && s->at[n] != '\r')
        n++;
    return gal_fail(GAL_FILE,
                    "%s: has no line of column names: line %lld, the first, has numbers: %.*s; expected "
                    "names such as objID,z,modelMag_r above them",
                    s->path, (long long)s->line, (int)n, s->at);
}

/* Skips the mark of UTF-8 and the comments. *comment: at the first one, or what follows; *header: at the
 * beginning of an ECSV's description, or NULL. */
static void skip_preamble(gal_scanner *s, gal_scanner *comment, const char **header)
{
    if (s->end - s->at >= 3 && memcmp(s->at, "\xef\xbb\xbf", 3) == 0)
        s->at += 3;
    *comment = *s;
    *header = NULL;
    for (gal_scan_empty(s); s->at < s->end && comment_mark(s) > 0; gal_scan_empty(s)) {
        if (s->end - s->at > 7 && memcmp(s->at, "# %ECSV", 7) == 0)
            *header = s->at;
        gal_scan_skip_line(s);
    }
}

/* The separator that an ECSV names: a blank, or what its line "# delimiter: ','" has. */
static char ecsv_separator(const char *header, const char *end)
{
    static const char key[] = "# delimiter: ";
    for (const char *at = header; at < end; at++)
        if (*at == '#' && end - at > (int64_t)sizeof key && memcmp(at, key, sizeof key - 1) == 0) {
            at += sizeof key - 1;
            at += *at == '\'' || *at == '"';
            return *at == ' ' || *at == ',' ? *at : ' ';
        }
    return ' ';
}

/* What a first line such as sep=; says that separates fields, as spreadsheets are told; 0 where there is
 * none. Skips it. */
static char told_separator(gal_scanner *s)
{
    const char *at = s->at + (s->at < s->end && *s->at == '"');
    if (s->end - at < 6 || memcmp(at, "sep=", 4) != 0 || !memchr(separators, at[4], sizeof separators))
        return 0;
    gal_scan_skip_line(s);
    return at[4];
}

/* The first row, or its end, where `names` is the line above it. */
static gal_scanner rows_under(gal_scanner names)
{
    for (names.last = 0; !names.last && names.at < names.end;)
        if (gal_scan_field(&names))
            break;
    gal_csv_skip_under(&names);
    return names;
}

/* The separator where the names are a line of their own at s. GAL_FILE where they are not. */
static gal_status find_separator(gal_scanner *s)
{
    gal_scanner row = *s;
    gal_scan_skip_line(&row);
    gal_scan_empty(&row);
    s->separator = row.separator = separator_of(s, &row);
    gal_csv_skip_under(&row);
    if (!agree(s, &row, s->separator))
        s->separator = separator_of(s, &row);
    s->comments = s->separator == ' ';
    look first = look_at(*s, s->separator), second = look_at(row, s->separator);
    int numbers = first.numbers > first.quoted && first.numbers + first.empty == first.fields;
    return numbers && !first.counting && second.fields == first.fields ? no_names(s) : GAL_OK;
}

gal_status gal_csv_layout_of(gal_csv_layout *layout, const gal_scanner *beginning)
{
    gal_scanner s = *beginning, comment;
    *layout = (gal_csv_layout){0};
    skip_preamble(&s, &comment, &layout->header);
    char told = told_separator(&s);
    s.separator = told ? told : ',';
    if (s.at == s.end)
        return gal_fail(GAL_FILE, "%s: has no line of column names", s.path);
    gal_status status = gal_foreign_text(s.path, beginning->at, s.at, s.end);
    if (!status && layout->header) {
        layout->header_end = s.at;
        s.separator = ecsv_separator(layout->header, s.at);
        s.comments = 1;
    } else if (!status && !told && names_comment(&comment, &s, &s.separator)) {
        s.comments = 1;
        comment.separator = s.separator;
        layout->names = comment;
        layout->rows = s;
        return GAL_OK;
    } else if (!status && !told) {
        status = find_separator(&s);
    }
    if (status)
        return status;
    layout->names = s;
    layout->rows = rows_under(s);
    return GAL_OK;
}

/* ---- ECSV ---- */

/* Copies the value of `key` in the description at from to to, "unit: mag" of "{name: caSu, unit: mag}",
 * into out {size}: up to a comma or brace, without quotes; "" where there is none. */
static void value_of(char *out, int64_t size, const char *from, const char *to, const char *key)
{
    int64_t length = (int64_t)strlen(key), n = 0;
    const char *at = from;
    while (at + length < to && memcmp(at, key, (size_t)length) != 0)
        at++;
    at += length;
    char quote = at < to && (*at == '\'' || *at == '"') ? *at++ : 0;
    for (; at < to && n + 1 < size; at++) {
        if (quote ? *at == quote : *at == ',' || *at == '}' || *at == '\n' || *at == '\r')
            break;
        out[n++] = *at;
    }
    while (!quote && n > 0 && out[n - 1] == ' ')
        n--;
    out[n] = 0;
}

int gal_ecsv_column(char *out, int64_t size, const gal_csv_layout *layout, const char *name)
{
    static const char begins[] = "# - {name: ";
    char text[256];
    *out = 0;
    for (const char *at = layout->header; at && at < layout->header_end; at++) {
        if (*at != '#' || layout->header_end - at < (int64_t)sizeof begins ||
            memcmp(at, begins, sizeof begins - 1) != 0)
            continue;
        const char *to = at + sizeof begins - 1; /* one entry ends where the next begins */
        while (to < layout->header_end && memcmp(to, "\n# - ", to + 5 < layout->header_end ? 5 : 1) != 0)
            to++;
        value_of(text, sizeof text, at, to, "{name: ");
        if (strcmp(text, name) != 0)
            continue;
        value_of(out, size, at, to, ", unit: ");
        value_of(text, sizeof text, at, to, ", datatype: ");
        return strcmp(text, "string") == 0;
    }
    return 0;
}
