/* integrate_mma.cu: the velocity net's ODE on tensor cores: operands in f16, bf16 or TF32, sums and state in
 * float32. A warp carries its rows, and with the divergence their tangents, through all steps by itself; the
 * warps of a block share the weights, which stream through shared memory in slabs, the next one on its way
 * while one is used. tests/bench/cuda.md has the arithmetic behind the sizes. */
#include "integrate_layer.h"
#include "launch.h"

/* ---- before the first step ---- */

/* Packs the net. A thread has a pair of inputs: of a hidden layer 2t and 2t + 1 of a tile, of the first
 * one number t of the tile twice, since [time; theta] comes as a rounded number and what the rounding left.
 */
template <int precision>
__global__ void __launch_bounds__(BLOCK)
    pack_net(const __grid_constant__ gal_flow_integrate_args g, const __grid_constant__ mma_net w)
{
    typedef mma_kind<precision> kind;
    const gal_flow_layer &l = g.layer[blockIdx.y];
    const mma_layer &to = w.layer[blockIdx.y];
    int tiles = to.steps * kind::TILES, pitch = pitch_of(to), first = blockIdx.y == 0;
    int64_t in = first ? 1 + g.d : l.in;
    GAL_EACH (u, (int64_t)to.outs * (tiles + 1) * 4) {
        int t = (int)(u % 4), tile = (int)(u / 4 % (tiles + 1)), o = (int)(u / 4 / (tiles + 1));
        int slab = o / to.each * to.each, count = to.outs - slab < to.each ? to.outs - slab : to.each;
        unsigned char *at = w.packed + to.packed + (int64_t)slab * (pitch + 4),
                      *row = at + (o - slab) * pitch;
        float z[4] = {};
        for (int e = 0; e < 2; e++) {
            int64_t i = first ? 4 * tile + t : 8 * tile + 2 * t + e;
            if (tile < tiles && o < l.out && i < in)
                z[e] = l.w[o * l.in + i];
        }
        uint32_t word[kind::WORDS];
        kind::words(word, z);
        if (tile == tiles) { /* the 16 bytes between two rows, and the bias */
            ((uint32_t *)(row + pitch - 16))[t] = 0;
            if (t == 0)
                ((float *)(at + count * pitch))[o - slab] = l.b && o < l.out ? l.b[o] : 0;
        } else if (kind::WORDS == 2) {
            ((uint32_t *)row)[4 * tile + t] = word[0];
        } else {
            ((uint32_t *)row)[8 * tile + t] = word[0];
            ((uint32_t *)row)[8 * tile + 4 + t] = word[2];
        }
    }
}

__global__ void __launch_bounds__(BLOCK)
    mma_base(const __grid_constant__ gal_flow_integrate_args g, const __grid_constant__ mma_net w)
{
    const gal_flow_layer &l = g.layer[0];
    GAL_EACH (u, w.galaxies.count * w.layer[0].outs) {
        int64_t o = u % w.layer[0].outs, galaxy = w.galaxies.from + u / w.layer[0].outs;
        float z = l.b && o < l.out ? l.b[o] : 0;
        for (int64_t c = 0; o < l.out && c < g.width; c++)
            z = fmaf(l.w[o * l.in + 1 + g.d + c], g.features[galaxy * g.width + c], z);
        w.base[u] = z;
    }
}

/* ---- steps ---- */

/* The first layer's inputs: [time; theta], each as a rounded number and the rest; of tangents the unit
 * vectors. */
template <class kind, int M, bool TANGENTS>
static __device__ __forceinline__ void fill_inputs(const gal_flow_integrate_args &g, const mma_net &w,
                                                   const purpose &why)
{
    const float *theta = g.theta + first_row(w) * g.d, *k = k_of(g, w);
    double from = g.times[why.step], length = g.times[why.step + 1] - from;
    int rows = rows_of(g, w);
    for (int tile = 0; tile < w.inputs; tile++)
        for (int m = 0; m < M; m++) {
            float z[4];
            for (int h = 0; h < 2; h++) {
                int q = 2 * m + h, i = 4 * tile + lane_of() % 4;
                int row = TANGENTS ? lane_of() / 4 : 8 * q + lane_of() / 4;
                float value = 0;
                if (TANGENTS && q > 0)
                    value = i == why.direction + q;
                else if (i == 0)
                    value = (float)(from + g.method.c[why.stage] * length);
                else if (i <= g.d && row < rows)
                    value = advance(theta[row * g.d + i - 1], (float)length, g.method.a[why.stage],
                                    k + row * g.d + i - 1, w.rows * g.d, why.stage);
                z[2 * h] = kind::rounded(value), z[2 * h + 1] = value - z[2 * h];
            }
            put<kind, M>(w, tile, m, z);
        }
}

/* The last layer's results: velocities into k of the stage, and what the tangents add to its divergence. */
template <class kind, int M, bool TANGENTS>
static __device__ __forceinline__ void keep(const gal_flow_integrate_args &g, const mma_net &w,
                                            const purpose &why)
{
    int d = (int)g.d, rows = rows_of(g, w);
    float *k = k_of(g, w) + why.stage * w.rows * d, trace = 0;
    for (int tile = 0; tile * TILE < d; tile++)
        for (int q = 0; q < 2 * M; q++) {
            float2 both = *place_of_velocity<kind, M>(w, tile, q / 2, q % 2);
            for (int e = 0; e < 2; e++) {
                int o = TILE * tile + lane_of() % 4 * 2 + e, row = 8 * q + lane_of() / 4;
                float value = e ? both.y : both.x;
                if (TANGENTS && q > 0)
                    trace += o == why.direction + q - 1 && o < d ? value : 0;
                else if (o < d && row < rows)
                    k[row * d + o] = value;
            }
        }
    if constexpr (TANGENTS) {
        for (int by = 1; by < 4; by *= 2)
            trace += __shfl_xor_sync(0xffffffffu, trace, by);
        float *divergence = divergence_of(g, w) + why.stage * w.rows + lane_of() / 4;
        if (lane_of() % 4 == 0)
            *divergence = why.direction ? *divergence + trace : trace;
    }
}

/* State and integral a step further. */
template <bool TANGENTS>
static __device__ __forceinline__ void end_step(const gal_flow_integrate_args &g, const mma_net &w, int step)
{
    float h = (float)(g.times[step + 1] - g.times[step]), *theta = g.theta + first_row(w) * g.d;
    const float *k = k_of(g, w);
    [[maybe_unused]] const float *divergence = divergence_of(g, w);
    int stages = g.method.stages, rows = rows_of(g, w);
    for (int u = lane_of(); u < rows * (int)g.d; u += 32)
        theta[u] = advance(theta[u], h, g.method.b, k + u, w.rows * g.d, stages);
    if constexpr (TANGENTS)
        for (int row = lane_of(); row < rows; row += 32) {
            float *integral = g.integral + first_row(w) + row;
            *integral = advance(step ? *integral : 0, h, g.method.b, divergence + row, w.rows, stages);
        }
}

/* A warp carries its rows through the launch's steps. */
template <int precision, int M, bool TANGENTS>
__global__ void __launch_bounds__(32 * MOST_WARPS, 1)
    integrate_mma(const __grid_constant__ gal_flow_integrate_args g, const __grid_constant__ mma_net w,
                  int steps)
{
    typedef mma_kind<precision> kind;
    place at = {0, 0, 0, 1};
    if (threadIdx.x == 0)
        gal_arrivals(barrier_of(), blockDim.x / 32);
    __syncthreads();
    fetch(w, 0, 0, 0);
    arrive();
    for (; at.pass < steps * g.method.stages * w.passes; at.pass++) {
        fill_inputs<kind, M, TANGENTS>(g, w, purpose_of<M, TANGENTS>(g, w, at.pass));
        at.layer = 0;
        run_layer<kind, M, TANGENTS, true>(g, w, at);
        while (at.layer < g.layers)
            run_layer<kind, M, TANGENTS, false>(g, w, at);
        purpose why = purpose_of<M, TANGENTS>(g, w, at.pass);
        keep<kind, M, TANGENTS>(g, w, why);
        __syncwarp();
        if ((at.pass + 1) % (g.method.stages * w.passes) == 0) {
            end_step<TANGENTS>(g, w, why.step);
            __syncwarp();
        }
    }
}

/* ---- the op ---- */

/* A kernel and what belongs to its operands. */
typedef struct mma_way {
    decltype(&integrate_mma<GAL_IN_F16, 3, false>) carry;
    decltype(&pack_net<GAL_IN_F16>) pack;
    int m, words, tiles;
} mma_way;

/* 48 columns of a warp, of TF32 16: their operands for 256 inputs are 192 and 128 registers of a thread. */
template <int precision, int M, bool TANGENTS> static mma_way way_with()
{
    typedef mma_kind<precision> kind;
    return {integrate_mma<precision, M, TANGENTS>, pack_net<precision>, M, kind::WORDS, kind::TILES};
}

static mma_way way_of(const gal_flow_integrate_args *g)
{
    if (g->precision == GAL_IN_BF16) /* ops/integrate.c refuses it with an integral */
        return way_with<GAL_IN_BF16, 3, false>();
    if (g->precision == GAL_IN_F16)
        return g->integral ? way_with<GAL_IN_F16, 3, true>() : way_with<GAL_IN_F16, 3, false>();
    return g->integral ? way_with<GAL_IN_TF32, 1, true>() : way_with<GAL_IN_TF32, 1, false>();
}

static int64_t round_up(int64_t n, int64_t to)
{
    return (n + to - 1) / to * to;
}

/* The layers' places among what is packed, and what a warp needs; 0 where the net is too wide. */
static int measure(mma_net *w, const gal_flow_integrate_args *g, const mma_way *way)
{
    int64_t in = round_up(1 + g->d, 4 * way->tiles) / 4; /* tiles */
    w->inputs = w->tiles = (int32_t)in;
    if (in > MOST_INPUTS || g->rows > INT32_MAX)
        return 0;
    for (int i = 0; i < g->layers; i++) {
        mma_layer *l = &w->layer[i];
        int last = i == g->layers - 1;
        l->steps = (int32_t)(in / way->tiles), l->activation = g->layer[i].activation;
        l->outs = (int32_t)round_up(g->layer[i].out, TILE * (last ? 1 : way->tiles));
        l->each = SLAB / (pitch_of(*l) + 4) / TILE * TILE;
        l->packed = w->bytes;
        w->bytes += (int64_t)l->outs * (pitch_of(*l) + 4);
        in = last ? l->outs / TILE * 4 / way->words : l->outs / TILE;
        if (in > MMA_TILES)
            return 0;
        w->tiles = (int32_t)in > w->tiles ? (int32_t)in : w->tiles;
    }
    int columns = 2 * way->m;
    w->rows = g->integral ? 8 : 8 * columns;
    w->passes = g->integral ? (int32_t)((g->d + columns - 2) / (columns - 1)) : 1;
    w->galaxies = galaxies_of(g);
    if (w->galaxies.count == 1)
        w->galaxies.share = 0;
    /* The kernel counts rows and what they begin with in 32 bits. */
    return w->galaxies.share + g->rows <= UINT32_MAX && w->galaxies.count * w->layer[0].outs <= UINT32_MAX;
}

/* How the rows are cut: warps of a block; of a launch, blocks and steps: some 10 ms, so that Ctrl-C is
 * answered between two launches. */
typedef struct launches {
    int64_t warps, blocks, steps;
    size_t shared;
} launches;

static launches cut(const gal_cuda *device, const gal_flow_integrate_args *g, const mma_net *w,
                    const mma_way *way)
{
    launches c;
    int64_t own = (int64_t)w->tiles * way->m * way->words * 32 * 4,
            needed = (g->rows + w->rows - 1) / w->rows;
    int64_t most = (device->shared - FRONT - 2 * SLAB) / own, each = device->processors;
    most = most < MOST_WARPS ? most : (int64_t)MOST_WARPS;
    /* As few rounds of blocks as there must be, and equally many warps in each. */
    int64_t rounds = (needed + each * most - 1) / (each * most);
    c.warps = (needed + each * rounds - 1) / (each * rounds);
    int64_t passes = 400 / ((int64_t)g->method.stages * w->passes);
    c.steps = passes < 1 ? 1 : passes < g->steps ? passes : g->steps;
    c.blocks = each * (c.steps == g->steps && passes / g->steps > 1 ? passes / g->steps : 1);
    int64_t all = (needed + c.warps - 1) / c.warps;
    c.blocks = c.blocks < all ? c.blocks : all;
    c.shared = (size_t)(FRONT + 2 * SLAB + c.warps * own);
    return c;
}

static gal_status lay_out(gal_cuda *device, mma_net *w, const gal_flow_integrate_args *g, const launches *c)
{
    int64_t base = w->galaxies.count * w->layer[0].outs;
    int64_t k = c->blocks * c->warps * g->method.stages * w->rows * g->d;
    float *at;
    gal_status status = gal_cuda_scratch(device, (void **)&at,
                                         (size_t)(w->bytes + (base + k + (g->integral ? k / g->d : 0)) * 4));
    w->packed = (unsigned char *)at;
    w->base = at + w->bytes / 4;
    w->k = w->base + base;
    w->divergence = w->k + k;
    return status;
}

/* Packs the net, and the galaxies' part of its first layer. */
static gal_status pack(gal_cuda *device, const mma_net *w, const gal_flow_integrate_args *g,
                       const mma_way *way)
{
    gal_status status = gal_cuda_status(device,
                                        cudaFuncSetAttribute((const void *)way->carry,
                                                             cudaFuncAttributeMaxDynamicSharedMemorySize,
                                                             (int)device->shared),
                                        "cudaFuncSetAttribute");
    if (status == GAL_OK)
        status = gal_launch(device, "pack_net", way->pack, dim3(64, (unsigned)g->layers), BLOCK, 0, *g, *w);
    if (status == GAL_OK)
        status =
            GAL_LAUNCH(device, mma_base, gal_grid(w->galaxies.count * w->layer[0].outs), BLOCK, 0, *g, *w);
    return status;
}

gal_status gal_cuda_integrate_mma(gal_cuda *device, const gal_flow_integrate_args *g, int *taken)
{
    mma_way way = way_of(g);
    mma_net w = {};
    *taken = measure(&w, g, &way);
    if (!*taken)
        return GAL_OK;
    launches c = cut(device, g, &w, &way);
    gal_status status = lay_out(device, &w, g, &c);
    if (status == GAL_OK)
        status = pack(device, &w, g, &way);
    int64_t needed = (g->rows + w.rows * c.warps - 1) / (w.rows * c.warps);
    for (int64_t block = 0; block < needed && status == GAL_OK; block += c.blocks) {
        int64_t blocks = needed - block < c.blocks ? needed - block : c.blocks;
        w.done = block * c.warps * w.rows;
        for (int64_t step = 0; step < g->steps && status == GAL_OK; step += c.steps) {
            int steps = (int)(g->steps - step < c.steps ? g->steps - step : c.steps);
            if (gal_cuda_host->interrupted())
                return gal_cuda_host->fail(GAL_INTERRUPTED, "interrupted");
            w.step = (int32_t)step;
            status = gal_launch(device, "integrate_mma", way.carry, dim3((unsigned)blocks),
                                dim3((unsigned)c.warps * 32), c.shared, *g, w, steps);
            if (status == GAL_OK)
                status = gal_cuda_keep_pace(device);
        }
    }
    return status;
}
