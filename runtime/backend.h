/* backend.h: what a device supplies, and what it promises. runtime/cpu is one device; cuda/ is another, in a
 * library loaded at run time; tests/far is a third, for tests.
 *
 * An op is four hops: lua/gal/tensor -> ops/ (checks) -> the device's issue() -> kernel. ops/ has checked
 * every shape, dtype and device before an op is issued, so a device checks nothing but what only the data can
 * show (an index out of range: gal_fault). */
#ifndef GAL_BACKEND_H
#define GAL_BACKEND_H
#include "galrun.h"
#include <assert.h>

/* One call of a program: an op of GAL_OPS below, its arguments (the op's plain struct, `size` bytes) and
 * about how many operations it does, by which a device may choose how many threads run it; GAL_SERIAL: a sum
 * with one order, not worth sharing. Arguments hold pointers into device memory, sizes, and numbers that stay
 * what they are; what changes from step to step is read through a pointer. They point at nothing on the
 * caller's stack, so that a copy of them is as good. */
typedef struct gal_call {
    const void *args;
    size_t size;
    int64_t work;
    int32_t op; /* gal_op */
} gal_call;
#define GAL_SERIAL 0

/* ---- arguments, one struct for each family of ops ---- */

/* y[i] = f(a[i], b[i]) over shape {rank}, with strides in elements; scalar parameters p, q. Neighbouring
 * dimensions are merged where the strides allow, so contiguous operands come as rank 1. b is NULL in unary
 * ops. */
typedef struct gal_map_args {
    float *y;
    const float *a, *b;
    int32_t rank;
    float p, q;
    int64_t count;
    int64_t shape[GAL_RANK], ys[GAL_RANK], as[GAL_RANK], bs[GAL_RANK];
} gal_map_args;

/* y = x converted from x_type to y_type. fill writes start, arange start + i step. */
typedef struct gal_copy_args {
    void *y;
    const void *x;
    int32_t y_type, x_type, rank;
    int64_t count;
    int64_t shape[GAL_RANK], ys[GAL_RANK], xs[GAL_RANK];
    double start, step;
} gal_copy_args;

/* x {outer, n, inner} -> y {outer, inner}; cumsum: -> y {outer, n, inner}; sort, argsort: x {outer, n} -> y
 * {outer, n}. y is int64 of argmax, argmin and argsort. */
typedef struct gal_reduce_args {
    void *y;
    const float *x;
    int64_t outer, n, inner;
} gal_reduce_args;

/* x {rows, n} -> y {rows, q} at levels {q}. */
typedef struct gal_quantiles_args {
    double *y;
    const float *x;
    const double *levels;
    int64_t rows, n, q;
} gal_quantiles_args;

/* gather: rows of `width` bytes, y {count, width} from x {rows, width} at index {count}; next_rows: from
 * cursor {} on. scatter: float32 rows of width / 4, x {count, ...} added to y {rows, ...}. */
typedef struct gal_rows_args {
    void *y;
    const void *x;
    const int64_t *index;
    int64_t *cursor;
    int64_t count, rows, width;
} gal_rows_args;

/* y {n, h, w, c} of images {rows, height, width, c} of `type` (gal_dtype): of each the h x w means over bin x
 * bin pixels from pixel (top, left) on, turned and standardised (galrun_ops.h). */
typedef struct gal_images_args {
    float *y;
    const void *images;
    const int64_t *index;    /* {n}, or NULL: the images from `first` on */
    const uint8_t *turns;    /* {rows} or NULL */
    const float *mean, *std; /* {c} */
    int64_t n, h, w, c, rows, height, width, first, top, left, bin;
    int32_t type;
} gal_images_args;

/* y {m, n} (row stride ldy, columns contiguous) = a {m, k} b {k, n}: element (i, j) of a at a[i * a_row + j *
 * a_col]. */
typedef struct gal_matmul_args {
    float *y;
    const float *a, *b;
    int64_t m, n, k, ldy, a_row, a_col, b_row, b_col;
    int32_t accumulate, precision; /* gal_precision */
} gal_matmul_args;

/* linear: y {rows, out}, slope {rows, out} or NULL, x {rows, in}, w {out, in}, b {out} or NULL.
 * backward_input: y = dx {rows, in}, x = dz {rows, out}. backward_weight: y = dw {out, in} or NULL, slope =
 * db {out} or NULL, w = dz {rows, out}, x {rows, in}. */
typedef struct gal_linear_args {
    float *y, *slope;
    const float *x, *w, *b;
    int64_t rows, in, out;
    int32_t activation, accumulate, precision; /* gal_precision */
} gal_linear_args;

/* y {rows, n}; state {key, counter}; streams {rows}, or NULL for stream 0 and one row; random_advance adds
 * blocks to the counter. permutation gives what one exchange after another gives (Fisher & Yates), on every
 * device. */
typedef struct gal_random_args {
    void *y;
    uint64_t *state;
    const int64_t *streams;
    int64_t rows, n, blocks;
} gal_random_args;

/* input {batch * draws, width}: columns 0 to d and the last c are written; target {batch * draws, d}; index
 * {batch}. The call moves cursor {} and state's counter on. */
typedef struct gal_flow_batch_args {
    float *input, *target;
    int64_t *index, *cursor;
    uint64_t *state;
    const int64_t *order;      /* {places} */
    const float *theta, *seen; /* {rows, d}, {rows, c} or NULL */
    int64_t batch, draws, width, places, rows, d, c, time_power;
    float sigma;
} gal_flow_batch_args;

/* flow_integrate; the formulas stand in galrun_ops.h. */
typedef struct gal_flow_layer {
    const float *w, *b; /* {out, in}, {out} or NULL */
    int64_t in, out;
    int32_t activation;
} gal_flow_layer;
typedef struct gal_flow_integrate_args {
    float *theta, *integral; /* {rows, d}, {rows} or NULL */
    const float *features;   /* {galaxies, width} or NULL */
    const double *times;     /* {steps + 1} */
    int64_t rows, galaxies, width, first, share, steps, d;
    int32_t layers, precision;
    gal_flow_layer layer[GAL_FLOW_LAYERS]; /* the first has 1 + d + width inputs, the last d outputs */
    gal_runge_kutta method;
} gal_flow_integrate_args;
static_assert(sizeof(gal_flow_integrate_args) < 4096,
              "a CUDA kernel is given its arguments by value: 4 KB at most before CUDA 12.1");

/* mse: loss {}, total {} or NULL, prediction and target {count}; backward: gradient {count}, loss = dloss. */
typedef struct gal_mse_args {
    float *gradient, *loss;
    double *total;
    const float *prediction, *target;
    int64_t count;
} gal_mse_args;

/* One step of an optimiser over a block of `count` elements; every number that changes from step to step is
 * behind a pointer. step {}: the steps done before; the call adds 1. average {count}, decay {}: or NULL. */
typedef struct gal_step_args {
    float *parameter, *first, *second, *average;
    const float *gradient, *hyper, *decay;
    int64_t *step;
    double *total; /* sum_squares, clip: {} */
    int64_t count;
} gal_step_args;

typedef struct gal_kde_args {
    float *y;
    const float *points, *data; /* {m, d}, {n, d} */
    int64_t m, n, d;
    int32_t skip_self;
} gal_kde_args;

/* z {n, zh, zw, out} = x {n, h, w, c} convolved with weight {out, kh, kw, c}, with `top` rows and `left`
 * columns of zeros before x, and after it as many as zh and zw need. y, dy {n, zh / pool, zw / pool, out};
 * slope {n, zh, zw, out} or NULL: the forward writes it, the backward reads it. */
typedef struct gal_conv_args {
    float *y, *slope, *dx, *dw, *db;
    const float *x, *weight, *bias, *dy;
    int64_t n, h, w, c, zh, zw, out, kh, kw, stride, top, left, pool;
    int32_t activation, accumulate, precision; /* gal_precision */
} gal_conv_args;

/* y, dy {n, yh, yw, c}, x, dx {n, h, w, c}; the backward of means takes no x. */
typedef struct gal_pool_args {
    float *y, *dx;
    const float *x, *dy;
    int64_t n, h, w, c, yh, yw, window, stride;
} gal_pool_args;

/* x, y, dx, dy {rows, n}; statistics {rows, 2}. */
typedef struct gal_layer_norm_args {
    float *y, *statistics, *dx, *dscale, *dshift;
    const float *x, *dy, *scale, *shift;
    int64_t rows, n;
    double eps;
    int32_t accumulate;
} gal_layer_norm_args;

/* y, x {n}; state {key, counter}; used {2} or NULL. */
typedef struct gal_dropout_args {
    float *y;
    const float *x;
    const uint64_t *state;
    uint64_t *used;
    int64_t n;
    float p;
} gal_dropout_args;

/* ---- the ops ----
 * Every op that a device supplies, one a line. The table below, the CPU's prototypes and its table
 * (cpu/cpu.h, cpu/cpu.c) and the functions of elementwise ops (ops/map.c) are made from these lists. The
 * formulas stand in galrun_ops.h. */
/* clang-format off */

/* Elementwise with one operand, gal_map_args: X(name, cost). The cost, in operations an element, is what the
 * backend chooses the lanes by. */
#define GAL_UNARY_OPS(X) \
    X(exp,      8)       \
    X(log,      8)       \
    X(sqrt,     4)       \
    X(abs,      1)       \
    X(sin,     20)       \
    X(cos,     20)       \
    X(sigmoid, 10)       \
    X(tanh,    10)       \
    X(relu,     1)       \
    X(silu,    10)       \
    X(gelu,    20)

/* Elementwise with two operands, a and b; for a backward a = dy and b = x or y. */
#define GAL_BINARY_OPS(X)    \
    X(add,               1)  \
    X(sub,               1)  \
    X(mul,               1)  \
    X(div,               2)  \
    X(pow,              40)  \
    X(maximum,           1)  \
    X(minimum,           1)  \
    X(eq,                1)  \
    X(lt,                1)  \
    X(le,                1)  \
    X(masked,            1)  \
    X(relu_backward,     1)  \
    X(silu_backward,    10)  \
    X(gelu_backward,    20)  \
    X(tanh_backward,     2)  \
    X(sigmoid_backward,  2)

/* All others: X(name, struct of its arguments). */
#define GAL_OTHER_OPS(X)                                  \
    X(affine,                    gal_map_args)            \
    X(power,                     gal_map_args)            \
    X(copy,                      gal_copy_args)           \
    X(fill,                      gal_copy_args)           \
    X(arange,                    gal_copy_args)           \
    X(gather_rows,               gal_rows_args)           \
    X(scatter_add_rows,          gal_rows_args)           \
    X(next_rows,                 gal_rows_args)           \
    X(gather_images,             gal_images_args)         \
    X(sum,                       gal_reduce_args)         \
    X(mean,                      gal_reduce_args)         \
    X(max,                       gal_reduce_args)         \
    X(min,                       gal_reduce_args)         \
    X(std,                       gal_reduce_args)         \
    X(argmax,                    gal_reduce_args)         \
    X(argmin,                    gal_reduce_args)         \
    X(cumsum,                    gal_reduce_args)         \
    X(sort,                      gal_reduce_args)         \
    X(argsort,                   gal_reduce_args)         \
    X(quantiles,                 gal_quantiles_args)      \
    X(matmul,                    gal_matmul_args)         \
    X(linear,                    gal_linear_args)         \
    X(linear_backward_input,     gal_linear_args)         \
    X(linear_backward_weight,    gal_linear_args)         \
    X(uniform,                   gal_random_args)         \
    X(normal,                    gal_random_args)         \
    X(permutation,               gal_random_args)         \
    X(random_advance,            gal_random_args)         \
    X(dropout,                   gal_dropout_args)        \
    X(conv2d,                    gal_conv_args)           \
    X(conv2d_backward,           gal_conv_args)           \
    X(avg_pool2d,                gal_pool_args)           \
    X(avg_pool2d_backward,       gal_pool_args)           \
    X(max_pool2d,                gal_pool_args)           \
    X(max_pool2d_backward,       gal_pool_args)           \
    X(layer_norm,                gal_layer_norm_args)     \
    X(layer_norm_backward,       gal_layer_norm_args)     \
    X(layer_norm_backward_scale, gal_layer_norm_args)     \
    X(flow_batch,                gal_flow_batch_args)     \
    X(mse,                       gal_mse_args)            \
    X(mse_backward,              gal_mse_args)            \
    X(flow_integrate,            gal_flow_integrate_args) \
    X(adamw,                     gal_step_args)           \
    X(sgd,                       gal_step_args)           \
    X(clip,                      gal_step_args)           \
    X(sum_squares,               gal_step_args)           \
    X(kde_log_density,           gal_kde_args)

/* clang-format on */

/* Every op. X takes the name and, `...`, what its list says of it. */
#define GAL_OPS(X) GAL_UNARY_OPS(X) GAL_BINARY_OPS(X) GAL_OTHER_OPS(X)

/* gal_args_of_OP: the struct that OP takes. */
#define GAL_ARGS_OF_MAP(name, cost) typedef gal_map_args gal_args_of_##name;
#define GAL_ARGS_OF(name, args) typedef args gal_args_of_##name;
GAL_UNARY_OPS(GAL_ARGS_OF_MAP)
GAL_BINARY_OPS(GAL_ARGS_OF_MAP)
GAL_OTHER_OPS(GAL_ARGS_OF)

/* The ops by number, GAL_OP_add and so on, and by name. */
typedef enum gal_op {
#define GAL_OP_NUMBER(name, ...) GAL_OP_##name,
    GAL_OPS(GAL_OP_NUMBER) GAL_OP_COUNT
#undef GAL_OP_NUMBER
} gal_op;

static inline const char *gal_op_name(int op)
{
#define GAL_OP_NAME(name, ...) #name,
    static const char *const names[] = {GAL_OPS(GAL_OP_NAME)};
#undef GAL_OP_NAME
    return op >= 0 && op < GAL_OP_COUNT ? names[op] : "no op";
}

/* ---- what only the data can show ---- */

/* An index out of range, found by a kernel: element `place` of the op's index was `index`, where there are
 * `rows` rows. A device whose kernels run after the call has returned keeps the first one and reports it at
 * the next download, synchronize or end of a replay, by host->fault. */
typedef struct gal_fault {
    int64_t place, index, rows; /* place GAL_CURSOR: no index, but the cursor of a batch */
    int32_t op;                 /* gal_op */
} gal_fault;
#define GAL_CURSOR (-1)

/* ---- a device ----
 *
 * Order. All that is issued on a device happens in the order of the calls, as if one after another: kernels,
 * uploads, downloads and replays alike. A device with streams of its own keeps to that with events.
 *
 * Memory. A block is reused as soon as its owner has given it up, by calls that are issued later: right in
 * one order, and the reason for it. Scopes and programs hand out parts of a block at multiples of
 * `alignment`; a view begins at any element, an optimiser's parameters every 64 bytes.
 *
 * Time. issue, replay, upload and release may return before the work is done, download and synchronize may
 * not. A failure of work that is still to come surfaces at the next of download, synchronize and replay, once
 * and nowhere else: event_wait, release and release_pinned may wait for work, but neither report nor forget
 * what failed of it. The results of what was issued since are undefined then, and the device goes on.
 *
 * Capture. While a program is recorded each op has run once, so that a device has by then allocated, planned
 * and initialised what the op needs for these shapes. prepare() may capture the list: from there on a kernel
 * allocates nothing, waits for nothing, searches no algorithm and calls no library for the first time.
 * Uploads come before: what the host writes while a program is recorded lies in a block of its own, and the
 * list copies it from there.
 *
 * Bits. runtime/README.md says which results owe their bits to nothing but their inputs; products and image
 * layers in general do not. */
typedef struct gal_backend gal_backend;
struct gal_backend {
    const char *name;      /* "cpu", "cuda:1": what --device takes and x:device() says */
    void *self;            /* the device's own */
    int64_t alignment;     /* of every block and of every tensor in it, in bytes: a power of two */
    int32_t host_readable; /* the host may read and write the memory by itself, whenever it likes */

    /* Everything that galrun_core.h says of gal_device_info. */
    gal_status (*about)(const gal_backend *device, gal_device_info *out);
    /* A block of device memory, of undefined contents. Leaves *out NULL and returns GAL_MEMORY where there is
     * none left. */
    gal_status (*allocate)(const gal_backend *device, void **out, size_t bytes);
    void (*release)(const gal_backend *device, void *memory, size_t bytes);
    /* Host memory that upload_pinned may read while the host goes on; as allocate otherwise. `release_pinned`
     * is never given NULL. */
    gal_status (*allocate_pinned)(const gal_backend *device, void **out, size_t bytes);
    void (*release_pinned)(const gal_backend *device, void *memory, size_t bytes);

    /* host may be overwritten or freed as soon as this returns. */
    gal_status (*upload)(const gal_backend *device, void *to, const void *host, size_t bytes);
    /* `pinned` may be overwritten when an event recorded after this has passed. */
    gal_status (*upload_pinned)(const gal_backend *device, void *to, const void *pinned, size_t bytes);
    /* Waits for all that was issued, and then for the bytes. */
    gal_status (*download)(const gal_backend *device, void *host, const void *from, size_t bytes);
    gal_status (*synchronize)(const gal_backend *device);
    /* An event passes when all that was issued before its recording is done, failed or not. One that was
     * never recorded has passed. *event is NULL only where event_new fails; event_free is never given NULL.
     * event_wait only waits (Time, above): what it returns is whether it could. */
    gal_status (*event_new)(const gal_backend *device, void **event);
    void (*event_free)(const gal_backend *device, void *event);
    gal_status (*event_record)(const gal_backend *device, void *event);
    gal_status (*event_wait)(const gal_backend *device, void *event); /* the host waits */

    /* Whether there is a kernel for the op. */
    int (*has)(const gal_backend *device, int op);
    /* Whether that kernel, of a product, a convolution or the integrator, multiplies in a gal_precision. ops/
     * refuses the others by name; none is put in another's place. */
    int (*has_precision)(const gal_backend *device, int op, int precision);
    /* Whether conv2d shall write its slope down for the backward, or work it out again there: weights
     * {out, kh, kw, c} by which costs less on this device. */
    int (*stores_slope)(const gal_backend *device, int64_t out, int64_t kh, int64_t kw, int64_t c);

    /* One call, now or behind all that came before. */
    gal_status (*issue)(const gal_backend *device, const gal_call *call);
    /* A recorded list made ready to run: chosen lanes and barriers on the CPU, a captured graph on a GPU. The
     * list outlives the plan. Replay runs it `times` times, bounded ahead so that Ctrl-C is answered between
     * two of them (GAL_INTERRUPTED). */
    gal_status (*prepare)(const gal_backend *device, void **plan, const gal_call *calls, int64_t count);
    gal_status (*replay)(const gal_backend *device, void *plan, int64_t times);
    void (*forget)(const gal_backend *device, void *plan);
};

/* What the host gives to a device in a library of its own, so that the library links with no undefined symbol
 * of ours. */
typedef struct gal_host {
    int32_t version; /* GAL_BACKEND_VERSION */
    gal_status (*fail)(gal_status status, const char *format, ...);
    gal_status (*fault)(const gal_fault *fault); /* the fault's sentence, and GAL_VALUE */
    void (*note)(const char *format, ...);
    int (*interrupted)(void);
    int (*threads)(int n);
} gal_host;
#define GAL_BACKEND_VERSION 3
/* The library's one exported symbol, gal_backend_open: *device is the library's device of that number, from
 * 0; or the reason why it can't be had. Refuses a host of another version. */
typedef gal_status gal_backend_opener(const gal_backend **device, int number, const gal_host *host);

#endif
