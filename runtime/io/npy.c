/* npy.c: one array in NumPy's own format (numpy.lib.format, versions 1 to 3). The header is a Python
 * dictionary; it is parsed and never evaluated, and only what NumPy writes is taken: {'descr': '<f4',
 * 'fortran_order': False, 'shape': (3, 4), }, keys in any order. */
#include "io.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC "\x93NUMPY"
#define LARGEST_HEADER 65536 /* bytes; NumPy's are under 200, but for records, which are refused anyway */

/* A place in the header's text; at never passes end. */
typedef struct cursor {
    const char *at, *end;
} cursor;

static void skip_blanks(cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\n' || *c->at == '\t' || *c->at == '\r'))
        c->at++;
}

static int take(cursor *c, char wanted)
{
    skip_blanks(c);
    if (c->at == c->end || *c->at != wanted)
        return 0;
    c->at++;
    return 1;
}

static int take_word(cursor *c, const char *word)
{
    skip_blanks(c);
    size_t n = strlen(word);
    if ((size_t)(c->end - c->at) < n || memcmp(c->at, word, n) != 0)
        return 0;
    c->at += n;
    return 1;
}

/* Takes a quoted string without escapes into text {size}. */
static int take_string(cursor *c, char *text, size_t size)
{
    skip_blanks(c);
    if (c->at == c->end || (*c->at != '\'' && *c->at != '"'))
        return 0;
    char quote = *c->at++;
    size_t n = 0;
    for (; c->at < c->end && *c->at != quote; c->at++) {
        if (n + 1 >= size || *c->at == '\\')
            return 0;
        text[n++] = *c->at;
    }
    text[n] = 0;
    return take(c, quote);
}

/* Takes "(3, 4)", "(3,)" or "()". Returns the rank; -1 where it is malformed, -2 where it is above GAL_RANK.
 */
static int take_shape(cursor *c, int64_t *shape)
{
    int rank = 0;
    if (!take(c, '('))
        return -1;
    while (!take(c, ')')) {
        skip_blanks(c);
        const char *first = c->at;
        int64_t value = 0;
        for (; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++)
            if (__builtin_mul_overflow(value, 10, &value) ||
                __builtin_add_overflow(value, *c->at - '0', &value))
                return -1;
        if (c->at == first)
            return -1;
        if (rank == GAL_RANK)
            return -2;
        shape[rank++] = value;
        if (c->at < c->end && *c->at == 'L') /* NumPy under Python 2 */
            c->at++;
        if (!take(c, ',') && (c->at == c->end || *c->at != ')'))
            return -1;
    }
    return rank;
}

static gal_status parse_descr(gal_array *a, const char *descr, const char *path)
{
    static const struct {
        const char *code;
        gal_stored stored;
    } known[] = {{"b1", GAL_STORED_BOOL}, {"u1", GAL_STORED_U8},  {"i1", GAL_STORED_I8},
                 {"u2", GAL_STORED_U16},  {"i2", GAL_STORED_I16}, {"u4", GAL_STORED_U32},
                 {"i4", GAL_STORED_I32},  {"u8", GAL_STORED_U64}, {"i8", GAL_STORED_I64},
                 {"f2", GAL_STORED_F16},  {"f4", GAL_STORED_F32}, {"f8", GAL_STORED_F64}};
    char order = descr[0];
    if (order && strchr("<>|=", order)) {
        for (size_t k = 0; k < sizeof known / sizeof *known; k++)
            if (strcmp(descr + 1, known[k].code) == 0) {
                a->stored = known[k].stored;
                a->big_endian = order == '>' || (order == '=' && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__);
                return GAL_OK;
            }
    }
    return gal_fail(
        GAL_TYPE,
        "%s: its values are of NumPy type '%s', expected booleans, integers or floats of 2 to 8 bytes", path,
        descr);
}

static gal_status malformed(const char *path, const char *what)
{
    return gal_fail(GAL_FILE, "%s: is no valid .npy file: %s", path, what);
}

/* Parses the header's dictionary, text {n}, into a. */
static gal_status parse_header(gal_array *a, const char *text, int64_t n, const char *path)
{
    cursor c = {text, text + n};
    int has_descr = 0, has_order = 0, has_shape = 0;
    char word[64];
    if (!take(&c, '{'))
        return malformed(path, "its header is no dictionary");
    while (!take(&c, '}')) {
        if (!take_string(&c, word, sizeof word) || !take(&c, ':'))
            return malformed(path, "its header breaks off or is damaged");
        if (strcmp(word, "descr") == 0) {
            if (take(&c, '['))
                return gal_fail(GAL_TYPE,
                                "%s: holds records (a structured array), expected one number per element; "
                                "this makes a table of them: python3 -c 'import numpy; from astropy.table "
                                "import Table; Table(numpy.load(\"%s\")).write(\"table.fits\")'",
                                path, path);
            if (!take_string(&c, word, sizeof word))
                return malformed(path, "'descr' is no string");
            gal_status status = parse_descr(a, word, path);
            if (status)
                return status;
            has_descr = 1;
        } else if (strcmp(word, "fortran_order") == 0) {
            a->fortran = take_word(&c, "True");
            if (!a->fortran && !take_word(&c, "False"))
                return malformed(path, "'fortran_order' is neither True nor False");
            has_order = 1;
        } else if (strcmp(word, "shape") == 0) {
            a->rank = take_shape(&c, a->shape);
            if (a->rank == -2)
                return gal_fail(GAL_SHAPE, "%s: has more than %d dimensions", path, GAL_RANK);
            if (a->rank < 0)
                return malformed(path, "'shape' is no tuple of sizes");
            has_shape = 1;
        } else {
            return malformed(path, "its header has an unknown key");
        }
        if (!take(&c, ',') && (c.at == c.end || *c.at != '}'))
            return malformed(path, "its header breaks off or is damaged");
    }
    if (!has_descr || !has_order || !has_shape)
        return malformed(path, "its header lacks 'descr', 'fortran_order' or 'shape'");
    return GAL_OK;
}

/* Reads magic, version and dictionary; a->offset is where the values begin. */
static gal_status read_header(gal_array *a, gal_bytes *bytes, int64_t size)
{
    unsigned char start[12] = {0};
    if (size < 10)
        return malformed(bytes->label, "it is too short for a header");
    gal_status status = bytes->take(bytes, start, 10);
    if (status)
        return status;
    if (memcmp(start, MAGIC, 6) != 0)
        return malformed(bytes->label, "it does not begin with \\x93NUMPY");
    if (start[6] < 1 || start[6] > 3)
        return gal_fail(GAL_FILE, "%s: is a .npy file of version %d, expected 1 to 3", bytes->label,
                        start[6]);
    int64_t prefix = start[6] == 1 ? 10 : 12;
    if (prefix == 12 && size >= 12)
        status = bytes->take(bytes, start + 10, 2);
    int64_t n = start[8] | start[9] << 8 | (int64_t)start[10] << 16 | (int64_t)start[11] << 24;
    if (!status && (n > LARGEST_HEADER || prefix + n > size))
        return malformed(bytes->label, "its header is longer than the file or than any that NumPy writes");
    if (status)
        return status;
    char *text = malloc((size_t)n + 1);
    if (!text)
        return gal_fail(GAL_MEMORY, "%s: no memory for its header", bytes->label);
    status = bytes->take(bytes, text, n);
    if (!status)
        status = parse_header(a, text, n, bytes->label);
    free(text);
    a->offset = prefix + n;
    return status;
}

gal_status gal_npy_header(gal_array *a, gal_bytes *bytes, int64_t size)
{
    gal_status status = read_header(a, bytes, size);
    if (status)
        return status;
    if (!gal_shape_product(&a->count, a->shape, a->rank))
        return malformed(bytes->label, "its shape is beyond any memory");
    int64_t have = size - a->offset, each = gal_stored_size(a->stored);
    if (a->count <= have / each)
        return GAL_OK;
    gal_tensor shape = {.rank = a->rank};
    memcpy(shape.shape, a->shape, sizeof shape.shape);
    return gal_fail(GAL_FILE, "%s: is truncated: %lld bytes of values, its shape %s needs %lld", bytes->label,
                    (long long)have, gal_shape_text(&shape), (long long)(a->count * each));
}

static gal_status open_npy(gal_arrays *arrays)
{
    gal_array *a = calloc(1, sizeof *a);
    arrays->array = a;
    if (!a || !(a->name = strdup("")))
        return gal_fail(GAL_MEMORY, "%s: no memory to open it", arrays->path);
    arrays->count = 1;
    gal_bytes bytes = gal_bytes_of(arrays, 0);
    return gal_npy_header(a, &bytes, arrays->file.size);
}

int gal_npy_header_text(char *text, const gal_tensor *x)
{
    static const char *const descr[] = {
        [GAL_F32] = "<f4", [GAL_U8] = "|u1", [GAL_I64] = "<i8", [GAL_F64] = "<f8"};
    int n =
        10 + snprintf(text + 10, 502, "{'descr': '%s', 'fortran_order': False, 'shape': (", descr[x->dtype]);
    for (int d = 0; d < x->rank; d++)
        n += snprintf(text + n, 512 - (size_t)n, "%lld%s", (long long)x->shape[d],
                      x->rank == 1      ? ","
                      : d + 1 < x->rank ? ", "
                                        : "");
    n += snprintf(text + n, 512 - (size_t)n, "), }");
    /* As NumPy does: blanks and a newline, so that the values begin at a multiple of 64. */
    int end = (n + 1 + 63) / 64 * 64;
    memset(text + n, ' ', (size_t)(end - n));
    text[end - 1] = '\n';
    memcpy(text, MAGIC "\x01\x00", 8);
    text[8] = (char)((end - 10) & 255);
    text[9] = (char)((end - 10) >> 8);
    return end;
}

/* The one tensor; it has no name in the file. */
static gal_status write_npy(const char *path, int64_t count, const char *const *names,
                            const gal_tensor *const *tensors, int64_t pairs, const char *const *keys,
                            const char *const *values)
{
    (void)count, (void)names, (void)pairs, (void)keys, (void)values;
    const gal_tensor *x = tensors[0];
    char header[512];
    int n = gal_npy_header_text(header, x);
    gal_writer writer;
    gal_status status = gal_writer_open(&writer, path);
    if (!status)
        status = gal_writer_put(&writer, header, n);
    if (!status)
        status = gal_writer_put_tensor(&writer, x);
    if (!status)
        status = gal_writer_commit(&writer);
    return status;
}

const gal_array_format gal_npy_format = {
    .ending = ".npy", .holds = GAL_HOLDS_ONE, .open = open_npy, .write = write_npy};
