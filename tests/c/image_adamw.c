/* Ten AdamW steps of the image model at batch 4 against PyTorch in double precision (golden/image_adamw.py holds the recipe), run as they
 * come and as a replayed program. */
#include "check.h"
#include "image_model.h"
#include <math.h>

enum { STEPS = 10, SAMPLES = 4096, TENSORS = 2 * (BLOCKS + LAYERS) };

/* The integer hash that golden values are made of (golden/mlp_adamw.py). */
static uint32_t mix(uint32_t x)
{
    x = (x ^ x >> 16) * 0x7feb352du;
    x = (x ^ x >> 15) * 0x846ca68bu;
    return x ^ x >> 16;
}
static double uniform(uint32_t stream, int64_t i)
{
    return (mix(mix(stream) + (uint32_t)i) >> 8) * 0x1p-24;
}
static float drawn(uint32_t stream, int64_t i, double scale)
{
    return (float)(scale * (2 * uniform(stream, i) - 1));
}
#define SQRT3 1.7320508075688772

/* Tensor k of the sixteen: where it begins in the flat block, and how many it has. */
static void tensor_of(int k, int64_t *first, int64_t *count, double *fan_in)
{
    *first = *count = 0;
    for (int i = 0; i <= k; i++) {
        int l = i / 2 % BLOCKS, conv = i < 2 * BLOCKS;
        *first += *count;
        *fan_in = conv ? 9 * (double)channels[l] : (double)width[l];
        *count = i % 2 ? (conv ? channels[l + 1] : width[l + 1]) : conv ? channels[l + 1] * 9 * channels[l] : width[l + 1] * width[l];
    }
}

static void initial_weights(void)
{
    for (int k = 0; k < TENSORS; k++) {
        int64_t first, count;
        double fan_in;
        tensor_of(k, &first, &count, &fan_in);
        for (int64_t i = 0; i < count; i++)
            ((float *)net.parameters->data)[first + i] = (float)((2 * uniform((uint32_t)k, i) - 1) / sqrt(fan_in));
    }
    gal_tensor *zero[] = {net.first, net.second, net.step};
    for (int i = 0; i < 3; i++)
        must(gal_fill(zero[i], 0));
}

/* What step n reads. */
static void inputs(int64_t n)
{
    int64_t pixels = batch * SIZE * SIZE * 3;
    for (int64_t i = 0; i < pixels; i++)
        ((float *)net.images->data)[i] = drawn(20, n * pixels + i, SQRT3);
    for (int64_t i = 0; i < batch * D; i++) {
        int64_t at = n * batch * D + i;
        double t = uniform(24, at / D), theta = drawn(22, at, SQRT3), theta_0 = drawn(23, at, SQRT3);
        ((float *)now.t->data)[i / D] = (float)t;
        ((float *)net.context->data)[i] = drawn(21, at, SQRT3);
        ((float *)now.theta_t->data)[i] = (float)((1 - t) * theta_0 + t * theta + 0.05 * drawn(25, at, SQRT3));
        ((float *)now.velocity->data)[i] = (float)(theta - theta_0);
    }
}

static void step(void)
{
    for (int l = 0; l < BLOCKS; l++)
        do_conv(l);
    do_features(0);
    do_mlp(0);
    do_mlp_backward(0);
    do_features_backward(0);
    for (int l = BLOCKS - 1; l >= 0; l--)
        do_conv_backward(l);
    do_adamw(0);
}

static void compare(const float *golden)
{
    CASE("after ten steps every tensor is within 1e-5, in L2, of PyTorch's");
    golden += STEPS;
    for (int k = 0; k < TENSORS; k++) {
        int64_t first, count;
        double fan_in, error = 0, norm = 0;
        tensor_of(k, &first, &count, &fan_in);
        for (int64_t i = 0; i < count; i += (count + SAMPLES - 1) / SAMPLES, golden++) {
            double value = ((float *)net.parameters->data)[first + i];
            error += (value - *golden) * (value - *golden);
            norm += (double)*golden * *golden;
        }
        REPORT(sqrt(error / norm) <= 1e-5, "tensor %d is off by %.3g of its norm, expected at most 1e-5", k, sqrt(error / norm));
    }
}

int main(void)
{
    batch = 4;
    set_up();
    make_buffers();
    gal_arrays *file;
    must(gal_arrays_open(&file, "golden/image_adamw.npy"));
    gal_tensor *golden = VECTOR(gal_arrays_shape(file, 0)[0]);
    must(gal_arrays_read(golden, file, 0));
    gal_arrays_free(file);
    const float *expected = golden->data;

    gal_program *program = NULL;
    for (int replayed = 0; replayed < 2; replayed++) {
        initial_weights();
        for (int64_t n = 0; n < STEPS; n++) {
            inputs(n);
            CASE(replayed ? "replayed, the loss is within 1e-6, relative, of PyTorch's at every step"
                          : "the loss is within 1e-6, relative, of PyTorch's at every step");
            if (replayed)
                must(gal_program_replay(program, 1));
            else
                step();
            float loss;
            must(gal_tensor_read(now.loss, &loss, 1));
            IS_NEAR(loss, expected[n], 1e-6 * expected[n]);
        }
        compare(expected);
        if (replayed)
            break;
        must(gal_program_begin(&program, "cpu"));
        step();
        must(gal_program_end(program));
    }
    gal_program_free(program);
    return finish();
}
