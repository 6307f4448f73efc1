/* flow.c: the batches and the loss of flow matching. */
#include "cpu.h"
#include "core/random.h"
#include <string.h>

/* Row r of the input owns the words of gal_blocks_flow_row(d) blocks of stream 0: word 0 is its t, word 1 is
 * unused, and from word 2 on each pair of words is two normals. words {4}: those of the block that has word
 * w. */
static void words_of(uint32_t *words, const gal_flow_batch_args *g, int64_t r, int64_t w)
{
    uint64_t block = g->state[1] + (uint64_t)(r * gal_blocks_flow_row(g->d) + w / 4);
    gal_random_block(words, g->state[0], block, 0);
}

static float time_of(const gal_flow_batch_args *g, int64_t r)
{
    uint32_t words[4];
    words_of(words, g, r, 0);
    return gal_flow_time(gal_random_uniform(words[0]), r % g->draws % 2 ? g->time_power : 1);
}

/* Normal k of row r, from 0. */
static float normal(const gal_flow_batch_args *g, int64_t r, int64_t k)
{
    int64_t w = 2 + k / 2 * 2;
    uint32_t words[4];
    float pair[2];
    words_of(words, g, r, w);
    gal_random_normals(words[w % 4], words[w % 4 + 1], &pair[0], &pair[1]);
    return pair[k % 2];
}

static gal_status outside(int64_t place, int64_t index, int64_t rows)
{
    return gal_fault_fail(
        &(gal_fault){.op = GAL_OP_flow_batch, .place = place, .index = index, .rows = rows});
}

/* theta_t = (1 - t) theta_0 + t theta_1 + sigma eps; target = theta_1 - theta_0. The roundings are part of
 * the specification: every device has these bits. */
gal_status gal_cpu_flow_batch(const gal_lane *lane, const void *args)
{
    const gal_flow_batch_args *g = args;
    int64_t first = *g->cursor, from, to;
    if (first < 0 || first > g->places - g->batch)
        return outside(GAL_CURSOR, first, g->places - g->batch + 1);
    gal_share(lane, g->batch * g->draws, 16, &from, &to);
    for (int64_t r = from; r < to; r++) {
        int64_t b = r / g->draws, row = g->order[first + b];
        if (row < 0 || row >= g->rows)
            return outside(b, row, g->rows);
        if (r % g->draws == 0)
            g->index[b] = row;
        float *input = g->input + r * g->width, t = input[0] = time_of(g, r);
        for (int64_t j = 0; j < g->d; j++) {
            float theta_0 = normal(g, r, j), eps = normal(g, r, g->d + j), theta_1 = g->theta[row * g->d + j];
            input[1 + j] = fmaf(g->sigma, eps, fmaf(t, theta_1, (1 - t) * theta_0));
            g->target[r * g->d + j] = theta_1 - theta_0;
        }
        if (g->seen)
            memcpy(input + g->width - g->c, g->seen + row * g->c, (size_t)g->c * sizeof *input);
    }
    return GAL_OK;
}

gal_status gal_cpu_flow_batch_finish(const gal_lane *lane, const void *args)
{
    const gal_flow_batch_args *g = args;
    if (lane->index)
        return GAL_OK;
    *g->cursor += g->batch;
    g->state[1] += (uint64_t)(g->batch * g->draws * gal_blocks_flow_row(g->d));
    return GAL_OK;
}

gal_status gal_cpu_mse(const gal_lane *lane, const void *args)
{
    const gal_mse_args *g = args;
    if (lane->index)
        return GAL_OK;
    double part[8] = {0}, total = 0;
    for (int64_t i = 0; i < g->count; i++) {
        double d = (double)g->prediction[i] - g->target[i];
        part[i % 8] += d * d;
    }
    for (int j = 0; j < 8; j++)
        total += part[j];
    *g->loss = (float)(total / (double)g->count);
    if (g->total)
        *g->total += *g->loss;
    return GAL_OK;
}

gal_status gal_cpu_mse_backward(const gal_lane *lane, const void *args)
{
    const gal_mse_args *g = args;
    int64_t from, to;
    gal_share(lane, g->count, 64, &from, &to);
    float scale = (float)(2.0 * *g->loss / (double)g->count);
    for (int64_t i = from; i < to; i++)
        g->gradient[i] = scale * (g->prediction[i] - g->target[i]);
    return GAL_OK;
}
