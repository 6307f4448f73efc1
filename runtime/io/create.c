/* create.c: files by which processes agree without locks: one of them makes the file, and its time of change
 * says that its maker still lives. NFS keeps both promises: an exclusive create is one call there, and the
 * time is the server's. */
#define _GNU_SOURCE
#include "io.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

gal_status gal_file_create(const char *path, const void *bytes, int64_t n, int *made)
{
    *made = 0;
    if (!path)
        return gal_fail(GAL_VALUE, "no path is given, expected the name of a file to make");
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (file < 0 && errno == EEXIST)
        return GAL_OK;
    if (file < 0)
        return gal_fail(gal_file_status(errno), "%s: can't be made: %s", path, strerror(errno));
    ssize_t put = n > 0 ? write(file, bytes, (size_t)n) : 0;
    int failed = put != n ? (put < 0 ? errno : ENOSPC) : fsync(file) != 0 ? errno : 0;
    if (close(file) != 0 && !failed)
        failed = errno;
    if (failed) {
        unlink(path);
        return gal_fail(GAL_FILE, "%s: can't be written: %s", path, strerror(failed));
    }
    *made = 1;
    return GAL_OK;
}

gal_status gal_file_touch(const char *path, int64_t *modified)
{
    struct stat info;
    if (!path || utimensat(AT_FDCWD, path, NULL, 0) != 0 || stat(path, &info) != 0)
        return gal_fail(GAL_FILE, "%s: can't be touched: %s", path ? path : "", strerror(errno));
    *modified = (int64_t)info.st_mtim.tv_sec * 1000000000 + info.st_mtim.tv_nsec;
    return GAL_OK;
}
