/* integrate_layer.h: a layer of the velocity net as integrate_mma.cu's warps compute it: where the weights
 * are and how they come, a warp's operands in its shared memory, chunks of outputs. */
#ifndef GAL_CUDA_INTEGRATE_LAYER_H
#define GAL_CUDA_INTEGRATE_LAYER_H
#include "integrate.h"
#include "mma.h"

/* FRONT: bytes before the slabs, where the barrier is. */
enum {
    FRONT = 16,
    MOST_WARPS = 8,
    MOST_INPUTS = 8,
    TILE = 8,
    SLAB = 32 * (MMA_TILES / 2 * MMA_STEP + 16 + 4)
};

/* A layer as it is packed: for each output a row of `steps` stretches of weights, then 16 bytes so
 * that eight rows lie in different banks; behind the rows of a slab their biases. */
typedef struct mma_layer {
    int64_t packed;            /* where its first slab begins */
    int32_t steps, outs, each; /* each: outputs of a slab; outs: a multiple of 8, zeros behind the last */
    int32_t activation;
} mma_layer;

/* What the launches share beside the op's arguments, all in the scratch block. */
typedef struct mma_net {
    unsigned char *packed;
    float *base;           /* {galaxies here, outs of the first layer}: b_1 and the features' part */
    float *k, *divergence; /* {warps of a launch, stages, rows of a warp, d}, the same without d */
    galaxies_here galaxies;
    int64_t bytes;        /* of all that is packed */
    int32_t tiles, rows;  /* of the widest layer; of a warp */
    int32_t inputs;       /* tiles of [time; theta]: four numbers each */
    int64_t done;         /* rows that launches before this one have */
    int32_t step, passes; /* of a launch: the first step; of a stage: passes through the net */
    mma_layer layer[GAL_FLOW_LAYERS];
} mma_net;

static __host__ __device__ inline int pitch_of(const mma_layer &l)
{
    return l.steps * MMA_STEP + 16;
}

/* ---- where a warp is ----
 * Registers are scarce, and this is all that it keeps beside operands and sums; the rest is worked out where
 * it is needed. */

struct place {
    int pass;              /* through the net, of the launch: a stage has one, or several for its tangents */
    int layer, from, slot; /* the slab that is used: of which layer, its first output, where it lies */
};

/* What a pass is for: direction: the first tangent that is carried along. */
struct purpose {
    int step, stage, direction;
};
template <int M, bool TANGENTS>
static __device__ __forceinline__ purpose purpose_of(const gal_flow_integrate_args &g, const mma_net &w,
                                                     int pass)
{
    int stage = pass / w.passes;
    return {w.step + stage / g.method.stages, stage % g.method.stages,
            TANGENTS ? pass % w.passes * (2 * M - 1) : 0};
}

static __device__ __forceinline__ int lane_of()
{
    return (int)gal_thread() % 32;
}
/* The warp's number in the launch, its first row, and how many it has: at most 0 where none are left. */
static __device__ __forceinline__ int64_t warp_of()
{
    return blockIdx.x * (blockDim.x / 32) + gal_thread() / 32;
}
static __device__ __forceinline__ int64_t first_row(const mma_net &w)
{
    return w.done + warp_of() * w.rows;
}
static __device__ __forceinline__ int rows_of(const gal_flow_integrate_args &g, const mma_net &w)
{
    int64_t left = g.rows - first_row(w);
    return (int)(left < w.rows ? left : w.rows);
}
/* Its velocities {stages, rows, d} and divergences {stages, rows}. */
static __device__ __forceinline__ float *k_of(const gal_flow_integrate_args &g, const mma_net &w)
{
    return w.k + warp_of() * g.method.stages * w.rows * g.d;
}
static __device__ __forceinline__ float *divergence_of(const gal_flow_integrate_args &g, const mma_net &w)
{
    return w.divergence + warp_of() * g.method.stages * w.rows;
}

/* ---- the weights' way ---- */

static __device__ __forceinline__ int outputs_of(const mma_layer &l, int from)
{
    return l.outs - from < l.each ? l.outs - from : l.each;
}
static __device__ __forceinline__ unsigned char *slab_of(int slot)
{
    GAL_SHARED_DYNAMIC(unsigned char, shared);
    return shared + FRONT + slot * SLAB;
}
static __device__ __forceinline__ uint64_t *barrier_of()
{
    GAL_SHARED_DYNAMIC(uint64_t, shared);
    return shared;
}

/* The warp needs the slab that it used no more, and what it copied of the next one is there. */
static __device__ __forceinline__ void arrive()
{
    gal_copy_wait();
    __syncwarp();
    if (lane_of() == 0)
        gal_arrive(barrier_of());
}

/* The block begins to copy a slab. */
static __device__ __forceinline__ void fetch(const mma_net &w, int layer, int from, int slot)
{
    const mma_layer &l = w.layer[layer];
    int row = pitch_of(l) + 4, bytes = outputs_of(l, from) * row;
    const unsigned char *slab = w.packed + l.packed + (int64_t)from * row;
    for (int i = (int)gal_thread() * 16; i < bytes; i += (int)blockDim.x * 16)
        gal_copy_async(slab_of(slot) + i, slab + i);
}

/* Waits until the slab that a warp comes to is there for all, and the one before it not needed any more,
 * whose place the next one takes. */
static __device__ __forceinline__ void turn_over(const mma_net &w, int layers, place &at)
{
    at.slot ^= 1;
    gal_await(barrier_of(), (uint32_t)at.slot);
    __syncwarp(); /* lanes may have seen it one after another */
    int from = at.from + w.layer[at.layer].each, layer = at.layer;
    if (from >= w.layer[layer].outs)
        from = 0, layer = layer + 1 < layers ? layer + 1 : 0;
    fetch(w, layer, from, at.slot ^ 1);
}

/* ---- operands ---- */

/* This lane's words of 16 columns and a tile of inputs, in the warp's own shared memory: {tiles, M, pairs of
 * words, lanes, 2}, without bank conflicts. A lane reads nothing but what it has written. */
template <class kind, int M>
static __device__ __forceinline__ uint2 *place_of(const mma_net &w, int tile, int m)
{
    enum { PAIRS = kind::WORDS / 2 };
    int warp = (int)gal_thread() / 32;
    return (uint2 *)slab_of(2) + ((warp * w.tiles + tile) * M + m) * PAIRS * 32 + lane_of();
}
template <class kind, int M>
static __device__ __forceinline__ void put(const mma_net &w, int tile, int m, const float (&z)[4])
{
    uint32_t word[kind::WORDS];
    kind::words(word, z);
    for (int i = 0; i < kind::WORDS / 2; i++)
        place_of<kind, M>(w, tile, m)[32 * i] = make_uint2(word[2 * i], word[2 * i + 1]);
}
/* The last layer's tiles stay float32, each in the place of two tiles of 16 bits. */
template <class kind, int M>
static __device__ __forceinline__ float2 *place_of_velocity(const mma_net &w, int tile, int m, int half)
{
    return (float2 *)place_of<kind, M>(w, tile * 4 / kind::WORDS, 0) + (2 * m + half) * 32;
}
template <class kind, int M>
static __device__ __forceinline__ void put_velocity(const mma_net &w, int tile, int m, const float (&z)[4])
{
    for (int half = 0; half < 2; half++)
        *place_of_velocity<kind, M>(w, tile, m, half) = make_float2(z[2 * half], z[2 * half + 1]);
}
template <class kind, int M, int TILES_IN>
static __device__ __forceinline__ void take(uint32_t (&x)[TILES_IN][M][kind::WORDS], const mma_net &w,
                                            int tiles)
{
#pragma unroll
    for (int tile = 0; tile < TILES_IN; tile++)
        for (int m = 0; m < M; m++)
            for (int i = 0; i < kind::WORDS / 2; i++) {
                uint2 pair = make_uint2(0, 0); /* written in any case, or the compiler keeps what was there */
                if (tile < tiles)
                    pair = place_of<kind, M>(w, tile, m)[32 * i];
                x[tile][m][2 * i] = pair.x, x[tile][m][2 * i + 1] = pair.y;
            }
}

/* ---- a layer ---- */

/* Where column q of this lane has its galaxy's part of the first layer. */
template <int M, bool TANGENTS>
static __device__ __forceinline__ void find_bases(const gal_flow_integrate_args &g, const mma_net &w,
                                                  uint32_t (&base)[2 * M])
{
    for (int q = 0; q < (TANGENTS ? 1 : 2 * M); q++) {
        int row = 8 * q + lane_of() / 4;
        uint32_t of_call = row < rows_of(g, w) ? (uint32_t)(w.galaxies.first + first_row(w) + row) : 0;
        base[q] = w.galaxies.share ? of_call / (uint32_t)w.galaxies.share * (uint32_t)w.layer[0].outs : 0;
    }
}

/* What the sums of N tiles of outputs begin with: bias, or what the galaxy adds; tangents with 0. bias: of
 * this lane's first output. */
template <int M, int N, bool TANGENTS, bool FIRST>
static __device__ __forceinline__ void begin(float (&z)[N][M][4], const float *bias,
                                             const uint32_t (&base)[2 * M])
{
#pragma unroll
    for (int n = 0; n < N; n++)
#pragma unroll
        for (int q = 0; q < 2 * M; q++) {
            float2 b = make_float2(0, 0);
            if (!TANGENTS || q == 0)
                b = *(const float2 *)(bias + (FIRST ? base[q] : 0) + TILE * n);
            z[n][q / 2][q % 2 * 2] = b.x, z[n][q / 2][q % 2 * 2 + 1] = b.y;
        }
}

template <class kind, int M, int N, bool TANGENTS>
static __device__ __forceinline__ void activate_chunk(float (&z)[N][M][4], int activation)
{
    switch (activation) {
#define ACTIVATE(NAME, name)                                        \
    case GAL_##NAME:                                                \
        for (int n = 0; n < N; n++)                                 \
            mma_activate_tile<kind, GAL_##NAME, M, TANGENTS>(z[n]); \
        break;
        GAL_ACTIVATIONS(ACTIVATE)
#undef ACTIVATE
    }
}

/* N tiles of outputs, from tile `tile` of the slab on. last: of this slab; the others need not wait until its
 * activations are computed. */
template <class kind, int M, int N, bool TANGENTS, bool FIRST, int TILES_IN>
static __device__ __forceinline__ void
chunk(const gal_flow_integrate_args &g, const mma_net &w, place &at, int tile, bool last,
      const uint32_t (&x)[TILES_IN][M][kind::WORDS], const uint32_t (&base)[2 * M])
{
    const mma_layer &l = w.layer[at.layer];
    int pitch = pitch_of(l), mine = TILE * tile + lane_of() % 4 * 2;
    const unsigned char *slab = slab_of(at.slot);
    float z[N][M][4];
    const float *bias = FIRST ? w.base + at.from : (const float *)(slab + outputs_of(l, at.from) * pitch);
    begin<M, N, TANGENTS, FIRST>(z, bias + mine, base);
    const unsigned char *row = mma_row<N>(slab + TILE * tile * pitch, pitch);
    if (!FIRST && l.steps == MMA_TILES / kind::TILES)
        mma_products<kind, M, N, true, TILES_IN>(z, x, row, l.steps);
    else
        mma_products<kind, M, N, false, TILES_IN>(z, x, row, l.steps);
    if (last)
        arrive();
    activate_chunk<kind, M, N, TANGENTS>(z, l.activation);
#pragma unroll
    for (int n = 0; n < N; n++) {
#pragma unroll
        for (int m = 0; m < M; m++)
            if (at.layer == g.layers - 1)
                put_velocity<kind, M>(w, at.from / TILE + tile + n, m, z[n][m]);
            else
                put<kind, M>(w, at.from / TILE + tile + n, m, z[n][m]);
    }
}

/* Layer at.layer; at then names the next one. */
template <class kind, int M, bool TANGENTS, bool FIRST>
static __device__ __forceinline__ void run_layer(const gal_flow_integrate_args &g, const mma_net &w,
                                                 place &at)
{
    constexpr int TILES_IN = FIRST ? (int)MOST_INPUTS : (int)MMA_TILES;
    uint32_t x[TILES_IN][M][kind::WORDS], base[2 * M] = {};
    if (FIRST)
        find_bases<M, TANGENTS>(g, w, base);
    take<kind, M, TILES_IN>(x, w, w.layer[at.layer].steps * kind::TILES);
    for (at.from = 0; at.from < w.layer[at.layer].outs; at.from += w.layer[at.layer].each) {
        turn_over(w, g.layers, at);
        /* Two tiles at a time, but every other warp of a scheduler begins with one, so that not all warps
         * multiply at once and then all compute activations. */
        int tiles = outputs_of(w.layer[at.layer], at.from) / TILE;
        for (int tile = 0; tile < tiles;)
            if (tiles - tile < 2 || (tile == 0 && gal_thread() / 128 % 2)) {
                chunk<kind, M, 1, TANGENTS, FIRST, TILES_IN>(g, w, at, tile, tile + 1 == tiles, x, base);
                tile += 1;
            } else {
                chunk<kind, M, 2, TANGENTS, FIRST, TILES_IN>(g, w, at, tile, tile + 2 == tiles, x, base);
                tile += 2;
            }
    }
    at.from = 0, at.layer++;
}
#endif
