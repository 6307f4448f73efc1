/* galrun.h: all that Lua sees of the C runtime: status codes, memory, tensors, ops, programs, files.
 *
 * The same text is valid C11, C++ and, preprocessed with -DGAL_CDEF, the cdef that LuaJIT reads at start-up; so
 * macros and includes stay above the marker, and below it stand plain declarations only. What a device has to supply
 * is in backend.h; nothing outside runtime/ and cuda/ includes that.
 *
 * Conventions. A shape is written {rows, columns}; tensors are row-major, dimensions and indices count from 0 here (from 1 in
 * Lua). An op's results come first and are made by the caller with the right shape; an op never allocates what it returns.
 * A function that can fail returns a gal_status, and gal_error() then holds one sentence that names the argument, what it
 * was and what was expected. No function exits, aborts, jumps or touches a lua_State. */
#ifndef GALRUN_H
#define GALRUN_H

#ifdef GAL_CDEF
#define GAL_API
#else
#include <stddef.h>
#include <stdint.h>
#define GAL_API __attribute__((visibility("default")))
#endif

#define GAL_RANK 8 /* the largest number of dimensions */

#if defined(__cplusplus) && !defined(GAL_CDEF)
extern "C" {
#endif
/* ---- marker: LuaJIT reads from here ---- */

typedef enum gal_status {
    GAL_OK = 0,
    GAL_SHAPE,       /* a wrong shape or count */
    GAL_TYPE,        /* a wrong dtype or column type */
    GAL_VALUE,       /* a value out of range, a NaN where none may be */
    GAL_MEMORY,      /* the machine has no memory left */
    GAL_BUDGET,      /* the soft limit is reached: collect garbage and try again */
    GAL_DEVICE,      /* no such device, or tensors on two */
    GAL_STATE,       /* called at the wrong time */
    GAL_FILE,        /* a file is missing, malformed or can't be written */
    GAL_INTERRUPTED  /* Ctrl-C */
} gal_status;

typedef enum gal_dtype {
    GAL_F32 = 0,
    GAL_U8,
    GAL_I64,
    GAL_F64 /* accumulators inside the runtime; Lua reads it with item() and totable() */
} gal_dtype;

typedef enum gal_activation { GAL_IDENTITY = 0, GAL_RELU, GAL_SILU, GAL_GELU, GAL_TANH } gal_activation;

/* The sentence of the last failure in this thread; never NULL. Valid until the next failure in this thread. */
GAL_API const char *gal_error(void);
/* The next sentence about how something is done that the user should know (that it is slow here, and why), each once; NULL when there is none. The library never prints. */
GAL_API const char *gal_notice(void);
GAL_API void gal_leave_notice(const char *sentence); /* one more, unless it was left before */
GAL_API const char *gal_version(void);

/* ---- interrupts: the host's SIGINT handler sets the flag, long loops poll it ---- */
GAL_API void gal_interrupt_set(int on);
GAL_API int gal_interrupted(void);

/* ---- time ---- */
GAL_API double gal_now(void); /* seconds on the monotonic clock */

/* ---- devices ---- */
/* Makes the named device ("cpu", "cuda") ready. GAL_DEVICE with the reason where it can't be had. */
GAL_API gal_status gal_device_open(const char *name);
/* Threads that the CPU backend uses; n = 0 leaves it. Returns the number in force. Default: the cores this process may use. */
GAL_API int gal_threads(int n);
GAL_API const char *gal_cpu_isa(void); /* "avx512", "avx2" or "plain": which kernels were chosen at run time */

/* ---- memory, in bytes, all devices together ---- */
typedef struct gal_memory_info {
    int64_t live;     /* in tensors that exist now, arenas' used part included */
    int64_t peak;     /* the largest that live has been */
    int64_t reserved; /* held from the system: live, free lists and arenas */
    int64_t limit;    /* the soft limit on live */
    int64_t tensors;  /* tensor handles that exist outside arenas */
} gal_memory_info;
GAL_API void gal_memory(gal_memory_info *info);
GAL_API void gal_memory_set_limit(int64_t bytes);
GAL_API void gal_memory_trim(void); /* gives free lists back to the system */
/* Bytes allocated outside arenas since the last call with reset != 0: tells Lua when to collect. */
GAL_API int64_t gal_memory_allocated(int reset);

/* A scope: tensors made until it closes live in an arena and vanish together; the same sequence of allocations gets the
 * same addresses each time. Scopes nest. Pausing makes tensors outside the arena until resumed; pauses nest. */
GAL_API gal_status gal_scope_open(void);
GAL_API gal_status gal_scope_close(void);
GAL_API int gal_scope_depth(void);
GAL_API void gal_scope_pause(void);
GAL_API void gal_scope_resume(void);

/* ---- tensors ---- */
typedef struct gal_storage gal_storage; /* a block of memory on one device; views share it */
typedef struct gal_tensor {
    void *data; /* element {0, 0, ...} on the device */
    gal_storage *storage;
    int32_t dtype, rank;
    int64_t shape[GAL_RANK];
    int64_t stride[GAL_RANK]; /* in elements; 0 along a broadcast dimension */
    int32_t in_arena;         /* 1: the handle itself lives in an arena, never free it; 2: only what it views does */
} gal_tensor;

/* A new tensor, contiguous, contents undefined. Owned by the caller (gal_tensor_free) unless a scope is open. */
GAL_API gal_status gal_tensor_new(gal_tensor **out, const char *device, int dtype, int rank, const int64_t *shape);
/* A view of x's storage; offset in elements from x's first element. Fails where it would reach outside the storage. */
GAL_API gal_status gal_tensor_view(gal_tensor **out, const gal_tensor *x, int rank, const int64_t *shape, const int64_t *stride,
                                   int64_t offset);
/* A contiguous copy of x that outlives every scope. */
GAL_API gal_status gal_tensor_keep(gal_tensor **out, const gal_tensor *x);
GAL_API void gal_tensor_free(gal_tensor *x); /* NULL and arena tensors are left alone */
GAL_API const char *gal_tensor_device(const gal_tensor *x);
GAL_API int64_t gal_tensor_count(const gal_tensor *x);
GAL_API int gal_tensor_contiguous(const gal_tensor *x);
/* Copies between x (contiguous or not) and host memory of x's dtype, row-major, exactly count elements. read fails while a program is
 * being recorded: its value would be that of the recording for ever. */
GAL_API gal_status gal_tensor_read(const gal_tensor *x, void *host, int64_t count);
GAL_API gal_status gal_tensor_write(gal_tensor *y, const void *host, int64_t count);

/* ---- programs: a list of kernel calls, recorded once and replayed by one call ---- */
typedef struct gal_program gal_program;
/* From here on every op runs and is also recorded; tensors are made in the program's own arena and live as long as it does. */
GAL_API gal_status gal_program_begin(gal_program **out, const char *device);
GAL_API gal_status gal_program_end(gal_program *program);
GAL_API gal_status gal_program_abandon(gal_program *program); /* ends a recording that failed, and frees it */
/* Runs the list `times` times over. GAL_INTERRUPTED between two runs after Ctrl-C. */
GAL_API gal_status gal_program_replay(gal_program *program, int64_t times);
GAL_API void gal_program_free(gal_program *program);
GAL_API int64_t gal_program_length(const gal_program *program);
GAL_API int gal_recording(void);

/* ---- elementwise. y has the broadcast shape; operands' dimensions are its own or 1, aligned at the last. Any strides. float32. ---- */
GAL_API gal_status gal_add(gal_tensor *y, const gal_tensor *a, const gal_tensor *b);
GAL_API gal_status gal_sub(gal_tensor *y, const gal_tensor *a, const gal_tensor *b);
GAL_API gal_status gal_mul(gal_tensor *y, const gal_tensor *a, const gal_tensor *b);
GAL_API gal_status gal_div(gal_tensor *y, const gal_tensor *a, const gal_tensor *b);
GAL_API gal_status gal_pow(gal_tensor *y, const gal_tensor *a, const gal_tensor *b);
GAL_API gal_status gal_maximum(gal_tensor *y, const gal_tensor *a, const gal_tensor *b); /* NaN where either is */
GAL_API gal_status gal_minimum(gal_tensor *y, const gal_tensor *a, const gal_tensor *b);
GAL_API gal_status gal_eq(gal_tensor *y, const gal_tensor *a, const gal_tensor *b); /* 1 or 0 */
GAL_API gal_status gal_lt(gal_tensor *y, const gal_tensor *a, const gal_tensor *b);
GAL_API gal_status gal_le(gal_tensor *y, const gal_tensor *a, const gal_tensor *b);
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
/* dx = dy * f'(x); shapes broadcast as above, so that tangents {directions, rows, n} go with one x {rows, n}. */
GAL_API gal_status gal_relu_backward(gal_tensor *dx, const gal_tensor *dy, const gal_tensor *x);
GAL_API gal_status gal_silu_backward(gal_tensor *dx, const gal_tensor *dy, const gal_tensor *x);
GAL_API gal_status gal_gelu_backward(gal_tensor *dx, const gal_tensor *dy, const gal_tensor *x);
/* dx = dy * (1 - y^2) and dx = dy * y * (1 - y): these two take the forward's result. */
GAL_API gal_status gal_tanh_backward(gal_tensor *dx, const gal_tensor *dy, const gal_tensor *y);
GAL_API gal_status gal_sigmoid_backward(gal_tensor *dx, const gal_tensor *dy, const gal_tensor *y);

/* ---- moving ---- */
/* y = x, any strides, x broadcast to y's shape, any dtypes (float32 to uint8 or int64 truncates); one device or from one to the other. */
GAL_API gal_status gal_copy(gal_tensor *y, const gal_tensor *x);
GAL_API gal_status gal_fill(gal_tensor *y, double value);
/* y {n} or any shape, in row-major order: start, start + step, ... */
GAL_API gal_status gal_arange(gal_tensor *y, double start, double step);
/* y {B, ...} = x {N, ...}[index {B}], index int64 counting from 0. x, y contiguous. An index outside fails. */
GAL_API gal_status gal_gather_rows(gal_tensor *y, const gal_tensor *x, const gal_tensor *index);
/* dx {N, ...} += dy {B, ...} at rows index {B}; a row named twice gets both. */
GAL_API gal_status gal_scatter_add_rows(gal_tensor *dx, const gal_tensor *dy, const gal_tensor *index);
/* y = x sorted ascending along the last dimension, NaN last. Contiguous. */
GAL_API gal_status gal_sort(gal_tensor *y, const gal_tensor *x);

/* ---- reductions. x contiguous, seen as {outer, n, inner}: dimensions from first to last (inclusive) are reduced.
 * y holds outer * inner elements, contiguous. Sums run in double. n = 0 is an error for mean, max, min, std. ---- */
GAL_API gal_status gal_sum(gal_tensor *y, const gal_tensor *x, int first, int last);
GAL_API gal_status gal_mean(gal_tensor *y, const gal_tensor *x, int first, int last);
GAL_API gal_status gal_max(gal_tensor *y, const gal_tensor *x, int first, int last); /* NaN where any is */
GAL_API gal_status gal_min(gal_tensor *y, const gal_tensor *x, int first, int last);
GAL_API gal_status gal_std(gal_tensor *y, const gal_tensor *x, int first, int last); /* divides by n; two passes */
/* y float64 {}: sum of x^2 over all elements; x float32, contiguous. */
GAL_API gal_status gal_sum_squares(gal_tensor *y, const gal_tensor *x);
/* total float64 {} += x float32 {}. */
GAL_API gal_status gal_accumulate(gal_tensor *total, const gal_tensor *x);

/* ---- products. A row of a result never depends on how many rows are computed with it nor on the threads ---- */
/* y {m, n} = a {m, k} b {k, n}, a and b with any strides (so transposes are views), y contiguous; += where accumulate != 0. */
GAL_API gal_status gal_matmul(gal_tensor *y, const gal_tensor *a, const gal_tensor *b, int accumulate);
/* y {rows, out} = f(x {rows, in} w^T + b), w {out, in}, b {out} or NULL, f one of gal_activation. slope {rows, out} or NULL gets f'. All contiguous. */
GAL_API gal_status gal_linear(gal_tensor *y, gal_tensor *slope, const gal_tensor *x, const gal_tensor *w, const gal_tensor *b, int activation);
/* dx {rows, in} = dz {rows, out} w {out, in}. */
GAL_API gal_status gal_linear_backward_input(gal_tensor *dx, const gal_tensor *dz, const gal_tensor *w);
/* dw {out, in} = dz^T {out, rows} x {rows, in}, db {out} = column sums of dz; dw or db may be NULL; += where accumulate != 0. */
GAL_API gal_status gal_linear_backward_weight(gal_tensor *dw, gal_tensor *db, const gal_tensor *dz, const gal_tensor *x, int accumulate);

/* ---- random numbers: Philox4x32-10 (Salmon, Moraes, Dror & Shaw 2011). state int64 {2} = {key, counter}, on the device of y. The counter's
 * block of 128 bits is {counter + i / 4, stream}; each call moves the counter past what it used. ---- */
/* y float32: word >> 8 times 2^-24, in [0, 1). */
GAL_API gal_status gal_uniform(gal_tensor *y, gal_tensor *state);
/* y float32: Box-Muller on pairs of words; the same bits on every device (random.h). */
GAL_API gal_status gal_normal(gal_tensor *y, gal_tensor *state);
/* y {rows, n}: row r from its own stream, streams int64 {rows}; the counter moves by ceil(n / 4) whatever rows is. */
GAL_API gal_status gal_normal_streams(gal_tensor *y, const gal_tensor *streams, gal_tensor *state);
/* y int64 {n}: a random order of 0 .. n - 1 (Fisher & Yates). */
GAL_API gal_status gal_permutation(gal_tensor *y, gal_tensor *state);
/* streams int64 {rows} from the bytes of each row of x {rows, ...} (contiguous, CPU, any dtype), mixed with seed; equal rows are told apart by how often they came before. */
GAL_API gal_status gal_row_streams(gal_tensor *streams, const gal_tensor *x, int64_t seed);
/* The 64-bit hash of n bytes that split and streams are built on (random.h). */
GAL_API uint64_t gal_hash(const void *bytes, int64_t n, uint64_t seed);
/* One Philox4x32-10 block: out[4] from counter[4] and key[2]. For the known-answer test. */
GAL_API void gal_philox(uint32_t *out, const uint32_t *counter, const uint32_t *key);

/* ---- flow matching ---- */
/* index int64 {batch} = order int64 {rows}[cursor .. cursor + batch), then cursor int64 {} += batch. Fails where that passes the end. */
GAL_API gal_status gal_batch_rows(gal_tensor *index, const gal_tensor *order, gal_tensor *cursor);
/* The path of Lipman et al. 2023 and Tong et al. 2024 with width sigma: theta_1 = theta {rows, d}[index {batch}], theta_0 ~ N(0, I), t ~ U(0, 1), eps ~ N(0, I):
 * t {batch, 1}; theta_t {batch, d} = (1 - t) theta_0 + t theta_1 + sigma eps; velocity {batch, d} = theta_1 - theta_0. state as above. */
GAL_API gal_status gal_flow_draw(gal_tensor *t, gal_tensor *theta_t, gal_tensor *velocity, const gal_tensor *theta, const gal_tensor *index,
                                 gal_tensor *state, double sigma);
/* loss {} = mean (prediction - target)^2 over all elements; contiguous, the same shape. */
GAL_API gal_status gal_mse(gal_tensor *loss, const gal_tensor *prediction, const gal_tensor *target);
/* dprediction = dloss {} * 2 (prediction - target) / count. */
GAL_API gal_status gal_mse_backward(gal_tensor *dprediction, const gal_tensor *dloss, const gal_tensor *prediction, const gal_tensor *target);

/* A velocity net as layers in a row: y_0 = [t; theta; features], y_i = f_i(w_i y_{i-1} + b_i), w {out, in}, b {out} or NULL, f one of gal_activation; the last y is
 * the velocity {d}. */
enum { GAL_FLOW_LAYERS = 32, GAL_FLOW_STAGES = 16 };
typedef struct gal_velocity_net {
    int32_t layers;
    int32_t activation[GAL_FLOW_LAYERS];
    const gal_tensor *w[GAL_FLOW_LAYERS], *b[GAL_FLOW_LAYERS];
} gal_velocity_net;
/* An explicit Runge-Kutta method (Hairer, Norsett & Wanner 1993, II.1, definition 1.1): stage i at t + c_i h takes theta + h sum_j a_ij k_j over j < i, and a step
 * ends at theta + h sum_i b_i k_i. */
typedef struct gal_runge_kutta {
    int32_t stages;
    double a[GAL_FLOW_STAGES][GAL_FLOW_STAGES], b[GAL_FLOW_STAGES], c[GAL_FLOW_STAGES];
} gal_runge_kutta;
/* GAL_BF16: the products between hidden layers take both factors rounded to bfloat16 (8 bits), on processors with fast instructions for it; elsewhere the same as
 * GAL_EXACT, and gal_notice() says so. State, stages, sums, the first and the last layer stay float32. */
typedef enum gal_precision { GAL_EXACT = 0, GAL_BF16 } gal_precision;
/* Carries theta {rows, d} in place along dtheta/dt = velocity(t, theta, features) from times[0] to times[steps] by a step of the method between any two that follow
 * each other; times float64 {steps + 1}, descending or ascending. Row r belongs to row (first + r) / share of features {galaxies, width}, or to the only one;
 * NULL for a net of [t; theta] alone. integral {rows} or NULL gets the integral of the divergence of the velocity by theta, exact, along dt (negative
 * where times descend); it needs GAL_EXACT. The features' part of the first layer is computed once. A row's bits don't depend on the rows computed with
 * it nor on the threads. Interrupted, GAL_INTERRUPTED: some rows are carried and others as they were. */
GAL_API gal_status gal_flow_integrate(gal_tensor *theta, gal_tensor *integral, const gal_tensor *features, int64_t first, int64_t share,
                                      const gal_velocity_net *net, const gal_runge_kutta *method, const gal_tensor *times, int precision);
/* ---- optimisers. parameter, gradient, first, second: contiguous, the same count. ---- */
/* step int64 {} += 1. */
GAL_API gal_status gal_count_step(gal_tensor *step);
/* AdamW (Loshchilov & Hutter 2019, algorithm 2, decay lr * weight_decay as in PyTorch). hyper float32 {5} = {lr, beta1, beta2, eps, weight_decay}; step int64 {}, counting from 1. */
GAL_API gal_status gal_adamw(gal_tensor *parameter, const gal_tensor *gradient, gal_tensor *first, gal_tensor *second, const gal_tensor *hyper,
                             const gal_tensor *step);
/* hyper {4} = {lr, momentum, weight_decay, nesterov 0 or 1}; velocity = momentum velocity + gradient + weight_decay parameter (at step 1: without the old velocity). */
GAL_API gal_status gal_sgd(gal_tensor *parameter, const gal_tensor *gradient, gal_tensor *velocity, const gal_tensor *hyper, const gal_tensor *step);
/* average += (1 - d) (parameter - average), d = min(decay, step / (step + 9)): a mean over a growing window first (Polyak & Juditsky 1992). decay float32 {}. */
GAL_API gal_status gal_average(gal_tensor *average, const gal_tensor *parameter, const gal_tensor *decay, const gal_tensor *step);
/* x *= min(1, limit / sqrt(squares)), squares float64 {} (gal_sum_squares), limit float32 {}. */
GAL_API gal_status gal_clip(gal_tensor *x, const gal_tensor *squares, const gal_tensor *limit);

/* ---- images' layers. Images are {N, H, W, C}; everything here is contiguous. A window moves by `stride` in both directions over an image with `padding` zeros on
 * each side, or GAL_SAME (stride 1 only): as many as keep the size, the odd one of an even window at the bottom and on the right, as in PyTorch.
 * An image's results never depend on the images computed with it nor on the threads. ---- */
typedef enum gal_padding { GAL_SAME = -1, GAL_VALID = 0 } gal_padding;
/* How many positions a window has along `size` pixels; below 1 where it has none. */
GAL_API int64_t gal_window_count(int64_t size, int64_t window, int64_t stride, int64_t padding);

/* z {N, h, w, out} = x {N, H, W, in} convolved with w {out, kh, kw, in} (no flip), plus b {out} or NULL; f one of gal_activation;
 * y {N, h / pool, w / pool, out} = means of f(z) over pool x pool pixels (pool 1: f(z) itself; rows and columns left over are not computed).
 * slope {N, h, w, out} or NULL gets f'(z) for the backward. precision: GAL_BF16 (stride 1 only; other strides are exact) takes both factors of every product of the forward and
 * the backward (x, w, dz) rounded to bfloat16, on processors with fast instructions for it; elsewhere the same as GAL_EXACT, and gal_notice() says so. Sums, b, f and db stay float32. */
GAL_API gal_status gal_conv2d(gal_tensor *y, gal_tensor *slope, const gal_tensor *x, const gal_tensor *w, const gal_tensor *b, int64_t stride, int64_t padding,
                              int activation, int64_t pool, int precision);
/* From dy like y: dx like x, dw like w, db like b, each of them or NULL; dw and db += where accumulate != 0, and their bits don't depend on the threads either.
 * slope as the forward left it, or NULL: then it is worked out again from x, w and b (not needed for GAL_IDENTITY). */
GAL_API gal_status gal_conv2d_backward(gal_tensor *dx, gal_tensor *dw, gal_tensor *db, const gal_tensor *dy, const gal_tensor *slope, const gal_tensor *x,
                                       const gal_tensor *w, const gal_tensor *b, int64_t stride, int64_t padding, int activation, int64_t pool, int precision,
                                       int accumulate);
/* Whether storing the slope pays (1), or the backward had better work it out again (0: no activation, or a window of few inputs such as the first layer's). */
GAL_API int gal_conv2d_stores_slope(const gal_tensor *w, int activation);

/* y {N, h, w, C} = mean or largest of each window x window pixels of x {N, H, W, C}; no padding. NaN where any is. */
GAL_API gal_status gal_avg_pool2d(gal_tensor *y, const gal_tensor *x, int64_t window, int64_t stride);
GAL_API gal_status gal_max_pool2d(gal_tensor *y, const gal_tensor *x, int64_t window, int64_t stride);
GAL_API gal_status gal_avg_pool2d_backward(gal_tensor *dx, const gal_tensor *dy, int64_t window, int64_t stride);
/* dy goes to the first of the largest in row-major order; to the first NaN where there is one. */
GAL_API gal_status gal_max_pool2d_backward(gal_tensor *dx, const gal_tensor *dy, const gal_tensor *x, int64_t window, int64_t stride);
/* y {N, C} = means of x {N, H, W, C} over all pixels. */
GAL_API gal_status gal_global_avg_pool(gal_tensor *y, const gal_tensor *x);
GAL_API gal_status gal_global_avg_pool_backward(gal_tensor *dx, const gal_tensor *dy);

/* y = (x - mean) / sqrt(variance + eps) * scale {n} + shift {n} over the last dimension, of n; the variance divides by n (Ba, Kiros & Hinton 2016). scale, shift: both or
 * NULL. statistics {rows, 2} or NULL gets each row's mean and 1 / sqrt(variance + eps) for the backward. */
GAL_API gal_status gal_layer_norm(gal_tensor *y, gal_tensor *statistics, const gal_tensor *x, const gal_tensor *scale, const gal_tensor *shift, double eps);
/* dx like x, dscale {n}, dshift {n}, each of them or NULL; dscale and dshift += where accumulate != 0. */
GAL_API gal_status gal_layer_norm_backward(gal_tensor *dx, gal_tensor *dscale, gal_tensor *dshift, const gal_tensor *dy, const gal_tensor *x,
                                           const gal_tensor *statistics, const gal_tensor *scale, int accumulate);
/* y = x / (1 - p) where the uniform of that element (as gal_uniform draws from state) is at least p, 0 elsewhere; 0 <= p < 1. used int64 {2} or NULL gets the state
 * before, from which the backward draws the same mask again. */
GAL_API gal_status gal_dropout(gal_tensor *y, gal_tensor *used, const gal_tensor *x, gal_tensor *state, double p);
GAL_API gal_status gal_dropout_backward(gal_tensor *dx, const gal_tensor *dy, const gal_tensor *used, double p);

/* ---- statistics (CPU) ---- */
/* y {m} = log of the mean over the n rows of data {n, d} of N(point; row, I) for points {m, d}: both whitened by the caller so that the kernel is the unit normal.
 * skip_self != 0: points are the first m rows of data, and row i is left out for point i. Works in double at the end, float32 for distances of nearby rows. */
GAL_API gal_status gal_kde_log_density(gal_tensor *y, const gal_tensor *points, const gal_tensor *data, int skip_self);

/* ---- files ----
 * A path is a plain path: no URL, no wildcard, no extended-filename syntax. A failure is GAL_FILE unless said otherwise, and its sentence
 * begins with the path. */

/* The whole of a regular file: *bytes {*n + 1}, the last one 0; the caller frees it with gal_file_free. */
GAL_API gal_status gal_file_read(char **bytes, int64_t *n, const char *path);
GAL_API void gal_file_free(char *bytes); /* NULL is left alone */
/* Writes bytes {n} under a temporary name in the same folder, syncs and renames: a reader sees the old file or the new one, never a part. On failure the
 * temporary is gone and the old file stays. A symbolic link is followed. */
GAL_API gal_status gal_file_write(const char *path, const void *bytes, int64_t n);
GAL_API int gal_path_exists(const char *path); /* 0 no, 1 a file, 2 a folder */
/* Makes the folder and those above it that are absent (mkdir -p); one that exists is no error. */
GAL_API gal_status gal_make_folder(const char *path);
/* All that was written so far in the file system of the folder `path` is on disk when this returns. */
GAL_API gal_status gal_disk_sync(const char *path);
/* Whether path is a regular file; its bytes, and when it was changed last, in nanoseconds since 1970. */
GAL_API int gal_file_stamp(const char *path, int64_t *bytes, int64_t *modified);
/* Renames a file in its file system, and syncs its new folder. */
GAL_API gal_status gal_file_rename(const char *from, const char *to);
GAL_API gal_status gal_file_remove(const char *path); /* one that is absent is no error */
/* A file that grows at its end over a long time: its first `keep` bytes stay (GAL_FILE where there are fewer), what comes behind them is cut off. What was put is on disk
 * once synced. Closing leaves it where it is. */
typedef struct gal_growing gal_growing;
GAL_API gal_status gal_growing_open(gal_growing **out, const char *path, int64_t keep);
GAL_API gal_status gal_growing_put(gal_growing *file, const void *bytes, int64_t n);
GAL_API gal_status gal_growing_sync(gal_growing *file);
GAL_API void gal_growing_close(gal_growing *file); /* NULL is left alone */
/* Takes the lock of the file (made where it is absent), or fails with GAL_STATE naming the process and host that hold it. It goes with its holder, however that ends. */
typedef struct gal_lock gal_lock;
GAL_API gal_status gal_lock_take(gal_lock **out, const char *path);
GAL_API void gal_lock_release(gal_lock *lock); /* NULL is left alone */

/* Arrays in a file: .npy (versions 1 to 3; one array, its name ""), .npz (any number by name, stored or deflated) and .safetensors (the same and metadata). Opening
 * reads and checks the headers against the file's length. dtypes: uint8 and bool give GAL_U8; 32- and 64-bit integers GAL_I64; int8, int16, uint16 and every float GAL_F32. */
typedef struct gal_arrays gal_arrays;
GAL_API gal_status gal_arrays_open(gal_arrays **out, const char *path); /* the format is told by the name's end */
GAL_API void gal_arrays_free(gal_arrays *arrays);                       /* NULL is left alone */
GAL_API int64_t gal_arrays_count(const gal_arrays *arrays);
/* Of array i, 0 <= i < count; the pointers live as long as arrays. */
GAL_API const char *gal_arrays_name(const gal_arrays *arrays, int64_t i);
GAL_API int gal_arrays_dtype(const gal_arrays *arrays, int64_t i);
GAL_API int gal_arrays_rank(const gal_arrays *arrays, int64_t i);
GAL_API const int64_t *gal_arrays_shape(const gal_arrays *arrays, int64_t i); /* {rank} */
/* y = array i in row-major order. y: contiguous, on the CPU, of that dtype and shape. GAL_VALUE for a uint64 above 2^63 - 1. */
GAL_API gal_status gal_arrays_read(gal_tensor *y, const gal_arrays *arrays, int64_t i);
GAL_API int64_t gal_arrays_metadata(const gal_arrays *arrays); /* how many pairs */
GAL_API const char *gal_arrays_metadata_key(const gal_arrays *arrays, int64_t i);
GAL_API const char *gal_arrays_metadata_value(const gal_arrays *arrays, int64_t i);
/* One tensor of any strides, on any device, as .npy (version 1, C order, little-endian). Written as gal_file_write does. */
GAL_API gal_status gal_npy_write(const char *path, const gal_tensor *x);
/* The same for an array of dtype and shape {rank} whose values come piece after piece in row-major order. The file has its name from commit on, which fails while values
 * are missing; freed before, it was never there. A put that fails ends it. */
typedef struct gal_npy_stream gal_npy_stream;
GAL_API gal_status gal_npy_stream_open(gal_npy_stream **out, const char *path, int dtype, int rank, const int64_t *shape);
GAL_API gal_status gal_npy_stream_put(gal_npy_stream *stream, const gal_tensor *x);
GAL_API gal_status gal_npy_stream_commit(gal_npy_stream *stream);
GAL_API void gal_npy_stream_free(gal_npy_stream *stream); /* NULL is left alone */
/* The header that such a file begins with: text {512}; returns its length. Only x's dtype and shape are looked at. */
GAL_API int gal_npy_header_text(char *text, const gal_tensor *x);
/* tensors {count} under names {count} (UTF-8) as .npz, not packed. Equal contents in equal order give equal bytes. */
GAL_API gal_status gal_npz_write(const char *path, int64_t count, const char *const *names, const gal_tensor *const *tensors);
/* tensors {count} under names {count}, and pairs keys {pairs}, values {pairs}; everything UTF-8. Equal contents give equal bytes whatever their order. */
GAL_API gal_status gal_safetensors_write(const char *path, int64_t count, const char *const *names, const gal_tensor *const *tensors, int64_t pairs,
                                         const char *const *keys, const char *const *values);

/* ---- images in files ----
 * JPEG and PNG, up to 4,096 pixels a side and 64 MiB. */

/* What became of one file. */
typedef struct gal_decoded {
    int32_t status;        /* GAL_OK; GAL_FILE: missing, cut short or damaged; GAL_SHAPE: of another size */
    int32_t width, height; /* as it was in the file */
    uint64_t hash;         /* of the pixels (gal_hash, seed 0) */
    char problem[160];     /* the sentence, without the path */
} gal_decoded;
/* pixels uint8 {n, size, size, 3}, decoded {n} from the files at paths {n}, on all cores; grey gets three equal channels, transparency is dropped. scaled != 0: an image of
 * another size is resampled to size x size. An image that can't be had is all zeros, and no failure of the call. */
GAL_API gal_status gal_images_decode(gal_tensor *pixels, gal_decoded *decoded, const char *const *paths, int scaled);
GAL_API gal_status gal_image_size(int64_t *width, int64_t *height, const char *path);

/* Images that need not be in memory. A set is made once and then only read. Free it with gal_images_free; sets made of one another may go in any order. */
typedef struct gal_images gal_images;
/* Of a .npy file, uint8 {N, height, width, 3}. The file is read by pread when images are wanted and may be cut or replaced meanwhile: that is GAL_FILE then. */
GAL_API gal_status gal_images_open(gal_images **out, const char *path);
/* The rows of x {N, ...}, any dtype, contiguous, on the CPU, which is held. */
GAL_API gal_status gal_images_of(gal_images **out, const gal_tensor *x);
/* The images at index {n}, from 0, in that order; index NULL: all of them. */
GAL_API gal_status gal_images_select(gal_images **out, const gal_images *images, const int64_t *index, int64_t n);
/* From here on images are their central crop x crop pixels (0: all), then means over bin x bin pixels, rounded to whole numbers. Replaces what was said before. */
GAL_API gal_status gal_images_shape(gal_images *images, int64_t crop, int64_t bin);
GAL_API void gal_images_free(gal_images *images); /* NULL is left alone */
GAL_API int64_t gal_images_count(const gal_images *images);
GAL_API int64_t gal_images_side(const gal_images *images, int which); /* 0 height, 1 width, in pixels as given out */
/* y {n, ...} = images [first, first + n), or those at index {n} where it is not NULL. turns {n} or NULL: 4 mirrors left for right, then turns & 3 quarter turns anticlockwise:
 * the eight symmetries of a square. */
GAL_API gal_status gal_images_read(gal_tensor *y, const gal_images *images, int64_t first, const int64_t *index, const uint8_t *turns);
/* Of uint8 images: sums {channels} of all pixels' values, 0 to 255, and squares {channels} of their squares. */
GAL_API gal_status gal_images_moments(double *sums, double *squares, const gal_images *images, int64_t channels);

/* A thread that reads the next batches of images while this one is used. */
typedef struct gal_loader gal_loader;
GAL_API gal_status gal_loader_new(gal_loader **out, const gal_images *images, int64_t batch);
GAL_API void gal_loader_free(gal_loader *loader); /* NULL is left alone; after the programs that take from it have run for the last time */
/* A new epoch: batch k is the images at order int64 {rows}[k batch ...), turned by turns uint8 {rows} or NULL. Both are copied. */
GAL_API gal_status gal_loader_start(gal_loader *loader, const gal_tensor *order, const gal_tensor *turns);
/* An op: y {batch, ...} = the batch that ends at cursor int64 {}, as gal_batch_rows leaves it. Batches taken in their order are ready; another is read first. */
GAL_API gal_status gal_loader_take(gal_tensor *y, gal_loader *loader, const gal_tensor *cursor);

/* Tables: .csv (RFC 4180; a leading #Table1 line is skipped; empty and null are missing) and FITS binary tables, each plain or gzipped. Rows and columns
 * count from 0 here; sentences say lines (CSV) and rows from 1. A table of no rows is an error. */
typedef struct gal_table gal_table;
typedef enum gal_column_type {
    GAL_COLUMN_F64 = 0,
    GAL_COLUMN_I64,    /* integers of any size that fit, logicals as 0 and 1 */
    GAL_COLUMN_STRING, /* text, and integers that do not fit (their digits) */
    GAL_COLUMN_OTHER   /* complex, bits, variable-length: named, not read */
} gal_column_type;
/* hdu: -1 for the first table, else its number as in astropy (0 is the primary, 1 the first extension); CSV has none. A FITS column is read when it is first
 * asked for and kept until the table is freed. */
GAL_API gal_status gal_table_open(gal_table **out, const char *path, int hdu);
GAL_API void gal_table_free(gal_table *table); /* NULL is left alone */
GAL_API int64_t gal_table_rows(const gal_table *table);
GAL_API int gal_table_columns(const gal_table *table);
/* Of column i, 0 <= i < columns; the pointers live as long as the table. */
GAL_API const char *gal_table_name(const gal_table *table, int i);
GAL_API const char *gal_table_unit(const gal_table *table, int i); /* "" where there is none */
GAL_API int gal_table_type(const gal_table *table, int i);
GAL_API int64_t gal_table_width(const gal_table *table, int i); /* values per row */
/* out {rows, width}; missing is NaN, -9999 stays. Text that is no number is GAL_TYPE, naming column, row and text. */
GAL_API gal_status gal_table_numbers(double *out, gal_table *table, int i);
/* The same as float32. */
GAL_API gal_status gal_table_floats(float *out, gal_table *table, int i);
/* out {rows, width}; missing {rows, width} gets 1 or 0. GAL_TYPE where a value is no integer or its digits are lost (a float beyond 2^53). */
GAL_API gal_status gal_table_integers(int64_t *out, uint8_t *missing, gal_table *table, int i);
/* *out: value k (row * width + element) of column i as text, "" where missing, integers in decimal, floats so that they read back exactly. Valid until the next call. */
GAL_API gal_status gal_table_text(const char **out, gal_table *table, int i, int64_t k);
/* The same for a column of ids: GAL_TYPE for a float that is no whole number or beyond 2^53, GAL_VALUE where missing. */
GAL_API gal_status gal_table_id(const char **out, gal_table *table, int i, int64_t k);
/* A table in memory, without columns yet. */
GAL_API gal_status gal_table_new(gal_table **out, int64_t rows);
/* Appends a column, copying values {rows, width}: doubles, int64s, or strings one behind the other, each with its 0. type: all but GAL_COLUMN_OTHER. letter: the FITS
 * type it is saved as ('E' for float32 values, 'B' for uint8), or 0: then D, K or A. */
GAL_API gal_status gal_table_add(gal_table *table, const char *name, int type, int letter, int64_t width, const void *values);
/* What column i is measured in: "mag", "" for none; written as TUNIT. */
GAL_API gal_status gal_table_set_unit(gal_table *table, int i, const char *unit);
/* A keyword of the header of the FITS file that the table is written as: name of at most 8 characters, text of at most 60, or NULL and the number. CSV has none. */
GAL_API gal_status gal_table_set_key(gal_table *table, const char *name, const char *text, int64_t number);
/* The last column takes the place, the name and the unit of column i, which is gone. */
GAL_API gal_status gal_table_replace(gal_table *table, int i);
GAL_API gal_status gal_table_remove(gal_table *table, int i);
/* A new table of the given rows {n}, from 0, in that order, a row as often as it is named; columns keep type, unit and form. */
GAL_API gal_status gal_table_select(gal_table **out, gal_table *table, const int64_t *rows, int64_t n);
/* Writes .csv or .fits, whole or not at all. CSV: numbers so that they read back exactly, missing ones empty; GAL_TYPE for a column of vectors. FITS: loaded columns in the
 * type they had, TUNIT, TNULL and TDIM with them; others as D, K and A; GAL_VALUE for text that is not ASCII (blanks at its end are lost: FITS does not tell them). */
GAL_API gal_status gal_table_write(const char *path, gal_table *table);

/* ---- the mock survey: galaxies whose true posterior is known; the model is described in survey/README.md ---- */
/* A survey in the making: galaxies 1 … n are the first n draws of `seed` that it selects, so a galaxy depends neither on n nor on the threads. */
typedef struct gal_mock gal_mock;
GAL_API gal_status gal_mock_new(gal_mock **out, int64_t seed, int64_t n);
GAL_API void gal_mock_free(gal_mock *survey); /* NULL is left alone */
/* Looks through about the next `draws` draws; *found and *drawn: how many galaxies there are now, at most n, and of how many draws. GAL_INTERRUPTED after Ctrl-C; it can go on then. */
GAL_API gal_status gal_mock_search(int64_t *found, int64_t *drawn, gal_mock *survey, int64_t draws);
/* The catalogue of the galaxies found: SDSS's columns, true values and latents, with units. objID is the galaxy's number. The caller's, as from gal_table_new. */
GAL_API gal_status gal_mock_table(gal_table **out, const gal_mock *survey);
/* p(theta | ugriz) of n galaxies by importance sampling, without any network; theta are the five labels, errors included. observed {n, 5}: fluxes in nanomaggies. first: galaxy k, from 0,
 * takes the random numbers of number first + k. */
typedef struct gal_reference gal_reference;
GAL_API gal_status gal_reference_new(gal_reference **out, int64_t seed, int64_t n, int64_t first, const double *observed);
GAL_API void gal_reference_free(gal_reference *reference); /* NULL is left alone */
/* Draws for galaxies from ... to (from 0, to not included) until each has that effective sample size, or `most` were drawn for it. GAL_INTERRUPTED after Ctrl-C; it can go on
 * then. A galaxy's draws depend on seed and first + k only. */
GAL_API gal_status gal_reference_search(gal_reference *reference, int64_t from, int64_t to, double ess, int64_t most);
/* Of galaxy k, from 0: effective sample size, and how many galaxies were drawn for it. */
GAL_API gal_status gal_reference_state(double *ess, int64_t *draws, const gal_reference *reference, int64_t k);
/* mean {5} and covariance {5, 5} of theta. */
GAL_API gal_status gal_reference_moments(double *mean, double *covariance, const gal_reference *reference, int64_t k);
/* theta {n, 5}: distinct draws, by rejection with the largest weights cut down; *cut: the share of the weight that this takes off. GAL_VALUE for n above a third of the effective
 * sample size. */
GAL_API gal_status gal_reference_sample(float *theta, double *cut, const gal_reference *reference, int64_t k, int64_t n);
/* *log_prob: ln p(theta | ugriz) at theta {5}, nats per product of theta's units: the labels' errors, normal, around every weighed draw. */
GAL_API gal_status gal_reference_log_prob(double *log_prob, const gal_reference *reference, int64_t k, const double *theta);
/* Writes folder/<objID>.jpg, 128 x 128, of galaxies from ... to (from 0, to not included; they are found) that are not there yet. without: couplings that are off
 * (gal_mock_coupling in survey/survey.h); neighbours != 0: with stars and galaxies of the field. GAL_INTERRUPTED after Ctrl-C; no file is ever there in part. */
GAL_API gal_status gal_mock_cutouts(const gal_mock *survey, const char *folder, int64_t from, int64_t to, int without, int neighbours);

#if defined(__cplusplus) && !defined(GAL_CDEF)
}
#endif
#endif
