/* integrate.cu: the velocity net's ODE: a block carries a tile of rows through all steps, its activations in
 * shared memory. A tile has 32 columns: a row each or, with the divergence, a row and its tangents by theta.
 * The sums run in the order of the CPU's specification, so a row's bits depend on no other row. */
#include "activation.h"
#include "integrate.h"
#include "launch.h"

enum { COLUMNS = 32 };

/* What the launches share beside the op's arguments, all but spill in the scratch block. */
typedef struct net_work {
    float *weight[GAL_FLOW_LAYERS]; /* {in, out}: transposed, so that neighbouring threads read neighbours */
    float *base;                    /* {galaxies here, out of the first layer}: b_1 and the features' part */
    float *spill;           /* {tiles of a launch, floats}, or NULL: a tile's arrays fit shared memory */
    int64_t widest, floats; /* of all layers; of a tile's arrays */
    galaxies_here galaxies;
    int32_t rows, tangents; /* of a tile; of a row, in one pass over the net */
} net_work;

/* A tile's arrays. */
struct tile {
    float *x, *y;                             /* {widest, COLUMNS}: a layer's input and result */
    float *state, *k, *divergence, *integral; /* {rows, d}, {stages, rows, d}, {stages, rows}, {rows} */
    int64_t first;                            /* its first row */
};

/* ---- before the first step ---- */

__global__ void __launch_bounds__(BLOCK)
    pack_weights(const __grid_constant__ gal_flow_integrate_args g, const __grid_constant__ net_work w)
{
    const gal_flow_layer &l = g.layer[blockIdx.y];
    GAL_EACH (i, l.in * l.out)
        w.weight[blockIdx.y][i] = l.w[i % l.out * l.in + i / l.out];
}

__global__ void __launch_bounds__(BLOCK)
    net_base(const __grid_constant__ gal_flow_integrate_args g, const __grid_constant__ net_work w)
{
    const gal_flow_layer &l = g.layer[0];
    GAL_EACH (i, w.galaxies.count * l.out) {
        int64_t o = i % l.out;
        const float *features = g.features ? g.features + (w.galaxies.from + i / l.out) * g.width : NULL;
        float z = l.b ? l.b[o] : 0;
        for (int64_t c = 0; c < g.width; c++)
            z = fmaf(w.weight[0][(1 + g.d + c) * l.out + o], features[c], z);
        w.base[i] = z;
    }
}

/* ---- the net ---- */

/* One layer for N columns of one output, from the columns' first. */
template <int N>
static __device__ inline void one_output(const gal_flow_integrate_args &g, const net_work &w, const tile &t,
                                         int layer, int64_t in, int64_t o, int first)
{
    const gal_flow_layer &l = g.layer[layer];
    const float *weight = w.weight[layer] + o;
    int span = 1 + w.tangents;
    float sum[N];
    for (int c = 0; c < N; c++) {
        int64_t row = t.first + (first + c) / span;
        sum[c] = 0;
        if ((first + c) % span == 0 && layer > 0)
            sum[c] = l.b ? l.b[o] : 0;
        else if ((first + c) % span == 0 && row < g.rows)
            sum[c] = w.base[(w.galaxies.share ? (w.galaxies.first + row) / w.galaxies.share : 0) * l.out + o];
    }
    for (int64_t i = 0; i < in; i++) {
        float a = weight[i * l.out];
        const float *x = t.x + i * COLUMNS + first;
        for (int c = 0; c < N; c++)
            sum[c] = fmaf(a, x[c], sum[c]);
    }
    for (int c = 0; c < N; c++)
        t.y[o * COLUMNS + first + c] = sum[c];
}

/* t.y = w x + b, before the activation: each output's columns by one thread or, where there are fewer outputs
 * than threads, by several. */
static __device__ inline void product(const gal_flow_integrate_args &g, const net_work &w, const tile &t,
                                      int layer)
{
    int64_t out = g.layer[layer].out, in = layer ? g.layer[layer].in : 1 + g.d;
    int parts = out > BLOCK / 2 ? 1 : out > BLOCK / 4 ? 2 : out > BLOCK / 8 ? 4 : 8;
    for (int64_t u = threadIdx.x; u < out * parts; u += BLOCK) {
        int64_t o = u % out;
        int first = (int)(u / out) * (COLUMNS / parts);
        if (parts == 1)
            one_output<COLUMNS>(g, w, t, layer, in, o, first);
        else if (parts == 2)
            one_output<COLUMNS / 2>(g, w, t, layer, in, o, first);
        else if (parts == 4)
            one_output<COLUMNS / 4>(g, w, t, layer, in, o, first);
        else
            one_output<COLUMNS / 8>(g, w, t, layer, in, o, first);
    }
}

/* t.y = f(t.y) in a row's first column, f' times the tangents in the others. */
static __device__ inline void activate_tile(const net_work &w, const tile &t, int activation, int64_t out)
{
    int span = 1 + w.tangents, rows = COLUMNS / span;
    for (int64_t u = threadIdx.x; u < out * rows; u += BLOCK) {
        float *z = t.y + u / rows * COLUMNS + u % rows * span, slope;
        z[0] = activate(activation, z[0], &slope);
        for (int j = 1; j < span; j++)
            z[j] *= slope;
    }
}

/* From t.x {1 + d, COLUMNS} to the velocities, which t.x holds then. */
static __device__ inline void evaluate(const gal_flow_integrate_args &g, const net_work &w, tile &t)
{
    for (int layer = 0; layer < g.layers; layer++) {
        product(g, w, t, layer);
        __syncthreads();
        activate_tile(w, t, g.layer[layer].activation, g.layer[layer].out);
        __syncthreads();
        float *x = t.x;
        t.x = t.y, t.y = x;
    }
}

/* ---- steps ---- */

/* t.x = [time; theta] of a stage, and the unit tangents from `direction` on. */
static __device__ inline void fill_inputs(const gal_flow_integrate_args &g, const net_work &w, const tile &t,
                                          int64_t step, int stage, int64_t direction)
{
    int span = 1 + w.tangents;
    double from = g.times[step], length = g.times[step + 1] - from;
    for (int64_t u = threadIdx.x; u < (1 + g.d) * COLUMNS; u += BLOCK) {
        int64_t i = u / COLUMNS;
        int c = (int)(u % COLUMNS), row = c / span;
        float value = 0;
        if (row < w.rows && c % span > 0)
            value = i == direction + c % span;
        else if (row < w.rows && i == 0)
            value = (float)(from + g.method.c[stage] * length);
        else if (row < w.rows)
            value = advance(t.state[row * g.d + i - 1], (float)length, g.method.a[stage],
                            t.k + row * g.d + i - 1, w.rows * g.d, stage);
        t.x[u] = value;
    }
}

/* A stage's velocities into k, and to its divergences what the tangents from `direction` on add. */
static __device__ inline void keep_stage(const gal_flow_integrate_args &g, const net_work &w, const tile &t,
                                         int stage, int64_t direction)
{
    int span = 1 + w.tangents;
    for (int64_t u = threadIdx.x; u < w.rows * g.d; u += BLOCK)
        t.k[stage * w.rows * g.d + u] = t.x[u % g.d * COLUMNS + u / g.d * span];
    if (!g.integral)
        return;
    for (int row = (int)threadIdx.x; row < w.rows; row += BLOCK) {
        float trace = direction ? t.divergence[stage * w.rows + row] : 0;
        for (int64_t j = 0; j < w.tangents && direction + j < g.d; j++)
            trace += t.x[(direction + j) * COLUMNS + row * span + 1 + j];
        t.divergence[stage * w.rows + row] = trace;
    }
}

static __device__ inline void one_step(const gal_flow_integrate_args &g, const net_work &w, tile &t,
                                       int64_t step)
{
    float h = (float)(g.times[step + 1] - g.times[step]);
    for (int stage = 0; stage < g.method.stages; stage++)
        for (int64_t direction = 0; direction == 0 || (g.integral && direction < g.d);
             direction += w.tangents ? w.tangents : 1) {
            fill_inputs(g, w, t, step, stage, direction);
            __syncthreads();
            evaluate(g, w, t);
            keep_stage(g, w, t, stage, direction);
            __syncthreads();
        }
    for (int64_t u = threadIdx.x; u < w.rows * g.d; u += BLOCK)
        t.state[u] = advance(t.state[u], h, g.method.b, t.k + u, w.rows * g.d, g.method.stages);
    for (int row = (int)threadIdx.x; g.integral && row < w.rows; row += BLOCK)
        t.integral[row] =
            advance(t.integral[row], h, g.method.b, t.divergence + row, w.rows, g.method.stages);
    __syncthreads();
}

/* The tile of rows from number first + blockIdx.x on. */
__global__ void __launch_bounds__(BLOCK) integrate(const __grid_constant__ gal_flow_integrate_args g,
                                                   const __grid_constant__ net_work w, int64_t first)
{
    GAL_SHARED_DYNAMIC(float, shared);
    float *all = w.spill ? w.spill + blockIdx.x * w.floats : shared;
    tile t;
    t.x = all, t.y = t.x + w.widest * COLUMNS, t.state = t.y + w.widest * COLUMNS;
    t.k = t.state + w.rows * g.d, t.divergence = t.k + g.method.stages * w.rows * g.d;
    t.integral = t.divergence + g.method.stages * w.rows;
    t.first = (first + blockIdx.x) * w.rows;
    int64_t rows = g.rows - t.first < w.rows ? g.rows - t.first : w.rows;
    for (int64_t u = threadIdx.x; u < w.rows * g.d; u += BLOCK)
        t.state[u] = u < rows * g.d ? g.theta[t.first * g.d + u] : 0;
    for (int64_t row = threadIdx.x; row < w.rows; row += BLOCK)
        t.integral[row] = 0;
    __syncthreads();
    for (int64_t step = 0; step < g.steps; step++)
        one_step(g, w, t, step);
    for (int64_t u = threadIdx.x; u < rows * g.d; u += BLOCK)
        g.theta[t.first * g.d + u] = t.state[u];
    for (int64_t row = threadIdx.x; g.integral && row < rows; row += BLOCK)
        g.integral[t.first + row] = t.integral[row];
}

/* ---- the op ---- */

static void measure(net_work *w, const gal_flow_integrate_args *g)
{
    w->widest = 1 + g->d;
    for (int i = 0; i < g->layers; i++)
        w->widest = g->layer[i].out > w->widest ? g->layer[i].out : w->widest;
    w->tangents = !g->integral ? 0 : g->d < COLUMNS ? (int32_t)g->d : COLUMNS - 1;
    w->rows = COLUMNS / (1 + w->tangents);
    w->galaxies = galaxies_of(g);
    w->floats = 2 * w->widest * COLUMNS + w->rows * (g->d + (g->d + 1) * g->method.stages + 1);
}

/* The scratch block as the launches' arrays; `tiles`: of a launch. */
static gal_status lay_out(gal_cuda *device, net_work *w, const gal_flow_integrate_args *g, int64_t tiles)
{
    int64_t base = w->galaxies.count * g->layer[0].out, spill = w->spill ? tiles * w->floats : 0;
    int64_t floats = base + spill;
    float *at;
    for (int i = 0; i < g->layers; i++)
        floats += g->layer[i].in * g->layer[i].out;
    gal_status status = gal_cuda_scratch(device, (void **)&at, (size_t)floats * sizeof *at);
    if (status != GAL_OK)
        return status;
    for (int i = 0; i < g->layers; i++) {
        w->weight[i] = at;
        at += g->layer[i].in * g->layer[i].out;
    }
    w->base = at;
    w->spill = w->spill ? at + base : NULL;
    return GAL_OK;
}

/* So many tiles as the card takes at once, more of them where the steps are few: a launch of some 10 ms, so
 * that Ctrl-C is answered between two of them. */
static int64_t tiles_of(const gal_cuda *device, const gal_flow_integrate_args *g, size_t shared)
{
    int64_t at_once = shared ? device->shared / (int64_t)shared : 4;
    int64_t evaluations = g->steps * g->method.stages, waves = evaluations ? 400 / evaluations : 1;
    return device->processors * (at_once < 1 ? 1 : at_once < 8 ? at_once : 8) * (waves > 1 ? waves : 1);
}

/* In float32. */
static gal_status integrate_whole(gal_cuda *device, const gal_flow_integrate_args *g)
{
    net_work w = {};
    measure(&w, g);
    size_t shared = (size_t)w.floats * sizeof(float);
    if ((int64_t)shared > device->shared) {
        w.spill = g->theta; /* any but NULL: lay_out puts it where it belongs */
        shared = 0;
    }
    int64_t tiles = (g->rows + w.rows - 1) / w.rows, most = tiles_of(device, g, shared);
    gal_status status = lay_out(device, &w, g, most < tiles ? most : tiles);
    if (status == GAL_OK)
        status = gal_cuda_status(device,
                                 cudaFuncSetAttribute((const void *)integrate,
                                                      cudaFuncAttributeMaxDynamicSharedMemorySize,
                                                      (int)device->shared),
                                 "cudaFuncSetAttribute");
    if (status == GAL_OK)
        status = GAL_LAUNCH(device, pack_weights, dim3(64, (unsigned)g->layers), BLOCK, 0, *g, w);
    if (status == GAL_OK)
        status = GAL_LAUNCH(device, net_base, gal_grid(w.galaxies.count * g->layer[0].out), BLOCK, 0, *g, w);
    for (int64_t from = 0; from < tiles && status == GAL_OK; from += most) {
        unsigned blocks = (unsigned)(tiles - from < most ? tiles - from : most);
        if (gal_cuda_host->interrupted())
            return gal_cuda_host->fail(GAL_INTERRUPTED, "interrupted");
        status = GAL_LAUNCH(device, integrate, blocks, BLOCK, shared, *g, w, from);
        if (status == GAL_OK)
            status = gal_cuda_keep_pace(device);
    }
    return status;
}

extern "C" gal_status gal_cuda_flow_integrate(gal_cuda *device, const void *args)
{
    const gal_flow_integrate_args *g = (const gal_flow_integrate_args *)args;
    int taken = 0;
    gal_status status = GAL_OK;
    if (g->rows == 0)
        return GAL_OK;
    if (g->precision != GAL_IN_F32) {
        status = gal_cuda_integrate_mma(device, g, &taken);
        if (!taken)
            gal_cuda_host->note("a velocity net with a layer of more than 256 outputs, or more than 31 "
                                "properties, is integrated in float32 on this device, ten times slower");
    }
    return taken ? status : integrate_whole(device, g);
}
