/* growing.c: files that take hours to make and survive a stop. They grow at their end, and what was synced is
 * there after a crash. An unfinished file has a name that says so; its maker renames it when it is whole. */
#define _GNU_SOURCE
#include "io.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct gal_growing {
    gal_writer writer; /* its temporary is NULL: abandoning it closes the file and leaves it */
};

gal_status gal_growing_open(gal_growing **out, const char *path, int64_t keep)
{
    gal_growing *g = calloc(1, sizeof *g);
    char *name = strdup(path ? path : "");
    if (!g || !name) {
        free(g);
        free(name);
        return gal_fail(GAL_MEMORY, "%s: no memory left to write it", path);
    }
    g->writer = (gal_writer){.fd = open(name, GAL_OPEN_OWN | O_WRONLY, 0666), .path = name};
    struct stat info;
    gal_status status = GAL_OK;
    if (g->writer.fd < 0 && errno == ELOOP)
        status = gal_fail(GAL_FILE, "%s: is a link, expected a regular file or none", path);
    else if (g->writer.fd < 0 || fstat(g->writer.fd, &info) != 0)
        status =
            gal_fail(gal_file_status(errno), "%s: can't be written (opening): %s", path, strerror(errno));
    else if (!S_ISREG(info.st_mode))
        status = gal_fail(GAL_FILE, "%s: is no regular file", path);
    else if (info.st_nlink > 1)
        status = gal_fail(GAL_FILE, "%s: " GAL_LINKED, path);
    else if (info.st_size < keep)
        status = gal_fail(GAL_FILE, "%s: has %lld bytes, expected at least %lld", path,
                          (long long)info.st_size, (long long)keep);
    else if (ftruncate(g->writer.fd, keep) != 0 || lseek(g->writer.fd, keep, SEEK_SET) != keep)
        status = gal_fail(GAL_FILE, "%s: can't be written (cutting it to %lld bytes): %s", path,
                          (long long)keep, strerror(errno));
    if (status != GAL_OK) {
        gal_growing_close(g);
        return status;
    }
    *out = g;
    return GAL_OK;
}

gal_status gal_growing_put(gal_growing *g, const void *bytes, int64_t n)
{
    return gal_writer_put(&g->writer, bytes, n);
}

gal_status gal_growing_sync(gal_growing *g)
{
    if (fdatasync(g->writer.fd) == 0)
        return GAL_OK;
    return gal_fail(GAL_FILE, "%s: can't be written (syncing): %s", g->writer.path, strerror(errno));
}

void gal_growing_close(gal_growing *g)
{
    if (g)
        gal_writer_abandon(&g->writer);
    free(g);
}

gal_status gal_file_rename(const char *from, const char *to)
{
    if (rename(from, to) != 0)
        return gal_fail(GAL_FILE, "%s: can't be renamed to %s: %s", from, to, strerror(errno));
    return gal_folder_sync(to) == 0
               ? GAL_OK
               : gal_fail(GAL_FILE, "%s: can't be written (syncing its folder): %s", to, strerror(errno));
}

gal_status gal_file_remove(const char *path)
{
    if (unlink(path) != 0 && errno != ENOENT)
        return gal_fail(GAL_FILE, "%s: can't be removed: %s", path, strerror(errno));
    return GAL_OK;
}
