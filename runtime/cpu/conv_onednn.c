/* conv_onednn.c: convolutions by oneDNN, 2.x and 3.x, for GALRUN_CONV=onednn. Our own tiles (fast/conv.c)
 * were faster in every shape of tests/bench/w2.md and keep an image's bits apart from its batch, so this is
 * for machines where they are not, and a second opinion for the tests. Primitives are made once for each
 * shape and kept; what oneDNN can't do quickly the plain kernels do, and gal_notice() says so. */
#include "conv_onednn.h"
#include "cpu.h"

#ifdef GAL_ONEDNN
#include "activation.h"
#include "scratch.h"
#include <dnnl.h>
#include <stdlib.h>
#include <string.h>

/* ---- the two C interfaces: memory descriptions are structs in 2.x, handles in 3.x; operation descriptions
 * are gone in 3.x ---- */
#if DNNL_VERSION_MAJOR >= 3
typedef const_dnnl_memory_desc_t description;
#else
typedef const dnnl_memory_desc_t *description;
#endif
typedef enum { FORWARD, DATA, WEIGHTS, KINDS } kind;

/* Everything about one convolution of one shape. */
typedef struct shape {
    int64_t n, h, w, c, zh, zw, out, kh, kw, stride, top, left;
    int32_t bias, kind, threads;
} shape;
typedef struct made {
    struct made *next;
    shape shape;
    int usable;
    dnnl_primitive_t primitive, reorder; /* reorder: weights {out, kh, kw, c} to the primitive's order, or
                                            back; NULL where they are the same */
    dnnl_memory_t image, weights, packed, bias, z, scratch;
    size_t packed_bytes, scratch_bytes;
} made;
static made *kept;
static dnnl_engine_t engine;
static dnnl_stream_t stream;

static int describe(dnnl_memory_desc_t *out, int rank, const dnnl_dim_t *dims, dnnl_format_tag_t tag)
{
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_memory_desc_create_with_tag(out, rank, dims, dnnl_f32, tag) == dnnl_success;
#else
    return dnnl_memory_desc_init_by_tag(out, rank, dims, dnnl_f32, tag) == dnnl_success;
#endif
}

#if DNNL_VERSION_MAJOR >= 3
#define REF(md) (md)
#define DROP(md) dnnl_memory_desc_destroy(md)
#else
#define REF(md) (&(md))
#define DROP(md) ((void)(md))
#endif

/* The primitive's description. hint: that of the forward, for the backward kinds. */
static int describe_convolution(dnnl_primitive_desc_t *out, kind kind, const shape *s, description x,
                                description w, description b, description z, dnnl_primitive_attr_t attributes,
                                dnnl_primitive_desc_t hint)
{
    const dnnl_dims_t strides = {s->stride, s->stride}, none = {0, 0}, before = {s->top, s->left};
    const dnnl_dims_t after = {(s->zh - 1) * s->stride + s->kh - s->h - s->top,
                               (s->zw - 1) * s->stride + s->kw - s->w - s->left};
#if DNNL_VERSION_MAJOR >= 3
    if (kind == FORWARD)
        return dnnl_convolution_forward_primitive_desc_create(
                   out, engine, dnnl_forward_training, dnnl_convolution_direct, x, w, b, z, strides, none,
                   before, after, attributes) == dnnl_success;
    if (kind == DATA)
        return dnnl_convolution_backward_data_primitive_desc_create(out, engine, dnnl_convolution_direct, x,
                                                                    w, z, strides, none, before, after, hint,
                                                                    attributes) == dnnl_success;
    return dnnl_convolution_backward_weights_primitive_desc_create(out, engine, dnnl_convolution_direct, x, w,
                                                                   b, z, strides, none, before, after, hint,
                                                                   attributes) == dnnl_success;
#else
    dnnl_convolution_desc_t d;
    dnnl_status_t status;
    if (kind == FORWARD)
        status = dnnl_dilated_convolution_forward_desc_init(
            &d, dnnl_forward_training, dnnl_convolution_direct, x, w, b, z, strides, none, before, after);
    else if (kind == DATA)
        status = dnnl_dilated_convolution_backward_data_desc_init(&d, dnnl_convolution_direct, x, w, z,
                                                                  strides, none, before, after);
    else
        status = dnnl_dilated_convolution_backward_weights_desc_init(&d, dnnl_convolution_direct, x, w, b, z,
                                                                     strides, none, before, after);
    return status == dnnl_success &&
           dnnl_primitive_desc_create(out, &d, attributes, engine, hint) == dnnl_success;
#endif
}

static description asked(dnnl_primitive_desc_t pd, dnnl_query_t what)
{
    return dnnl_primitive_desc_query_md(pd, what, 0);
}

/* A memory object whose place is set when it is used. */
static int memory_of(dnnl_memory_t *out, description md)
{
    return dnnl_memory_create(out, md, engine, DNNL_MEMORY_NONE) == dnnl_success;
}

/* Reference implementations ("ref:any") are hundreds of times slower than ours. */
static int is_quick(dnnl_primitive_desc_t pd)
{
    const char *name = NULL;
    return dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, &name) == dnnl_success && name &&
           strncmp(name, "ref", 3) != 0;
}

static int make_reorder(made *m, description plain, description packed)
{
    if (dnnl_memory_desc_equal(plain, packed))
        return 1;
    dnnl_primitive_desc_t pd = NULL;
    int back = m->shape.kind == WEIGHTS;
    int ok = dnnl_reorder_primitive_desc_create(&pd, back ? packed : plain, engine, back ? plain : packed,
                                                engine, NULL) == dnnl_success &&
             dnnl_primitive_create(&m->reorder, pd) == dnnl_success;
    dnnl_primitive_desc_destroy(pd);
    return ok;
}

/* Fills m for its shape; 0 where oneDNN has nothing quick for it. Images and z keep our order: `any` would
 * ask for copies of them. */
static int make(made *m)
{
    const shape *s = &m->shape;
    dnnl_memory_desc_t x, z, w, any, b;
    int ok = describe(&x, 4, (dnnl_dims_t){s->n, s->c, s->h, s->w}, dnnl_nhwc) &&
             describe(&z, 4, (dnnl_dims_t){s->n, s->out, s->zh, s->zw}, dnnl_nhwc) &&
             describe(&w, 4, (dnnl_dims_t){s->out, s->c, s->kh, s->kw}, dnnl_ohwi) &&
             describe(&any, 4, (dnnl_dims_t){s->out, s->c, s->kh, s->kw}, dnnl_format_tag_any) &&
             describe(&b, 1, (dnnl_dims_t){s->out}, dnnl_a);
    dnnl_primitive_attr_t attributes = NULL;
    dnnl_primitive_desc_t hint = NULL, pd = NULL;
    ok = ok && dnnl_primitive_attr_create(&attributes) == dnnl_success &&
         dnnl_primitive_attr_set_scratchpad_mode(attributes, dnnl_scratchpad_mode_user) == dnnl_success;
    if (ok && s->kind != FORWARD)
        ok = describe_convolution(&hint, FORWARD, s, REF(x), REF(any), s->bias ? REF(b) : NULL, REF(z), NULL,
                                  NULL);
    ok = ok &&
         describe_convolution(&pd, s->kind, s, REF(x), REF(any), s->bias && s->kind != DATA ? REF(b) : NULL,
                              REF(z), attributes, hint) &&
         is_quick(pd);
    if (ok) {
        description packed =
                        asked(pd, s->kind == WEIGHTS ? dnnl_query_diff_weights_md : dnnl_query_weights_md),
                    scratch = asked(pd, dnnl_query_scratchpad_md);
        m->packed_bytes = dnnl_memory_desc_get_size(packed);
        m->scratch_bytes = dnnl_memory_desc_get_size(scratch);
        ok = dnnl_primitive_create(&m->primitive, pd) == dnnl_success && make_reorder(m, REF(w), packed) &&
             memory_of(&m->image, REF(x)) && memory_of(&m->z, REF(z)) && memory_of(&m->weights, REF(w)) &&
             memory_of(&m->packed, packed) && memory_of(&m->bias, REF(b)) && memory_of(&m->scratch, scratch);
    }
    dnnl_primitive_desc_destroy(pd);
    dnnl_primitive_desc_destroy(hint);
    dnnl_primitive_attr_destroy(attributes);
    DROP(x), DROP(z), DROP(w), DROP(any), DROP(b);
    return ok;
}

/* The kept primitive of this shape, made where it is new; NULL where memory is out. Primitives are for one
 * number of threads. */
static made *find(const gal_conv_args *g, kind kind)
{
    shape s;
    memset(&s, 0, sizeof s);
    s.n = g->n, s.h = g->h, s.w = g->w, s.c = g->c, s.zh = g->zh, s.zw = g->zw, s.out = g->out, s.kh = g->kh,
    s.kw = g->kw;
    s.stride = g->stride, s.top = g->top, s.left = g->left, s.kind = kind, s.threads = gal_threads(0);
    s.bias = kind == FORWARD ? g->bias != NULL : g->db != NULL;
    for (made *m = kept; m; m = m->next)
        if (!memcmp(&m->shape, &s, sizeof s))
            return m;
    made *m = calloc(1, sizeof *m);
    if (!m)
        return NULL;
    if (!engine && (dnnl_engine_create(&engine, dnnl_cpu, 0) != dnnl_success ||
                    dnnl_stream_create(&stream, engine, dnnl_stream_default_flags) != dnnl_success))
        engine = NULL;
    *m = (made){.next = kept, .shape = s};
    kept = m;
    m->usable = engine && make(m);
    return m;
}

static int run(dnnl_primitive_t primitive, const dnnl_exec_arg_t *args, int count)
{
    return dnnl_primitive_execute(primitive, stream, count, args) == dnnl_success &&
           dnnl_stream_wait(stream) == dnnl_success;
}

/* Floats that `bytes` take, to the next cache line. */
static size_t floats(size_t bytes)
{
    return (bytes + 63) / 64 * 16;
}

static int place(dnnl_memory_t memory, const void *data)
{
    return dnnl_memory_set_data_handle(memory, (void *)data) == dnnl_success;
}

/* One convolution: image, weights {out, kh, kw, c} and z are read or written as the kind says; room {packed,
 * scratch} floats. */
static int convolve(made *m, const void *image, const void *weights, const void *bias, const void *z,
                    float *room)
{
    void *packed = m->reorder ? (void *)room : (void *)weights;
    int kind = m->shape.kind;
    if (!place(m->image, image) || !place(m->weights, weights) || !place(m->packed, packed) ||
        !place(m->bias, bias) || !place(m->z, z) || !place(m->scratch, room + floats(m->packed_bytes)))
        return 0;
    const dnnl_exec_arg_t order[] = {{DNNL_ARG_FROM, kind == WEIGHTS ? m->packed : m->weights},
                                     {DNNL_ARG_TO, kind == WEIGHTS ? m->weights : m->packed}};
    const dnnl_exec_arg_t args[] = {{kind == DATA ? DNNL_ARG_DIFF_SRC : DNNL_ARG_SRC, m->image},
                                    {kind == WEIGHTS ? DNNL_ARG_DIFF_WEIGHTS : DNNL_ARG_WEIGHTS, m->packed},
                                    {kind == FORWARD ? DNNL_ARG_DST : DNNL_ARG_DIFF_DST, m->z},
                                    {DNNL_ARG_SCRATCHPAD, m->scratch},
                                    {kind == WEIGHTS ? DNNL_ARG_DIFF_BIAS : DNNL_ARG_BIAS, m->bias}};
    int count = kind != DATA && m->shape.bias ? 5 : 4;
    if (kind == WEIGHTS)
        return run(m->primitive, args, count) && (!m->reorder || run(m->reorder, order, 2));
    return (!m->reorder || run(m->reorder, order, 2)) && run(m->primitive, args, count);
}

/* Around the convolution: z {n, zh, zw, out}. Lanes share pixels of y, or of z. */
typedef struct around_args {
    const gal_conv_args *conv;
    float *z;
} around_args;

/* y from z, and slope if it is asked for. */
static gal_status activate_and_pool(const gal_lane *lane, const void *args)
{
    const gal_conv_args *g = ((const around_args *)args)->conv;
    const float *z = ((const around_args *)args)->z;
    int64_t yh = g->zh / g->pool, yw = g->zw / g->pool, from, to;
    gal_share(lane, g->n * yh * yw, 1, &from, &to);
    for (int64_t p = from; p < to; p++)
        for (int64_t o = 0; o < g->out; o++) {
            float sum = 0, slope;
            for (int64_t k = 0; k < g->pool * g->pool; k++) {
                int64_t row = p / yw % yh * g->pool + k / g->pool, column = p % yw * g->pool + k % g->pool;
                int64_t at = ((p / (yh * yw) * g->zh + row) * g->zw + column) * g->out + o;
                sum += gal_activate(g->activation, z[at], &slope);
                if (g->slope)
                    g->slope[at] = slope;
            }
            g->y[p * g->out + o] = sum / (float)(g->pool * g->pool);
        }
    return GAL_OK;
}

/* dz from dy in place of z, and 0 at pixels that are in no mean. */
static gal_status make_dz(const gal_lane *lane, const void *args)
{
    const gal_conv_args *g = ((const around_args *)args)->conv;
    float *z = ((const around_args *)args)->z;
    int64_t yh = g->zh / g->pool, yw = g->zw / g->pool, from, to;
    gal_share(lane, g->n * g->zh * g->zw, 1, &from, &to);
    for (int64_t p = from; p < to; p++) {
        int64_t n = p / (g->zh * g->zw), row = p / g->zw % g->zh / g->pool, column = p % g->zw / g->pool;
        for (int64_t o = 0; o < g->out; o++) {
            float slope = 1, *at = z + p * g->out + o;
            if (g->slope)
                slope = g->slope[p * g->out + o];
            else if (g->activation != GAL_IDENTITY)
                gal_activate(g->activation, *at, &slope);
            *at = row < yh && column < yw ? slope * g->dy[((n * yh + row) * yw + column) * g->out + o] /
                                                (float)(g->pool * g->pool)
                                          : 0;
        }
    }
    return GAL_OK;
}

static gal_status around(gal_kernel *kernel, const gal_conv_args *g, float *z)
{
    around_args args = {g, z};
    return gal_cpu_run(&(gal_cpu_stage){kernel, &args, 16 * g->n * g->zh * g->zw * g->out});
}

/* The specification's kernels instead, with a notice. */
static gal_status plain(gal_kernel *const *kernels, int count, const gal_conv_args *g)
{
    gal_note("oneDNN has no convolution of {%lld, %lld, %lld, %lld} with {%lld, %lld, %lld, %lld}: the plain "
             "kernel does it, slowly",
             (long long)g->n, (long long)g->h, (long long)g->w, (long long)g->c, (long long)g->out,
             (long long)g->kh, (long long)g->kw, (long long)g->c);
    gal_status status = GAL_OK;
    for (int i = 0; i < count && status == GAL_OK; i++)
        status = gal_cpu_run(&(gal_cpu_stage){kernels[i], g, i < count - 1 ? GAL_WHOLE : INT64_MAX});
    return status;
}

static void note_precision(const gal_conv_args *g)
{
    if (g->precision == GAL_IN_BF16)
        gal_note("convolutions by oneDNN take no precision: \"bf16\" is computed in float32");
}

static gal_status forward(const gal_lane *lane, const void *args)
{
    const gal_conv_args *g = args;
    made *m = find(g, FORWARD);
    (void)lane;
    if (!m || !m->usable)
        return plain((gal_kernel *const[]){gal_cpu_conv2d}, 1, g);
    note_precision(g);
    size_t z_size = floats((size_t)(g->n * g->zh * g->zw * g->out) * 4);
    int whole = g->activation == GAL_IDENTITY && g->pool == 1;
    gal_status status =
        gal_cpu_scratch_grow((z_size + floats(m->packed_bytes) + floats(m->scratch_bytes)) * 4);
    if (status != GAL_OK)
        return status;
    float *z = whole ? g->y : gal_cpu_scratch();
    if (!convolve(m, g->x, g->weight, g->bias, z, (float *)gal_cpu_scratch() + z_size))
        return gal_fail(GAL_DEVICE, "conv2d: oneDNN could not run its convolution");
    return !whole || g->slope ? around(activate_and_pool, g, z) : GAL_OK;
}

static gal_status backward(const gal_lane *lane, const void *args)
{
    const gal_conv_args *g = args;
    int again = !g->slope && g->activation != GAL_IDENTITY, weights = g->dw || g->db;
    made *m[KINDS] = {again ? find(g, FORWARD) : NULL, g->dx ? find(g, DATA) : NULL,
                      weights ? find(g, WEIGHTS) : NULL};
    (void)lane;
    size_t room = 0;
    for (int k = 0; k < KINDS; k++) {
        if ((k == FORWARD ? again : k == DATA ? g->dx != NULL : weights) && !(m[k] && m[k]->usable))
            return plain((gal_kernel *const[]){gal_cpu_conv2d_backward_prepare, gal_cpu_conv2d_backward,
                                               gal_cpu_conv2d_backward_finish},
                         3, g);
        size_t wanted = m[k] ? floats(m[k]->packed_bytes) + floats(m[k]->scratch_bytes) : 0;
        room = wanted > room ? wanted : room;
    }
    note_precision(g);
    int64_t taps = g->kh * g->kw * g->c;
    size_t z_size = floats((size_t)(g->n * g->zh * g->zw * g->out) * 4),
           w_size = floats((size_t)(g->out * taps) * 4), b_size = floats((size_t)g->out * 4);
    gal_status status = gal_cpu_scratch_grow((z_size + w_size + b_size + room) * 4);
    if (status != GAL_OK)
        return status;
    float *dz = gal_cpu_scratch(), *dw = dz + z_size, *db = dw + w_size;
    int ok = !again || convolve(m[FORWARD], g->x, g->weight, g->bias, dz, db + b_size);
    status = around(make_dz, g, dz);
    if (status != GAL_OK)
        return status;
    ok = ok && (!g->dx || convolve(m[DATA], g->dx, g->weight, NULL, dz, db + b_size)) &&
         (!weights || convolve(m[WEIGHTS], g->x, dw, db, dz, db + b_size));
    if (!ok)
        return gal_fail(GAL_DEVICE, "conv2d_backward: oneDNN could not run its convolution");
    for (int64_t i = 0; g->dw && i < g->out * taps; i++)
        g->dw[i] = (g->accumulate ? g->dw[i] : 0) + dw[i];
    for (int64_t o = 0; g->db && o < g->out; o++)
        g->db[o] = (g->accumulate ? g->db[o] : 0) + db[o];
    return GAL_OK;
}

int gal_cpu_onednn(gal_cpu_kernels *table)
{
    table->conv2d_prepare = forward;
    table->conv2d_backward_prepare = backward;
    table->conv2d = table->conv2d_backward = table->conv2d_backward_finish = NULL;
    return 1;
}

#else
int gal_cpu_onednn(gal_cpu_kernels *table)
{
    (void)table;
    return 0;
}
#endif
