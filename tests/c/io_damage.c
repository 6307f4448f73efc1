/* Damaged files: every truncation of small valid ones, every byte of their headers, and 10,000 random single
 * bytes of each give a value or a sentence with the path, and never ask for more than 64 MiB. Under the
 * sanitizers the same test shows that nothing is read or written outside. */
#include "check.h"
#include "held.h"
#include "core/core.h"
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define GOLDEN "golden/files/"
#define CUTOUTS "golden/cutouts/bands/"
#define MOST_BYTES (64ll << 20)
#define CHANGES 10000
static char folder[64] = "/tmp/galrun-damage-XXXXXX";

/* ---- reading everything that a file holds ---- */

/* folder/name; from a ring of 32. */
static const char *in_folder(const char *name)
{
    static char ring[32][128];
    static unsigned next;
    char *text = ring[next++ % 32];
    snprintf(text, sizeof *ring, "%s/%s", folder, name);
    return text;
}

static double seen; /* what was read, so that nothing is optimised away */

static gal_status read_arrays(const char *path)
{
    gal_arrays *file = NULL;
    gal_status status = gal_arrays_open(&file, path);
    for (int64_t i = 0; !status && i < gal_arrays_count(file); i++) {
        gal_tensor *x = NULL;
        status = gal_tensor_new(&x, "cpu", gal_arrays_dtype(file, i), gal_arrays_rank(file, i),
                                gal_arrays_shape(file, i));
        if (!status)
            status = gal_arrays_read(x, file, i);
        if (!status && gal_tensor_count(x) > 0)
            seen += ((unsigned char *)x->data)[0];
        gal_tensor_free(x);
    }
    for (int64_t i = 0; !status && i < gal_arrays_metadata(file); i++)
        seen +=
            (double)(strlen(gal_arrays_metadata_key(file, i)) + strlen(gal_arrays_metadata_value(file, i)));
    gal_arrays_free(file);
    return status;
}

/* Every column as numbers, integers, text; a column that is no number is no failure of the file. */
static gal_status read_table(const char *path)
{
    gal_table *table = NULL;
    gal_status status = gal_table_open(&table, path, NULL);
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

/* An image in bands, as a row of its own size. */
static gal_status read_bands(const char *path)
{
    gal_image_form form;
    gal_decoded decoded = {0};
    gal_tensor *pixels = NULL;
    gal_status status = gal_image_read_form(&form, path);
    if (!status)
        status =
            gal_tensor_new(&pixels, "cpu", GAL_F32, 4, (int64_t[]){1, form.width, form.width, form.bands});
    if (!status)
        status = gal_cutouts_decode(pixels, &decoded, &path, 1, form.names, 1);
    if (!status) {
        seen += (double)decoded.missing + ((unsigned char *)pixels->data)[0];
        status = (gal_status)decoded.status;
    }
    gal_tensor_free(pixels);
    return status ? gal_fail(status, "%s: %s", path, *decoded.problem ? decoded.problem : gal_error())
                  : GAL_OK;
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

typedef gal_status reader(const char *path);

/* Reads and returns whether the answer was one that may be given, and within the memory. */
static int answers(reader *read, const char *path, gal_status *status)
{
    long long before = atomic_load(&held);
    atomic_store(&most_held, before);
    *status = read(path);
    return is_answer(*status, path) && atomic_load(&most_held) - before <= MOST_BYTES &&
           atomic_load(&largest) <= MOST_BYTES;
}

/* The file's bytes {*n}, and a copy of it in the folder that reads. */
static char *copy_of(const char *golden, const char *path, reader *read, int64_t *n)
{
    static char sentence[160];
    char *bytes = NULL;
    IS_OK(gal_file_read(&bytes, n, golden));
    put(path, bytes, *n);
    snprintf(sentence, sizeof sentence, "%s reads whole", golden);
    CASE(sentence);
    IS_OK(read(path));
    return bytes;
}

/* needed: bytes without which no value can come back. */
static void test_truncations(const char *golden, const char *name, reader *read, int64_t needed)
{
    if (!mine())
        return;
    char sentence[160];
    int64_t n = 0, wrong = -1, answered = -1;
    const char *path = in_folder(name);
    char *bytes = copy_of(golden, path, read, &n);
    for (int64_t m = n - 1; m >= 0; m--) {
        gal_status status = GAL_OK;
        if (truncate(path, m) != 0 || !answers(read, path, &status))
            wrong = m;
        if (status == GAL_OK && m < needed)
            answered = m;
    }
    snprintf(sentence, sizeof sentence,
             "%s cut anywhere gives a sentence with its path, and no value where values are cut", golden);
    CASE(sentence);
    IS_INT(wrong, -1);
    IS_INT(answered, -1);
    gal_file_free(bytes);
}

/* Each byte from first to last in turn becomes each of a few others; one of them is enough in place of a
 * blank, of which FITS has many. */
static void test_damage(const char *golden, const char *name, reader *read, int64_t first, int64_t last)
{
    if (!mine())
        return;
    static const char others[] = {'9', 0, '\xff', '"'};
    char sentence[160];
    int64_t n = 0, wrong = -1;
    gal_status status;
    const char *path = in_folder(name);
    char *bytes = copy_of(golden, path, read, &n);
    int fd = open(path, O_WRONLY);
    for (int64_t k = first; fd >= 0 && k < n && k < last; k++) {
        for (size_t o = 0; o < (bytes[k] == ' ' ? 1 : sizeof others); o++)
            if (bytes[k] != others[o] && pwrite(fd, &others[o], 1, k) == 1 && !answers(read, path, &status))
                wrong = k;
        if (pwrite(fd, &bytes[k], 1, k) != 1)
            wrong = k;
    }
    snprintf(sentence, sizeof sentence, "%s with any byte damaged gives a value or a sentence with its path",
             golden);
    CASE(sentence);
    IS_TRUE(fd >= 0);
    IS_INT(wrong, -1);
    close(fd);
    gal_file_free(bytes);
}

/* 10,000 times one byte anywhere becomes any other; xorshift64 (Marsaglia 2003) from a fixed seed. */
static void test_random(const char *golden, const char *name, reader *read)
{
    if (!mine())
        return;
    static uint64_t state = 88172645463325252ull;
    char sentence[160];
    int64_t n = 0, wrong = -1, failed = 0;
    int became = 0;
    const char *path = in_folder(name);
    char *bytes = copy_of(golden, path, read, &n);
    int fd = open(path, O_WRONLY);
    for (int change = 0; fd >= 0 && change < CHANGES; change++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        int64_t k = (int64_t)(state >> 16) % n;
        char other = (char)(bytes[k] ^ (1 + (state & 0xffff) % 255));
        gal_status status = GAL_OK;
        if (pwrite(fd, &other, 1, k) != 1 || !answers(read, path, &status)) {
            wrong = k;
            became = (unsigned char)other;
        }
        failed += status != GAL_OK;
        if (pwrite(fd, &bytes[k], 1, k) != 1)
            wrong = k;
    }
    snprintf(
        sentence, sizeof sentence,
        "%s with one byte changed, 10,000 times, gives a value or a sentence with its path, within 64 MiB",
        golden);
    CASE(sentence);
    IS_TRUE(fd >= 0);
    REPORT(wrong < 0, "byte %lld made %d does not; largest request %lld bytes, at most %lld held; %s",
           (long long)wrong, became, (long long)atomic_load(&largest), (long long)atomic_load(&most_held),
           gal_error());
    printf("%s: %lld of %d changes refused\n", golden, (long long)failed, CHANGES);
    close(fd);
    gal_file_free(bytes);
}

int main(void)
{
    if (!mkdtemp(folder))
        return 1;
    watch_memory();
    test_truncations(GOLDEN "f8_big.npy", "t.npy", read_arrays, 176);
    test_truncations(GOLDEN "cube_fortran.npy", "t.npy", read_arrays, 176);
    test_truncations(GOLDEN "numpy.npz", "t.npz", read_arrays, 2789);
    test_truncations(GOLDEN "packed.npz", "t.npz", read_arrays, 2468);
    test_truncations(GOLDEN "zip64.npz", "t.npz", read_arrays, 686);
    test_truncations(GOLDEN "numpy.safetensors", "t.safetensors", read_arrays, 833);
    test_truncations(GOLDEN "torch.safetensors", "t.safetensors", read_arrays, 244);
    test_truncations(GOLDEN "plain.csv", "t.csv", read_table,
                     62); /* a CSV cut behind a row is a shorter table */
    test_truncations(GOLDEN "plain.csv.gz", "t.csv.gz", read_table, 152);
    test_truncations(GOLDEN "small.fits", "t.fits", read_table, 5760 + 4 * 12);
    test_truncations(GOLDEN "table.fits.gz", "t.fits.gz", read_table, 1186);
    test_truncations(CUTOUTS "float.fits", "t.fits", read_bands, 2880 + 3072);
    test_truncations(CUTOUTS "rice.fits.fz", "t.fits.fz", read_bands, 8640);
    test_damage(GOLDEN "f8_big.npy", "d.npy", read_arrays, 0, 176);
    test_damage(GOLDEN "zip64.npz", "d.npz", read_arrays, 0, 686);
    test_damage(GOLDEN "numpy.safetensors", "d.safetensors", read_arrays, 0, 833);
    test_damage(GOLDEN "plain.csv", "d.csv", read_table, 0, 169);
    test_damage(GOLDEN "plain.csv.gz", "d.csv.gz", read_table, 0, 152);
    test_damage(GOLDEN "small.fits", "d.fits", read_table, 0, 5840);
    test_damage(GOLDEN "table.fits", "d.fits", read_table, 8640, 14400); /* the header of its table */
    test_damage(CUTOUTS "float.fits", "d.fits", read_bands, 0, 2880);
    test_damage(CUTOUTS "rice.fits.fz", "d.fits.fz", read_bands, 2880, 8640); /* the header of its table */
    static const char *const arrays[] = {"f8_big.npy",        "cube_fortran.npy", "version2.npy",
                                         "numpy.npz",         "packed.npz",       "zip64.npz",
                                         "numpy.safetensors", "torch.safetensors"};
    static const char *const tables[] = {"plain.csv",  "skyserver.csv", "plain.csv.gz", "small.fits",
                                         "table.fits", "table.fits.gz", "copy.fits"};
    char golden[64];
    for (size_t k = 0; k < sizeof arrays / sizeof *arrays; k++) {
        snprintf(golden, sizeof golden, GOLDEN "%s", arrays[k]);
        test_random(golden, arrays[k], read_arrays);
    }
    for (size_t k = 0; k < sizeof tables / sizeof *tables; k++) {
        snprintf(golden, sizeof golden, GOLDEN "%s", tables[k]);
        test_random(golden, tables[k], read_table);
    }
    test_random(CUTOUTS "rice.fits.fz", "rice.fits.fz", read_bands);
    printf("the largest request was %lld bytes\n", (long long)atomic_load(&largest));
    char command[96];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return finish() | (system(command) != 0);
}
