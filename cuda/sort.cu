/* sort.cu: rows in ascending order, NaN last, the places of their elements in that order, and their
 * quantiles. By Batcher's bitonic network (1968) over keys: integers of the floats' order, of 32 bits, or of
 * 64 with the place in the lower half, by which equal ones keep their order. Steps between keys that lie
 * close are done in shared memory, a piece of the row a block. */
#include "launch.h"
#include <cmath>

static const int64_t PIECE = 2048, HALF = PIECE / 2;
enum { THREADS = 512 };
template <class K> struct piece {
    K key[PIECE];
};

/* A float's bits as an integer of the same order, NaN above all. */
static __device__ inline uint32_t key_of(float x)
{
    uint32_t bits = __float_as_uint(x);
    if (x != x)
        return UINT32_MAX;
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

static __device__ inline float value_of(uint32_t key)
{
    return key == UINT32_MAX ? NAN : __uint_as_float(key & 0x80000000u ? key & 0x7fffffffu : ~key);
}

static __device__ inline void make_key(uint32_t *key, float x, int64_t)
{
    *key = key_of(x);
}
static __device__ inline void make_key(uint64_t *key, float x, int64_t place)
{
    *key = (uint64_t)key_of(x + 0.0f) << 32 | (uint64_t)place; /* -0 is equal to 0 */
}

/* keys {outer, padded} of x {outer, n}; the padding is above all. */
template <class K>
__global__ void __launch_bounds__(BLOCK)
    sort_keys(K *keys, const float *x, int64_t outer, int64_t n, int64_t padded)
{
    GAL_EACH (i, outer * padded) {
        if (i % padded < n)
            make_key(&keys[i], x[i / padded * n + i % padded], i % padded);
        else
            keys[i] = (K)-1;
    }
}

__global__ void __launch_bounds__(BLOCK)
    sort_values(float *y, const uint32_t *keys, int64_t outer, int64_t n, int64_t padded)
{
    GAL_EACH (i, outer * n)
        y[i] = value_of(keys[i / n * padded + i % n]);
}

__global__ void __launch_bounds__(BLOCK)
    sort_places(int64_t *y, const uint64_t *keys, int64_t outer, int64_t n, int64_t padded)
{
    GAL_EACH (i, outer * n)
        y[i] = (int64_t)(keys[i / n * padded + i % n] & UINT32_MAX);
}

/* Exchanges two keys that are out of order; `up`: the smaller one first. */
template <class K> static __device__ inline void in_order(K *a, K *b, bool up)
{
    K x = *a, y = *b;
    if ((x > y) == up) {
        *a = y;
        *b = x;
    }
}

/* Place of the first of pair number i at distance `apart`, a power of two. */
static __device__ inline int64_t first_of(int64_t i, int64_t apart)
{
    return (i / apart) * 2 * apart + i % apart;
}

/* All steps at distance apart and below, of merges of `merged` keys, in pieces of the rows; where `all`, of
 * all smaller merges before it too. */
template <class K>
__global__ void __launch_bounds__(THREADS) sort_near(K *keys, int64_t merged, int64_t padded, int all)
{
    GAL_SHARED(piece<K>, s);
    int size = (int)(padded < PIECE ? padded : PIECE);
    int64_t base = (int64_t)blockIdx.x * size;
    for (int i = (int)threadIdx.x; i < size; i += THREADS)
        s.key[i] = keys[base + i];
    for (int64_t m = all ? 2 : merged; m <= merged; m *= 2)
        for (int apart = (int)(m / 2 < size / 2 ? m / 2 : size / 2); apart > 0; apart /= 2) {
            __syncthreads();
            for (int i = (int)threadIdx.x; i < size / 2; i += THREADS) {
                int at = (int)first_of(i, apart);
                in_order(&s.key[at], &s.key[at + apart], ((base + at) % padded & m) == 0);
            }
        }
    __syncthreads();
    for (int i = (int)threadIdx.x; i < size; i += THREADS)
        keys[base + i] = s.key[i];
}

template <class K>
__global__ void __launch_bounds__(BLOCK)
    sort_far(K *keys, int64_t merged, int64_t apart, int64_t pairs, int64_t padded)
{
    GAL_EACH (i, pairs) {
        int64_t at = first_of(i, apart);
        in_order(&keys[at], &keys[at + apart], (at % padded & merged) == 0);
    }
}

template <class K> static gal_status sort_rows(gal_cuda *device, K *keys, int64_t outer, int64_t padded)
{
    int64_t size = padded < PIECE ? padded : PIECE;
    unsigned pieces = (unsigned)(outer * padded / size);
    gal_status status = GAL_LAUNCH(device, sort_near<K>, pieces, THREADS, 0, keys, size, padded, 1);
    for (int64_t merged = 2 * size; merged <= padded && status == GAL_OK; merged *= 2) {
        int64_t apart = merged / 2;
        for (; apart > HALF && status == GAL_OK; apart /= 2)
            status = GAL_LAUNCH(device, sort_far<K>, gal_grid(outer * padded / 2), BLOCK, 0, keys, merged,
                                apart, outer * padded / 2, padded);
        if (status == GAL_OK)
            status = GAL_LAUNCH(device, sort_near<K>, pieces, THREADS, 0, keys, merged, padded, 0);
    }
    return status;
}

/* Keys of the rows of x {outer, n} in ascending order: {outer, padded} in the scratch block. */
template <class K>
static gal_status sorted_keys(gal_cuda *device, K **keys, int64_t *padded, const float *x, int64_t outer,
                              int64_t n)
{
    for (*padded = 2; *padded < n;)
        *padded *= 2;
    gal_status status = gal_cuda_scratch(device, (void **)keys, (size_t)(outer * *padded) * sizeof **keys);
    if (status == GAL_OK)
        status = GAL_LAUNCH(device, sort_keys<K>, gal_grid(outer * *padded), BLOCK, 0, *keys, x, outer, n,
                            *padded);
    return status == GAL_OK ? sort_rows(device, *keys, outer, *padded) : status;
}

extern "C" gal_status gal_cuda_sort(gal_cuda *device, const void *args)
{
    const gal_reduce_args *g = (const gal_reduce_args *)args;
    uint32_t *keys;
    int64_t padded;
    if (g->outer == 0 || g->n == 0)
        return GAL_OK;
    gal_status status = sorted_keys(device, &keys, &padded, g->x, g->outer, g->n);
    if (status == GAL_OK)
        status = GAL_LAUNCH(device, sort_values, gal_grid(g->outer * g->n), BLOCK, 0, (float *)g->y, keys,
                            g->outer, g->n, padded);
    return status;
}

extern "C" gal_status gal_cuda_argsort(gal_cuda *device, const void *args)
{
    const gal_reduce_args *g = (const gal_reduce_args *)args;
    uint64_t *keys;
    int64_t padded;
    if (g->outer == 0 || g->n == 0)
        return GAL_OK;
    gal_status status = sorted_keys(device, &keys, &padded, g->x, g->outer, g->n);
    if (status == GAL_OK)
        status = GAL_LAUNCH(device, sort_places, gal_grid(g->outer * g->n), BLOCK, 0, (int64_t *)g->y, keys,
                            g->outer, g->n, padded);
    return status;
}

/* ---- quantiles ---- */

/* Of n > 0 keys in ascending order: linear between the order statistics at position level (n - 1). */
static __device__ inline double quantile(const uint32_t *ascending, int64_t n, double level)
{
    if (ascending[n - 1] == UINT32_MAX)
        return NAN;
    double position = (level > 0 ? level < 1 ? level : 1 : 0) * (double)(n - 1);
    int64_t below = (int64_t)position, above = below + 1 < n ? below + 1 : below;
    double low = value_of(ascending[below]), high = value_of(ascending[above]);
    double part = position - (double)below;
    return part == 0 || low == high ? low : low + part * (high - low); /* infinities too */
}

__global__ void __launch_bounds__(BLOCK)
    quantiles(const __grid_constant__ gal_quantiles_args g, const uint32_t *keys, int64_t padded)
{
    GAL_EACH (i, g.rows * g.q)
        g.y[i] = quantile(keys + i / g.q * padded, g.n, g.levels[i % g.q]);
}

extern "C" gal_status gal_cuda_quantiles(gal_cuda *device, const void *args)
{
    const gal_quantiles_args *g = (const gal_quantiles_args *)args;
    uint32_t *keys;
    int64_t padded;
    if (g->rows == 0 || g->q == 0)
        return GAL_OK;
    gal_status status = sorted_keys(device, &keys, &padded, g->x, g->rows, g->n);
    if (status == GAL_OK)
        status = GAL_LAUNCH(device, quantiles, gal_grid(g->rows * g->q), BLOCK, 0, *g, keys, padded);
    return status;
}
