/* packing.c: decoding of cutouts, as Pillow does it; damaged files, which are refused and never read beyond
 * their end; sets of images, and the loader's thread, which gives the batches that its order asks for. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define GOLDEN "golden/cutouts/"
static char folder[64] = "/tmp/galrun-packing-XXXXXX";

static gal_tensor *bytes_of(int rank, const int64_t *shape)
{
    gal_tensor *x = NULL;
    IS_OK(gal_tensor_new(&x, "cpu", GAL_U8, rank, shape));
    return x;
}

static gal_tensor *loaded(const char *path)
{
    gal_arrays *arrays;
    gal_tensor *x = NULL;
    IS_OK(gal_arrays_open(&arrays, path));
    IS_OK(gal_tensor_new(&x, "cpu", gal_arrays_dtype(arrays, 0), gal_arrays_rank(arrays, 0),
                         gal_arrays_shape(arrays, 0)));
    IS_OK(gal_arrays_read(x, arrays, 0));
    gal_arrays_free(arrays);
    return x;
}

static int farthest(const uint8_t *a, const uint8_t *b, int64_t n)
{
    int most = 0;
    for (int64_t i = 0; i < n; i++)
        most = abs(a[i] - b[i]) > most ? abs(a[i] - b[i]) : most;
    return most;
}

/* One file, decoded at `size`, against what Pillow made of it. */
static void like_pillow(const char *path, const char *golden, int64_t size, int scaled, int within)
{
    gal_tensor *expected = loaded(golden), *pixels = bytes_of(4, (int64_t[]){1, size, size, 3});
    gal_decoded decoded;
    IS_OK(gal_images_decode(pixels, &decoded, &path, scaled));
    REPORT(decoded.status == GAL_OK, "%s: %s", path, decoded.problem);
    int off = farthest(pixels->data, expected->data, size * size * 3);
    REPORT(off <= within, "%s is off by %d of 255, expected at most %d", path, off, within);
    gal_tensor_free(expected);
    gal_tensor_free(pixels);
}

static gal_decoded decode(const char *path)
{
    gal_tensor *pixels = bytes_of(4, (int64_t[]){1, 24, 24, 3});
    gal_decoded decoded;
    memset(pixels->data, 77, 24 * 24 * 3);
    IS_OK(gal_images_decode(pixels, &decoded, &path, 0));
    for (int i = 0; i < 24 * 24 * 3 && decoded.status != GAL_OK; i++)
        if (((uint8_t *)pixels->data)[i]) {
            REPORT(0, "%s: byte %d of an image that can't be had is not 0", path, i);
            break;
        }
    gal_tensor_free(pixels);
    return decoded;
}

/* Writes some of a file that is open. It is never emptied and written anew: ext4 would bring each of the
 * thousands to the disk. */
static void rewrite(int fd, const char *bytes, int64_t first, int64_t n)
{
    IS_TRUE(pwrite(fd, bytes + first, (size_t)n, (off_t)first) == (ssize_t)n);
}

/* Every beginning of a file is refused, and no changed byte leads to a read outside, which sanitizers would
 * see. */
static void damage(const char *path)
{
    char *bytes, copy[128];
    int64_t n;
    snprintf(copy, sizeof copy, "%s/damaged", folder);
    IS_OK(gal_file_read(&bytes, &n, path));
    int64_t passed = 0, wrong_status = 0;
    int fd = open(copy, O_RDWR | O_CREAT, 0600);
    rewrite(fd, bytes, 0, n);
    for (int64_t k = n - 1; k >= 0; k--) {
        IS_INT(ftruncate(fd, (off_t)k), 0);
        gal_decoded d = decode(copy);
        passed += d.status == GAL_OK;
        wrong_status += d.status != GAL_OK && d.status != GAL_FILE;
    }
    REPORT(passed == 0, "%lld of %lld beginnings of %s are taken for images, expected none",
           (long long)passed, (long long)n, path);
    IS_INT(wrong_status, 0);
    int png = bytes[0] != (char)0xff, unnoticed = 0;
    rewrite(fd, bytes, 0, n);
    for (int64_t k = 0; k < n; k++) {
        bytes[k] ^= (char)(1 << (k % 8));
        rewrite(fd, bytes, k, 1);
        unnoticed += decode(copy).status == GAL_OK;
        bytes[k] ^= (char)(1 << (k % 8));
        rewrite(fd, bytes, k, 1);
    }
    close(fd);
    if (png) /* every byte of a PNG is under a checksum, but for the lengths and the bytes behind its end */
        REPORT(unnoticed == 0, "%d changes of single bits in %s are not noticed, expected none", unnoticed,
               path);
    gal_file_free(bytes);
}

static void decoding(void)
{
    CASE("a JPEG is decoded as Pillow does, which uses a libjpeg too, to one step for the sake of others");
    like_pillow(GOLDEN "full.jpg", GOLDEN "full_jpg.npy", 24, 0, 1);
    like_pillow(GOLDEN "grey.jpg", GOLDEN "grey_jpg.npy", 24, 0, 1);
    like_pillow(GOLDEN "colour.jpg", GOLDEN "colour_jpg.npy", 24, 0, 1);
    like_pillow(GOLDEN "progressive.jpg", GOLDEN "progressive_jpg.npy", 24, 0, 1);
    CASE("a PNG is decoded exactly, its transparency dropped");
    like_pillow(GOLDEN "colour.png", GOLDEN "colour_png.npy", 24, 0, 0);
    like_pillow(GOLDEN "alpha.png", GOLDEN "alpha_png.npy", 24, 0, 0);
    CASE("an image is scaled as Pillow's BILINEAR does, to one step");
    like_pillow(GOLDEN "colour.png", GOLDEN "resized_16.npy", 16, 1, 1);
    like_pillow(GOLDEN "colour.png", GOLDEN "resized_40.npy", 40, 1, 1);

    CASE("an image of another size, a missing file and a file of another kind are told apart");
    gal_decoded d = decode(GOLDEN "oblong.jpg");
    IS_INT(d.status, GAL_SHAPE);
    IS_INT(d.width * 1000 + d.height, 20016);
    REPORT(!strcmp(d.problem, "is 20 x 16 pixels, expected 24 x 24"), "%s", d.problem);
    d = decode("golden/cutouts/none.jpg");
    IS_INT(d.status, GAL_FILE);
    REPORT(strstr(d.problem, "No such file") != NULL, "%s", d.problem);
    d = decode(GOLDEN "make.py");
    REPORT(d.status == GAL_FILE && !strcmp(d.problem, "is neither JPEG nor PNG"), "%s", d.problem);
    gal_image_form form;
    IS_OK(gal_image_read_form(&form, GOLDEN "oblong.jpg"));
    IS_INT(form.width * 1000 + form.height, 20016);

    CASE("no beginning of an image is taken for the whole, and no changed byte reads outside");
    damage(GOLDEN "colour.jpg");
    damage(GOLDEN "progressive.jpg");
    damage(GOLDEN "colour.png");

    CASE("a header that claims more pixels than there may be is refused");
    char *bytes, copy[128];
    int64_t n;
    snprintf(copy, sizeof copy, "%s/large", folder);
    IS_OK(gal_file_read(&bytes, &n, GOLDEN "colour.jpg"));
    /* The frame header: height and width, 2 bytes each, behind marker, length and precision. */
    for (int64_t k = 2; k + 9 < n; k++)
        if ((uint8_t)bytes[k] == 0xff && (uint8_t)bytes[k + 1] == 0xc0) {
            bytes[k + 5] = bytes[k + 7] = 0x20;
            break;
        }
    IS_OK(gal_file_write(copy, bytes, n));
    d = decode(copy);
    REPORT(d.status == GAL_FILE && strstr(d.problem, "large"), "status %d, %s", d.status, d.problem);
    gal_file_free(bytes);
}

/* ---- sets and the loader ---- */

#define ROWS 23
#define SIDE 6
#define BATCH 5

/* ROWS images of SIDE x SIDE in a file, every byte its own. */
static void write_images(const char *path, gal_tensor *x)
{
    uint8_t *at = x->data;
    for (int64_t i = 0; i < ROWS * SIDE * SIDE * 3; i++)
        at[i] = (uint8_t)(gal_hash(&i, sizeof i, 3) & 255);
    IS_OK(gal_arrays_write(path, 1, NULL, (const gal_tensor *[]){x}, 0, NULL, NULL));
}

static gal_tensor *integers(int64_t n)
{
    gal_tensor *x = NULL;
    IS_OK(gal_tensor_new(&x, "cpu", GAL_I64, n ? 1 : 0, &n));
    return x;
}

/* The loader against single reads, for three epochs: batches in order, then back, then forward again. */
static void loads(const gal_images *images, int64_t bytes, int turned)
{
    gal_loader *loader = NULL;
    IS_OK(gal_loader_new(&loader, images, BATCH, "cpu"));
    gal_tensor *order = integers(ROWS), *turns = bytes_of(1, (int64_t[]){ROWS});
    gal_tensor *batch = bytes_of(2, (int64_t[]){BATCH, bytes}), *one = bytes_of(2, (int64_t[]){1, bytes});
    static const int sequence[] = {0, 1, 2, 3, 0, 2, 3, 1, 1, 0};
    for (int epoch = 0; epoch < 3; epoch++) {
        int64_t *o = order->data;
        uint8_t *t = turns->data;
        for (int64_t i = 0; i < ROWS; i++)
            o[i] = (i * 7 + epoch) % ROWS, t[i] = (uint8_t)((i + epoch) % 8);
        IS_OK(gal_loader_start(loader, order, turned ? turns : NULL));
        int wrong = 0;
        for (size_t s = 0; s < sizeof sequence / sizeof *sequence; s++) {
            int64_t k = sequence[s];
            IS_OK(gal_loader_take(batch, loader, k));
            for (int64_t i = 0; i < BATCH; i++) {
                int64_t at = k * BATCH + i;
                IS_OK(gal_images_read(one, images, 0, &o[at], turned ? &t[at] : NULL));
                wrong += memcmp((uint8_t *)batch->data + i * bytes, one->data, (size_t)bytes) != 0;
            }
        }
        REPORT(wrong == 0, "epoch %d: %d of %d images differ from single reads", epoch, wrong,
               (int)(sizeof sequence / sizeof *sequence) * BATCH);
    }
    FAILS(gal_loader_take(batch, loader, 4), GAL_VALUE, "the batch is 4, expected 0 to 3 for 23 rows");
    gal_loader_free(loader);
    gal_tensor *all[] = {order, turns, batch, one};
    for (int i = 0; i < 4; i++)
        gal_tensor_free(all[i]);
}

/* ROWS images x, in a file and in memory. */
typedef struct sources {
    char path[128];
    gal_tensor *x;
    gal_images *file, *memory;
} sources;

static gal_tensor *image_bytes(int64_t n, int64_t side)
{
    return bytes_of(4, (int64_t[]){n, side, side, 3});
}

static void batches(const sources *s)
{
    CASE("the loader gives what single reads give, from a file and from memory, turned or not, in any "
         "sequence of batches");
    loads(s->file, SIDE * SIDE * 3, 0);
    loads(s->file, SIDE * SIDE * 3, 1);
    loads(s->memory, SIDE * SIDE * 3, 1);
    CASE("the loader of a selection gives the selection's images");
    gal_images *part = NULL;
    int64_t reversed[ROWS + 2];
    for (int64_t i = 0; i < ROWS + 2; i++)
        reversed[i] = (2 * ROWS - i) % ROWS;
    IS_OK(gal_images_select(&part, s->file, reversed, ROWS + 2));
    loads(part, SIDE * SIDE * 3, 1);
    gal_images_free(part);
}

static void selections(const sources *s)
{
    enum { BYTES = SIDE * SIDE * 3 };
    CASE("images of a file and of a tensor are the same, and those of a selection are its rows");
    gal_tensor *all = image_bytes(ROWS, SIDE), *two = image_bytes(2, SIDE);
    gal_images *part = NULL, *none = NULL;
    const uint8_t *x = s->x->data, *selected = two->data;
    IS_OK(gal_images_read(all, s->file, 0, NULL, NULL));
    IS_INT(memcmp(all->data, x, ROWS * BYTES), 0);
    IS_OK(gal_images_select(&part, s->file, (int64_t[]){20, 4}, 2));
    IS_OK(gal_images_read(two, part, 0, NULL, NULL));
    IS_INT(memcmp(selected, x + 20 * BYTES, BYTES), 0);
    IS_INT(memcmp(selected + BYTES, x + 4 * BYTES, BYTES), 0);
    FAILS(gal_images_select(&none, part, (int64_t[]){2}, 1), GAL_VALUE, "row 0 is 2, expected 0 to 1");
    gal_images_free(part);
    gal_tensor_free(all);
    gal_tensor_free(two);
}

/* Leaves the images of memory cropped. */
static void crops(const sources *s)
{
    CASE("a crop is the middle, and bins are the means of its pixels");
    const uint8_t *x = s->x->data;
    gal_tensor *small = image_bytes(ROWS, 2);
    IS_OK(gal_images_shape(s->memory, 4, 2));
    IS_OK(gal_images_read(small, s->memory, 0, NULL, NULL));
    int wrong = 0;
    for (int i = 0; i < ROWS * 12; i++) {
        int image = i / 12, r = i / 6 % 2, c = i / 3 % 2, k = i % 3;
        double sum = 0;
        for (int p = 0; p < 4; p++)
            sum += x[((image * SIDE + 1 + 2 * r + p / 2) * SIDE + 1 + 2 * c + p % 2) * 3 + k];
        wrong += fabs(((uint8_t *)small->data)[i] - sum / 4) > 0.5;
    }
    IS_INT(wrong, 0);
    FAILS(gal_images_shape(s->memory, 7, 1), GAL_VALUE, "crop is 7 pixels, expected 1 to 6");
    FAILS(gal_images_shape(s->memory, 4, 3), GAL_VALUE, "bin is 3 pixels, expected a divisor of 4 x 4");
    loads(s->memory, 2 * 2 * 3, 1);
    gal_tensor_free(small);
}

static void moments(const sources *s)
{
    CASE("sums and squares of pixels are exact");
    double sums[3], squares[3], sum = 0, square = 0;
    IS_OK(gal_images_moments(sums, squares, s->file, 3));
    for (int i = 1; i < ROWS * SIDE * SIDE * 3; i += 3) {
        double v = ((uint8_t *)s->x->data)[i];
        sum += v, square += v * v;
    }
    IS_NEAR(sums[1], sum, 0);
    IS_NEAR(squares[1], square, 0);
}

/* Cuts the file short. */
static void cut_short(const sources *s)
{
    CASE("a file that is cut short under its set is one sentence, from a read and from the loader");
    gal_loader *loader = NULL;
    gal_tensor *order = integers(ROWS), *all = image_bytes(ROWS, SIDE),
               *batch = bytes_of(2, (int64_t[]){BATCH, SIDE * SIDE * 3});
    for (int64_t i = 0; i < ROWS; i++)
        ((int64_t *)order->data)[i] = ROWS - 1 - i;
    IS_OK(gal_loader_new(&loader, s->file, BATCH, "cpu"));
    IS_INT(truncate(s->path, 128 + 10 * SIDE * SIDE * 3), 0);
    IS_OK(gal_loader_start(loader, order, NULL));
    FAILS(gal_loader_take(batch, loader, 0), GAL_FILE, "images.npy: ends after");
    FAILS(gal_images_read(all, s->file, 0, NULL, NULL), GAL_FILE, "images.npy: ends after");
    gal_loader_free(loader);
    CASE("a loader can be freed while it reads");
    for (int i = 0; i < 20; i++) {
        IS_OK(gal_loader_new(&loader, s->memory, BATCH, "cpu"));
        IS_OK(gal_loader_start(loader, order, NULL));
        gal_loader_free(loader);
    }
    gal_tensor *used[] = {order, all, batch};
    for (int i = 0; i < 3; i++)
        gal_tensor_free(used[i]);
}

static void sets(void)
{
    sources s = {.x = image_bytes(ROWS, SIDE)};
    snprintf(s.path, sizeof s.path, "%s/images.npy", folder);
    write_images(s.path, s.x);
    IS_OK(gal_images_open(&s.file, s.path));
    IS_OK(gal_images_of(&s.memory, s.x));
    batches(&s);
    selections(&s);
    crops(&s);
    moments(&s);
    cut_short(&s);
    gal_images_free(s.file);
    gal_images_free(s.memory);
    gal_tensor_free(s.x);
}

static void symmetries(void)
{
    CASE("the turns are NumPy's rot90 and fliplr, and all eight differ");
    gal_tensor *expected = loaded(GOLDEN "turns.npy"), *y = bytes_of(4, (int64_t[]){8, 6, 6, 3});
    gal_images *images = NULL;
    IS_OK(gal_images_of(&images, expected));
    IS_OK(gal_images_read(y, images, 0, (int64_t[8]){0}, (uint8_t[]){0, 1, 2, 3, 4, 5, 6, 7}));
    IS_INT(memcmp(y->data, expected->data, 8 * 108), 0);
    int same = 0;
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < i; j++)
            same += !memcmp((uint8_t *)y->data + i * 108, (uint8_t *)y->data + j * 108, 108);
    IS_INT(same, 0);
    CASE("one turn after another is one of the eight again: they are a group");
    int outside = 0;
    for (int first = 0; first < 8; first++)
        for (int second = 0; second < 8; second++) {
            gal_tensor *both = bytes_of(4, (int64_t[]){1, 6, 6, 3});
            gal_images *turned = NULL;
            IS_OK(gal_images_of(&turned, y));
            IS_OK(gal_images_read(both, turned, 0, (int64_t[]){first}, (uint8_t[]){(uint8_t)second}));
            int found = 0;
            for (int k = 0; k < 8; k++)
                found += !memcmp(both->data, (uint8_t *)expected->data + k * 108, 108);
            outside += found != 1;
            gal_images_free(turned);
            gal_tensor_free(both);
        }
    IS_INT(outside, 0);
    gal_images_free(images);
    gal_tensor_free(expected);
    gal_tensor_free(y);
}

int main(void)
{
    if (!mkdtemp(folder))
        return 1;
    decoding();
    sets();
    symmetries();
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", folder);
    if (system(command))
        return 1;
    return finish();
}
