/* galrun_ops.h: the ops: what Lua can have computed. Every op checks dtypes, shapes and devices of what it is
 * given, then issues its kernel (backend.h), which a program records. Tensors are float32 unless said
 * otherwise. galrun.h has the conventions. */
#ifndef GALRUN_OPS_H
#define GALRUN_OPS_H
#include "galrun_core.h"

/* The activations, one a line: X(NAME, name). Their formulas stand in cpu/activation.h; the enum below, the
 * checks, every kernel's choice and the names that Lua uses are made from this list. */
/* clang-format off */
#define GAL_ACTIVATIONS(X) \
    X(IDENTITY, identity)  \
    X(RELU,     relu)      \
    X(SILU,     silu)      \
    X(GELU,     gelu)      \
    X(TANH,     tanh)
/* clang-format on */
#define GAL_ACTIVATION_CODE(NAME, name) GAL_##NAME,

GAL_BEGIN

/* ---- elementwise. y has the broadcast shape; each dimension of an operand is y's or 1, aligned at the last.
 * Any strides. ---- */
GAL_API gal_status gal_add(gal_tensor *y, const gal_tensor *a, const gal_tensor *b);
GAL_API gal_status gal_sub(gal_tensor *y, const gal_tensor *a, const gal_tensor *b);
GAL_API gal_status gal_mul(gal_tensor *y, const gal_tensor *a, const gal_tensor *b);
GAL_API gal_status gal_div(gal_tensor *y, const gal_tensor *a, const gal_tensor *b);
GAL_API gal_status gal_pow(gal_tensor *y, const gal_tensor *a, const gal_tensor *b);
/* NaN where either is. */
GAL_API gal_status gal_maximum(gal_tensor *y, const gal_tensor *a, const gal_tensor *b);
GAL_API gal_status gal_minimum(gal_tensor *y, const gal_tensor *a, const gal_tensor *b);
/* 1 or 0. */
GAL_API gal_status gal_eq(gal_tensor *y, const gal_tensor *a, const gal_tensor *b);
GAL_API gal_status gal_lt(gal_tensor *y, const gal_tensor *a, const gal_tensor *b);
GAL_API gal_status gal_le(gal_tensor *y, const gal_tensor *a, const gal_tensor *b);
/* y = a where b is not 0, else -0, to which anything is added without a change; a NaN of b is not 0. */
GAL_API gal_status gal_masked(gal_tensor *y, const gal_tensor *a, const gal_tensor *b);
/* y = scale * x + shift. */
GAL_API gal_status gal_affine(gal_tensor *y, const gal_tensor *x, double scale, double shift);
/* y = x ^ exponent. */
GAL_API gal_status gal_power(gal_tensor *y, const gal_tensor *x, double exponent);
GAL_API gal_status gal_exp(gal_tensor *y, const gal_tensor *x);
GAL_API gal_status gal_log(gal_tensor *y, const gal_tensor *x);
GAL_API gal_status gal_sqrt(gal_tensor *y, const gal_tensor *x);
GAL_API gal_status gal_abs(gal_tensor *y, const gal_tensor *x);
GAL_API gal_status gal_sin(gal_tensor *y, const gal_tensor *x);
GAL_API gal_status gal_cos(gal_tensor *y, const gal_tensor *x);
GAL_API gal_status gal_sigmoid(gal_tensor *y, const gal_tensor *x);
GAL_API gal_status gal_tanh(gal_tensor *y, const gal_tensor *x);
GAL_API gal_status gal_relu(gal_tensor *y, const gal_tensor *x);
/* y = x sigmoid(x) (Elfwing, Uchibe & Doya 2018). */
GAL_API gal_status gal_silu(gal_tensor *y, const gal_tensor *x);
/* y = x Phi(x), Phi the normal distribution function (Hendrycks & Gimpel 2016), by erf. */
GAL_API gal_status gal_gelu(gal_tensor *y, const gal_tensor *x);
/* dx = dy * f'(x); shapes broadcast as above, so that tangents {directions, rows, n} go with one x {rows, n}.
 */
GAL_API gal_status gal_relu_backward(gal_tensor *dx, const gal_tensor *dy, const gal_tensor *x);
GAL_API gal_status gal_silu_backward(gal_tensor *dx, const gal_tensor *dy, const gal_tensor *x);
GAL_API gal_status gal_gelu_backward(gal_tensor *dx, const gal_tensor *dy, const gal_tensor *x);
/* dx = dy * (1 - y^2) and dx = dy * y * (1 - y): these two take the forward's result. */
GAL_API gal_status gal_tanh_backward(gal_tensor *dx, const gal_tensor *dy, const gal_tensor *y);
GAL_API gal_status gal_sigmoid_backward(gal_tensor *dx, const gal_tensor *dy, const gal_tensor *y);

/* ---- moving ---- */
/* y = x, any strides, x broadcast to y's shape, any dtypes (float32 to uint8 or int64 truncates). From one
 * device to another it waits for what was issued on x's; what is not contiguous and of one dtype and shape
 * goes through a tensor of y's size, made on x's device where x is strided, broadcast or converted, and on
 * y's where y is strided; and it is GAL_RECORDING while a program is recorded. */
GAL_API gal_status gal_copy(gal_tensor *y, const gal_tensor *x);
GAL_API gal_status gal_fill(gal_tensor *y, double value);
/* y {n} or any shape, in row-major order: start, start + step, ... */
GAL_API gal_status gal_arange(gal_tensor *y, double start, double step);
/* y {B, ...} = x {N, ...}[index {B}], index int64 counting from 0. x, y contiguous, of any dtype. GAL_VALUE
 * for an index outside: on the CPU here; on another device, whose kernel runs later, the op is GAL_OK and the
 * next download, wait or replay is GAL_VALUE. So it is with every op that reads an index or a cursor. */
GAL_API gal_status gal_gather_rows(gal_tensor *y, const gal_tensor *x, const gal_tensor *index);
/* y {B, ...} = x {N, ...}[cursor .. cursor + B), then cursor int64 {} += B; as gather_rows otherwise.
 * GAL_VALUE, as there, where that passes the end. */
GAL_API gal_status gal_next_rows(gal_tensor *y, const gal_tensor *x, gal_tensor *cursor);
/* dx {N, ...} += dy {B, ...} at rows index {B}, one row of dy after the other in their order, which fixes the
 * bits of a row that is named twice; on every device. GAL_VALUE as in gather_rows. */
GAL_API gal_status gal_scatter_add_rows(gal_tensor *dx, const gal_tensor *dy, const gal_tensor *index);
/* y {n, h, w, c} float32 = images {N, H, W, c} at index int64 {n}, from 0, or where it is NULL those from
 * `first` on, standardised: x / 255 / std - mean / std of uint8 images, x / std - mean / std of float32 ones,
 * with mean, std {c} and a rounding after each operation. Of an image the middle h bin x w bin pixels are
 * taken; the means over bin x bin of them, rounded to whole numbers (uint8 only); and these turned as turns
 * uint8 {N} says of the image, or not where it is NULL: 4 mirrors left for right, then turns & 3 quarter
 * turns anticlockwise. All contiguous. */
GAL_API gal_status gal_gather_images(gal_tensor *y, const gal_tensor *images, const gal_tensor *index,
                                     int64_t first, const gal_tensor *turns, const gal_tensor *mean,
                                     const gal_tensor *std, int64_t bin);
/* y = x sorted ascending along the last dimension, NaN last. Contiguous. */
GAL_API gal_status gal_sort(gal_tensor *y, const gal_tensor *x);
/* y float64 {..., q}: the quantiles at levels float64 {q} of each row of x {..., n}, n > 0: linear between
 * the order statistics at position level (n - 1), Hyndman & Fan's (1996) type 7; NaN where the row holds one.
 * A level beyond 0 to 1 is taken for the nearest of them. Contiguous. */
GAL_API gal_status gal_quantiles(gal_tensor *y, const gal_tensor *x, const gal_tensor *levels);
/* y int64, of x's shape: the places of x's elements along the last dimension, from 0, in ascending order;
 * equal ones (0 and -0 are) stay in their order, NaN are last. At most 2^32 elements a row. Contiguous. */
GAL_API gal_status gal_argsort(gal_tensor *y, const gal_tensor *x);

/* ---- reductions. x is contiguous and seen as {outer, n, inner}: dimensions first to last (inclusive) are
 * reduced away. y holds outer * inner elements, contiguous. Sums run in double. n = 0 is GAL_SHAPE for mean,
 * max, min, std, argmax and argmin. ---- */
GAL_API gal_status gal_sum(gal_tensor *y, const gal_tensor *x, int first, int last);
GAL_API gal_status gal_mean(gal_tensor *y, const gal_tensor *x, int first, int last);
/* NaN where any is. */
GAL_API gal_status gal_max(gal_tensor *y, const gal_tensor *x, int first, int last);
GAL_API gal_status gal_min(gal_tensor *y, const gal_tensor *x, int first, int last);
/* Divides by n; in two passes. */
GAL_API gal_status gal_std(gal_tensor *y, const gal_tensor *x, int first, int last);
/* y int64: the place of the largest, of the smallest, or of the first NaN, along the reduced dimensions in
 * row-major order; of equal ones the first. It counts from 1, as Lua does, for no op adds to an int64. */
GAL_API gal_status gal_argmax(gal_tensor *y, const gal_tensor *x, int first, int last);
GAL_API gal_status gal_argmin(gal_tensor *y, const gal_tensor *x, int first, int last);
/* y, of x's shape: the sum of x's elements along dimension `dim` up to each place; y may be x. Sums run in
 * double. */
GAL_API gal_status gal_cumsum(gal_tensor *y, const gal_tensor *x, int dim);

/* ---- products. On the CPU a row of a result depends neither on how many rows are computed with it nor on
 * the threads; other devices promise that of flow_integrate only. ---- */
/* In what products, convolutions and the integrator multiply: float32; TensorFloat-32, IEEE half precision or
 * bfloat16 (factors rounded to 10, 10 or 7 bits of fraction), with sums, results and everything in memory in
 * float32. GAL_DEVICE where a device lacks one for an op. */
typedef enum gal_precision { GAL_IN_F32 = 0, GAL_IN_TF32, GAL_IN_F16, GAL_IN_BF16 } gal_precision;
/* y {m, n} = a {m, k} b {k, n}, a and b with any strides (so transposes are views), y contiguous; += where
 * accumulate != 0. */
GAL_API gal_status gal_matmul(gal_tensor *y, const gal_tensor *a, const gal_tensor *b, int accumulate,
                              int precision);
/* GAL_IDENTITY = 0, GAL_RELU and so on. */
typedef enum gal_activation { GAL_ACTIVATIONS(GAL_ACTIVATION_CODE) GAL_ACTIVATION_COUNT } gal_activation;
/* "identity", "relu" and so on; NULL for a number that is no activation. */
GAL_API const char *gal_activation_name(int activation);
/* y {rows, out} = f(x {rows, in} w^T + b), w {out, in}, b {out} or NULL, f one of gal_activation. slope
 * {rows, out} or NULL gets f'. All contiguous. */
GAL_API gal_status gal_linear(gal_tensor *y, gal_tensor *slope, const gal_tensor *x, const gal_tensor *w,
                              const gal_tensor *b, int activation, int precision);
/* dx {rows, in} = dz {rows, out} w {out, in}. */
GAL_API gal_status gal_linear_backward_input(gal_tensor *dx, const gal_tensor *dz, const gal_tensor *w,
                                             int precision);
/* dw {out, in} = dz^T {out, rows} x {rows, in}, db {out} = column sums of dz; dw or db may be NULL; += where
 * accumulate != 0. */
GAL_API gal_status gal_linear_backward_weight(gal_tensor *dw, gal_tensor *db, const gal_tensor *dz,
                                              const gal_tensor *x, int accumulate, int precision);

/* ---- random numbers: Philox4x32-10 (Salmon, Moraes, Dror & Shaw 2011). state int64 {2} = {key, counter}, on
 * the device of y. The 128 bits of the generator's counter are {counter + i / 4, stream}; each call moves
 * `counter` past what it used. ---- */
/* y: word >> 8 times 2^-24, in [0, 1). */
GAL_API gal_status gal_uniform(gal_tensor *y, gal_tensor *state);
/* y: Box-Muller on pairs of words; the same bits on every device (core/random.h). */
GAL_API gal_status gal_normal(gal_tensor *y, gal_tensor *state);
/* y {rows, n}: row r from its own stream, streams int64 {rows}; the counter moves by ceil(n / 4) for any
 * number of rows. */
GAL_API gal_status gal_normal_streams(gal_tensor *y, const gal_tensor *streams, gal_tensor *state);
/* y int64 {n}: a random order of 0 .. n - 1 (Fisher & Yates). */
GAL_API gal_status gal_permutation(gal_tensor *y, gal_tensor *state);
/* y = x / (1 - p) where the uniform of that element (as gal_uniform draws from state) is at least p, 0
 * elsewhere; 0 <= p < 1. used int64 {2} or NULL gets the state before, from which the backward draws the same
 * mask again. */
GAL_API gal_status gal_dropout(gal_tensor *y, gal_tensor *used, const gal_tensor *x, gal_tensor *state,
                               double p);
GAL_API gal_status gal_dropout_backward(gal_tensor *dx, const gal_tensor *dy, const gal_tensor *used,
                                        double p);
/* streams int64 {rows}, on any device, from the bytes of each row of x {rows, ...} (contiguous, on the CPU,
 * any dtype), mixed with seed; equal rows are told apart by how often they came before. GAL_RECORDING while a
 * program is recorded. */
GAL_API gal_status gal_row_streams(gal_tensor *streams, const gal_tensor *x, int64_t seed);
/* The 64-bit hash of n bytes that splits and streams are built on. */
GAL_API uint64_t gal_hash(const void *bytes, int64_t n, uint64_t seed);

/* ---- flow matching ---- */
/* The next batch of training. Its rows: index int64 {batch} = order int64 {places}[cursor .. cursor + batch),
 * then cursor int64 {} += batch; GAL_VALUE, as in gather_rows, where that passes the end or a row is outside
 * theta {rows, d}.
 * Each row has `draws` draws, one after the other, on the path of Lipman et al. 2023 and Tong et al. 2024
 * with width sigma: theta_1 = theta[row], theta_0 ~ N(0, I), t ~ U(0, 1), but in every second draw of a row
 * t = 1 - u^time_power, u ~ U(0, 1), which is near 1 the more often the higher time_power >= 1 is; eps ~
 * N(0, I), theta_t = (1 - t) theta_0 + t theta_1 + sigma eps. input {batch draws, width} = [t; theta_t; ...;
 * seen[row]], seen {rows, c} or NULL; the width - 1 - d - c columns between are left as they are. target
 * {batch draws, d} = theta_1 - theta_0. state as above. */
GAL_API gal_status gal_flow_batch(gal_tensor *input, gal_tensor *target, gal_tensor *index,
                                  const gal_tensor *order, gal_tensor *cursor, const gal_tensor *theta,
                                  const gal_tensor *seen, gal_tensor *state, double sigma,
                                  int64_t time_power);
/* loss {} = mean (prediction - target)^2 over all elements; contiguous, the same shape. total float64 {} or
 * NULL: += loss. */
GAL_API gal_status gal_mse(gal_tensor *loss, gal_tensor *total, const gal_tensor *prediction,
                           const gal_tensor *target);
/* dprediction = dloss {} * 2 (prediction - target) / count. */
GAL_API gal_status gal_mse_backward(gal_tensor *dprediction, const gal_tensor *dloss,
                                    const gal_tensor *prediction, const gal_tensor *target);

/* A velocity net as layers in a row: y_0 = [t; theta; features], y_i = f_i(w_i y_{i-1} + b_i), w {out, in}, b
 * {out} or NULL, f one of gal_activation; the last y is the velocity {d}. */
enum { GAL_FLOW_LAYERS = 32, GAL_FLOW_STAGES = 16 };
typedef struct gal_velocity_net {
    int32_t layers;
    int32_t activation[GAL_FLOW_LAYERS];
    const gal_tensor *w[GAL_FLOW_LAYERS], *b[GAL_FLOW_LAYERS];
} gal_velocity_net;
/* An explicit Runge-Kutta method (Hairer, Norsett & Wanner 1993, II.1, definition 1.1): stage i at t + c_i h
 * takes theta + h sum_j a_ij k_j over j < i, and a step ends at theta + h sum_i b_i k_i. */
typedef struct gal_runge_kutta {
    int32_t stages;
    double a[GAL_FLOW_STAGES][GAL_FLOW_STAGES], b[GAL_FLOW_STAGES], c[GAL_FLOW_STAGES];
} gal_runge_kutta;
/* Carries theta {rows, d} in place along dtheta/dt = velocity(t, theta, features) from times[0] to
 * times[steps], by one step of the method between each two neighbours; times float64 {steps + 1}, descending
 * or ascending. Row r belongs to row (first + r) / share of features {galaxies, width}, or to the only one;
 * features is NULL for a net of [t; theta] alone. integral {rows} or NULL gets the integral, along dt, of the
 * divergence of the velocity by theta, exact (negative where times descend); it needs
 * another precision than GAL_IN_BF16. precision GAL_IN_BF16: the products between hidden layers take both
 * factors rounded to bfloat16, on processors with fast instructions for it; elsewhere it is the same as
 * GAL_IN_F32, and gal_notice() says so. State, stages, sums, the first and the last layer stay float32. On
 * cards another precision than GAL_IN_F32 is that of all weights and hidden layers; state, stages and sums
 * stay float32, and nets that are too wide for it are as in GAL_IN_F32, and gal_notice() says so. The
 * features' part of the first layer is computed once. A row's bits depend neither on the rows computed with
 * it nor on the threads. After GAL_INTERRUPTED rows are carried, on their way, or as they were. */
GAL_API gal_status gal_flow_integrate(gal_tensor *theta, gal_tensor *integral, const gal_tensor *features,
                                      int64_t first, int64_t share, const gal_velocity_net *net,
                                      const gal_runge_kutta *method, const gal_tensor *times, int precision);

/* ---- optimisers. parameter, gradient, first, second, average: contiguous, the same count. ---- */
/* AdamW (Loshchilov & Hutter 2019, algorithm 2, decay lr * weight_decay as in PyTorch). hyper {5} = {lr,
 * beta1, beta2, eps, weight_decay}; step int64 {} += 1: how many were done. average like parameter and decay
 * {}, both or NULL: then average += (1 - d) (parameter - average), d = min(decay, step / (step + 9)): at
 * first a mean over a growing window (Polyak & Juditsky 1992). */
GAL_API gal_status gal_adamw(gal_tensor *parameter, const gal_tensor *gradient, gal_tensor *first,
                             gal_tensor *second, gal_tensor *average, const gal_tensor *hyper,
                             const gal_tensor *decay, gal_tensor *step);
/* hyper {4} = {lr, momentum, weight_decay, nesterov 0 or 1}; velocity = momentum velocity + gradient +
 * weight_decay parameter (at step 1: without the old velocity). average, decay and step as in adamw. */
GAL_API gal_status gal_sgd(gal_tensor *parameter, const gal_tensor *gradient, gal_tensor *velocity,
                           gal_tensor *average, const gal_tensor *hyper, const gal_tensor *decay,
                           gal_tensor *step);
/* y float64 {}: sum of x^2 over all elements; x contiguous. */
GAL_API gal_status gal_sum_squares(gal_tensor *y, const gal_tensor *x);
/* x *= min(1, limit / sqrt(squares)), squares float64 {} (gal_sum_squares), limit {}. */
GAL_API gal_status gal_clip(gal_tensor *x, const gal_tensor *squares, const gal_tensor *limit);

/* ---- layers of images. Images are {N, H, W, C}; everything here is contiguous. A window moves by `stride`
 * in both directions over an image with `padding` zeros on each side, or with GAL_SAME (stride 1 only): as
 * many as keep the size, the odd one of an even window at the bottom and on the right, as in PyTorch. On
 * the CPU an image's results depend neither on the images computed with it nor on the threads. ---- */
typedef enum gal_padding { GAL_SAME = -1, GAL_VALID = 0 } gal_padding;

/* z {N, h, w, out} = x {N, H, W, in} convolved with w {out, kh, kw, in} (no flip), plus b {out} or NULL; f
 * one of gal_activation; y {N, h / pool, w / pool, out} = means of f(z) over pool x pool pixels (pool 1: f(z)
 * itself; rows and columns left over are not computed). slope {N, h, w, out} or NULL gets f'(z) for the
 * backward. precision: GAL_IN_BF16 takes both factors of every product of the forward and the backward (x, w,
 * dz) rounded to bfloat16, on processors with fast instructions for it; elsewhere it is the same as
 * GAL_IN_F32, and gal_notice() says so. Sums, b, f and db stay float32. */
GAL_API gal_status gal_conv2d(gal_tensor *y, gal_tensor *slope, const gal_tensor *x, const gal_tensor *w,
                              const gal_tensor *b, int64_t stride, int64_t padding, int activation,
                              int64_t pool, int precision);
/* From dy like y: dx like x, dw like w, db like b, each of them or NULL; dw and db += where accumulate != 0;
 * their bits don't depend on the threads either. slope as the forward left it, or NULL: then it is worked out
 * again from x, w and b (GAL_IDENTITY needs none). */
GAL_API gal_status gal_conv2d_backward(gal_tensor *dx, gal_tensor *dw, gal_tensor *db, const gal_tensor *dy,
                                       const gal_tensor *slope, const gal_tensor *x, const gal_tensor *w,
                                       const gal_tensor *b, int64_t stride, int64_t padding, int activation,
                                       int64_t pool, int precision, int accumulate);
/* shape {4} = that of y, for these x and w; with pool 1 that of slope. Fails as gal_conv2d does where they
 * don't fit. */
GAL_API gal_status gal_conv2d_shape(int64_t *shape, const gal_tensor *x, const gal_tensor *w, int64_t stride,
                                    int64_t padding, int64_t pool);
/* 1 where storing the slope pays; 0 where the backward had better work it out again (no activation, or a
 * window of few inputs such as the first layer's). */
GAL_API int gal_conv2d_stores_slope(const gal_tensor *w, int activation);

/* y {N, h, w, C} = the mean, or the largest, of each window x window pixels of x {N, H, W, C}; no padding.
 * NaN where any is. */
GAL_API gal_status gal_avg_pool2d(gal_tensor *y, const gal_tensor *x, int64_t window, int64_t stride);
GAL_API gal_status gal_max_pool2d(gal_tensor *y, const gal_tensor *x, int64_t window, int64_t stride);
GAL_API gal_status gal_avg_pool2d_backward(gal_tensor *dx, const gal_tensor *dy, int64_t window,
                                           int64_t stride);
/* dy goes to the first of the largest in row-major order; to the first NaN where there is one. */
GAL_API gal_status gal_max_pool2d_backward(gal_tensor *dx, const gal_tensor *dy, const gal_tensor *x,
                                           int64_t window, int64_t stride);
/* shape {4} = that of a pool's y. Fails as the pool does where the window does not fit; op: its name, for the
 * sentence. */
GAL_API gal_status gal_pool2d_shape(int64_t *shape, const char *op, const gal_tensor *x, int64_t window,
                                    int64_t stride);
/* y {N, C} = means of x {N, H, W, C} over all pixels. */
GAL_API gal_status gal_global_avg_pool(gal_tensor *y, const gal_tensor *x);
GAL_API gal_status gal_global_avg_pool_backward(gal_tensor *dx, const gal_tensor *dy);

/* y = (x - mean) / sqrt(variance + eps) * scale {n} + shift {n} over the last dimension, of n; the variance
 * divides by n (Ba, Kiros & Hinton 2016). scale, shift: both or NULL. statistics {rows, 2} or NULL gets each
 * row's mean and 1 / sqrt(variance + eps) for the backward. */
GAL_API gal_status gal_layer_norm(gal_tensor *y, gal_tensor *statistics, const gal_tensor *x,
                                  const gal_tensor *scale, const gal_tensor *shift, double eps);
/* dx like x, dscale {n}, dshift {n}, each of them or NULL; dscale and dshift += where accumulate != 0. */
GAL_API gal_status gal_layer_norm_backward(gal_tensor *dx, gal_tensor *dscale, gal_tensor *dshift,
                                           const gal_tensor *dy, const gal_tensor *x,
                                           const gal_tensor *statistics, const gal_tensor *scale,
                                           int accumulate);

/* ---- statistics ---- */
/* y {m} = log of the mean over the n rows of data {n, d} of N(point; row, I) for points {m, d}. The caller
 * whitens both, so that the kernel is the unit normal. skip_self != 0: points are the first m rows of data,
 * and row i is left out for point i. Distances of nearby rows are exact to float32; the sum's end is in
 * double. */
GAL_API gal_status gal_kde_log_density(gal_tensor *y, const gal_tensor *points, const gal_tensor *data,
                                       int skip_self);

GAL_END
#endif
