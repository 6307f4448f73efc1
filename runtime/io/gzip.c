/* gzip.c: unpacks a gzipped file in memory and checks its checksums. Survey archives deliver tables that way.
 */
#include "io.h"
#include <stdlib.h>
#include <zlib.h>

int gal_gzip_is(const char *bytes, int64_t n)
{
    return n >= 2 && (unsigned char)bytes[0] == 0x1f && (unsigned char)bytes[1] == 0x8b;
}

/* Inflates a piece: a z_stream counts in 32 bits, so input and output are lent to it piece by piece. */
typedef struct unpacking {
    z_stream z;
    const char *in;
    int64_t in_left;
    char *out;
    int64_t size, capacity;
    int64_t most; /* bytes that it may unpack to */
} unpacking;
#define TOO_MUCH 100 /* beside zlib's own answers */
#define PIECE ((int64_t)1 << 30)

/* Tables pack to a tenth, seldom to a hundredth. A file that unpacks to more than 500 times its bytes, and to
 * more than 1 MiB, holds no galaxies but wants memory: values take up to 9 times the bytes of their text. */
#define LARGEST_RATIO 500
#define HARMLESS (1 << 20)

static int grow(unpacking *u)
{
    int64_t capacity = u->capacity + u->capacity / 2 + 65536;
    char *out = realloc(u->out, (size_t)capacity + 1);
    if (!out)
        return -1;
    u->out = out;
    u->capacity = capacity;
    return 0;
}

/* Unpacks one member to its end. Returns Z_STREAM_END, or zlib's error: Z_BUF_ERROR where the input ends
 * first, TOO_MUCH. */
static int unpack_member(unpacking *u)
{
    int state = Z_OK;
    while (state == Z_OK) {
        if (u->size > u->most)
            return TOO_MUCH;
        if (u->size == u->capacity && grow(u) != 0)
            return Z_MEM_ERROR;
        uInt in = (uInt)(u->in_left < PIECE ? u->in_left : PIECE);
        uInt out = (uInt)(u->capacity - u->size < PIECE ? u->capacity - u->size : PIECE);
        u->z.next_in = (Bytef *)u->in;
        u->z.avail_in = in;
        u->z.next_out = (Bytef *)u->out + u->size;
        u->z.avail_out = out;
        state = inflate(&u->z, Z_NO_FLUSH);
        u->in += in - u->z.avail_in;
        u->in_left -= in - u->z.avail_in;
        u->size += out - u->z.avail_out;
    }
    return state;
}

gal_status gal_gzip_inflate(char **out, int64_t *out_n, const char *bytes, int64_t n, const char *path)
{
    unpacking u = {.in = bytes, .in_left = n, .most = n * LARGEST_RATIO};
    u.most = u.most > HARMLESS ? u.most : HARMLESS;
    int state = inflateInit2(&u.z, 15 + 16); /* 16: a gzip header is expected */
    int started = state == Z_OK;
    /* Members may follow each other; zeros behind the last are padding (gzip(1)). */
    while (state == Z_OK) {
        state = unpack_member(&u);
        if (state != Z_STREAM_END)
            break;
        if (gal_gzip_is(u.in, u.in_left))
            state = inflateReset(&u.z);
    }
    if (started)
        inflateEnd(&u.z);
    if (state == Z_STREAM_END && u.out) {
        u.out[u.size] = 0;
        *out = u.out;
        *out_n = u.size;
        return GAL_OK;
    }
    free(u.out);
    if (state == Z_MEM_ERROR)
        return gal_fail(GAL_MEMORY, "%s: no memory to unpack it", path);
    if (state == TOO_MUCH)
        return gal_fail(GAL_FILE, "%s: unpacks to more than %d times its %lld bytes, which no table does",
                        path, LARGEST_RATIO, (long long)n);
    if (state == Z_BUF_ERROR)
        return gal_fail(GAL_FILE, "%s: is truncated: the gzip stream ends too early, after %lld bytes", path,
                        (long long)n);
    return gal_fail(GAL_FILE, "%s: is damaged: the gzip stream does not unpack (%s)", path,
                    u.z.msg ? u.z.msg : "bad header");
}
