/* random.c: hashes on the host: which part of a split a row belongs to, and which random stream is a galaxy's
 * own. */
#include "ops/ops.h"
#include <stdlib.h>

/* FNV-1a (Fowler, Noll & Vo 1991) over the bytes, then the finaliser of MurmurHash3 (Appleby 2011), so that
 * every bit of the result is good. */
uint64_t gal_hash(const void *bytes, int64_t n, uint64_t seed)
{
    uint64_t hash = 0xcbf29ce484222325u ^ (seed * 0x9e3779b97f4a7c15u);
    for (int64_t i = 0; i < n; i++)
        hash = (hash ^ ((const unsigned char *)bytes)[i]) * 0x100000001b3u;
    hash = (hash ^ hash >> 33) * 0xff51afd7ed558ccdu;
    hash = (hash ^ hash >> 33) * 0xc4ceb9fe1a85ec53u;
    return hash ^ hash >> 33;
}

/* How often each hash came before: open addressing, at most half full. */
typedef struct seen {
    uint64_t hash, times;
} seen;

gal_status gal_row_streams(gal_tensor *streams, const gal_tensor *x, int64_t seed)
{
    CHECK("row_streams", INTEGER(streams), {"x", x, x->dtype, 1});
    if (gal_backend_of(x) != gal_cpu_backend())
        return gal_fail(GAL_DEVICE, "row_streams: x is on %s, expected cpu", gal_tensor_device(x));
    if (x->rank < 1)
        return gal_fail(GAL_SHAPE, "row_streams: x is %s, expected rows", gal_shape_text(x));
    int64_t rows = x->shape[0];
    SHAPE("row_streams", streams, "{rows}", rows);
    size_t slots = 16;
    while (slots < 2 * (size_t)rows)
        slots *= 2;
    seen *table = calloc(slots, sizeof *table);
    if (!table)
        return gal_fail(GAL_MEMORY, "row_streams: no memory left for %lld rows", (long long)rows);
    int64_t width = rows ? gal_tensor_count(x) / rows * (int64_t)gal_dtype_size(x->dtype) : 0;
    for (int64_t r = 0; r < rows; r++) {
        uint64_t hash = gal_hash((const char *)x->data + r * width, width, (uint64_t)seed);
        size_t slot = hash & (slots - 1);
        while (table[slot].times && table[slot].hash != hash)
            slot = (slot + 1) & (slots - 1);
        uint64_t before = table[slot].times++;
        table[slot].hash = hash;
        ((int64_t *)streams->data)[r] = (int64_t)(before ? gal_hash(&before, sizeof before, hash) : hash);
    }
    free(table);
    return GAL_OK;
}
