/* lock.c: lets one galrun at a time into a run's folder. The kernel holds the lock (on an open file
 * description), so that a killed process leaves none behind. The file names its holder, for the sentence. */
#define _GNU_SOURCE
#include "io.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct gal_lock {
    int file;
};

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

gal_status gal_lock_take(gal_lock **out, const char *path)
{
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (file < 0)
        return gal_fail(GAL_FILE, "%s: can't be opened to lock it: %s", path, strerror(errno));
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    gal_status status = GAL_OK;
    char who[256], host[128] = "";
    gethostname(host, sizeof host - 1);
    int n = snprintf(who, sizeof who, "process %ld on %s\n", (long)getpid(), *host ? host : "this machine");
    gal_lock *lock = malloc(sizeof *lock);
    if (!lock)
        status = gal_fail(GAL_MEMORY, "%s: no memory left for a lock", path);
    else if (fcntl(file, F_OFD_SETLK, &whole) != 0)
        status = errno == EAGAIN || errno == EACCES
                     ? held(file, path)
                     : gal_fail(GAL_FILE, "%s: can't be locked: %s", path, strerror(errno));
    else if (ftruncate(file, 0) != 0 || pwrite(file, who, (size_t)n, 0) != n)
        status = gal_fail(GAL_FILE, "%s: can't be written: %s", path, strerror(errno));
    if (status != GAL_OK) {
        close(file);
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
