/* conv_pass.cu: what lies between the products of a convolution, each in one pass over memory: bias,
 * activation and pool; the way back through these, with the bias' gradient; and what is converted, where
 * products are in bfloat16. conv.c says in which order. */
#include "activation.h"
#include "conv.h"
#include "launch.h"
#include <initializer_list>

/* Channels that a thread takes together where addresses allow. */
enum { VECTOR = 4 };
typedef uint16_t bf16;

/* ---- values in memory ---- */

static __device__ inline float value_of(float x)
{
    return x;
}
static __device__ inline float value_of(bf16 x)
{
    return __uint_as_float((uint32_t)x << 16);
}
static __device__ inline void store_value(float *to, float x)
{
    *to = x;
}
static __device__ inline void store_value(bf16 *to, float x)
{
    *to = (bf16)gal_pack_bf16(x, 0);
}

/* x[0 ... V - 1] at `from`, whose address is a multiple of their size. */
template <int V, class T> static __device__ inline void load(float (&x)[V], const T *from)
{
    if constexpr (V == 1) {
        x[0] = value_of(*from);
    } else if constexpr (sizeof(T) == 4) {
        float4 all = *(const float4 *)from;
        x[0] = all.x, x[1] = all.y, x[2] = all.z, x[3] = all.w;
    } else {
        uint2 all = *(const uint2 *)from;
        x[0] = __uint_as_float(all.x << 16), x[1] = __uint_as_float(all.x & 0xffff0000u);
        x[2] = __uint_as_float(all.y << 16), x[3] = __uint_as_float(all.y & 0xffff0000u);
    }
}
template <int V, class T> static __device__ inline void store(T *to, const float (&x)[V])
{
    if constexpr (V == 1)
        store_value(to, x[0]);
    else if constexpr (sizeof(T) == 4)
        *(float4 *)to = make_float4(x[0], x[1], x[2], x[3]);
    else
        *(uint2 *)to = make_uint2(gal_pack_bf16(x[0], x[1]), gal_pack_bf16(x[2], x[3]));
}

/* How many channels a thread takes together: these addresses, and the channels of a pixel, allow it. */
static int vector_of(int64_t channels, std::initializer_list<const void *> at)
{
    for (const void *p : at)
        if ((uintptr_t)p % 16)
            return 1;
    return channels % VECTOR ? 1 : VECTOR;
}

/* ---- the kernels: counts and places fit into 32 bits, as conv.c sees to it ---- */

/* y {count} = x and v {more} = w in bfloat16. */
template <int V>
__global__ void __launch_bounds__(BLOCK)
    narrow(bf16 *y, const float *x, int64_t count, bf16 *v, const float *w, int64_t more)
{
    GAL_EACH (i, count / V) {
        float values[V];
        load<V>(values, x + i * V);
        store<V>(y + i * V, values);
    }
    GAL_EACH (i, more)
        store_value(v + i, w[i]);
}

/* y = the means of f(z + bias) over pool x pool pixels. */
template <class Z, int V>
__global__ void __launch_bounds__(BLOCK) conv_output(const __grid_constant__ gal_conv_args g, const Z *z)
{
    uint32_t pool = (uint32_t)g.pool, zw = (uint32_t)g.zw, yw = zw / pool, yh = (uint32_t)g.zh / pool,
             groups = (uint32_t)g.out / V;
    float area = (float)(pool * pool);
    GAL_EACH (i, g.n * yh * yw * groups) {
        uint32_t group = (uint32_t)i % groups, p = (uint32_t)i / groups, column = p % yw * pool,
                 row = p / yw % yh * pool, image = p / (yw * yh);
        float bias[V] = {}, sum[V] = {}, values[V], slope;
        for (int v = 0; v < V && g.bias; v++)
            bias[v] = g.bias[group * V + v];
        for (uint32_t k = 0; k < pool * pool; k++) {
            uint32_t r = row + k / pool, c = column + k % pool;
            load<V>(values, z + (((int64_t)image * g.zh + r) * zw + c) * g.out + group * V);
            for (int v = 0; v < V; v++)
                sum[v] += activate_at(g.activation, g.precision, values[v] + bias[v], &slope);
        }
        for (int v = 0; v < V; v++)
            sum[v] /= area;
        store<V>(g.y + i * V, sum);
    }
}

/* How conv_slope's threads lie: `side` groups of channels, and as many lanes of cells as a block has room
 * for. */
static __host__ __device__ inline uint32_t side_of(uint32_t groups)
{
    return groups < 64 ? groups : 64;
}

struct sums_of_threads {
    double of[BLOCK];
};

/* dz = f'(z + bias) dy / pool^2, and 0 at pixels that are in no mean; sums {blocks, out}: dz summed over the
 * pixels of each block, or NULL. z: NULL where f is the identity. dz: NULL where only the sums are wanted. A
 * cell is the pixels of one mean, or what the edge leaves of them. */
template <class Z, int V>
__global__ void __launch_bounds__(BLOCK)
    conv_slope(const __grid_constant__ gal_conv_args g, const Z *z, Z *dz, double *sums)
{
    GAL_SHARED(sums_of_threads, part);
    uint32_t pool = (uint32_t)g.pool, zh = (uint32_t)g.zh, zw = (uint32_t)g.zw, yh = zh / pool,
             yw = zw / pool, cells_h = (zh + pool - 1) / pool, cells_w = (zw + pool - 1) / pool,
             side = side_of(g.out / V), lanes = BLOCK / side, lane = threadIdx.x / side,
             channel = (blockIdx.y * side + threadIdx.x % side) * V,
             cells = (uint32_t)g.n * cells_h * cells_w;
    bool works = lane < lanes && channel < g.out;
    float area = (float)(pool * pool), bias[V] = {};
    double total[V] = {};
    for (int v = 0; v < V && g.bias && works; v++)
        bias[v] = g.bias[channel + v];
    for (uint32_t cell = blockIdx.x * lanes + lane; works && cell < cells; cell += gridDim.x * lanes) {
        uint32_t row = cell / cells_w % cells_h, column = cell % cells_w, image = cell / (cells_w * cells_h);
        bool used = row < yh && column < yw;
        float dy[V] = {}, sum[V] = {};
        if (used)
            load<V>(dy, g.dy + (((int64_t)image * yh + row) * yw + column) * g.out + channel);
        for (uint32_t k = 0; k < pool * pool; k++) {
            uint32_t r = row * pool + k / pool, c = column * pool + k % pool;
            if (r >= zh || c >= zw)
                continue;
            int64_t at = (((int64_t)image * zh + r) * zw + c) * g.out + channel;
            float values[V] = {}, slope[V];
            if (z && used)
                load<V>(values, z + at);
            for (int v = 0; v < V; v++) {
                slope[v] = 1;
                if (z)
                    activate_at(g.activation, g.precision, values[v] + bias[v], &slope[v]);
                values[v] = used ? slope[v] * dy[v] / area : 0;
                sum[v] += values[v];
            }
            if (dz)
                store<V>(dz + at, values);
        }
        for (int v = 0; v < V; v++)
            total[v] += sum[v];
    }
    for (int v = 0; v < V && sums; v++) {
        part.of[threadIdx.x] = total[v];
        __syncthreads();
        if (works && lane == 0) {
            for (uint32_t k = 1; k < lanes; k++)
                total[v] += part.of[k * side + threadIdx.x];
            sums[(int64_t)blockIdx.x * g.out + channel + v] = total[v];
        }
        __syncthreads(); /* the parts have been read */
    }
}

/* dx and dw in float32, dw and db added to what is there where that is wanted. The first `out` blocks sum
 * db, the others convert. */
template <class Z, int V>
__global__ void __launch_bounds__(BLOCK) conv_ends(const __grid_constant__ gal_conv_ends_args e)
{
    GAL_SHARED(sums_of_threads, part);
    int64_t summing = e.db ? e.out : 0;
    if (blockIdx.x < summing) {
        double sum = 0;
        for (int64_t b = threadIdx.x; b < e.blocks; b += BLOCK)
            sum += e.sums[b * e.out + blockIdx.x];
        sum = gal_block_sum(sum, part.of);
        if (threadIdx.x == 0)
            e.db[blockIdx.x] = (float)(sum + (e.accumulate ? e.db[blockIdx.x] : 0));
        return;
    }
    int64_t first = (blockIdx.x - summing) * BLOCK + threadIdx.x, step = (gridDim.x - summing) * BLOCK;
    for (int64_t i = first; e.dx_from && i < e.dx_count / V; i += step) {
        float values[V];
        load<V>(values, (const Z *)e.dx_from + i * V);
        store<V>(e.dx + i * V, values);
    }
    for (int64_t i = first; e.dw_from && i < e.dw_count; i += step)
        e.dw[i] = value_of(((const Z *)e.dw_from)[i]) + (e.accumulate ? e.dw[i] : 0);
}

/* ---- starting them ---- */

static bool narrowed(const gal_conv_args *g)
{
    return g->precision == GAL_IN_BF16;
}

extern "C" gal_status gal_conv_narrow(gal_cuda *device, void *x, const float *from_x, int64_t nx, void *w,
                                      const float *from_w, int64_t nw)
{
    if (nx == 0 && nw == 0)
        return GAL_OK;
    bool vector = vector_of(nx, {from_x, x}) == VECTOR;
    return gal_launch(device, "narrow", vector ? narrow<VECTOR> : narrow<1>,
                      gal_grid(nx > nw ? nx / VECTOR : nw), BLOCK, 0, (bf16 *)x, from_x, nx, (bf16 *)w,
                      from_w, nw);
}

template <class Z> static gal_status output(gal_cuda *device, const gal_conv_args *g, const void *z)
{
    int64_t count = g->n * (g->zh / g->pool) * (g->zw / g->pool) * g->out;
    int vector = vector_of(g->out, {z, g->y});
    return gal_launch(device, "conv_output", vector == VECTOR ? conv_output<Z, VECTOR> : conv_output<Z, 1>,
                      gal_grid(count / vector), BLOCK, 0, *g, (const Z *)z);
}

extern "C" gal_status gal_conv_output(gal_cuda *device, const gal_conv_args *g, const void *z)
{
    return narrowed(g) ? output<bf16>(device, g, z) : output<float>(device, g, z);
}

template <class Z>
static gal_status slopes(gal_cuda *device, const gal_conv_args *g, const void *z, void *dz, double *sums,
                         int64_t *blocks)
{
    int64_t cells = g->n * ((g->zh + g->pool - 1) / g->pool) * ((g->zw + g->pool - 1) / g->pool);
    int vector = vector_of(g->out, {g->dy, z, dz});
    uint32_t groups = (uint32_t)(g->out / vector), side = side_of(groups), lanes = BLOCK / side;
    int64_t most = gal_conv_blocks(device), wanted = (cells + lanes - 1) / lanes;
    *blocks = wanted < most ? wanted : most;
    dim3 grid((unsigned)*blocks, (groups + side - 1) / side);
    return gal_launch(device, "conv_slope", vector == VECTOR ? conv_slope<Z, VECTOR> : conv_slope<Z, 1>, grid,
                      BLOCK, 0, *g, (const Z *)z, (Z *)dz, sums);
}

extern "C" gal_status gal_conv_slopes(gal_cuda *device, const gal_conv_args *g, const void *z, void *dz,
                                      double *sums, int64_t *blocks)
{
    return narrowed(g) ? slopes<bf16>(device, g, z, dz, sums, blocks)
                       : slopes<float>(device, g, z, dz, sums, blocks);
}

template <class Z> static gal_status finish(gal_cuda *device, const gal_conv_ends_args *e)
{
    bool vector = e->dx_from && vector_of(e->dx_count, {e->dx, e->dx_from}) == VECTOR;
    int64_t most = e->dx_from ? e->dx_count / (vector ? VECTOR : 1) : 0;
    if (e->dw_from && e->dw_count > most)
        most = e->dw_count;
    dim3 grid = gal_grid(most);
    grid.x += (unsigned)(e->db ? e->out : 0);
    return gal_launch(device, "conv_ends", vector ? conv_ends<Z, VECTOR> : conv_ends<Z, 1>, grid, BLOCK, 0,
                      *e);
}

extern "C" gal_status gal_conv_ends(gal_cuda *device, const gal_conv_args *g, const gal_conv_ends_args *e)
{
    if (!e->dx_from && !e->dw_from && !e->db)
        return GAL_OK;
    return narrowed(g) ? finish<bf16>(device, e) : finish<float>(device, e);
}
