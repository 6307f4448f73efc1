/* sweep.c: removes the temporary files (file.c) of killed writers. The kernel's lock tells whether a file
 * still has a writer; the process's number in its name means nothing on another machine or in another
 * container that shares the folder. A writer that had not locked its file yet sees that it is gone, and makes
 * another. */
#define _GNU_SOURCE
#include "io.h"
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int forsaken(int fd)
{
    struct stat info;
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode))
        return 0;
    return fcntl(fd, F_OFD_SETLK, &(struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET}) == 0;
}

void gal_folder_sweep(const char *path)
{
    DIR *folder = path ? opendir(path) : NULL;
    if (!folder)
        return;
    for (struct dirent *entry; (entry = readdir(folder));) {
        if (strncmp(entry->d_name, ".galrun-", 8) != 0 || !gal_name_ends(entry->d_name, ".tmp"))
            continue;
        int fd = openat(dirfd(folder), entry->d_name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (fd < 0)
            continue;
        if (forsaken(fd))
            unlinkat(dirfd(folder), entry->d_name, 0);
        close(fd);
    }
    closedir(folder);
}
