/* faults.c: a library in front of the C library (LD_PRELOAD) that lets the k-th call of one kind fail, so
 * that a test can try every place at which a disk or memory may give out. Only calls on files under a folder
 * count; of memory all do. The environment says what: GALRUN_FAULT=KIND:K:ERRNO      the K-th call of this
 * kind fails with that errno; K = 0: every one GALRUN_FAULT_UNDER=FOLDER      absolute, without links
 *   GALRUN_FAULT_COUNTS=FILE       gets "KIND N" for each kind when the process ends
 * Kinds: stat open read write fsync rename close malloc lock. A close that fails has closed. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { STAT, OPEN, READ, WRITE, FSYNC, RENAME, CLOSE, MALLOC, LOCK, KINDS };
static const char *const names[KINDS] = {"stat",   "open",  "read",   "write", "fsync",
                                         "rename", "close", "malloc", "lock"};
static atomic_long calls[KINDS];
static int kind = -1, reason;
static long at = -1;
static const char *under;

__attribute__((constructor)) static void read_environment(void)
{
    char text[16] = "";
    const char *fault = getenv("GALRUN_FAULT");
    under = getenv("GALRUN_FAULT_UNDER");
    if (fault && sscanf(fault, "%15[a-z]:%ld:%d", text, &at, &reason) == 3)
        for (int k = 0; k < KINDS; k++)
            if (!strcmp(names[k], text))
                kind = k;
}

/* The C library's own function of that name. */
#define REAL(type, name, ...) static type (*real_##name)(__VA_ARGS__)
REAL(int, stat, const char *, struct stat *);
REAL(int, lstat, const char *, struct stat *);
REAL(int, fstat, int, struct stat *);
REAL(int, open, const char *, int, ...);
REAL(FILE *, fopen, const char *, const char *);
REAL(size_t, fread, void *, size_t, size_t, FILE *);
REAL(ssize_t, pread, int, void *, size_t, off_t);
REAL(ssize_t, write, int, const void *, size_t);
REAL(ssize_t, pwrite, int, const void *, size_t, off_t);
REAL(int, ftruncate, int, off_t);
REAL(int, fsync, int);
REAL(int, fdatasync, int);
REAL(int, rename, const char *, const char *);
REAL(int, close, int);
REAL(int, fcntl, int, int, ...);
#define FIND(name) ((__typeof__(real_##name))find((void **)&real_##name, #name))

static void *find(void **real, const char *name)
{
    if (!*real)
        *real = dlsym(RTLD_NEXT, name);
    return *real;
}

static int is_under(const char *path)
{
    size_t n = under ? strlen(under) : 0;
    return path && n > 0 && !strncmp(path, under, n) && (path[n] == '/' || !path[n]);
}

static int is_open_under(int fd)
{
    char link[32], path[1024];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    path[n > 0 ? n : 0] = 0;
    return is_under(path);
}

/* Counts a call of this kind; whether it is the one that fails, errno being set then. */
static int fails(int which)
{
    long k = atomic_fetch_add(&calls[which], 1) + 1;
    if (which != kind || (at != 0 && k != at))
        return 0;
    errno = reason;
    return 1;
}

#define API __attribute__((visibility("default")))

API int stat(const char *path, struct stat *info)
{
    return is_under(path) && fails(STAT) ? -1 : FIND(stat)(path, info);
}
API int lstat(const char *path, struct stat *info)
{
    return is_under(path) && fails(STAT) ? -1 : FIND(lstat)(path, info);
}
API int fstat(int fd, struct stat *info)
{
    return is_open_under(fd) && fails(STAT) ? -1 : FIND(fstat)(fd, info);
}

API int open(const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    mode_t mode = flags & O_CREAT ? va_arg(more, mode_t) : 0;
    va_end(more);
    return is_under(path) && fails(OPEN) ? -1 : FIND(open)(path, flags, mode);
}
API FILE *fopen(const char *path, const char *mode)
{
    return is_under(path) && fails(OPEN) ? NULL : FIND(fopen)(path, mode);
}
API FILE *fopen64(const char *path, const char *mode)
{
    return fopen(path, mode);
}

API ssize_t pread(int fd, void *to, size_t n, off_t offset)
{
    return is_open_under(fd) && fails(READ) ? -1 : FIND(pread)(fd, to, n, offset);
}
API size_t fread(void *to, size_t size, size_t n, FILE *file)
{
    if (is_open_under(fileno(file)) && fails(READ)) {
        file->_flags |= 0x20; /* what ferror() looks at, in glibc */
        return 0;
    }
    return FIND(fread)(to, size, n, file);
}

API ssize_t write(int fd, const void *bytes, size_t n)
{
    return is_open_under(fd) && fails(WRITE) ? -1 : FIND(write)(fd, bytes, n);
}
API ssize_t pwrite(int fd, const void *bytes, size_t n, off_t offset)
{
    return is_open_under(fd) && fails(WRITE) ? -1 : FIND(pwrite)(fd, bytes, n, offset);
}
API int ftruncate(int fd, off_t n)
{
    return is_open_under(fd) && fails(WRITE) ? -1 : FIND(ftruncate)(fd, n);
}

API int fsync(int fd)
{
    return is_open_under(fd) && fails(FSYNC) ? -1 : FIND(fsync)(fd);
}
API int fdatasync(int fd)
{
    return is_open_under(fd) && fails(FSYNC) ? -1 : FIND(fdatasync)(fd);
}

API int rename(const char *from, const char *to)
{
    return is_under(to) && fails(RENAME) ? -1 : FIND(rename)(from, to);
}

API int close(int fd)
{
    int mine = is_open_under(fd), closed = FIND(close)(fd);
    return mine && fails(CLOSE) ? -1 : closed;
}

/* Locks of open files (F_OFD_SETLK), with a struct or a number as the third argument. */
API int fcntl(int fd, int command, ...)
{
    va_list more;
    va_start(more, command);
    void *argument = va_arg(more, void *);
    va_end(more);
    int lock = command == F_OFD_SETLK || command == F_OFD_SETLKW;
    return lock && is_open_under(fd) && fails(LOCK) ? -1 : FIND(fcntl)(fd, command, argument);
}

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
API void *malloc(size_t n)
{
    /* libgcc, to which LuaJIT tells of the code that it makes, uses the memory that it asks for unseen. */
    Dl_info caller;
    if (fails(MALLOC) &&
        !(dladdr(__builtin_return_address(0), &caller) && strstr(caller.dli_fname, "libgcc_s")))
        return NULL;
    return __libc_malloc(n);
}
API void *calloc(size_t n, size_t size)
{
    return fails(MALLOC) ? NULL : __libc_calloc(n, size);
}
API void *realloc(void *old, size_t n)
{
    return fails(MALLOC) ? NULL : __libc_realloc(old, n);
}

__attribute__((destructor)) static void write_counts(void)
{
    const char *path = getenv("GALRUN_FAULT_COUNTS");
    long counts[KINDS];
    kind = -1;
    for (int k = 0; k < KINDS; k++)
        counts[k] = atomic_load(&calls[k]);
    FILE *file = path ? FIND(fopen)(path, "w") : NULL;
    for (int k = 0; file && k < KINDS; k++)
        fprintf(file, "%s %ld\n", names[k], counts[k]);
    if (file)
        fclose(file);
}
