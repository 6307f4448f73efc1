/* conv_half_backward.c: the backward of conv_half.h: dz band by band as in conv_direct_backward.c, rounded
 * into two forms, one for dx and one for dw. */
#include "conv_half.h"
#include "cpu/bf16.h"

/* Lanes share dz's channels: flipped {in groups, kh, in blocks, 2, TERMS / 2, SQUARE, 2}, the window turned
 * by half a turn, so that dx is a convolution of dz; terms are (kx, output). */
static gal_status pack(const gal_lane *lane, const void *args)
{
    const gal_conv_args *g = args;
    const half_plan p = FAST(conv_half_plan)(g, 1);
    uint16_t *flipped = (uint16_t *)((float *)gal_cpu_scratch() + p.flipped);
    int64_t outputs = p.groups * PAIR, from, to;
    gal_share(lane, outputs, 2, &from, &to);
    for (int64_t o = from; o < to; o++)
        for (int64_t ky = 0; ky < g->kh; ky++)
            for (int64_t kx = 0; kx < g->kw; kx++) {
                const float *w = g->weight + ((o * g->kh + g->kh - 1 - ky) * g->kw + g->kw - 1 - kx) * g->c;
                int64_t t = kx * outputs + o, block = ky * p.in_blocks + t / TERMS,
                        at = t % TERMS / 2 * PAIR + t % 2;
                for (int64_t c = 0; c < p.in_groups * PAIR; c++)
                    flipped[((c / PAIR * g->kh * p.in_blocks + block) * 2 + c % PAIR / SQUARE) * HALF_TILE +
                            at + c % SQUARE * 2] = o < g->out && c < g->c ? gal_to_bf16(w[c]) : 0;
            }
    return GAL_OK;
}

static gal_status prepare(const gal_lane *lane, const void *args)
{
    const gal_conv_args *g = args;
    const half_plan p = FAST(conv_half_plan)(g, 1);
    (void)lane;
    gal_status status = gal_cpu_scratch_grow((size_t)p.total * sizeof(float));
    if (status == GAL_OK && !g->slope && g->activation != GAL_IDENTITY)
        status = FAST(conv_half_pack)(g);
    if (status == GAL_OK && g->dx)
        status = gal_cpu_run(&(gal_cpu_stage){pack, g, 4 * g->out * g->kh * g->kw * g->c});
    return status;
}

/* A band at work. */
typedef struct half_band {
    conv_band b;
    int64_t n, x_row;       /* the image; the row of z that x16's first row is under */
    const uint16_t *x16;    /* {rows, pitch, c} */
    uint16_t *rows, *pairs; /* {d_rows, in_pitch, PAIR groups}, {groups, 2, pixels / 2, SQUARE, 2} */
    float *z, *line;        /* {strip pitch, PAIR}, {zw, PAIR} */
} half_band;

/* One row of dz, rounded, of one group. used: whether any mean took it in; else zeros. to: for dx, the row
 * with zeros around it, or NULL; pairs: for dw, with zeros behind it, or NULL. */
static void round_dz(const gal_conv_args *g, const half_plan *p, const float *line, int used, uint16_t *to,
                     uint16_t *pairs)
{
    int64_t step = p->groups * PAIR, whole = used ? (g->zw + 1) / 2 : 0;
    for (int64_t i = 0; to && i < p->in_pitch; i++)
        if (!used || i < p->bands.before || i >= p->bands.before + g->zw)
            memset(to + i * step, 0, PAIR * 2);
    for (int q = 0; pairs && q < 2; q++) {
        uint16_t *rest = pairs + q * p->pixels * SQUARE + whole * PAIR;
        memset(rest, 0, (size_t)((p->pitch / 2 - whole) * PAIR) * 2);
    }
    uint16_t *rows = to ? to + p->bands.before * step : NULL;
    if (used)
        FAST(half_line)(rows, step, pairs, p->pixels * SQUARE, line, g->zw);
}

/* dz of one group: h->rows for dx, with zeros around the image; h->pairs of the band's own rows for dw, with
 * zeros between rows; db += its sums, or NULL. */
static void make_dz(half_way way, const gal_conv_args *g, const half_plan *p, const half_band *h,
                    int64_t group, float *db)
{
    int64_t yh = g->zh / g->pool, yw = g->zw / g->pool, first = group * PAIR,
            outputs = least(PAIR, g->out - first), step = p->groups * PAIR;
    int again = !g->slope && g->activation != GAL_IDENTITY;
    int64_t strip = 0; /* z holds rows [strip, strip + p->strip) */
    for (int64_t r = h->b.d_row; r < h->b.d_end; r++) {
        int used = r >= 0 && r < yh * g->pool, own = r >= h->b.row && r < h->b.end;
        uint16_t *to = h->rows + ((r - h->b.d_row) * p->in_pitch) * step + first;
        uint16_t *pairs = h->pairs + group * p->pixels * PAIR + (r - h->b.row) * p->pitch * SQUARE;
        if (used && again && (r == most(h->b.d_row, 0) || r >= strip + p->strip)) {
            const uint16_t *x16 = h->x16 + (r - h->x_row) * p->pitch * g->c;
            int64_t rows = least(p->strip, least(h->b.d_end, yh * g->pool) - r);
            strip = r;
            FAST(conv_half_z)(way, g, p, x16, h->z, rows * p->pitch, group);
        }
        if (used) {
            const float *slope = g->slope ? g->slope + (h->n * g->zh + r) * g->zw * g->out + first : NULL;
            const float *dy = g->dy + (h->n * yh + r / g->pool) * yw * g->out + first;
            const float *z = again ? h->z + (r - strip) * p->pitch * PAIR : NULL;
            FAST(dz_row)(g, h->line, PAIR, slope, z, dy, outputs);
        }
        round_dz(g, p, h->line, used, g->dx ? to : NULL, own && g->dw ? pairs : NULL);
        for (int64_t j = 0; used && own && db && j < PAIR; j += VL)
            store(db + first + j, load(db + first + j) + line_sum(h->line + j, g->zw, PAIR));
    }
    int64_t pixels = (h->b.end - h->b.row) * p->pitch, rest = (TERMS - pixels % TERMS) % TERMS;
    for (int q = 0; q < 2 && g->dw; q++)
        memset(h->pairs + (group * 2 + q) * p->pixels * SQUARE + pixels * SQUARE, 0,
               (size_t)(rest * SQUARE) * 2);
}

/* sums {groups, tiles, SQUARE, PAIR} += the band's part. planes {channels, plane}: room for x transposed,
 * from the band's first row on. */
static void add_dw(half_way way, const gal_conv_args *g, const half_plan *p, const half_band *h,
                   uint16_t *planes, float *sums)
{
    int64_t rows = h->b.end - h->b.row, squares = (g->c + SQUARE - 1) / SQUARE, taps = g->kh * g->kw;
    const uint16_t *x16 = h->x16 + (h->b.row - h->x_row) * p->pitch * g->c;
    half_factors f = {
        .a_row = p->plane, .b_step = HALF_TILE, .start_row = PAIR, .c_row = PAIR, .segments = 1};
    f.blocks = (rows * p->pitch + TERMS - 1) / TERMS;
    int64_t last = (f.blocks * TERMS + (g->kh - 1) * p->pitch + g->kw - 1 + TERMS - 1) / TERMS;
    for (int64_t i = 0; i < squares; i++)
        for (int64_t k = 0; k < last; k++) {
            uint16_t *to = planes + i * SQUARE * p->plane + k * TERMS;
            const uint16_t *pixels = x16 + k * TERMS * g->c + i * SQUARE;
            FAST(half_transpose)(to, p->plane, pixels, g->c, least(SQUARE, g->c - i * SQUARE));
        }
    for (int64_t group = 0; group < p->groups; group++) {
        f.b[0] = h->pairs + group * p->pixels * PAIR, f.b[1] = f.b[0] + p->pixels * SQUARE;
        for (int64_t t = 0; t < p->tiles; t += 2) {
            for (int64_t i = 0; i < 2; i++) {
                int64_t tap = least(t + i, p->tiles - 1) % taps, square = least(t + i, p->tiles - 1) / taps;
                f.a[i] = planes + square * SQUARE * p->plane + tap / g->kw * p->pitch + tap % g->kw;
                f.c[i] = sums + (group * p->tiles + t + i) * SQUARE * PAIR;
                f.start[i] = f.c[i];
            }
            FAST(half_squares)(way, &f, p->tiles - t > 1 ? 2 : 1, squares_of(g->out, group));
        }
    }
}

/* The band's rows of dx. */
static void make_dx(half_way way, const gal_conv_args *g, const half_plan *p, const half_band *h)
{
    static const float zeros[PAIR];
    const uint16_t *weights = (const uint16_t *)((const float *)gal_cpu_scratch() + p->flipped);
    int64_t step = p->groups * PAIR, column = g->left - (g->kw - 1) + p->bands.before;
    for (int64_t group = 0; group < p->in_groups; group++)
        for (int64_t strip = h->b.dx_row; strip < h->b.dx_end; strip += p->in_strip) {
            int64_t rows = least(p->in_strip, h->b.dx_end - strip), first = group * PAIR,
                    n = least(PAIR, g->c - first);
            const uint16_t *a =
                h->rows + ((strip + g->top - (g->kh - 1) - h->b.d_row) * p->in_pitch + column) * step;
            /* The last row ends with its last pixel: memory may end there. */
            flat_sums(way, a, step, p->in_pitch * step, g->kh, p->in_blocks,
                      weights + group * g->kh * p->in_blocks * 2 * HALF_TILE, zeros, h->z,
                      (rows - 1) * p->in_pitch + g->w, squares_of(g->c, group));
            for (int64_t r = 0; r < rows; r++)
                for (int64_t i = 0; i < g->w; i++) {
                    float *to = g->dx + ((h->n * g->h + strip + r) * g->w + i) * g->c + first;
                    const float *from = h->z + (r * p->in_pitch + i) * PAIR;
                    for (int64_t j = 0; j < n; j += VL)
                        store_up_to(to + j, load(from + j), n - j);
                }
        }
}

/* Lanes share the parts that dw is summed in, some bands each; where neither dw nor db is wanted, single
 * bands. */
static gal_status backward(const gal_lane *lane, const void *args)
{
    const gal_conv_args *g = args;
    const half_way way = FAST(half)();
    const half_plan p = FAST(conv_half_plan)(g, 1);
    float *scratch = gal_cpu_scratch(), *mine = scratch + p.lanes + lane->index * p.lane_size;
    int summing = g->dw || g->db, needs_x = g->dw || (!g->slope && g->activation != GAL_IDENTITY);
    int64_t parts = summing ? p.sum_groups : p.bands.units, from, to;
    half_band h = {.x16 = (uint16_t *)mine,
                   .rows = (uint16_t *)(mine + p.lane_rows),
                   .pairs = (uint16_t *)(mine + p.lane_pairs),
                   .z = mine + p.lane_z,
                   .line = mine + p.lane_line};
    gal_share(lane, parts, 1, &from, &to);
    FAST(half_begin)(way);
    for (int64_t part = from; part < to; part++) {
        float *sums = scratch + p.sums + part * p.sums_size,
              *db = g->db ? sums + p.groups * p.tiles * SQUARE * PAIR : NULL;
        if (summing)
            memset(sums, 0, (size_t)p.sums_size * 4);
        int64_t end = p.bands.units * (part + 1) / parts;
        for (int64_t u = p.bands.units * part / parts; u < end && !gal_stopped(gal_conv_work(g)); u++) {
            h.n = u / p.bands.bands, h.b = band_of(g, &p.bands, u % p.bands.bands);
            h.x_row = most(h.b.d_row, 0);
            const float *x = g->x + h.n * g->h * g->w * g->c;
            int64_t rows = least(h.b.d_end, g->zh) - h.x_row + g->kh - 1;
            if (needs_x)
                FAST(conv_half_rows)(g, &p, (uint16_t *)mine, x, h.x_row - g->top, rows);
            for (int64_t group = 0; group < p.groups; group++)
                make_dz(way, g, &p, &h, group, db);
            if (g->dw)
                add_dw(way, g, &p, &h, (uint16_t *)(mine + p.lane_plane), sums);
            if (g->dx)
                make_dx(way, g, &p, &h);
        }
    }
    FAST(half_end)(way);
    return gal_stopped(gal_conv_work(g)) ? GAL_STOP : GAL_OK;
}

/* dw and db are their parts' sums, always in the same order. Lanes share blocks: of each group of outputs the
 * tiles of dw, and last db. */
static gal_status finish(const gal_lane *lane, const void *args)
{
    const gal_conv_args *g = args;
    const half_plan p = FAST(conv_half_plan)(g, 1);
    const float *sums = (const float *)gal_cpu_scratch() + p.sums;
    int64_t blocks = p.tiles + 1, taps = g->kh * g->kw, from, to;
    if (!g->dw && !g->db)
        return GAL_OK;
    gal_share(lane, p.groups * blocks, 1, &from, &to);
    for (int64_t k = from; k < to; k++) {
        int64_t group = k / blocks, tile = k % blocks, is_db = tile == p.tiles, first = group * PAIR,
                outputs = least(PAIR, g->out - first);
        const float *part =
            sums + (is_db ? p.groups * p.tiles * SQUARE + group : (group * p.tiles + tile) * SQUARE) * PAIR;
        float total[SQUARE * PAIR];
        if (is_db ? !g->db : !g->dw)
            continue;
        for (int64_t i = 0; i < (is_db ? PAIR : SQUARE * PAIR); i += VL) {
            vec t = load(part + i);
            for (int64_t s = 1; s < p.sum_groups; s++)
                t += load(part + s * p.sums_size + i);
            store(total + i, t);
        }
        for (int64_t o = 0; is_db && o < outputs; o++)
            g->db[first + o] = (g->accumulate ? g->db[first + o] : 0) + total[o];
        int64_t channel = tile / taps * SQUARE;
        for (int64_t o = 0; !is_db && o < outputs; o++) {
            float *dw = g->dw + ((first + o) * taps + tile % taps) * g->c + channel;
            for (int64_t c = 0; c < least(SQUARE, g->c - channel); c++)
                dw[c] = (g->accumulate ? dw[c] : 0) + total[c * PAIR + o];
        }
    }
    return GAL_OK;
}

const conv_way FAST(conv_half_backward) = {prepare, backward, finish};
