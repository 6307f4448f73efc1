/* Small files that ask for much: each is refused in one sentence, or read, within 64 MiB; and pictures of
 * kinds that are not read are called what they are. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"
#include "held.h"
#include <unistd.h>
#include <zlib.h>

#define MOST_BYTES (64ll << 20)
static char folder[64] = "/tmp/galrun-small-XXXXXX";

/* A file as it is made: bytes {n}. */
typedef struct made {
    unsigned char *bytes;
    size_t n;
} made;

static void add(made *m, const void *bytes, size_t n)
{
    m->bytes = realloc(m->bytes, m->n + n + 1);
    memcpy(m->bytes + m->n, bytes, n);
    m->n += n;
}

/* Appends `times` times the text, packed, and frees nothing of it: wrap is zlib's windowBits. */
static void add_packed(made *m, const char *text, int64_t times, int wrap)
{
    size_t length = strlen(text), room = (size_t)1 << 22;
    char *block = malloc(length * 1024);
    unsigned char *out = malloc(room);
    z_stream z = {0};
    for (int k = 0; k < 1024; k++)
        memcpy(block + (size_t)k * length, text, length);
    deflateInit2(&z, 9, Z_DEFLATED, wrap, 9, Z_DEFAULT_STRATEGY);
    z.next_out = out, z.avail_out = (uInt)room;
    for (int64_t done = 0; done < times; done += 1024) {
        z.next_in = (unsigned char *)block, z.avail_in = (uInt)(length * 1024);
        deflate(&z, done + 1024 < times ? Z_NO_FLUSH : Z_FINISH);
    }
    add(m, out, room - z.avail_out);
    deflateEnd(&z);
    free(block);
    free(out);
}

static const char *put(const char *name, made m)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    IS_TRUE(file && fwrite(m.bytes, 1, m.n, file) == m.n);
    if (file)
        fclose(file);
    free(m.bytes);
    return path;
}

/* ---- tables ---- */

/* Reads all of the table; the sentence that it is refused with has to hold `words`, NULL: it is read. */
static void table(const char *name, made m, const char *words)
{
    const char *path = put(name, m);
    gal_table *t = NULL;
    long long before = atomic_load(&held);
    atomic_store(&most_held, before);
    gal_status status = gal_table_open(&t, path, NULL);
    if (!status)
        gal_table_free(t);
    long long took = atomic_load(&most_held) - before;
    REPORT(took <= MOST_BYTES, "%s of %zu bytes held %lld", name, m.n, took);
    if (words)
        REPORT(status && strstr(gal_error(), words), "%s: status %d, \"%s\"", name, status, gal_error());
    else
        IS_OK(status);
}

static made csv(const char *row, int64_t times)
{
    made m = {0};
    add_packed(&m, row, times, 15 + 16);
    return m;
}

static made names(int columns)
{
    made m = {0};
    for (int k = 0; k < columns; k++)
        add(&m, k + 1 < columns ? "a," : "a\n1", k + 1 < columns ? 2 : 3);
    return m;
}

static void tables(void)
{
    const char *much = "unpacks to more than 500 times";
    CASE("a csv.gz that unpacks to millions of rows is refused before they take memory");
    table("rows.csv.gz", csv("1\n", 5000000), much);
    table("two.csv.gz", csv(",\n", 5000000), much);
    table("names.csv.gz", csv("a,", 5000000), much);
    CASE("below that ratio rows keep their line numbers within 64 MiB");
    table("apart.csv.gz", csv("1\n\n", 300000), NULL);
    table("dense.csv.gz", csv("1\n", 400000), NULL);
    CASE("a line of very many names is refused");
    table("wide.csv", names(70000), "has more than 65536 columns");
    CASE("a FITS file that unpacks to much is refused too");
    made m = {0};
    add_packed(&m, "S", 12000000, 15 + 16);
    table("much.fits.gz", m, much);
}

/* ---- pictures ---- */

static void chunk(made *m, const char *type, const void *data, size_t n)
{
    unsigned char length[4] = {(unsigned char)(n >> 24), (unsigned char)(n >> 16), (unsigned char)(n >> 8),
                               (unsigned char)n};
    add(m, length, 4);
    size_t from = m->n;
    add(m, type, 4);
    add(m, data, n);
    uLong crc = crc32(0, m->bytes + from, (uInt)n + 4);
    unsigned char sum[4] = {(unsigned char)(crc >> 24), (unsigned char)(crc >> 16), (unsigned char)(crc >> 8),
                            (unsigned char)crc};
    add(m, sum, 4);
}

/* A PNG of side x side pixels, of bits a channel, colour as in RFC 2083, whose pixels unpack to `bytes`
 * zeros. */
static made png(int side, int bits, int colour, int64_t bytes)
{
    made m = {0}, pixels = {0};
    unsigned char header[13] = {0,
                                0,
                                (unsigned char)(side >> 8),
                                (unsigned char)side,
                                0,
                                0,
                                (unsigned char)(side >> 8),
                                (unsigned char)side,
                                (unsigned char)bits,
                                (unsigned char)colour};
    add(&m, "\x89PNG\r\n\x1a\n", 8);
    chunk(&m, "IHDR", header, 13);
    /* deflate knows no empty text: \1 is packed like zeros, and is a filter type and a pixel as good */
    add_packed(&pixels, "\1", bytes, 15);
    chunk(&m, "IDAT", pixels.bytes, pixels.n);
    chunk(&m, "IEND", "", 0);
    free(pixels.bytes);
    return m;
}

static void picture(const char *name, made m, int64_t most, const char *words)
{
    gal_image_form form;
    const char *path = put(name, m);
    long long before = atomic_load(&held);
    atomic_store(&most_held, before);
    gal_status status = gal_image_read_form(&form, path);
    long long took = atomic_load(&most_held) - before;
    REPORT(took <= most, "%s of %zu bytes held %lld, expected at most %lld", name, m.n, took,
           (long long)most);
    if (words)
        REPORT(status && strstr(gal_error(), words), "%s: status %d, \"%s\"", name, status, gal_error());
    else
        IS_OK(status);
}

/* golden/cutouts/colour.jpg with another frame header: its precision, its marker, how many channels. */
static made jpeg(int precision, int marker, int channels)
{
    made m = {0};
    char *bytes;
    int64_t n;
    IS_OK(gal_file_read(&bytes, &n, "golden/cutouts/colour.jpg"));
    for (int64_t k = 2; k + 9 < n; k++)
        if ((uint8_t)bytes[k] == 0xff && (uint8_t)bytes[k + 1] == 0xc0) {
            unsigned char frame[20] = {0xff,
                                       (unsigned char)marker,
                                       0,
                                       (unsigned char)(8 + 3 * channels),
                                       (unsigned char)precision,
                                       0,
                                       24,
                                       0,
                                       24,
                                       (unsigned char)channels};
            size_t length = (size_t)(uint8_t)bytes[k + 2] * 256 + (uint8_t)bytes[k + 3];
            add(&m, bytes, (size_t)k);
            add(&m, frame, 10);
            for (int c = 0; c < channels; c++)
                add(&m, (unsigned char[]){(unsigned char)(c + 1), 0x11, 0}, 3);
            add(&m, bytes + k + 2 + length, (size_t)n - (size_t)k - 2 - length);
            break;
        }
    gal_file_free(bytes);
    return m;
}

static void pictures(void)
{
    CASE("a PNG takes the memory of its own pixels, whatever it unpacks to");
    picture("one.png", png(1, 8, 2, 100 << 20), 8 << 20, "it holds more than its pixels");
    picture("some.png", png(64, 8, 2, 100 << 20), 8 << 20, "it holds more than its pixels");
    picture("large.png", png(4096, 1, 0, 4096 * 513), MOST_BYTES, NULL);
    CASE("a PNG that claims more pixels than its bytes can hold is refused before memory is taken");
    picture("claim.png", png(4096, 16, 6, 1024), 1 << 20, "bytes can't hold 4096 x 4096 pixels");
    CASE("a JPEG of a kind that is not read is called that, and is not called damaged");
    picture("five.jpg", jpeg(8, 0xc0, 5), 1 << 20, "is a picture of 5 channels, expected RGB, grey or CMYK");
    picture("inks.jpg", jpeg(8, 0xc0, 4), 1 << 20, NULL);
    picture("deep.jpg", jpeg(12, 0xc1, 3), 1 << 20, "is a JPEG of a kind that is not read: ");
    picture("lossless.jpg", jpeg(8, 0xc3, 3), 1 << 20, "is a JPEG of a kind that is not read: ");
}

int main(void)
{
    if (!mkdtemp(folder))
        return 1;
    watch_memory();
    tables();
    pictures();
    char command[96];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return finish() | (system(command) != 0);
}
