/* Files in C: what is written is read again and matches other programs byte for byte; a failed write leaves the old file; and every
 * truncation of small valid files, and every byte of them damaged, gives a value or a sentence. Under the sanitizers the same test shows
 * that nothing is read or written outside. */
#include "check.h"
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
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

static void test_file(void)
{
    char *bytes;
    int64_t n;
    const char *path = in_folder("a.txt");
    CASE("a file is written whole, read whole, and may hold zeros");
    IS_OK(gal_file_write(path, "one\0two", 7));
    IS_OK(gal_file_read(&bytes, &n, path));
    IS_INT(n, 7);
    IS_TRUE(memcmp(bytes, "one\0two", 8) == 0);
    gal_file_free(bytes);

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

    CASE("what is no regular file is neither read nor replaced");
    FAILS(gal_file_read(&bytes, &n, in_folder("absent")), GAL_FILE, "absent: can't be opened: No such file or directory");
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
    IS_OK(gal_npy_write(in_folder("x.npy"), x));
    IS_TRUE(same_file(in_folder("x.npy"), GOLDEN "written.npy"));

    CASE("a .safetensors file is the one that the reference writes, a transposed view included");
    gal_tensor *stored = tensor(GAL_F32, 2, (int64_t[]){2, 2}, square), *a = NULL;
    IS_OK(gal_tensor_view(&a, stored, 2, (int64_t[]){2, 2}, (int64_t[]){1, 2}, 0));
    gal_tensor *b = tensor(GAL_U8, 1, (int64_t[]){3}, bytes), *c = tensor(GAL_F32, 0, NULL, &half),
               *n = tensor(GAL_I64, 1, (int64_t[]){4}, ids);
    const char *names[] = {"a", "b", "c", "n"}, *key = "note", *value = "line 1\nline \xce\xb8 \"2\"", *twice[] = {"a", "a"}, *bad = "\xff";
    const gal_tensor *tensors[] = {a, b, c, n};
    IS_OK(gal_safetensors_write(in_folder("x.safetensors"), 4, names, tensors, 1, &key, &value));
    IS_TRUE(same_file(in_folder("x.safetensors"), GOLDEN "written.safetensors"));
    FAILS(gal_safetensors_write(in_folder("y.safetensors"), 2, twice, tensors, 0, NULL, NULL), GAL_VALUE, "\"a\" is given twice");
    FAILS(gal_safetensors_write(in_folder("y.safetensors"), 1, names, tensors, 1, &key, &bad), GAL_VALUE, "metadata \"note\" is not UTF-8");
    IS_INT(gal_path_exists(in_folder("y.safetensors")), 0);

    CASE("no tensors and no metadata are a valid file");
    gal_arrays *empty = NULL;
    IS_OK(gal_safetensors_write(in_folder("empty.safetensors"), 0, NULL, NULL, 0, NULL, NULL));
    IS_OK(gal_arrays_open(&empty, in_folder("empty.safetensors")));
    IS_INT(empty ? gal_arrays_count(empty) : -1, 0);
    gal_arrays_free(empty);

    CASE("an array is read into a tensor of its own dtype and shape only");
    gal_arrays *file = NULL;
    IS_OK(gal_arrays_open(&file, in_folder("x.npy")));
    FAILS(gal_arrays_read(a, file, 0), GAL_SHAPE, "y is float32 {2, 2} on cpu, expected a contiguous float32 {2, 3}");
    gal_arrays_free(file);
    gal_tensor *all[] = {x, a, stored, b, c, n};
    for (int i = 0; i < 6; i++)
        gal_tensor_free(all[i]);
}

/* ---- damage ---- */

/* CFITSIO asks for absurd memory where a header is damaged so; refused, it answers with a status, as it would without the sanitizer. */
__attribute__((visibility("default"))) const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

static double seen; /* what was read, so that nothing is optimised away */

static gal_status read_arrays(const char *path)
{
    gal_arrays *file = NULL;
    gal_status status = gal_arrays_open(&file, path);
    for (int64_t i = 0; !status && i < gal_arrays_count(file); i++) {
        gal_tensor *x = NULL;
        status = gal_tensor_new(&x, "cpu", gal_arrays_dtype(file, i), gal_arrays_rank(file, i), gal_arrays_shape(file, i));
        if (!status)
            status = gal_arrays_read(x, file, i);
        if (!status && gal_tensor_count(x) > 0)
            seen += ((unsigned char *)x->data)[0];
        gal_tensor_free(x);
    }
    for (int64_t i = 0; !status && i < gal_arrays_metadata(file); i++)
        seen += (double)(strlen(gal_arrays_metadata_key(file, i)) + strlen(gal_arrays_metadata_value(file, i)));
    gal_arrays_free(file);
    return status;
}

/* Every column as numbers, integers, text; a column that is no number is no failure of the file. */
static gal_status read_table(const char *path)
{
    gal_table *table = NULL;
    gal_status status = gal_table_open(&table, path, -1);
    for (int i = 0; !status && i < gal_table_columns(table); i++) {
        int64_t n = gal_table_rows(table) * gal_table_width(table, i);
        double *numbers = malloc((size_t)(n + 1) * sizeof *numbers);
        int64_t *integers = malloc((size_t)(n + 1) * sizeof *integers);
        uint8_t *missing = malloc((size_t)n + 1);
        const char *text;
        status = gal_table_numbers(numbers, table, i);
        if (!status && n > 0)
            seen += numbers[n - 1];
        gal_table_integers(integers, missing, table, i);
        for (int64_t k = 0; k < n && gal_table_text(&text, table, i, k) == GAL_OK; k++)
            seen += (double)strlen(text);
        if (status == GAL_TYPE || status == GAL_VALUE)
            status = GAL_OK;
        free(numbers);
        free(integers);
        free(missing);
        seen += (double)(strlen(gal_table_name(table, i)) + strlen(gal_table_unit(table, i)));
    }
    gal_table_free(table);
    return status;
}

/* A status that a reader may answer with; and every failure has a sentence that begins with the path. */
static int is_answer(gal_status status, const char *path)
{
    return status == GAL_OK || strncmp(gal_error(), path, strlen(path)) == 0;
}

static void put(const char *path, const char *bytes, int64_t n)
{
    FILE *file = fopen(path, "wb");
    if (file) {
        fwrite(bytes, 1, (size_t)n, file);
        fclose(file);
    }
}

/* from: lengths from here to the whole are tried; needed: bytes without which no value can come back. */
static void test_truncations(const char *golden, const char *name, gal_status (*read)(const char *), int64_t needed)
{
    char *bytes = NULL, sentence[160];
    int64_t n = 0, wrong = -1, answered = -1;
    const char *path = in_folder(name);
    IS_OK(gal_file_read(&bytes, &n, golden));
    put(path, bytes, n);
    snprintf(sentence, sizeof sentence, "%s reads whole", golden);
    CASE(sentence);
    IS_OK(read(path));
    for (int64_t m = n - 1; m >= 0; m--) {
        if (truncate(path, m) != 0)
            break;
        gal_status status = read(path);
        if (!is_answer(status, path))
            wrong = m;
        if (status == GAL_OK && m < needed)
            answered = m;
    }
    snprintf(sentence, sizeof sentence, "%s cut anywhere gives a sentence with its path, and no value where values are cut", golden);
    CASE(sentence);
    IS_INT(wrong, -1);
    IS_INT(answered, -1);
    gal_file_free(bytes);
}

/* Each byte from first to last in turn becomes each of a few others; one of them is enough in place of a blank, of which FITS has many. */
static void test_damage(const char *golden, const char *name, gal_status (*read)(const char *), int64_t first, int64_t last)
{
    static const char others[] = {'9', 0, '\xff', '"'};
    char *bytes = NULL, sentence[160];
    int64_t n = 0, wrong = -1;
    const char *path = in_folder(name);
    IS_OK(gal_file_read(&bytes, &n, golden));
    put(path, bytes, n);
    int fd = open(path, O_WRONLY);
    for (int64_t k = first; fd >= 0 && k < n && k < last; k++) {
        for (size_t o = 0; o < (bytes[k] == ' ' ? 1 : sizeof others); o++)
            if (bytes[k] != others[o] && pwrite(fd, &others[o], 1, k) == 1 && !is_answer(read(path), path))
                wrong = k;
        if (pwrite(fd, &bytes[k], 1, k) != 1)
            wrong = k;
    }
    snprintf(sentence, sizeof sentence, "%s with any byte damaged gives a value or a sentence with its path", golden);
    CASE(sentence);
    IS_TRUE(fd >= 0);
    IS_INT(wrong, -1);
    close(fd);
    gal_file_free(bytes);
}

int main(void)
{
    if (!mkdtemp(folder))
        return 1;
    test_file();
    test_written();
    test_truncations(GOLDEN "f8_big.npy", "t.npy", read_arrays, 176);
    test_truncations(GOLDEN "cube_fortran.npy", "t.npy", read_arrays, 176);
    test_truncations(GOLDEN "numpy.safetensors", "t.safetensors", read_arrays, 833);
    test_truncations(GOLDEN "torch.safetensors", "t.safetensors", read_arrays, 244);
    test_truncations(GOLDEN "plain.csv", "t.csv", read_table, 62); /* a CSV cut behind a row is a shorter table */
    test_truncations(GOLDEN "plain.csv.gz", "t.csv.gz", read_table, 152);
    test_truncations(GOLDEN "small.fits", "t.fits", read_table, 5760 + 4 * 12);
    test_truncations(GOLDEN "table.fits.gz", "t.fits.gz", read_table, 1186);
    test_damage(GOLDEN "f8_big.npy", "d.npy", read_arrays, 0, 176);
    test_damage(GOLDEN "numpy.safetensors", "d.safetensors", read_arrays, 0, 833);
    test_damage(GOLDEN "plain.csv", "d.csv", read_table, 0, 169);
    test_damage(GOLDEN "plain.csv.gz", "d.csv.gz", read_table, 0, 152);
    test_damage(GOLDEN "small.fits", "d.fits", read_table, 0, 5840);
    test_damage(GOLDEN "table.fits", "d.fits", read_table, 8640, 14400); /* the header of its table */
    char command[96];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return finish() | (system(command) != 0);
}
