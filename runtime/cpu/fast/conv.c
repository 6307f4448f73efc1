/* conv.c: which convolution runs when: the table's calls come here, and the conditions are nowhere else.
 * Times are those of the image model's training step (tests/bench/w2.md).
 *
 * half: precision bf16, stride 1, on a processor whose products of bfloat16 are faster than float32's. By
 * AMX 101 ms, where float32 takes 215. With a larger stride most of a square of sums would be unused: there
 * the direct way rounds x, w and dz as it copies them into the cache, and multiplies in float32.
 *
 * winograd: 3 x 3, stride 1, mean pool of 1 or 2, at least 16 channels in and out. 294 ms, direct 475. Fewer
 * channels than a vec has floats would leave its transforms partly idle; and the pixels of a first layer are
 * the user's, with stars among them, beside which an error relative to a tile's largest pixel would show.
 * The backward reads f'(z), because computing z again would take the forward's tiles too: where f'(z) is not
 * stored it is direct.
 *
 * direct: all else, at 81 % of the peak.
 *
 * Where GALRUN_CONV=onednn, oneDNN's replace all three (cpu/conv_onednn.c): its primitives alone took 479 ms.
 */
#include "conv.h"
#include "fast.h"
#include "half.h"

static int fits_half(const gal_conv_args *g)
{
    return g->precision == GAL_IN_BF16 && g->stride == 1 && FAST(half)() != HALF_NONE;
}

/* A processor without fast products of bfloat16 multiplies in float32, whatever the stride. */
static void note_precision(const gal_conv_args *g)
{
    if (g->precision == GAL_IN_BF16 && FAST(half)() == HALF_NONE)
        gal_note(
            "this processor has no fast products of bfloat16: precision \"bf16\" is computed in float32");
}

static int fits_winograd(const gal_conv_args *g)
{
    return g->kh == 3 && g->kw == 3 && g->stride == 1 && g->pool <= 2 && g->c >= 16 && g->out >= 16;
}

static const conv_way *forward(const gal_conv_args *g)
{
    if (fits_half(g))
        return &FAST(conv_half);
    return fits_winograd(g) ? &FAST(conv_winograd) : &FAST(conv_direct);
}

static const conv_way *backward(const gal_conv_args *g)
{
    int slope_is_known = g->slope || g->activation == GAL_IDENTITY;
    if (fits_half(g))
        return &FAST(conv_half_backward);
    return fits_winograd(g) && slope_is_known ? &FAST(conv_winograd_backward) : &FAST(conv_direct_backward);
}

static gal_status conv2d_prepare(const gal_lane *lane, const void *args)
{
    note_precision(args);
    return forward(args)->prepare(lane, args);
}

static gal_status conv2d(const gal_lane *lane, const void *args)
{
    return forward(args)->lanes(lane, args);
}

static gal_status conv2d_backward_prepare(const gal_lane *lane, const void *args)
{
    note_precision(args);
    return backward(args)->prepare(lane, args);
}

static gal_status conv2d_backward(const gal_lane *lane, const void *args)
{
    return backward(args)->lanes(lane, args);
}

static gal_status conv2d_backward_finish(const gal_lane *lane, const void *args)
{
    return backward(args)->finish(lane, args);
}

void FAST(conv)(gal_cpu_kernels *table)
{
    table->conv2d_prepare = conv2d_prepare;
    table->conv2d = conv2d;
    table->conv2d_backward_prepare = conv2d_backward_prepare;
    table->conv2d_backward = conv2d_backward;
    table->conv2d_backward_finish = conv2d_backward_finish;
}
