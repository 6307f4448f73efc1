/* npz.c: reads named arrays from a zip archive of .npy files (numpy.savez), by libzip: stored or deflated,
 * zip64 or not. An entry is unpacked while its values are read, so that memory holds the tensor only.
 * npz_write.c writes such archives. */
#include "io.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zip.h>

#define LARGEST_RATIO 1032 /* deflate makes at most 258 bytes of 2 bits (zlib's technical notes) */

static gal_status no_memory(const gal_arrays *arrays)
{
    return gal_fail(GAL_MEMORY, "%s: no memory to open it", arrays->path);
}

static gal_status open_archive(gal_arrays *arrays)
{
    int code = 0, fd = dup(arrays->file.fd);
    zip_error_t error;
    if (fd < 0)
        return gal_fail(gal_file_status(errno), "%s: can't be opened: %s", arrays->path, strerror(errno));
    if ((arrays->archive = zip_fdopen(fd, 0, &code)))
        return GAL_OK;
    close(fd);
    zip_error_init_with_code(&error, code);
    gal_fail(GAL_FILE,
             "%s: is no .npz file, or is truncated or damaged: it does not open as a zip archive (%s)",
             arrays->path, zip_error_strerror(&error));
    zip_error_fini(&error);
    return GAL_FILE;
}

/* Takes name and size of entry i; claimed {1} adds up the packed bytes. */
static gal_status take_entry(gal_arrays *arrays, gal_array *a, zip_uint64_t i, zip_uint64_t *claimed,
                             zip_uint64_t *size)
{
    zip_stat_t s;
    zip_uint64_t needed = ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD,
                 file = (zip_uint64_t)arrays->file.size;
    if (zip_stat_index(arrays->archive, i, 0, &s) != 0 || (s.valid & needed) != needed)
        return gal_fail(GAL_FILE, "%s: is damaged: its entry %llu can't be read (%s)", arrays->path,
                        (unsigned long long)i + 1, zip_strerror(arrays->archive));
    size_t n = strlen(s.name);
    if (n < 4 || strcmp(s.name + n - 4, ".npy") != 0)
        return gal_fail(
            GAL_FILE, "%s: holds \"%.80s\", which is no .npy file, expected a .npz as numpy.savez writes it",
            arrays->path, s.name);
    /* The claims of all entries together have to be possible for the file's length, since memory is taken by
     * them. */
    if (s.comp_method != ZIP_CM_STORE && s.comp_method != ZIP_CM_DEFLATE)
        return gal_fail(GAL_FILE, "%s: \"%.80s\" is packed by method %d, expected stored or deflated",
                        arrays->path, s.name, s.comp_method);
    if (s.comp_size > file || (*claimed += s.comp_size) > file ||
        s.size > (s.comp_method == ZIP_CM_STORE ? 1 : LARGEST_RATIO) * s.comp_size)
        return gal_fail(GAL_FILE,
                        "%s: is damaged: \"%.80s\" claims %llu bytes, packed to %llu, in a file of %llu",
                        arrays->path, s.name, (unsigned long long)s.size, (unsigned long long)s.comp_size,
                        (unsigned long long)file);
    *size = s.size;
    a->entry = (int64_t)i;
    size_t length = strlen(arrays->path) + n + 16;
    if (!(a->name = strndup(s.name, n - 4)) || !(a->label = malloc(length)))
        return no_memory(arrays);
    snprintf(a->label, length, "%s: array \"%s\"", arrays->path, a->name);
    return GAL_OK;
}

static gal_status take_unpacked(gal_bytes *bytes, void *to, int64_t n)
{
    char *at = to;
    while (n > 0) {
        zip_int64_t got = zip_fread(bytes->entry, at, (zip_uint64_t)n);
        if (got < 0)
            return gal_fail(GAL_FILE, "%s is truncated or damaged: it does not unpack (%s)", bytes->label,
                            zip_file_strerror(bytes->entry));
        if (got == 0)
            return gal_fail(GAL_FILE, "%s is truncated: its values end %lld bytes too early", bytes->label,
                            (long long)n);
        at += got;
        n -= got;
    }
    return GAL_OK;
}

static gal_status finish_entry(gal_bytes *bytes, gal_status status)
{
    char rest[4096];
    zip_int64_t got = 1;
    while (!status && got > 0) /* libzip compares the checksum at the end */
        if ((got = zip_fread(bytes->entry, rest, sizeof rest)) < 0)
            status = gal_fail(GAL_FILE, "%s is damaged: %s", bytes->label, zip_file_strerror(bytes->entry));
    zip_fclose(bytes->entry);
    return status;
}

static gal_status open_entry(gal_bytes *bytes, const gal_arrays *arrays, const gal_array *a)
{
    zip_file_t *entry = zip_fopen_index(arrays->archive, (zip_uint64_t)a->entry, 0);
    *bytes = (gal_bytes){.take = take_unpacked, .entry = entry, .label = a->label};
    if (!entry)
        return gal_fail(GAL_FILE, "%s can't be unpacked (%s)", a->label, zip_strerror(arrays->archive));
    return GAL_OK;
}

/* The entry at its first value, behind the .npy header. */
static gal_status begin_entry(gal_bytes *bytes, const gal_arrays *arrays, const gal_array *a)
{
    char header[256];
    gal_status status = open_entry(bytes, arrays, a);
    for (int64_t left = a->offset; !status && left > 0; left -= (int64_t)sizeof header) {
        status = take_unpacked(bytes, header, left < (int64_t)sizeof header ? left : (int64_t)sizeof header);
        if (status)
            zip_fclose(bytes->entry);
    }
    return status;
}

/* Takes the last array, whose type is not read, out again and leaves a notice of it. */
static void leave_out(gal_arrays *arrays)
{
    gal_array *a = &arrays->array[--arrays->count];
    gal_note("%s: it is left out", gal_error());
    free(a->name);
    free(a->label);
    *a = (gal_array){0};
}

static gal_status open_npz(gal_arrays *arrays)
{
    zip_uint64_t claimed = 0, size = 0;
    gal_status status = open_archive(arrays);
    zip_int64_t count = status ? 0 : zip_get_num_entries(arrays->archive, 0);
    if (!status && !(arrays->array = calloc((size_t)count + 1, sizeof *arrays->array)))
        return no_memory(arrays);
    for (zip_int64_t i = 0; !status && i < count; i++) {
        gal_array *a = &arrays->array[arrays->count++];
        gal_bytes bytes;
        status = take_entry(arrays, a, (zip_uint64_t)i, &claimed, &size);
        if (!status)
            status = open_entry(&bytes, arrays, a);
        if (!status) {
            status = gal_npy_header(a, &bytes, (int64_t)size);
            zip_fclose(bytes.entry);
        }
        if (status == GAL_TYPE &&
            (arrays->count > 1 || i + 1 < count)) { /* text, records: the others count */
            leave_out(arrays);
            status = GAL_OK;
        }
    }
    return status ? status : gal_arrays_sort(arrays);
}

static void close_npz(gal_arrays *arrays)
{
    zip_discard(arrays->archive);
}

const gal_array_format gal_npz_format = {.ending = ".npz",
                                         .holds = GAL_HOLDS_NAMED,
                                         .open = open_npz,
                                         .begin = begin_entry,
                                         .finish = finish_entry,
                                         .close = close_npz,
                                         .write = gal_npz_write};
