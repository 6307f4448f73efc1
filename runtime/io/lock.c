/* lock.c: lets one galrun at a time into a run's folder. The kernel holds the lock (on an open file
 * description), so that a killed process leaves none behind. The file names its holder, for the sentence. */
#define _GNU_SOURCE
#include "io.h"
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct gal_lock {
    int file;
};

/* Whether the reason for which a lock was refused is that the file system has none: NFS without lockd
 * (ENOLCK), Lustre without -o flock (ENOSYS), others (EOPNOTSUPP). */
static int has_no_locks(int reason)
{
    return reason == ENOLCK || reason == ENOSYS || reason == EOPNOTSUPP;
}

/* Says once, of the first folder that it holds for, that the file system has no locks. */
static void tell_no_locks(const char *path, int reason)
{
    static atomic_flag told = ATOMIC_FLAG_INIT;
    if (!atomic_flag_test_and_set(&told))
        gal_note("%s: this file system has no locks (%s): nothing keeps a second galrun out of the folder",
                 path, strerror(reason));
}

/* The sentence with the holder's name, "process 4711 on host", as the holder wrote it. The file is empty
 * while its holder is just taking it. */
static gal_status held(int file, const char *path)
{
    char who[256];
    ssize_t n = pread(file, who, sizeof who - 1, 0);
    who[n > 0 ? n : 0] = 0;
    who[strcspn(who, "\n")] = 0;
    return gal_fail(GAL_STATE, "%s: in use by %s", path, *who ? who : "another process");
}

/* Opens the lock's file, a regular one: *file. A link is not followed: in a folder from elsewhere it may lead
 * to any file of the user's, which would be emptied. */
static gal_status open_file(int *file, const char *path)
{
    struct stat info;
    *file = open(path, GAL_OPEN_OWN | O_RDWR, 0666);
    if (*file < 0 && errno == ELOOP)
        return gal_fail(GAL_FILE, "%s: is a link, expected a regular file or none", path);
    if (*file < 0)
        return gal_fail(gal_file_status(errno), "%s: can't be opened to lock it: %s", path, strerror(errno));
    if (fstat(*file, &info) != 0)
        return gal_fail(GAL_FILE, "%s: can't be opened to lock it: %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode))
        return gal_fail(GAL_FILE, "%s: is no regular file, expected one or none", path);
    if (info.st_nlink > 1)
        return gal_fail(GAL_FILE, "%s: " GAL_LINKED, path);
    return GAL_OK;
}

/* Writes into the file who holds it. */
static gal_status sign(int file, const char *path)
{
    char who[256], host[128] = "";
    gethostname(host, sizeof host - 1);
    int n = snprintf(who, sizeof who, "process %ld on %s\n", (long)getpid(), *host ? host : "this machine");
    int cut = ftruncate(file, 0);
    ssize_t put = cut == 0 ? pwrite(file, who, (size_t)n, 0) : -1;
    if (put == n)
        return GAL_OK;
    return gal_fail(GAL_FILE, "%s: can't be written: %s", path,
                    put < 0 ? strerror(errno) : "only a part of a line was taken");
}

gal_status gal_lock_take(gal_lock **out, const char *path)
{
    int file;
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    gal_status status = open_file(&file, path);
    gal_lock *lock = status == GAL_OK ? malloc(sizeof *lock) : NULL;
    if (status == GAL_OK && !lock)
        status = gal_fail(GAL_MEMORY, "%s: no memory left for a lock", path);
    if (status == GAL_OK && fcntl(file, F_OFD_SETLK, &whole) != 0) {
        if (errno == EAGAIN || errno == EACCES)
            status = held(file, path);
        else if (has_no_locks(errno))
            tell_no_locks(path, errno);
        else
            status = gal_fail(GAL_FILE, "%s: can't be locked: %s", path, strerror(errno));
    }
    if (status == GAL_OK)
        status = sign(file, path);
    if (status != GAL_OK && file >= 0)
        close(file);
    if (status != GAL_OK) {
        free(lock);
        return status;
    }
    lock->file = file;
    *out = lock;
    return GAL_OK;
}

void gal_lock_release(gal_lock *lock)
{
    if (!lock)
        return;
    if (ftruncate(lock->file, 0) != 0) /* the file goes on naming its holder; the lock goes all the same */
        errno = 0;
    close(lock->file);
    free(lock);
}
