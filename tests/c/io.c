/* Files in C: what is written is read again and matches other programs byte for byte; a failed write of any
 * format leaves the old file. What damaged files do is io_damage.c's. */
#define _GNU_SOURCE
#include "check.h"
#include "io/io.h"
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define GOLDEN "golden/files/"
static char folder[64] = "/tmp/galrun-io-XXXXXX";

/* folder/name; from a ring of 32. */
static const char *in_folder(const char *name)
{
    static char ring[32][128];
    static unsigned next;
    char *text = ring[next++ % 32];
    snprintf(text, sizeof *ring, "%s/%s", folder, name);
    return text;
}

static int same_file(const char *a, const char *b)
{
    char *left = NULL, *right = NULL;
    int64_t n = 0, m = 0;
    IS_OK(gal_file_read(&left, &n, a));
    IS_OK(gal_file_read(&right, &m, b));
    int same = left && right && n == m && memcmp(left, right, (size_t)n) == 0;
    gal_file_free(left);
    gal_file_free(right);
    return same;
}

/* How many entries of the folder end in .tmp. */
static int leftovers(void)
{
    char command[160];
    snprintf(command, sizeof command, "ls -A %s | grep -c '[.]tmp$'", folder);
    FILE *pipe = popen(command, "r");
    int count = -1;
    if (pipe && fscanf(pipe, "%d", &count) != 1)
        count = -1;
    if (pipe)
        pclose(pipe);
    return count;
}

/* In libc's place, so that their order can be seen: f a file is synced, d a folder, r one is renamed. */
static char order[64];
int fsync(int fd)
{
    struct stat info;
    if (strlen(order) + 1 < sizeof order && fstat(fd, &info) == 0)
        strcat(order, S_ISDIR(info.st_mode) ? "d" : "f");
    return (int)syscall(SYS_fsync, fd);
}

int rename(const char *from, const char *to)
{
    if (strlen(order) + 1 < sizeof order)
        strcat(order, "r");
    return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

static void test_whole_files(void)
{
    char *bytes;
    int64_t n;
    const char *path = in_folder("a.txt");
    CASE("a file is written whole, read whole, and may hold zeros");
    IS_OK(gal_file_write(path, "one\0two", 7));
    IS_OK(gal_file_read(&bytes, &n, path));
    IS_INT(n, 7);
    IS_TRUE(bytes && memcmp(bytes, "one\0two", 8) == 0);
    gal_file_free(bytes);

    CASE("a file's bytes are on the disk before its new name is, and that before the write returns");
    order[0] = 0;
    IS_OK(gal_file_write(in_folder("order.txt"), "x", 1));
    REPORT(strcmp(order, "frd") == 0,
           "the order is \"%s\", expected \"frd\": sync the file, rename it, sync the folder", order);

    CASE("a write that runs out of space leaves the old file and no temporary one");
    struct rlimit old, small;
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    small = old;
    small.rlim_cur = 1000;
    setrlimit(RLIMIT_FSIZE, &small);
    char *large = calloc(1, 5000);
    FAILS(gal_file_write(path, large, 5000), GAL_FILE, "a.txt: can't be written (writing): File too large");
    setrlimit(RLIMIT_FSIZE, &old);
    free(large);
    IS_OK(gal_file_read(&bytes, &n, path));
    IS_INT(n, 7);
    gal_file_free(bytes);
    IS_INT(leftovers(), 0);

    CASE("writing keeps permissions and goes through a link");
    chmod(path, 0640);
    IS_INT(symlink("a.txt", in_folder("link")), 0);
    IS_OK(gal_file_write(in_folder("link"), "new", 3));
    struct stat info;
    IS_INT(lstat(in_folder("link"), &info), 0);
    IS_TRUE(S_ISLNK(info.st_mode));
    IS_INT(stat(path, &info), 0);
    IS_INT(info.st_mode & 0777, 0640);
    IS_INT(info.st_size, 3);
}

static void test_other_files(void)
{
    char *bytes;
    int64_t n;
    const char *path = in_folder("a.txt");
    CASE("what is no regular file is neither read nor replaced");
    FAILS(gal_file_read(&bytes, &n, in_folder("absent")), GAL_FILE,
          "absent: can't be opened: No such file or directory");
    FAILS(gal_file_read(&bytes, &n, folder), GAL_FILE, "is a folder, expected a regular file");
    FAILS(gal_file_read(&bytes, &n, "/dev/null"), GAL_FILE, "is a device or a pipe");
    FAILS(gal_file_write("/dev/null", "x", 1), GAL_FILE, "is a device or a pipe");
    FAILS(gal_file_write(folder, "x", 1), GAL_FILE, "is a folder");
    FAILS(gal_file_write(in_folder("absent/b"), "x", 1), GAL_FILE, "absent/b: can't be written");
    FAILS(gal_file_write("", "x", 1), GAL_FILE, "is no name for a file");

    CASE("folders are made with those above them, and one that exists is no error");
    IS_OK(gal_make_folder(in_folder("x/y//z/")));
    IS_OK(gal_make_folder(in_folder("x/y/z")));
    IS_OK(gal_make_folder("/"));
    IS_INT(gal_path_exists(in_folder("x/y/z")), 2);
    IS_INT(gal_path_exists(path), 1);
    IS_INT(gal_path_exists(in_folder("x/no")), 0);
    FAILS(gal_make_folder(path), GAL_FILE, "a.txt: is a file, expected a folder");
    FAILS(gal_make_folder(in_folder("a.txt/b")), GAL_FILE, "the folder can't be made: Not a directory");
}

static void leave(const char *name, const char *text)
{
    int fd = open(in_folder(name), O_WRONLY | O_CREAT | O_TRUNC, 0666);
    IS_TRUE(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}

static void test_sweep(void)
{
    gal_writer writer;
    CASE("sweeping takes what nobody writes any more, be it empty, and neither what somebody writes nor "
         "anything else");
    leave(".galrun-1-0.tmp", "half"); /* process 1 lives, but did not write it */
    leave(".galrun-999999999-4.tmp", "");
    leave(".galrun-notes", "kept");
    leave("x.tmp", "kept");
    IS_OK(gal_writer_open(&writer, in_folder("growing.txt")));
    IS_OK(gal_writer_put(&writer, "part", 4));
    gal_folder_sweep(folder);
    IS_INT(gal_path_exists(in_folder(".galrun-1-0.tmp")), 0);
    IS_INT(gal_path_exists(in_folder(".galrun-999999999-4.tmp")), 0);
    IS_INT(gal_path_exists(in_folder(".galrun-notes")), 1);
    IS_INT(gal_path_exists(in_folder("x.tmp")), 1);
    IS_INT(gal_path_exists(writer.temporary), 1);
    IS_OK(gal_writer_commit(&writer));
    IS_INT(gal_path_exists(in_folder("growing.txt")), 1);
    gal_folder_sweep(in_folder("absent"));

    CASE("files are written while another process sweeps their folder all the time");
    pid_t sweeper = fork();
    for (; sweeper == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0;)
        gal_folder_sweep(folder);
    for (int i = 0; i < 5000; i++) {
        IS_OK(gal_writer_open(&writer, in_folder("swept.txt")));
        IS_INT(gal_path_exists(writer.temporary), 1);
        if (i % 2 == 0)
            IS_OK(gal_writer_commit_unsynced(&writer));
        gal_writer_abandon(&writer);
    }
    REPORT(sweeper > 0, "no process that sweeps could be made");
    if (sweeper > 0) { /* kill(-1, ...) would end all of the user's */
        kill(sweeper, SIGKILL);
        waitpid(sweeper, NULL, 0);
    }
}

static gal_tensor *tensor(int dtype, int rank, const int64_t *shape, const void *values)
{
    gal_tensor *x = NULL;
    IS_OK(gal_tensor_new(&x, "cpu", dtype, rank, shape));
    IS_OK(gal_tensor_write(x, values, gal_tensor_count(x)));
    return x;
}

static void test_written(void)
{
    static const float grid[] = {1, 2, 3, 4, 5, 6}, half = 0.5f, square[] = {1, 3, 2, 4};
    static const uint8_t bytes[] = {1, 2, 3};
    static const int64_t ids[] = {1237648704043942146, -9007199254740993, 0, INT64_MAX};
    gal_tensor *x = tensor(GAL_F32, 2, (int64_t[]){2, 3}, grid);
    CASE("a .npy file is the one that NumPy writes");
    IS_OK(gal_arrays_write(in_folder("x.npy"), 1, NULL, (const gal_tensor *[]){x}, 0, NULL, NULL));
    IS_TRUE(same_file(in_folder("x.npy"), GOLDEN "written.npy"));

    CASE("a .safetensors file is the one that the reference writes, a transposed view included");
    gal_tensor *stored = tensor(GAL_F32, 2, (int64_t[]){2, 2}, square), *a = NULL;
    IS_OK(gal_tensor_view(&a, stored, 2, (int64_t[]){2, 2}, (int64_t[]){1, 2}, 0));
    gal_tensor *b = tensor(GAL_U8, 1, (int64_t[]){3}, bytes), *c = tensor(GAL_F32, 0, NULL, &half),
               *n = tensor(GAL_I64, 1, (int64_t[]){4}, ids);
    const char *names[] = {"a", "b", "c", "n"}, *key = "note", *value = "line 1\nline \xce\xb8 \"2\"",
               *twice[] = {"a", "a"}, *bad = "\xff";
    const gal_tensor *tensors[] = {a, b, c, n};
    IS_OK(gal_arrays_write(in_folder("x.safetensors"), 4, names, tensors, 1, &key, &value));
    IS_TRUE(same_file(in_folder("x.safetensors"), GOLDEN "written.safetensors"));
    FAILS(gal_arrays_write(in_folder("y.safetensors"), 2, twice, tensors, 0, NULL, NULL), GAL_VALUE,
          "\"a\" is given twice");
    FAILS(gal_arrays_write(in_folder("y.safetensors"), 1, names, tensors, 1, &key, &bad), GAL_VALUE,
          "metadata \"note\" is not UTF-8");
    IS_INT(gal_path_exists(in_folder("y.safetensors")), 0);

    CASE("a file that can't hold what is to be written is not made");
    FAILS(gal_arrays_write(in_folder("y.npy"), 2, names, tensors, 0, NULL, NULL), GAL_VALUE,
          "y.npy: 2 tensors, but a .npy file holds one");
    FAILS(gal_arrays_write(in_folder("y.npz"), 2, names, tensors, 1, &key, &value), GAL_VALUE,
          "y.npz: a .npz file holds no metadata");
    FAILS(gal_arrays_write(in_folder("y.txt"), 1, names, tensors, 0, NULL, NULL), GAL_FILE,
          "y.txt: its name does not end in .npy, .npz or .safetensors");
    IS_INT(gal_path_exists(in_folder("y.npy")) + gal_path_exists(in_folder("y.npz")), 0);

    CASE("no tensors and no metadata are a valid file");
    gal_arrays *empty = NULL;
    IS_OK(gal_arrays_write(in_folder("empty.safetensors"), 0, NULL, NULL, 0, NULL, NULL));
    IS_OK(gal_arrays_open(&empty, in_folder("empty.safetensors")));
    IS_INT(empty ? gal_arrays_count(empty) : -1, 0);
    gal_arrays_free(empty);

    CASE("an array is read into a tensor of its own dtype and shape only");
    gal_arrays *file = NULL;
    IS_OK(gal_arrays_open(&file, in_folder("x.npy")));
    FAILS(gal_arrays_read(a, file, 0), GAL_SHAPE,
          "y is float32 {2, 2}, expected a contiguous float32 {2, 3}");
    gal_arrays_free(file);
    gal_tensor *all[] = {x, a, stored, b, c, n};
    for (int i = 0; i < 6; i++)
        gal_tensor_free(all[i]);
}

int main(void)
{
    if (!mkdtemp(folder))
        return 1;
    test_whole_files();
    test_other_files();
    test_sweep();
    test_written();
    char command[96];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return finish() | (system(command) != 0);
}
