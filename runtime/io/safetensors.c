/* safetensors.c: named tensors and text metadata in the format of huggingface/safetensors: the header's
 * length (8 bytes, little-endian), a JSON header
 * {"name": {"dtype", "shape", "data_offsets"}, "__metadata__": {…}}, then the values without gaps. As the
 * reference reader does, this one refuses gaps, overlaps and bytes that no tensor claims. Loading runs no
 * code.
 */
#include "io.h"
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#define LARGEST_HEADER 100000000         /* bytes; the reference's own limit */
#define LARGEST_COUNT 9007199254740992.0 /* 2^53: cJSON holds numbers in doubles */

static const struct {
    const char *name;
    gal_stored stored;
} dtypes[] = {{"BOOL", GAL_STORED_BOOL}, {"U8", GAL_STORED_U8},     {"I8", GAL_STORED_I8},
              {"U16", GAL_STORED_U16},   {"I16", GAL_STORED_I16},   {"U32", GAL_STORED_U32},
              {"I32", GAL_STORED_I32},   {"U64", GAL_STORED_U64},   {"I64", GAL_STORED_I64},
              {"F16", GAL_STORED_F16},   {"BF16", GAL_STORED_BF16}, {"F32", GAL_STORED_F32},
              {"F64", GAL_STORED_F64}};

static gal_status no_memory(const char *path)
{
    return gal_fail(GAL_MEMORY, "%s: no memory for its header", path);
}

/* *count = the item, where it is a whole number from 0 to 2^53; else 0 is returned. */
static int take_count(const cJSON *item, int64_t *count)
{
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0 && item->valuedouble <= LARGEST_COUNT))
        return 0;
    *count = (int64_t)item->valuedouble;
    return (double)*count == item->valuedouble;
}

/* Takes the metadata, an object of strings. */
static gal_status take_metadata(gal_arrays *arrays, const cJSON *object)
{
    int64_t n = cJSON_GetArraySize(object);
    if (!cJSON_IsObject(object))
        return gal_fail(GAL_FILE, "%s: its __metadata__ is no JSON object", arrays->path);
    arrays->key = calloc((size_t)n + 1, sizeof *arrays->key);
    arrays->value = calloc((size_t)n + 1, sizeof *arrays->value);
    if (!arrays->key || !arrays->value)
        return no_memory(arrays->path);
    for (const cJSON *item = object->child; item; item = item->next) {
        if (!cJSON_IsString(item))
            return gal_fail(GAL_FILE, "%s: its metadata \"%s\" is no string", arrays->path, item->string);
        int64_t i = arrays->pairs++;
        arrays->key[i] = strdup(item->string);
        arrays->value[i] = strdup(item->valuestring);
        if (!arrays->key[i] || !arrays->value[i])
            return no_memory(arrays->path);
    }
    return GAL_OK;
}

/* Takes one tensor's entry; a->offset counts from the first value. */
static gal_status take_tensor(gal_array *a, const cJSON *entry, const char *path)
{
    const char *name = entry->string;
    const cJSON *dtype = cJSON_GetObjectItemCaseSensitive(entry, "dtype");
    const cJSON *shape = cJSON_GetObjectItemCaseSensitive(entry, "shape");
    const cJSON *offsets = cJSON_GetObjectItemCaseSensitive(entry, "data_offsets");
    size_t k = 0, known = sizeof dtypes / sizeof *dtypes;
    if (!(a->name = strdup(name)))
        return no_memory(path);
    if (!cJSON_IsString(dtype) || !cJSON_IsArray(shape) || !cJSON_IsArray(offsets) ||
        cJSON_GetArraySize(offsets) != 2)
        return gal_fail(GAL_FILE, "%s: tensor \"%s\" lacks a dtype, a shape or two data_offsets", path, name);
    while (k < known && strcmp(dtypes[k].name, dtype->valuestring) != 0)
        k++;
    if (k == known)
        return gal_fail(
            GAL_TYPE,
            "%s: tensor \"%s\" has dtype %.40s, expected F16, BF16, F32, F64, BOOL, I8 to I64 or U8 to U64",
            path, name, dtype->valuestring);
    a->stored = dtypes[k].stored;
    for (const cJSON *size = shape->child; size; size = size->next) {
        if (a->rank == GAL_RANK)
            return gal_fail(GAL_SHAPE, "%s: tensor \"%s\" has more than %d dimensions", path, name, GAL_RANK);
        if (!take_count(size, &a->shape[a->rank++]))
            return gal_fail(GAL_FILE, "%s: tensor \"%s\" has a size that is no whole number", path, name);
    }
    int64_t end, bytes;
    if (!take_count(offsets->child, &a->offset) || !take_count(offsets->child->next, &end))
        return gal_fail(GAL_FILE, "%s: tensor \"%s\" has data_offsets that are no whole numbers", path, name);
    if (!gal_shape_product(&a->count, a->shape, a->rank) ||
        __builtin_mul_overflow(a->count, gal_stored_size(a->stored), &bytes) || end - a->offset != bytes)
        return gal_fail(GAL_FILE,
                        "%s: tensor \"%s\" claims %lld bytes, which is not what its shape and dtype need",
                        path, name, (long long)(end - a->offset));
    return GAL_OK;
}

static int by_offset(const void *left, const void *right)
{
    const gal_array *a = left, *b = right;
    if (a->offset != b->offset)
        return a->offset < b->offset ? -1 : 1;
    if (a->count != b->count) /* empty tensors share an offset with what follows them */
        return a->count < b->count ? -1 : 1;
    return strcmp(a->name, b->name);
}

/* Checks that every byte of the values, which begin at byte `data`, belongs to exactly one tensor; offsets
 * then count from the file's start. */
static gal_status check_layout(gal_arrays *arrays, int64_t data)
{
    int64_t next = 0, have = arrays->file.size - data;
    qsort(arrays->array, (size_t)arrays->count, sizeof *arrays->array, by_offset);
    for (int64_t i = 0; i < arrays->count; i++) {
        gal_array *a = &arrays->array[i];
        if (a->offset != next)
            return gal_fail(GAL_FILE,
                            "%s: tensor \"%s\" begins at byte %lld of the values, expected %lld: tensors "
                            "overlap or leave a gap",
                            arrays->path, a->name, (long long)a->offset, (long long)next);
        next += a->count * gal_stored_size(a->stored);
        if (next > have)
            return gal_fail(
                GAL_FILE,
                "%s: is truncated: tensor \"%s\" ends at byte %lld of the values, the file has %lld",
                arrays->path, a->name, (long long)next, (long long)have);
        a->offset += data;
    }
    if (next != have)
        return gal_fail(GAL_FILE, "%s: has %lld bytes of values, its tensors claim %lld", arrays->path,
                        (long long)have, (long long)next);
    return gal_arrays_sort(arrays);
}

static gal_status take_header(gal_arrays *arrays, const cJSON *root)
{
    if (!cJSON_IsObject(root))
        return gal_fail(GAL_FILE, "%s: is no valid safetensors file: its header is no JSON object",
                        arrays->path);
    arrays->array = calloc((size_t)cJSON_GetArraySize(root) + 1, sizeof *arrays->array);
    if (!arrays->array)
        return no_memory(arrays->path);
    for (const cJSON *entry = root->child; entry; entry = entry->next) {
        gal_status status;
        if (strcmp(entry->string, "__metadata__") == 0)
            status = arrays->key ? gal_fail(GAL_FILE, "%s: __metadata__ occurs twice", arrays->path)
                                 : take_metadata(arrays, entry);
        else
            status = take_tensor(&arrays->array[arrays->count++], entry, arrays->path);
        if (status)
            return status;
    }
    return GAL_OK;
}

/* cJSON does not say whether a text is no JSON or its memory ran out: these note the latter. */
static _Thread_local int no_memory_left;

static void *noted_malloc(size_t n)
{
    void *block = malloc(n);
    no_memory_left |= !block;
    return block;
}

static cJSON *parse(const char *text, size_t n, const char **end)
{
    cJSON_Hooks hooks = {.malloc_fn = noted_malloc, .free_fn = free};
    no_memory_left = 0;
    cJSON_InitHooks(&hooks);
    return cJSON_ParseWithLengthOpts(text, n, end, 0);
}

static gal_status open_safetensors(gal_arrays *arrays)
{
    const char *path = arrays->path;
    unsigned char prefix[8];
    if (arrays->file.size < 8)
        return gal_fail(GAL_FILE, "%s: is no safetensors file: it has %lld bytes, too short for a header",
                        path, (long long)arrays->file.size);
    gal_status status = gal_file_at(&arrays->file, prefix, 8, 0);
    if (status)
        return status;
    uint64_t n = 0;
    for (int b = 7; b >= 0; b--)
        n = n << 8 | prefix[b];
    if (n > LARGEST_HEADER)
        return gal_fail(GAL_FILE,
                        "%s: is no safetensors file: its header would have %llu bytes, more than 100 MB",
                        path, (unsigned long long)n);
    if ((int64_t)n > arrays->file.size - 8)
        return gal_fail(GAL_FILE, "%s: is truncated: its header has %llu bytes, the file %lld", path,
                        (unsigned long long)n, (long long)arrays->file.size);
    char *text = malloc((size_t)n + 1);
    if (!text)
        return no_memory(path);
    status = gal_file_at(&arrays->file, text, (int64_t)n, 8);
    text[n] = 0;
    const char *end = NULL;
    cJSON *root = status ? NULL : parse(text, n, &end);
    if (!status && !root && no_memory_left)
        status = no_memory(path);
    else if (!status && (!root || (int64_t)(end - text) + (int64_t)strspn(end, " \t\r\n") != (int64_t)n))
        status = gal_fail(GAL_FILE, "%s: is no valid safetensors file: its header is no JSON", path);
    if (!status)
        status = take_header(arrays, root);
    if (!status)
        status = check_layout(arrays, 8 + (int64_t)n);
    cJSON_Delete(root);
    free(text);
    return status;
}

/* ---- writing ---- */

static const char *written_dtype(int dtype)
{
    return dtype == GAL_F32 ? "F32" : dtype == GAL_U8 ? "U8" : dtype == GAL_I64 ? "I64" : "F64";
}

typedef struct named_tensor {
    const char *name;
    const gal_tensor *x;
} named_tensor;
static int by_given_name(const void *left, const void *right)
{
    return strcmp(((const named_tensor *)left)->name, ((const named_tensor *)right)->name);
}

/* Wide dtypes first, so that every tensor stays aligned to its size, then by name: the reference's order. */
static int by_width(const void *left, const void *right)
{
    const named_tensor *a = left, *b = right;
    size_t wide_a = gal_dtype_size(a->x->dtype), wide_b = gal_dtype_size(b->x->dtype);
    return wide_a != wide_b ? (wide_a > wide_b ? -1 : 1) : strcmp(a->name, b->name);
}

typedef struct pair {
    const char *key, *value;
} pair;
static int by_key(const void *left, const void *right)
{
    return strcmp(((const pair *)left)->key, ((const pair *)right)->key);
}

/* Adds {"dtype", "shape", "data_offsets"} under the tensor's name; *offset moves past its values. NULL where
 * there is no memory. */
static cJSON *add_tensor(cJSON *root, const named_tensor *tensor, int64_t *offset)
{
    cJSON *entry = cJSON_AddObjectToObject(root, tensor->name);
    cJSON *dtype = cJSON_AddStringToObject(entry, "dtype", written_dtype(tensor->x->dtype));
    cJSON *shape = cJSON_AddArrayToObject(entry, "shape"),
          *offsets = cJSON_AddArrayToObject(entry, "data_offsets");
    int made = entry && dtype && shape && offsets;
    for (int d = 0; d < tensor->x->rank; d++)
        made = made && cJSON_AddItemToArray(shape, cJSON_CreateNumber((double)tensor->x->shape[d]));
    made = made && cJSON_AddItemToArray(offsets, cJSON_CreateNumber((double)*offset));
    *offset += gal_tensor_count(tensor->x) * (int64_t)gal_dtype_size(tensor->x->dtype);
    made = made && cJSON_AddItemToArray(offsets, cJSON_CreateNumber((double)*offset));
    return made ? entry : NULL;
}

/* The header's text, malloc'ed; NULL with the sentence set. */
static char *header_text(const char *path, int64_t count, const named_tensor *tensors, int64_t pairs,
                         const pair *metadata)
{
    cJSON *root = cJSON_CreateObject();
    cJSON *object = pairs ? cJSON_AddObjectToObject(root, "__metadata__") : root;
    int made = object != NULL;
    int64_t offset = 0;
    for (int64_t i = 0; made && i < pairs; i++)
        made = cJSON_AddStringToObject(object, metadata[i].key, metadata[i].value) != NULL;
    for (int64_t i = 0; made && i < count; i++)
        made = add_tensor(root, &tensors[i], &offset) != NULL;
    char *text = made ? cJSON_PrintUnformatted(root) : NULL;
    cJSON_Delete(root);
    if (!text)
        no_memory(path);
    return text;
}

/* tensors and metadata are sorted by name. */
static gal_status check_names(const char *path, int64_t count, const named_tensor *tensors, int64_t pairs,
                              const pair *metadata)
{
    for (int64_t i = 0; i < count; i++) {
        if (strcmp(tensors[i].name, "__metadata__") == 0 || !gal_is_utf8(tensors[i].name))
            return gal_fail(GAL_VALUE, "%s: no tensor can be named \"%s\"", path, tensors[i].name);
        if (i > 0 && strcmp(tensors[i - 1].name, tensors[i].name) == 0)
            return gal_fail(GAL_VALUE, "%s: tensor \"%s\" is given twice", path, tensors[i].name);
    }
    for (int64_t i = 0; i < pairs; i++)
        if (!gal_is_utf8(metadata[i].key) || !gal_is_utf8(metadata[i].value))
            return gal_fail(GAL_VALUE, "%s: metadata \"%s\" is not UTF-8 text", path, metadata[i].key);
    return GAL_OK;
}

static gal_status write_all(const char *path, const char *text, int64_t count, const named_tensor *tensors)
{
    int64_t n = (int64_t)strlen(text), padded = (n + 7) / 8 * 8; /* so that the values begin aligned */
    unsigned char prefix[8];
    for (int b = 0; b < 8; b++)
        prefix[b] = (unsigned char)((uint64_t)padded >> 8 * b);
    if (padded > LARGEST_HEADER)
        return gal_fail(GAL_VALUE,
                        "%s: names and metadata take %lld bytes, more than the 100 MB that a header may have",
                        path, (long long)n);
    gal_writer writer;
    gal_status status = gal_writer_open(&writer, path);
    if (!status)
        status = gal_writer_put(&writer, prefix, 8);
    if (!status)
        status = gal_writer_put(&writer, text, n);
    if (!status)
        status = gal_writer_put(&writer, "       ", padded - n);
    for (int64_t i = 0; !status && i < count; i++)
        status = gal_writer_put_tensor(&writer, tensors[i].x);
    if (!status)
        status = gal_writer_commit(&writer);
    return status;
}

static gal_status write_safetensors(const char *path, int64_t count, const char *const *names,
                                    const gal_tensor *const *tensors, int64_t pairs, const char *const *keys,
                                    const char *const *values)
{
    named_tensor *named = calloc((size_t)count + 1, sizeof *named);
    pair *metadata = calloc((size_t)pairs + 1, sizeof *metadata);
    gal_status status = named && metadata ? GAL_OK : no_memory(path);
    char *text = NULL;
    if (!status) {
        for (int64_t i = 0; i < count; i++)
            named[i] = (named_tensor){names[i], tensors[i]};
        for (int64_t i = 0; i < pairs; i++)
            metadata[i] = (pair){keys[i], values[i]};
        qsort(named, (size_t)count, sizeof *named, by_given_name);
        qsort(metadata, (size_t)pairs, sizeof *metadata, by_key);
        status = check_names(path, count, named, pairs, metadata);
        qsort(named, (size_t)count, sizeof *named, by_width);
    }
    if (!status && !(text = header_text(path, count, named, pairs, metadata)))
        status = GAL_MEMORY;
    if (!status)
        status = write_all(path, text, count, named);
    cJSON_free(text);
    free(named);
    free(metadata);
    return status;
}

const gal_array_format gal_safetensors_format = {.ending = ".safetensors",
                                                 .holds = GAL_HOLDS_METADATA,
                                                 .open = open_safetensors,
                                                 .write = write_safetensors};
