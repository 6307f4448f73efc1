/* backend.h: the list of all ops, the structs of their arguments, and the table that a device fills: cpu/
 * one, a library that is loaded at run time another.
 *
 * An op is four hops: lua/gal/tensor/ -> ops/ (checks) -> this table -> kernel. ops/ has checked every shape,
 * dtype and device before a kernel runs, so kernels check only what the data alone can show (an index out of
 * range). */
#ifndef GAL_BACKEND_H
#define GAL_BACKEND_H
#include "galrun.h"

/* A lane is one of the workers that run the same kernel side by side: on the CPU thread `index` of `count`,
 * which does its share of the work; on a GPU there is one lane, and it carries the stream. */
typedef struct gal_lane {
    int index, count;
    void *stream;
} gal_lane;

/* A kernel runs one op. args is the op's plain struct below; a recorded program keeps a copy of it, so
 * nothing in it points into the caller's stack. What changes from step to step is read through a pointer into
 * device memory. Returns GAL_OK, or a status with the sentence in gal_error(). */
typedef gal_status gal_kernel(const gal_lane *lane, const void *args);

/* One call: a kernel, its arguments and its work: about how many operations it does, by which the backend
 * chooses the lanes, or GAL_SERIAL or GAL_WHOLE. */
typedef struct gal_call {
    gal_kernel *kernel;
    const void *args;
    int64_t work;
} gal_call;
#define GAL_SERIAL 0   /* one lane */
#define GAL_WHOLE (-1) /* the kernel runs on the calling thread alone and may start threads of its own */

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

/* x {outer, n, inner} -> y {outer, inner}; sort: x {outer, n} -> y {outer, n}. */
typedef struct gal_reduce_args {
    void *y;
    const float *x;
    int64_t outer, n, inner;
} gal_reduce_args;

/* gather: rows of `width` bytes, y {count, width} from x {rows, width} at index {count}. scatter: float32
 * rows of width / 4, x {count, ...} added to y {rows, ...}. */
typedef struct gal_rows_args {
    void *y;
    const void *x;
    const int64_t *index;
    int64_t count, rows, width;
} gal_rows_args;

/* y {m, n} (row stride ldy, columns contiguous) = a {m, k} b {k, n}: element (i, j) of a at a[i * a_row + j *
 * a_col]. */
typedef struct gal_matmul_args {
    float *y;
    const float *a, *b;
    int64_t m, n, k, ldy, a_row, a_col, b_row, b_col;
    int32_t accumulate;
} gal_matmul_args;

/* linear: y {rows, out}, slope {rows, out} or NULL, x {rows, in}, w {out, in}, b {out} or NULL.
 * backward_input: y = dx {rows, in}, x = dz {rows, out}. backward_weight: y = dw {out, in} or NULL, slope =
 * db {out} or NULL, w = dz {rows, out}, x {rows, in}. */
typedef struct gal_linear_args {
    float *y, *slope;
    const float *x, *w, *b;
    int64_t rows, in, out;
    int32_t activation, accumulate;
} gal_linear_args;

/* y {rows, n}; state {key, counter}; streams {rows}, or NULL for stream 0 and one row; random_advance adds
 * blocks to the counter. */
typedef struct gal_random_args {
    void *y;
    uint64_t *state;
    const int64_t *streams;
    int64_t rows, n, blocks;
} gal_random_args;

typedef struct gal_flow_draw_args {
    float *t, *theta_t, *velocity; /* {batch, 1}, {batch, d}, {batch, d} */
    const float *theta;            /* {rows, d} */
    const int64_t *index;          /* {batch} */
    const uint64_t *state;
    int64_t batch, rows, d;
    float sigma;
} gal_flow_draw_args;

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

typedef struct gal_batch_args {
    int64_t *index, *cursor; /* {batch}, {} */
    const int64_t *order;    /* {rows} */
    int64_t batch, rows;
} gal_batch_args;

/* mse: loss {}, prediction and target {count}; backward: gradient {count}, loss = dloss. */
typedef struct gal_mse_args {
    float *gradient, *loss;
    const float *prediction, *target;
    int64_t count;
} gal_mse_args;

/* One step of an optimiser over a block of `count` elements; every number that changes from step to step is
 * behind a pointer. */
typedef struct gal_step_args {
    float *parameter, *first, *second;
    const float *gradient, *hyper;
    int64_t *step;
    double *total; /* accumulate, sum_squares, clip: {} */
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
    X(batch_rows,                gal_batch_args)          \
    X(sum,                       gal_reduce_args)         \
    X(mean,                      gal_reduce_args)         \
    X(max,                       gal_reduce_args)         \
    X(min,                       gal_reduce_args)         \
    X(std,                       gal_reduce_args)         \
    X(sort,                      gal_reduce_args)         \
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
    X(conv2d_backward_prepare,   gal_conv_args)           \
    X(conv2d_backward,           gal_conv_args)           \
    X(conv2d_backward_finish,    gal_conv_args)           \
    X(avg_pool2d,                gal_pool_args)           \
    X(avg_pool2d_backward,       gal_pool_args)           \
    X(max_pool2d,                gal_pool_args)           \
    X(max_pool2d_backward,       gal_pool_args)           \
    X(layer_norm,                gal_layer_norm_args)     \
    X(layer_norm_backward,       gal_layer_norm_args)     \
    X(layer_norm_backward_scale, gal_layer_norm_args)     \
    X(flow_draw,                 gal_flow_draw_args)      \
    X(mse,                       gal_mse_args)            \
    X(mse_backward,              gal_mse_args)            \
    X(flow_integrate,            gal_flow_integrate_args) \
    X(count_step,                gal_step_args)           \
    X(adamw,                     gal_step_args)           \
    X(sgd,                       gal_step_args)           \
    X(average,                   gal_step_args)           \
    X(clip,                      gal_step_args)           \
    X(sum_squares,               gal_step_args)           \
    X(accumulate,                gal_step_args)           \
    X(kde_log_density,           gal_kde_args)

/* What a backend may want to do on the calling thread (GAL_WHOLE) before the lanes of the op; NULL where it
 * wants nothing, as in the CPU's specification. */
#define GAL_PREPARATIONS(X)                            \
    X(conv2d_prepare,         gal_conv_args)           \
    X(flow_integrate_prepare, gal_flow_integrate_args)
/* clang-format on */

/* Every op. X takes the name and, `...`, what its list says of it. */
#define GAL_OPS(X) GAL_UNARY_OPS(X) GAL_BINARY_OPS(X) GAL_OTHER_OPS(X)

/* gal_args_of_OP: the struct that OP takes. */
#define GAL_ARGS_OF_MAP(name, cost) typedef gal_map_args gal_args_of_##name;
#define GAL_ARGS_OF(name, args) typedef args gal_args_of_##name;
GAL_UNARY_OPS(GAL_ARGS_OF_MAP)
GAL_BINARY_OPS(GAL_ARGS_OF_MAP)
GAL_OTHER_OPS(GAL_ARGS_OF)
GAL_PREPARATIONS(GAL_ARGS_OF)

/* ---- the table ---- */
typedef struct gal_backend {
    const char *name; /* "cpu", "cuda" */
    int on_host;      /* 1: the host may read and write its memory by pointer */

    /* Memory of the device, aligned to 64 bytes. Where none is left allocate sets *out to NULL and returns
     * GAL_MEMORY. */
    gal_status (*allocate)(void **out, size_t bytes);
    void (*release)(void *memory, size_t bytes);
    gal_status (*upload)(void *device, const void *host, size_t bytes);
    gal_status (*download)(void *host, const void *device, size_t bytes);

    /* Runs one call now. */
    gal_status (*issue)(const gal_call *call);
    /* Makes a plan of a recorded list of calls, ready to run: on the CPU lanes and barriers, on a GPU a
     * captured graph. The list outlives the plan. */
    gal_status (*prepare)(void **plan, const gal_call *calls, int64_t count);
    gal_status (*replay)(void *plan, int64_t times);
    void (*forget)(void *plan);

    /* The kernels, each under its op's name. layer_norm_backward computes dx by rows,
     * layer_norm_backward_scale dscale and dshift by columns. A convolution is up to three calls: prepare on
     * the calling thread (GAL_WHOLE), the lanes, and, when all of them are done, finish by lanes; at least
     * one of the three is set. */
#define GAL_KERNEL(name, ...) gal_kernel *name;
    GAL_OPS(GAL_KERNEL)
    GAL_PREPARATIONS(GAL_KERNEL)
#undef GAL_KERNEL
} gal_backend;

/* What galrun gives to a backend in a library of its own, which so needs no symbol of galrun's. */
typedef struct gal_host {
    int version; /* GAL_BACKEND_VERSION */
    gal_status (*fail)(gal_status status, const char *format, ...);
    int (*interrupted)(void);
} gal_host;
#define GAL_BACKEND_VERSION 1
/* The library's one exported symbol: sets *backend and returns GAL_OK, or fails with the reason why the
 * device can't be had. */
typedef gal_status gal_backend_open(const gal_backend **backend, const gal_host *host);

#endif
