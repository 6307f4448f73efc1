/* flow.h: what the files of the fused integrator share: packed layers and the tile of rows that a lane
 * carries through them.
 *
 * A tile is a matrix of lanes, one vec or more of them side by side; every row of theta is a lane. With the
 * divergence each row has d lanes more, its tangents. A layer's values are {outputs, lanes}: so a weight is
 * broadcast, lanes are vectors, and no number of inputs, outputs or dimensions is padded. The sums of a lane
 * are one chain over the inputs in ascending order: its bits depend on nothing beside it. */
#ifndef GAL_FLOW_H
#define GAL_FLOW_H
#include "cpu/cpu.h"
#include "fast.h"
#include "half.h"
#include <stdatomic.h>

/* Sums that stay in registers while the inputs run: OUTS outputs x VECS vecs of lanes. */
#if VL == 16
#define OUTS 8
#else
#define OUTS 4
#endif
#define VECS 3
/* Up to so many lanes are few: a tile of a single vec wastes most of it, so outputs are the vectors instead
 * (flow_slim.c). */
#define FEW (VL < 8 ? VL : 8)
/* Outputs x vecs of one product by AMX tiles; its inputs come in blocks of AMX_IN. */
#define AMX_OUTS 16
#define AMX_IN 32

/* y = f(w x + b). */
typedef struct flow_layer {
    int64_t in, out;
    int activation;
    const float *w; /* {ceil(out / n), in, n}, n = OUTS, or VL in a slim plan; zeros beyond the last output */
    const float
        *b; /* {out, VL}, an output's bias in every lane; padded with zeros to a multiple of AMX_OUTS */
    /* NULL, or the weights as bfloat16, and then x is in pairs of bfloat16: {ceil(out / OUTS), ceil(in / 2),
     * OUTS, 2}, or for AMX {ceil(out / AMX_OUTS), ceil(in / AMX_IN), AMX_OUTS, AMX_IN}; zeros beyond the
     * last. */
    const uint16_t *half;
} flow_layer;

/* What prepare leaves for the lanes, at the start of the scratch block. */
typedef struct flow_plan {
    atomic_llong next;   /* the first row that no lane has taken */
    int64_t most;        /* rows of a tile */
    int lanes;           /* that there is memory for */
    int slim;            /* no tile has more than FEW lanes, and layers are multiplied by flow_slim */
    half_way half;       /* how layers with `half` are multiplied */
    flow_layer features; /* b_1 and the features' part of the first layer; 0 inputs where there are none */
    flow_layer layer[GAL_FLOW_LAYERS];
    int64_t widest, vecs; /* of any layer, in outputs; of any tile */
    char *work;           /* {lanes, work_bytes} */
    size_t work_bytes;
} flow_plan;

/* The lanes of a tile. Full: R = values * VL lanes hold rows, then tangent j of all of them follows at lane j
 * R. Narrow (fewer rows than a vec holds, with tangents): row r is lane r, its tangent j lane j R + r, so
 * that one row and its d tangents share a vec. */
typedef struct flow_tile {
    int64_t rows;     /* of theta */
    int64_t ld;       /* lanes, with padding: vecs * VL */
    int lanes;        /* without padding */
    int vecs, values; /* vecs that hold lanes; that hold values, 1 where narrow */
    int narrow;
    ivec holds;   /* -1 where a lane of a vec of values holds a row, all of them unless narrow */
    ivec *row_of; /* narrow: {vecs}, the row of each lane */
} flow_tile;

/* y {out, ld} = f(w x + start), x {in, ld}, for all vecs of the tile or the first `vecs` of them; start:
 * {out, values * VL} in place of b, or NULL. Tangents start from 0 and are multiplied with f'. block
 * {AMX_OUTS, ld}: scratch. to_half: y becomes pairs of bfloat16, {out / 2, ld, 2}. */
void FAST(flow_layer)(const flow_plan *plan, const flow_layer *l, const flow_tile *t, int vecs,
                      const float *start, const void *x, void *y, int to_half, float *block);
/* trace {values * VL} = sum over j of row j of w with tangent j of x, for a full tile. */
void FAST(flow_trace)(const flow_layer *l, const flow_tile *t, const float *x, float *trace);
/* flow_slim.c. z {out rounded up to VL, VL} = start + w x for a tile of up to FEW lanes, start: {out, VL} in
 * place of b, or NULL. */
void FAST(flow_slim)(const flow_layer *l, const flow_tile *t, const float *start, const float *x, float *z);

/* flow_half.c. The same as the product in flow_layer, outputs [o, o + outs) for outs <= OUTS, x {ceil(in /
 * 2), ld, 2}. */
void FAST(flow_dot)(const flow_layer *l, const flow_tile *t, int vecs, int64_t o, const uint16_t *x,
                    float *z);
/* AMX_OUTS outputs from o. Between half_begin and half_end. */
void FAST(flow_amx)(const flow_layer *l, const flow_tile *t, int vecs, int64_t o, const uint16_t *x,
                    float *z);
/* y {ceil(outs / 2), ld, 2} bfloat16 from z {outs, ld}, rounded to nearest even; an odd last row gets zeros
 * beside it. */
void FAST(flow_pairs)(const flow_tile *t, int vecs, int64_t outs, const float *z, uint16_t *y);

#endif
