/* flow.cu: the batches and the loss of flow matching. */
#include "core/random.h"
#include "launch.h"

/* ---- batches ---- */

/* Row r of the input owns the words of gal_blocks_flow_row(d) blocks of stream 0: word 0 is its t, word 1 is
 * unused, and from word 2 on each pair of words is two normals. */
static __device__ inline void words_of(uint32_t *words, const gal_flow_batch_args &g, int64_t r, int64_t w)
{
    uint64_t block = g.state[1] + (uint64_t)(r * gal_blocks_flow_row(g.d) + w / 4);
    gal_random_block(words, g.state[0], block, 0);
}

static __device__ inline float time_of(const gal_flow_batch_args &g, int64_t r)
{
    uint32_t words[4];
    words_of(words, g, r, 0);
    return gal_flow_time(gal_random_uniform(words[0]), r % g.draws % 2 ? g.time_power : 1);
}

/* Normal k of row r, from 0. */
static __device__ inline float normal(const gal_flow_batch_args &g, int64_t r, int64_t k)
{
    int64_t w = 2 + k / 2 * 2;
    uint32_t words[4];
    float pair[2];
    words_of(words, g, r, w);
    gal_random_normals(words[w % 4], words[w % 4 + 1], &pair[0], &pair[1]);
    return pair[k % 2];
}

/* One column of one row: t, or component j of theta_t and of the target, or a feature that is seen. */
static __device__ inline void fill_column(const gal_flow_batch_args &g, int64_t r, int64_t row,
                                          int64_t column)
{
    float *input = g.input + r * g.width;
    if (column == 0) {
        input[0] = time_of(g, r);
    } else if (column <= g.d) {
        int64_t j = column - 1;
        float t = time_of(g, r), theta_0 = normal(g, r, j), eps = normal(g, r, g.d + j),
              theta_1 = g.theta[row * g.d + j];
        input[column] = fmaf(g.sigma, eps, fmaf(t, theta_1, (1 - t) * theta_0));
        g.target[r * g.d + j] = theta_1 - theta_0;
    } else {
        int64_t j = column - 1 - g.d;
        input[g.width - g.c + j] = g.seen[row * g.c + j];
    }
}

static __device__ inline void move_on(const gal_flow_batch_args &g)
{
    *g.cursor += g.batch;
    g.state[1] += (uint64_t)(g.batch * g.draws * gal_blocks_flow_row(g.d));
}

/* theta_t = (1 - t) theta_0 + t theta_1 + sigma eps; target = theta_1 - theta_0, with the roundings of the
 * CPU's specification. finish: this launch is one block, and moves cursor and counter on itself. */
__global__ void __launch_bounds__(BLOCK) flow_batch(const __grid_constant__ gal_flow_batch_args g, int finish,
                                                    gal_cuda_fault *fault, uint32_t call)
{
    int64_t first = *g.cursor, most = g.places - g.batch, columns = 1 + g.d + (g.seen ? g.c : 0);
    if (first < 0 || first > most) {
        if (blockIdx.x == 0 && threadIdx.x == 0)
            gal_leave_fault(fault, call, gal_fault{GAL_CURSOR, first, most + 1, GAL_OP_flow_batch});
        return;
    }
    GAL_EACH (i, g.batch * g.draws * columns) {
        int64_t r = i / columns, column = i % columns, b = r / g.draws, row = g.order[first + b];
        bool inside = row >= 0 && row < g.rows;
        if (inside)
            fill_column(g, r, row, column);
        else if (column == 0)
            gal_leave_fault(fault, call, gal_fault{b, row, g.rows, GAL_OP_flow_batch});
        if (inside && column == 0 && r % g.draws == 0)
            g.index[b] = row;
    }
    __syncthreads();
    if (finish && threadIdx.x == 0)
        move_on(g);
}

__global__ void flow_batch_finish(const __grid_constant__ gal_flow_batch_args g)
{
    if (*g.cursor >= 0 && *g.cursor <= g.places - g.batch)
        move_on(g);
}

extern "C" gal_status gal_cuda_flow_batch(gal_cuda *device, const void *args)
{
    const gal_flow_batch_args *g = (const gal_flow_batch_args *)args;
    int64_t threads = g->batch * g->draws * (1 + g->d + (g->seen ? g->c : 0));
    int one = threads <= 4 * BLOCK;
    gal_status status = GAL_LAUNCH(device, flow_batch, one ? dim3(1) : gal_grid(threads), BLOCK, 0, *g, one,
                                   device->fault, device->calls);
    if (status == GAL_OK && !one)
        status = GAL_LAUNCH(device, flow_batch_finish, 1, 1, 0, *g);
    return status;
}

/* ---- the loss ---- */

struct partials {
    double warp[BLOCK / 32];
};

static __device__ inline void store_loss(const gal_mse_args &g, double sum)
{
    float loss = (float)(sum / (double)g.count);
    *g.loss = loss;
    if (g.total)
        *g.total += loss;
}

/* parts {blocks}, or NULL: this launch is one block, and stores the loss itself. */
__global__ void __launch_bounds__(BLOCK) mse_parts(const __grid_constant__ gal_mse_args g, double *parts)
{
    GAL_SHARED(partials, s);
    double sum = 0;
    GAL_EACH (i, g.count) {
        double off = (double)g.prediction[i] - g.target[i];
        sum += off * off;
    }
    sum = gal_block_sum(sum, s.warp);
    if (threadIdx.x == 0 && parts)
        parts[blockIdx.x] = sum;
    else if (threadIdx.x == 0)
        store_loss(g, sum);
}

__global__ void mse_finish(const __grid_constant__ gal_mse_args g, const double *parts, int count)
{
    double sum = 0;
    for (int i = 0; i < count; i++)
        sum += parts[i];
    store_loss(g, sum);
}

extern "C" gal_status gal_cuda_mse(gal_cuda *device, const void *args)
{
    const gal_mse_args *g = (const gal_mse_args *)args;
    int blocks = (int)(g->count / 4096 < 128 ? g->count / 4096 : 128);
    double *parts = NULL;
    if (blocks <= 1)
        return GAL_LAUNCH(device, mse_parts, 1, BLOCK, 0, *g, parts);
    gal_status status = gal_cuda_scratch(device, (void **)&parts, (size_t)blocks * sizeof *parts);
    if (status == GAL_OK)
        status = GAL_LAUNCH(device, mse_parts, (unsigned)blocks, BLOCK, 0, *g, parts);
    if (status == GAL_OK)
        status = GAL_LAUNCH(device, mse_finish, 1, 1, 0, *g, parts, blocks);
    return status;
}

__global__ void __launch_bounds__(BLOCK) mse_backward(const __grid_constant__ gal_mse_args g)
{
    float scale = (float)(2.0 * *g.loss / (double)g.count);
    GAL_EACH (i, g.count)
        g.gradient[i] = scale * (g.prediction[i] - g.target[i]);
}

extern "C" gal_status gal_cuda_mse_backward(gal_cuda *device, const void *args)
{
    const gal_mse_args *g = (const gal_mse_args *)args;
    return g->count ? GAL_LAUNCH(device, mse_backward, gal_grid(g->count), BLOCK, 0, *g) : GAL_OK;
}
