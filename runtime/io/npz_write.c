/* npz_write.c: writes tensors by name as numpy.savez does: a zip archive of .npy files, stored, zip64 where
 * it has to be. libzip makes the archive: it asks here for each entry's bytes and hands the archive's to our
 * writer, which syncs and renames. */
#include "io.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zip.h>

#define NEW_YEAR_1980 33 /* the date of every entry, in MS-DOS's form: equal contents give equal bytes */

/* ---- an entry: header and values of one tensor ---- */

typedef struct entry {
    const gal_tensor *x;
    char header[512];
    int64_t header_n, values_n, at; /* bytes; at: how many libzip has read */
    const char *values;
    void *host; /* the values where they had to be copied, else NULL */
    gal_status *status;
    zip_error_t error;
} entry;

static int open_entry(entry *e)
{
    e->at = 0;
    e->values = e->x->data;
    if (gal_tensor_contiguous(e->x) && gal_on_host(e->x))
        return 0;
    e->values = e->host = malloc((size_t)e->values_n + 1);
    *e->status = e->host ? gal_tensor_read(e->x, e->host, gal_tensor_count(e->x))
                         : gal_fail(GAL_MEMORY, "no memory to write %s", gal_shape_text(e->x));
    if (*e->status == GAL_OK)
        return 0;
    zip_error_set(&e->error, ZIP_ER_READ, EIO);
    return -1;
}

static zip_int64_t read_entry(entry *e, char *to, int64_t n)
{
    int64_t left = e->header_n + e->values_n - e->at;
    n = n < left ? n : left;
    int64_t header = e->at < e->header_n ? e->header_n - e->at : 0;
    header = header < n ? header : n;
    memcpy(to, e->header + e->at, (size_t)header);
    if (n > header)
        memcpy(to + header, e->values + (e->at + header - e->header_n), (size_t)(n - header));
    e->at += n;
    return n;
}

static zip_int64_t entry_source(void *user, void *data, zip_uint64_t n, zip_source_cmd_t command)
{
    entry *e = user;
    switch (command) {
    case ZIP_SOURCE_OPEN:
        return open_entry(e);
    case ZIP_SOURCE_READ:
        return read_entry(e, data, n < INT64_MAX ? (int64_t)n : INT64_MAX);
    case ZIP_SOURCE_CLOSE:
        free(e->host);
        e->host = NULL;
        return 0;
    case ZIP_SOURCE_STAT: {
        zip_stat_t *s = data;
        zip_stat_init(s);
        s->valid = ZIP_STAT_SIZE;
        s->size = (zip_uint64_t)(e->header_n + e->values_n);
        return sizeof *s;
    }
    case ZIP_SOURCE_ERROR:
        return zip_error_to_data(&e->error, data, n);
    case ZIP_SOURCE_FREE:
        free(e->host);
        e->host = NULL;
        return 0;
    case ZIP_SOURCE_SUPPORTS:
        return ZIP_SOURCE_SUPPORTS_READABLE;
    default:
        zip_error_set(&e->error, ZIP_ER_OPNOTSUPP, 0);
        return -1;
    }
}

/* ---- the archive: a file that is only written ---- */

typedef struct target {
    gal_writer writer;
    gal_status status;
    zip_error_t error;
} target;

static int seek_target(target *t, void *data, zip_uint64_t n)
{
    zip_source_args_seek_t *args = ZIP_SOURCE_GET_ARGS(zip_source_args_seek_t, data, n, &t->error);
    if (args && lseek(t->writer.fd, args->offset, args->whence) >= 0)
        return 0;
    zip_error_set(&t->error, ZIP_ER_SEEK, errno);
    return -1;
}

static zip_int64_t target_source(void *user, void *data, zip_uint64_t n, zip_source_cmd_t command)
{
    target *t = user;
    switch (command) {
    case ZIP_SOURCE_STAT: /* no archive is there yet */
        zip_error_set(&t->error, ZIP_ER_READ, ENOENT);
        return -1;
    case ZIP_SOURCE_WRITE:
        t->status = gal_writer_put(&t->writer, data, (int64_t)n);
        if (t->status == GAL_OK)
            return (zip_int64_t)n;
        zip_error_set(&t->error, ZIP_ER_WRITE, EIO);
        return -1;
    case ZIP_SOURCE_SEEK_WRITE:
        return seek_target(t, data, n);
    case ZIP_SOURCE_TELL_WRITE:
        return lseek(t->writer.fd, 0, SEEK_CUR);
    case ZIP_SOURCE_BEGIN_WRITE:
    case ZIP_SOURCE_COMMIT_WRITE:
    case ZIP_SOURCE_ROLLBACK_WRITE:
    case ZIP_SOURCE_FREE:
        return 0;
    case ZIP_SOURCE_ERROR:
        return zip_error_to_data(&t->error, data, n);
    case ZIP_SOURCE_SUPPORTS:
        return ZIP_SOURCE_SUPPORTS_WRITABLE;
    default:
        zip_error_set(&t->error, ZIP_ER_OPNOTSUPP, 0);
        return -1;
    }
}

/* ---- both ---- */

/* Adds an entry NAME.npy to the archive. Returns 0 where libzip fails. */
static int add_entry(zip_t *zip, entry *e, const char *name)
{
    size_t length = strlen(name) + 5;
    char *file = malloc(length);
    zip_source_t *source = file ? zip_source_function(zip, entry_source, e) : NULL;
    zip_int64_t i = -1;
    if (source) {
        memcpy(file, name, length - 5);
        memcpy(file + length - 5, ".npy", 5);
        i = zip_file_add(zip, file, source, ZIP_FL_ENC_UTF_8);
        if (i < 0)
            zip_source_free(source);
    }
    free(file);
    return i >= 0 && zip_set_file_compression(zip, (zip_uint64_t)i, ZIP_CM_STORE, 0) == 0 &&
           zip_file_set_dostime(zip, (zip_uint64_t)i, 0, NEW_YEAR_1980, 0) == 0;
}

/* Writes everything into the open writer. */
static gal_status write_archive(target *t, const char *path, int64_t count, const char *const *names,
                                entry *entries)
{
    zip_error_t error;
    zip_error_init(&error);
    zip_source_t *source = zip_source_function_create(target_source, t, &error);
    zip_t *zip = source ? zip_open_from_source(source, ZIP_CREATE, &error) : NULL;
    if (!zip) {
        zip_source_free(source);
        gal_fail(GAL_FILE, "%s: can't be written: %s", path, zip_error_strerror(&error));
        zip_error_fini(&error);
        return GAL_FILE;
    }
    int made = 1;
    for (int64_t i = 0; made && i < count; i++)
        made = add_entry(zip, &entries[i], names[i]);
    if (made && zip_close(zip) == 0)
        return GAL_OK;
    if (t->status == GAL_OK)
        t->status = gal_fail(GAL_FILE, "%s: can't be written: %s", path, zip_strerror(zip));
    zip_discard(zip);
    return t->status;
}

static int by_text(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static gal_status check_names(const char *path, int64_t count, const char *const *names)
{
    const char **sorted = malloc((size_t)(count + 1) * sizeof *sorted);
    gal_status status = sorted ? GAL_OK : gal_fail(GAL_MEMORY, "%s: no memory to write it", path);
    if (sorted)
        memcpy(sorted, names, (size_t)count * sizeof *sorted);
    if (sorted)
        qsort(sorted, (size_t)count, sizeof *sorted, by_text);
    for (int64_t i = 0; !status && i < count; i++)
        if (!*sorted[i] || strlen(sorted[i]) > 65000 ||
            !gal_is_utf8(sorted[i])) /* a zip archive's names have 16-bit lengths */
            status = gal_fail(GAL_VALUE, "%s: no array can be named \"%.80s\"", path, sorted[i]);
        else if (i > 0 && strcmp(sorted[i - 1], sorted[i]) == 0)
            status = gal_fail(GAL_VALUE, "%s: array \"%s\" is given twice", path, sorted[i]);
    free(sorted);
    return status;
}

gal_status gal_npz_write(const char *path, int64_t count, const char *const *names,
                         const gal_tensor *const *tensors, int64_t pairs, const char *const *keys,
                         const char *const *values)
{
    (void)pairs, (void)keys, (void)values; /* there are none */
    /* libzip removes an archive without entries; NumPy reads and writes one. */
    static const char empty[22] = "PK\5\6";
    gal_status status = check_names(path, count, names);
    if (status || count == 0)
        return status ? status : gal_file_write(path, empty, sizeof empty);
    entry *entries = calloc((size_t)count, sizeof *entries);
    target t = {.writer = {.fd = -1}};
    zip_error_init(&t.error);
    status =
        entries ? gal_writer_open(&t.writer, path) : gal_fail(GAL_MEMORY, "%s: no memory to write it", path);
    for (int64_t i = 0; !status && i < count; i++) {
        entries[i].x = tensors[i];
        entries[i].status = &t.status;
        entries[i].header_n = gal_npy_header_text(entries[i].header, tensors[i]);
        entries[i].values_n = gal_tensor_count(tensors[i]) * (int64_t)gal_dtype_size(tensors[i]->dtype);
        zip_error_init(&entries[i].error);
    }
    if (!status)
        status = write_archive(&t, path, count, names, entries);
    if (!status)
        status = gal_writer_commit(&t.writer);
    else
        gal_writer_abandon(&t.writer);
    free(entries);
    return status;
}
