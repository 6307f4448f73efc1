/* arrays.c: arrays in files, whatever the format: from a header that the format has checked to a tensor. The
 * values take the caller's tensor and one buffer of fixed size, so that no file makes us ask for more memory
 * than it holds. formats.c opens and writes. */
#include "io.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Bytes, a multiple of every size: they stay in the second-level cache between pread and conversion. */
#define BUFFER 262144

int gal_stored_size(gal_stored stored)
{
    static const int size[] = {1, 1, 1, 2, 2, 4, 4, 8, 8, 2, 2, 4, 8};
    return size[stored];
}

/* The rule of lua/README.md: uint8 and booleans are uint8, 32- and 64-bit integers int64, the rest float32.
 */
static int dtype_of(gal_stored stored)
{
    switch (stored) {
    case GAL_STORED_BOOL:
    case GAL_STORED_U8:
        return GAL_U8;
    case GAL_STORED_U32:
    case GAL_STORED_I32:
    case GAL_STORED_U64:
    case GAL_STORED_I64:
        return GAL_I64;
    default:
        return GAL_F32;
    }
}

int gal_shape_product(int64_t *count, const int64_t *shape, int rank)
{
    /* The product leaves zeros out, so that {0, 2^62} is refused too: its strides would not fit. */
    int64_t product = 1, zero = 0;
    for (int d = 0; d < rank; d++) {
        if (shape[d] < 0 || (shape[d] > 0 && __builtin_mul_overflow(product, shape[d], &product)) ||
            product > INT64_MAX / 8)
            return 0;
        zero |= shape[d] == 0;
    }
    *count = zero ? 0 : product;
    return 1;
}

static float float_from_half(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = (h >> 10) & 31, fraction = h & 1023, bits;
    if (exponent == 0) { /* zero or subnormal: fraction * 2^-24 is exact */
        float value = (float)fraction * 0x1p-24f;
        return sign ? -value : value;
    }
    bits = sign | (exponent == 31 ? 255u << 23 : (exponent + 112) << 23) | fraction << 13;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static float float_from_bfloat(uint16_t b)
{
    uint32_t bits = (uint32_t)b << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* The bits of one element, whose bytes are in the file's order. */
static uint64_t element_bits(const unsigned char *bytes, int size, int big_endian)
{
    uint64_t bits = 0;
    for (int b = 0; b < size; b++)
        bits |= (uint64_t)bytes[b] << 8 * (big_endian ? size - 1 - b : b);
    return bits;
}

static gal_status to_int64(int64_t *out, uint64_t bits, gal_stored stored)
{
    switch (stored) {
    case GAL_STORED_I32:
        *out = (int32_t)(uint32_t)bits;
        return GAL_OK;
    case GAL_STORED_U64:
        if (bits > INT64_MAX)
            return GAL_VALUE;
        __attribute__((fallthrough));
    default:
        *out = (int64_t)bits;
        return GAL_OK;
    }
}

/* Makes any NaN the plain one. LuaJIT keeps its other types in negative NaNs with a payload; CFITSIO writes
 * one of all bits set, which Lua would read as nil. */
static float plain_nan(float value)
{
    return value == value ? value : (float)NAN;
}

static float to_float(uint64_t bits, gal_stored stored)
{
    float f;
    double d;
    uint32_t word = (uint32_t)bits;
    switch (stored) {
    case GAL_STORED_I8:
        return (int8_t)(uint8_t)bits;
    case GAL_STORED_I16:
        return (int16_t)(uint16_t)bits;
    case GAL_STORED_F16:
        return float_from_half((uint16_t)bits);
    case GAL_STORED_BF16:
        return float_from_bfloat((uint16_t)bits);
    case GAL_STORED_F32:
        memcpy(&f, &word, sizeof f);
        return f;
    case GAL_STORED_F64:
        memcpy(&d, &bits, sizeof d);
        return (float)d;
    default: /* GAL_STORED_U16 */
        return (float)bits;
    }
}

static double to_double(uint64_t bits, gal_stored stored)
{
    double d;
    switch (stored) {
    case GAL_STORED_F64:
        memcpy(&d, &bits, sizeof d);
        return d == d ? d : (double)NAN;
    case GAL_STORED_BOOL:
        return bits != 0;
    case GAL_STORED_U8:
    case GAL_STORED_U32:
    case GAL_STORED_U64:
        return (double)bits;
    case GAL_STORED_I32:
        return (int32_t)(uint32_t)bits;
    case GAL_STORED_I64:
        return (double)(int64_t)bits;
    default:
        return plain_nan(to_float(bits, stored));
    }
}

/* Where the next element of a Fortran-ordered file goes: its index {rank}, whose first dimension runs
 * fastest, and its place `at` in y, in elements. */
typedef struct fortran_walk {
    int rank;
    int64_t at, index[GAL_RANK], shape[GAL_RANK], stride[GAL_RANK];
} fortran_walk;

static fortran_walk fortran_start(const gal_array *a)
{
    fortran_walk w = {.rank = a->rank};
    int64_t stride = 1;
    for (int d = a->rank - 1; d >= 0; d--) {
        w.shape[d] = a->shape[d];
        w.stride[d] = stride;
        stride *= a->shape[d];
    }
    return w;
}

static void fortran_next(fortran_walk *w)
{
    for (int d = 0; d < w->rank; d++) {
        w->at += w->stride[d];
        if (++w->index[d] < w->shape[d])
            return;
        w->at -= w->index[d] * w->stride[d];
        w->index[d] = 0;
    }
}

/* Converts elements [first, first + n) of the file, bytes {n, size}, into y {count} of that dtype, which is
 * the array's own or GAL_F64. */
static gal_status convert(void *y, int dtype, const gal_array *a, const unsigned char *bytes, int64_t first,
                          int64_t n, fortran_walk *walk, const char *path)
{
    int size = gal_stored_size(a->stored), fortran = a->fortran && a->rank > 1;
    for (int64_t k = 0; k < n; k++) {
        uint64_t bits = element_bits(bytes + k * size, size, a->big_endian);
        int64_t at = fortran ? walk->at : first + k;
        if (dtype == GAL_F64)
            ((double *)y)[at] = to_double(bits, a->stored);
        else if (dtype == GAL_U8)
            ((uint8_t *)y)[at] = a->stored == GAL_STORED_BOOL ? bits != 0 : (uint8_t)bits;
        else if (dtype == GAL_F32)
            ((float *)y)[at] = plain_nan(to_float(bits, a->stored));
        else if (to_int64((int64_t *)y + at, bits, a->stored))
            return gal_fail(GAL_VALUE, "%s: %s holds %llu, which does not fit an int64", path,
                            *a->name ? a->name : "the array", (unsigned long long)bits);
        if (fortran)
            fortran_next(walk);
    }
    return GAL_OK;
}

/* Whether the file's bytes are the tensor's bytes. */
static int same_bytes(const gal_array *a)
{
    int little = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, size = gal_stored_size(a->stored);
    return (a->rank < 2 || !a->fortran) && (size == 1 || a->big_endian == !little) &&
           (a->stored == GAL_STORED_U8 || a->stored == GAL_STORED_I64 || a->stored == GAL_STORED_F32);
}

static gal_status check_target(const gal_tensor *y, const gal_arrays *arrays, const gal_array *a)
{
    int right = y->dtype == dtype_of(a->stored) && y->rank == a->rank && gal_tensor_contiguous(y);
    for (int d = 0; right && d < a->rank; d++)
        right = y->shape[d] == a->shape[d];
    if (right)
        return gal_check_host(arrays->path, "y", y);
    gal_tensor expected = {.rank = a->rank};
    memcpy(expected.shape, a->shape, sizeof expected.shape);
    return gal_fail(GAL_SHAPE, "%s: y is %s %s, expected a contiguous %s %s like array \"%s\"", arrays->path,
                    gal_dtype_name(y->dtype), gal_shape_text(y), gal_dtype_name(dtype_of(a->stored)),
                    gal_shape_text(&expected), a->name);
}

static int by_name(const void *left, const void *right)
{
    return strcmp(((const gal_array *)left)->name, ((const gal_array *)right)->name);
}

gal_status gal_arrays_sort(gal_arrays *arrays)
{
    qsort(arrays->array, (size_t)arrays->count, sizeof *arrays->array, by_name);
    for (int64_t i = 1; i < arrays->count; i++)
        if (strcmp(arrays->array[i - 1].name, arrays->array[i].name) == 0)
            return gal_fail(GAL_FILE, "%s: array \"%s\" occurs twice", arrays->path, arrays->array[i].name);
    return GAL_OK;
}

static gal_status take_from_file(gal_bytes *bytes, void *to, int64_t n)
{
    gal_status status = gal_file_at(bytes->file, to, n, bytes->at);
    bytes->at += n;
    return status;
}

gal_bytes gal_bytes_of(const gal_arrays *arrays, int64_t at)
{
    return (gal_bytes){.take = take_from_file, .file = &arrays->file, .at = at, .label = arrays->path};
}

/* y {a->count}, of that dtype (the array's own, or GAL_F64) = the next values of bytes, stored as a says. */
static gal_status read_values(void *y, int dtype, const gal_array *a, gal_bytes *bytes)
{
    int size = gal_stored_size(a->stored);
    if (dtype != GAL_F64 && same_bytes(a)) {
        gal_status status = bytes->take(bytes, y, a->count * size);
        float *values = y;
        for (int64_t k = 0; !status && a->stored == GAL_STORED_F32 && k < a->count; k++)
            values[k] = plain_nan(values[k]);
        return status;
    }
    unsigned char *buffer = malloc(BUFFER);
    if (!buffer)
        return gal_fail(GAL_MEMORY, "%s: no memory to read array \"%s\"", bytes->label, a->name);
    fortran_walk walk = fortran_start(a);
    gal_status status = GAL_OK;
    for (int64_t first = 0, step = BUFFER / size; !status && first < a->count; first += step) {
        int64_t n = a->count - first < step ? a->count - first : step;
        status = bytes->take(bytes, buffer, n * size);
        if (!status)
            status = convert(y, dtype, a, buffer, first, n, &walk, bytes->label);
    }
    free(buffer);
    return status;
}

/* Array i, 0 <= i < count; else a failure, with the sentence. */
static gal_status check_array(const gal_arrays *arrays, int64_t i)
{
    if (i >= 0 && i < arrays->count)
        return GAL_OK;
    return gal_fail(GAL_VALUE, "%s: array %lld of %lld", arrays->path, (long long)i,
                    (long long)arrays->count);
}

static gal_status read_array(void *y, int dtype, const gal_arrays *arrays, const gal_array *a)
{
    gal_bytes bytes = gal_bytes_of(arrays, a->offset);
    if (!arrays->format->begin)
        return read_values(y, dtype, a, &bytes);
    gal_status status = arrays->format->begin(&bytes, arrays, a);
    return status ? status : arrays->format->finish(&bytes, read_values(y, dtype, a, &bytes));
}

gal_status gal_arrays_read(gal_tensor *y, const gal_arrays *arrays, int64_t i)
{
    gal_status status = check_array(arrays, i);
    if (!status)
        status = check_target(y, arrays, &arrays->array[i]);
    return status ? status : read_array(y->data, y->dtype, arrays, &arrays->array[i]);
}

gal_status gal_arrays_doubles(double *out, const gal_arrays *arrays, int64_t i)
{
    gal_status status = check_array(arrays, i);
    return status ? status : read_array(out, GAL_F64, arrays, &arrays->array[i]);
}

void gal_arrays_free(gal_arrays *arrays)
{
    if (!arrays)
        return;
    if (arrays->archive)
        arrays->format->close(arrays);
    gal_file_close(&arrays->file);
    for (int64_t i = 0; i < arrays->count && arrays->array; i++) {
        free(arrays->array[i].name);
        free(arrays->array[i].label);
    }
    for (int64_t i = 0; i < arrays->pairs && arrays->key; i++) {
        free(arrays->key[i]);
        free(arrays->value[i]);
    }
    free(arrays->array);
    free(arrays->key);
    free(arrays->value);
    free(arrays->path);
    free(arrays);
}

int64_t gal_arrays_count(const gal_arrays *arrays)
{
    return arrays->count;
}

const char *gal_arrays_name(const gal_arrays *arrays, int64_t i)
{
    return arrays->array[i].name;
}

int gal_arrays_dtype(const gal_arrays *arrays, int64_t i)
{
    return dtype_of(arrays->array[i].stored);
}

int gal_arrays_rank(const gal_arrays *arrays, int64_t i)
{
    return arrays->array[i].rank;
}

const int64_t *gal_arrays_shape(const gal_arrays *arrays, int64_t i)
{
    return arrays->array[i].shape;
}

int64_t gal_arrays_metadata(const gal_arrays *arrays)
{
    return arrays->pairs;
}

const char *gal_arrays_metadata_key(const gal_arrays *arrays, int64_t i)
{
    return arrays->key[i];
}

const char *gal_arrays_metadata_value(const gal_arrays *arrays, int64_t i)
{
    return arrays->value[i];
}
