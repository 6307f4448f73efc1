/* file.c: reads and writes whole files. Reading is by pread; writing is all or nothing; every sentence begins
 * with the path. */
#define _GNU_SOURCE /* syncfs */
#include "io.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

/* Linux moves at most this many bytes a call (read(2)). */
#define LARGEST_CALL 0x7ffff000

gal_status gal_file_status(int reason)
{
    return reason == EMFILE || reason == ENFILE || reason == ENOMEM ? GAL_MEMORY : GAL_FILE;
}

gal_status gal_file_open(gal_file *file, const char *path)
{
    if (!path)
        return gal_fail(GAL_VALUE, "no path is given, expected the name of a file");
    /* O_NONBLOCK: a FIFO without a writer would block for ever. A regular file ignores it. */
    *file = (gal_file){.fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), .path = path};
    if (file->fd < 0)
        return gal_fail(gal_file_status(errno), "%s: can't be opened: %s", path, strerror(errno));
    struct stat info;
    if (fstat(file->fd, &info) != 0) {
        gal_fail(GAL_FILE, "%s: can't be read: %s", path, strerror(errno));
        gal_file_close(file);
        return GAL_FILE;
    }
    if (!S_ISREG(info.st_mode)) {
        gal_file_close(file);
        return gal_fail(GAL_FILE, "%s: is %s, expected a regular file", path,
                        S_ISDIR(info.st_mode) ? "a folder" : "a device or a pipe");
    }
    file->size = info.st_size;
    return GAL_OK;
}

gal_status gal_file_at(const gal_file *file, void *bytes, int64_t n, int64_t offset)
{
    char *at = bytes;
    while (n > 0) {
        ssize_t got = pread(file->fd, at, n < LARGEST_CALL ? (size_t)n : LARGEST_CALL, offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return gal_fail(GAL_FILE, "%s: can't be read: %s", file->path, strerror(errno));
        if (got == 0)
            return gal_fail(GAL_FILE, "%s: ends after %lld bytes, expected %lld more", file->path,
                            (long long)offset, (long long)n);
        at += got;
        offset += got;
        n -= got;
    }
    return GAL_OK;
}

void gal_file_close(gal_file *file)
{
    if (file->fd >= 0)
        close(file->fd);
    file->fd = -1;
}

gal_status gal_file_read(char **bytes, int64_t *n, const char *path)
{
    *bytes = NULL;
    *n = 0;
    gal_file file;
    gal_status status = gal_file_open(&file, path);
    if (status)
        return status;
    char *all = malloc((size_t)file.size + 1);
    if (!all)
        status = gal_fail(GAL_MEMORY, "%s: no memory for its %lld bytes", path, (long long)file.size);
    else
        status = gal_file_at(&file, all, file.size, 0);
    gal_file_close(&file);
    if (status) {
        free(all);
        return status;
    }
    all[file.size] = 0;
    *bytes = all;
    *n = file.size;
    return GAL_OK;
}

void gal_file_free(char *bytes)
{
    free(bytes);
}

/* The bytes of path that are its folder, with the last slash: 0 for a bare name. */
static size_t folder_length(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? (size_t)(slash - path) + 1 : 0;
}

static gal_status cannot_write(gal_writer *writer, const char *what)
{
    int reason = errno;
    gal_fail(gal_file_status(reason), "%s: can't be written (%s): %s", writer->path, what, strerror(reason));
    gal_writer_abandon(writer);
    return gal_file_status(reason);
}

/* Locks the new file that fd is open on, until fd is closed, however that comes: gal_folder_sweep takes files
 * without a lock. 0 where it has taken this one before. Where there are no locks it takes none. */
static int held(int fd)
{
    struct stat info;
    if (fcntl(fd, F_OFD_SETLK, &(struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET}) != 0)
        return errno != EAGAIN;
    return fstat(fd, &info) != 0 || info.st_nlink > 0;
}

/* Opens writer->temporary, a new name in the folder of writer->path. */
static gal_status open_temporary(gal_writer *writer, mode_t mode)
{
    static atomic_uint counter;
    size_t folder = folder_length(writer->path), size = folder + 48;
    writer->temporary = malloc(size);
    if (!writer->temporary) {
        gal_writer_abandon(writer);
        return gal_fail(GAL_MEMORY, "no memory to write a file");
    }
    /* Steps over what a killed process of our number has left, and what was swept before it was locked. */
    for (int attempt = 0; attempt < 1000; attempt++) {
        snprintf(writer->temporary, size, "%.*s.galrun-%ld-%u.tmp", (int)folder, writer->path, (long)getpid(),
                 atomic_fetch_add(&counter, 1));
        writer->fd = open(writer->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
        if (writer->fd >= 0 ? held(writer->fd) : errno != EEXIST)
            break;
        if (writer->fd >= 0)
            close(writer->fd);
        writer->fd = -1;
        errno = EEXIST;
    }
    if (writer->fd < 0) {
        int reason = errno;
        free(writer->temporary); /* another's file must not be removed */
        writer->temporary = NULL;
        errno = reason;
        return cannot_write(writer, "making a temporary file in its folder");
    }
    return GAL_OK;
}

/* 1 with info where something is at path, 0 where nothing is, -1 with the sentence where that can't be told:
 * whoever takes an unreadable disk, or a link that leads nowhere, for nothing there begins anew and loses
 * what is there. A name too long for the file system is nothing's. */
static int look_at(const char *path, struct stat *info)
{
    struct stat link;
    if (stat(path ? path : "", info) == 0)
        return 1;
    int reason = errno, there = reason == ENOENT && lstat(path, &link) == 0;
    if (there && !S_ISLNK(link.st_mode)) { /* it was made between the two looks */
        *info = link;
        return 1;
    }
    int dangling = there;
    if (dangling)
        gal_fail(GAL_FILE, "%s: is a link that leads nowhere", path);
    else if (reason == ENOENT || reason == ENOTDIR || reason == ENAMETOOLONG)
        return 0;
    else
        gal_fail(GAL_FILE, "%s: can't be looked at: %s", path, strerror(reason));
    return -1;
}

gal_status gal_writer_open(gal_writer *writer, const char *path)
{
    *writer = (gal_writer){.fd = -1};
    if (!path)
        return gal_fail(GAL_VALUE, "no path is given, expected the name of a file to write");
    struct stat info;
    int exists = look_at(path, &info);
    if (exists < 0)
        return GAL_FILE;
    if (exists && !S_ISREG(info.st_mode))
        return gal_fail(GAL_FILE, "%s: is %s, expected a regular file or none", path,
                        S_ISDIR(info.st_mode) ? "a folder" : "a device or a pipe");
    size_t n = strlen(path);
    if (n == 0 || path[n - 1] == '/')
        return gal_fail(GAL_FILE, "\"%s\": is no name for a file", path);
    /* Follows a link to its file, so that the rename replaces the file and leaves the link. */
    writer->path = exists ? realpath(path, NULL) : strdup(path);
    if (!writer->path)
        return gal_fail(GAL_FILE, "%s: can't be written: %s", path, strerror(errno));
    gal_status status = open_temporary(writer, 0666);
    if (!status && exists)
        (void)!fchmod(writer->fd, info.st_mode & 0777); /* keeps the old file's permissions where it may */
    return status;
}

gal_status gal_writer_put(gal_writer *writer, const void *bytes, int64_t n)
{
    const char *at = bytes;
    while (n > 0) {
        ssize_t put = write(writer->fd, at, n < LARGEST_CALL ? (size_t)n : LARGEST_CALL);
        if (put < 0 && errno == EINTR)
            continue;
        if (put == 0) /* nothing taken and no reason given: asking again might go on for ever */
            errno = EIO;
        if (put <= 0)
            return cannot_write(writer, "writing");
        at += put;
        n -= put;
    }
    return GAL_OK;
}

gal_status gal_writer_put_tensor(gal_writer *writer, const gal_tensor *x)
{
    int64_t count = gal_tensor_count(x), bytes = count * (int64_t)gal_dtype_size(x->dtype);
    void *host = malloc(bytes ? (size_t)bytes : 1);
    gal_status status =
        host ? gal_tensor_read(x, host, count)
             : gal_fail(GAL_MEMORY, "%s: no memory to write %s", writer->path, gal_shape_text(x));
    if (!status)
        status = gal_writer_put(writer, host, bytes);
    else
        gal_writer_abandon(writer);
    free(host);
    return status;
}

/* The rename is on disk once its folder is. */
int gal_folder_sync(const char *path)
{
    size_t n = folder_length(path);
    char *folder = n ? strndup(path, n) : strdup(".");
    int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    int failed = fd < 0 || fsync(fd) != 0;
    /* A folder may be writable but not readable, and some file systems can't sync folders: the file is good
     * all the same. */
    if (failed && (errno == EINVAL || errno == EACCES || errno == ENOTSUP))
        failed = 0;
    int reason = errno;
    if (fd >= 0)
        close(fd);
    free(folder);
    errno = reason;
    return failed ? -1 : 0;
}

static gal_status commit(gal_writer *writer, int sync)
{
    if (sync && fsync(writer->fd) != 0)
        return cannot_write(writer, "syncing");
    /* Network file systems tell of a full disk when a file is closed, but it is to be locked until it has its
     * name: a copy of the descriptor keeps the lock. */
    int lock = fcntl(writer->fd, F_DUPFD_CLOEXEC, 0);
    int closed = close(writer->fd);
    writer->fd = lock;
    if (closed != 0)
        return cannot_write(writer, "closing");
    if (rename(writer->temporary, writer->path) != 0)
        return cannot_write(writer, "renaming");
    if (lock >= 0)
        close(lock);
    writer->fd = -1;
    free(writer->temporary);
    writer->temporary = NULL;
    if (sync && gal_folder_sync(writer->path) != 0)
        return cannot_write(writer, "syncing its folder");
    gal_writer_abandon(writer);
    return GAL_OK;
}

gal_status gal_writer_commit(gal_writer *writer)
{
    return commit(writer, 1);
}

gal_status gal_writer_commit_unsynced(gal_writer *writer)
{
    return commit(writer, 0);
}

gal_status gal_disk_sync(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int failed = fd < 0 || syncfs(fd) != 0;
    int reason = errno;
    if (fd >= 0)
        close(fd);
    return failed ? gal_fail(GAL_FILE, "%s: can't be synced: %s", path, strerror(reason)) : GAL_OK;
}

void gal_writer_abandon(gal_writer *writer)
{
    if (writer->fd >= 0)
        close(writer->fd);
    if (writer->temporary)
        unlink(writer->temporary);
    free(writer->temporary);
    free(writer->path);
    *writer = (gal_writer){.fd = -1};
}

gal_status gal_file_write(const char *path, const void *bytes, int64_t n)
{
    gal_writer writer;
    gal_status status = gal_writer_open(&writer, path);
    if (!status)
        status = gal_writer_put(&writer, bytes, n);
    if (!status)
        status = gal_writer_commit(&writer);
    return status;
}

int gal_path_exists(const char *path)
{
    struct stat info;
    int exists = look_at(path, &info);
    return exists == 1 && S_ISDIR(info.st_mode) ? 2 : exists;
}

int gal_file_stamp(const char *path, int64_t *bytes, int64_t *modified)
{
    struct stat info;
    int exists = look_at(path, &info);
    if (exists != 1 || !S_ISREG(info.st_mode))
        return exists == 1 ? 0 : exists;
    *bytes = info.st_size;
    *modified = (int64_t)info.st_mtim.tv_sec * 1000000000 + info.st_mtim.tv_nsec;
    return 1;
}

gal_status gal_make_folder(const char *path)
{
    char *part = strdup(path ? path : "");
    if (!part || !*part) {
        free(part);
        return part ? gal_fail(GAL_FILE, "\"\": is no name for a folder")
                    : gal_fail(GAL_MEMORY, "no memory to make a folder");
    }
    /* Each folder on the way, then the last; what exists answers EEXIST (or EROFS, EACCES above us) and only
     * the last has to be a folder.
     */
    int above = 0; /* why one above it could not be made */
    for (char *c = part + 1; *c; c++)
        if (*c == '/') {
            *c = 0;
            if (mkdir(part, 0777) != 0 && errno != EEXIST)
                above = errno;
            *c = '/';
        }
    int made = mkdir(part, 0777), reason = errno, exists = made == 0 ? 2 : gal_path_exists(path);
    if (reason == ENOENT && above)
        reason = above;
    free(part);
    if (exists == 2)
        return GAL_OK;
    if (exists < 0)
        return GAL_FILE;
    if (reason == EEXIST)
        return gal_fail(GAL_FILE, "%s: is a file, expected a folder", path);
    return gal_fail(GAL_FILE, "%s: the folder can't be made: %s", path, strerror(reason));
}

int gal_name_ends(const char *name, const char *suffix)
{
    size_t n = name ? strlen(name) : 0, m = strlen(suffix);
    return n >= m && strcasecmp(name + n - m, suffix) == 0;
}

int gal_is_utf8(const char *text)
{
    const unsigned char *c = (const unsigned char *)text;
    while (*c) {
        int more = *c < 0x80                  ? 0
                   : *c >= 0xc2 && *c <= 0xdf ? 1
                   : (*c & 0xf0) == 0xe0      ? 2
                   : *c >= 0xf0 && *c <= 0xf4 ? 3
                                              : -1;
        unsigned char low = *c == 0xe0   ? 0xa0
                            : *c == 0xf0 ? 0x90
                                         : 0x80,
                      high = *c == 0xed   ? 0x9f
                             : *c == 0xf4 ? 0x8f
                                          : 0xbf;
        if (more < 0)
            return 0;
        c++;
        for (int k = 0; k < more; k++, c++, low = 0x80, high = 0xbf)
            if (*c < low || *c > high)
                return 0;
    }
    return 1;
}
