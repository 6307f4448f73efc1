/* conv.c: convolutions with their activation and mean pool, and their backward, put together: cuDNN does the
 * products (cudnn.c), conv_pass.cu what lies between them.
 *
 * The backward needs z = x * w, without the bias. The forward leaves it in the memory of the slope, whose
 * bytes only this device reads, and the backward forms f'(z + b) from it: what is written once is z and not z
 * and a slope. In bfloat16 z takes half of that memory, and x and w as the products take them lie behind it
 * where they fit. A first layer in bfloat16 is conv_first.cu's. */
#include "conv.h"

/* Values of z at once: images beyond them are another round. It bounds the scratch block, to some hundredth
 * of the card's memory, and tensors to what 32 bits count. */
static int64_t values_of(const gal_cuda *device)
{
    int64_t most = (int64_t)1 << 26, share = device->total / 1024;
    return share < most ? share : most;
}

/* ---- where things lie ---- */

/* How many values the tensors of a round have, and the bytes of a value where products take it. */
typedef struct counts {
    int64_t x, w, z, size;
} counts;

static counts counts_of(const gal_conv_args *g)
{
    return (counts){.x = g->n * g->h * g->w * g->c,
                    .w = g->out * g->kh * g->kw * g->c,
                    .z = g->n * g->zh * g->zw * g->out,
                    .size = g->precision == GAL_IN_BF16 ? 2 : 4};
}

/* x, w and z as the products take them, or NULL. */
typedef struct places {
    void *x, *w, *z;
} places;

static char *after(const void *p, int64_t bytes)
{
    return (char *)(((uintptr_t)p + (uintptr_t)bytes + 255) / 256 * 256);
}

/* What the caller's memory holds. Behind bfloat16's z there is room for x and w where a layer has more
 * outputs than inputs. */
static places given(const gal_conv_args *g)
{
    counts n = counts_of(g);
    if (n.size == 4)
        return (places){(void *)g->x, (void *)g->weight, g->slope};
    if (!g->slope)
        return (places){0};
    char *x = after(g->slope, 2 * n.z), *w = after(x, 2 * n.x);
    int fits = w + 2 * n.w <= (char *)(g->slope + n.z);
    return (places){fits ? x : NULL, fits ? w : NULL, g->slope};
}

/* The scratch block in parts: how many bytes they take, and then where they begin. */
static int64_t part(int64_t *bytes, int wanted, int64_t size)
{
    int64_t at = *bytes;
    *bytes += wanted ? (size + 255) / 256 * 256 : 0;
    return at;
}

/* Bytes that all of these are multiples of, at most 16. */
static uint32_t alignment_of(const void *a, const void *b, const void *c)
{
    uintptr_t all = (uintptr_t)a | (uintptr_t)b | (uintptr_t)c | 16;
    return (uint32_t)(all & -all);
}

/* x and w in bfloat16, where they are not there already. */
static gal_status narrow(gal_cuda *device, const gal_conv_args *g, places to)
{
    counts n = counts_of(g);
    places there = given(g);
    int x = n.size == 2 && to.x && to.x != there.x, w = n.size == 2 && to.w && to.w != there.w;
    return gal_conv_narrow(device, to.x, g->x, x ? n.x : 0, to.w, g->weight, w ? n.w : 0);
}

/* ---- forward ---- */

static gal_status forward(gal_cuda *device, const gal_conv_args *g)
{
    counts n = counts_of(g);
    places at = given(g);
    const gal_conv_plan *plan = NULL;
    int64_t bytes = 0;
    char *block = NULL;
    if (!at.z && g->pool == 1 && n.size == 4)
        at.z = g->y;
    int64_t x = part(&bytes, !at.x, 2 * n.x), w = part(&bytes, !at.w, 2 * n.w),
            z = part(&bytes, !at.z, n.size * n.z);
    gal_status status =
        gal_cuda_conv_plan(device, &plan, g, GAL_CONV_FORWARD, alignment_of(at.x, at.w, at.z));
    if (status != GAL_OK)
        return status;
    int64_t room = part(&bytes, 1, (int64_t)gal_cuda_conv_room(plan));
    status = gal_cuda_scratch(device, (void **)&block, (size_t)bytes);
    if (status != GAL_OK)
        return status;
    places to = {at.x ? at.x : block + x, at.w ? at.w : block + w, at.z ? at.z : block + z};
    if (n.size == 2) /* also where the slope's memory has room for them: now they lie there */
        status = gal_conv_narrow(device, to.x, g->x, n.x, to.w, g->weight, n.w);
    if (status == GAL_OK)
        status = gal_cuda_conv_run(device, plan, to.x, to.w, to.z, block + room);
    int done = to.z == g->y && g->activation == GAL_IDENTITY && !g->bias;
    return status == GAL_OK && !done ? gal_conv_output(device, g, to.z) : status;
}

/* ---- backward ---- */

/* What a round's backward needs, and where that lies. */
typedef struct round {
    places at;
    void *dz, *dx, *dw; /* as the products take or leave them */
    double *sums;
    char *room;
    const gal_conv_plan *z_plan, *dx_plan, *dw_plan;
    int again, same; /* z is worked out again; dz is dy */
} round;

static gal_status plan(gal_cuda *device, const gal_conv_plan **out, int64_t *room, const gal_conv_args *g,
                       gal_conv_part which, uint32_t alignment)
{
    gal_status status = gal_cuda_conv_plan(device, out, g, which, alignment);
    if (status == GAL_OK && (int64_t)gal_cuda_conv_room(*out) > *room)
        *room = (int64_t)gal_cuda_conv_room(*out);
    return status;
}

/* Where a round's backward does its work. */
static gal_status place(gal_cuda *device, const gal_conv_args *g, round *r)
{
    counts n = counts_of(g);
    places at = given(g);
    int64_t bytes = 0, room = 0;
    char *block = NULL;
    r->again = !g->slope && g->activation != GAL_IDENTITY;
    r->same = n.size == 4 && g->activation == GAL_IDENTITY && g->pool == 1;
    int products = g->dx || g->dw, own_dx = g->dx && n.size == 2,
        own_dw = g->dw && (n.size == 2 || g->accumulate);
    int64_t x = part(&bytes, !at.x, n.size * n.x), w = part(&bytes, !at.w, n.size * n.w),
            dz = part(&bytes, (products || r->again) && !r->same, n.size * n.z),
            dx = part(&bytes, own_dx, n.size * n.x), dw = part(&bytes, own_dw, n.size * n.w),
            sums = part(&bytes, g->db != NULL, gal_conv_blocks(device) * g->out * (int64_t)sizeof(double));
    const void *z_given = r->same ? g->dy : NULL;
    gal_status status = GAL_OK;
    if (r->again)
        status = plan(device, &r->z_plan, &room, g, GAL_CONV_FORWARD, alignment_of(at.x, at.w, NULL));
    if (status == GAL_OK && g->dx)
        status = plan(device, &r->dx_plan, &room, g, GAL_CONV_INPUT,
                      alignment_of(own_dx ? NULL : g->dx, at.w, z_given));
    if (status == GAL_OK && g->dw)
        status = plan(device, &r->dw_plan, &room, g, GAL_CONV_WEIGHT,
                      alignment_of(at.x, own_dw ? NULL : g->dw, z_given));
    int64_t to_room = part(&bytes, 1, room);
    if (status == GAL_OK)
        status = gal_cuda_scratch(device, (void **)&block, (size_t)bytes);
    if (status != GAL_OK)
        return status;
    r->at.x = at.x ? at.x : block + x;
    r->at.w = at.w ? at.w : block + w;
    r->dz = r->same ? (void *)g->dy : products || r->again ? block + dz : NULL;
    r->at.z = r->again ? r->dz : g->activation == GAL_IDENTITY ? NULL : at.z;
    r->dx = own_dx ? (void *)(block + dx) : g->dx;
    r->dw = own_dw ? (void *)(block + dw) : g->dw;
    r->sums = g->db ? (double *)(block + sums) : NULL;
    r->room = block + to_room;
    return GAL_OK;
}

static gal_status backward(gal_cuda *device, const gal_conv_args *g)
{
    round r = {0};
    counts n = counts_of(g);
    gal_conv_ends_args ends = {.dx = g->dx, .dw = g->dw, .db = g->db};
    gal_status status = place(device, g, &r);
    if (status == GAL_OK)
        status = narrow(device, g, r.at);
    if (status == GAL_OK && r.again)
        status = gal_cuda_conv_run(device, r.z_plan, r.at.x, r.at.w, r.at.z, r.room);
    if (status == GAL_OK && (r.sums || !r.same))
        status = gal_conv_slopes(device, g, r.at.z, r.same ? NULL : r.dz, r.sums, &ends.blocks);
    if (status == GAL_OK && g->dx)
        status = gal_cuda_conv_run(device, r.dx_plan, r.dx, r.at.w, r.dz, r.room);
    if (status == GAL_OK && g->dw)
        status = gal_cuda_conv_run(device, r.dw_plan, r.at.x, r.dw, r.dz, r.room);
    ends.dx_from = r.dx == g->dx ? NULL : r.dx;
    ends.dw_from = r.dw == g->dw ? NULL : r.dw;
    ends.sums = r.sums, ends.dx_count = n.x, ends.dw_count = n.w;
    ends.out = g->out, ends.accumulate = g->accumulate;
    return status == GAL_OK ? gal_conv_ends(device, g, &ends) : status;
}

/* ---- the ops ---- */

/* Runs `one` on the images in rounds. A later round adds to dw and db. */
static gal_status rounds(gal_cuda *device, const gal_conv_args *g,
                         gal_status (*one)(gal_cuda *, const gal_conv_args *))
{
    int64_t image = g->zh * g->zw * g->out, values = values_of(device),
            most = image < values ? values / image : 1;
    int64_t pooled = g->zh / g->pool * (g->zw / g->pool) * g->out, x = g->h * g->w * g->c;
    gal_status status = GAL_OK;
    for (int64_t first = 0; first < g->n && status == GAL_OK; first += most) {
        gal_conv_args some = *g;
        some.n = g->n - first < most ? g->n - first : most;
        some.x = g->x + first * x;
        some.y = g->y ? g->y + first * pooled : NULL;
        some.dy = g->dy ? g->dy + first * pooled : NULL;
        some.dx = g->dx ? g->dx + first * x : NULL;
        some.slope = g->slope ? g->slope + first * image : NULL;
        some.accumulate = g->accumulate || first > 0;
        status = one(device, &some);
    }
    return status;
}

gal_status gal_cuda_conv2d(gal_cuda *device, const void *args)
{
    return gal_conv_first_takes(args) ? gal_conv_first(device, args) : rounds(device, args, forward);
}

gal_status gal_cuda_conv2d_backward(gal_cuda *device, const void *args)
{
    gal_conv_args g = *(const gal_conv_args *)args;
    if (!gal_conv_first_takes(&g))
        return rounds(device, &g, backward);
    if (!g.dx)
        return gal_conv_first_backward(device, &g);
    g.slope = NULL; /* nothing lies there */
    return rounds(device, &g, backward);
}
