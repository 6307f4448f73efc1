/* hash.c: the hash that decides which part of a split a row belongs to, and which random stream is a galaxy's
 * own. */
#include "galrun.h"

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
