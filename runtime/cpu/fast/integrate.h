/* integrate.h: what the files of the fused integrator share: packed layers, and the tile of rows that a lane
 * carries through the velocity net.
 *
 * A tile's values are matrices {inputs or outputs of a layer, columns}: each row of theta is a column, and
 * with the divergence d more columns for each row are its tangents, d [t; theta] / d theta_j. So a weight is
 * broadcast, vectors run over columns, and no number of inputs, outputs or dimensions is padded. A sum is one
 * chain over the inputs in ascending order: its bits depend on nothing beside it. */
#ifndef GAL_INTEGRATE_H
#define GAL_INTEGRATE_H
#include "cpu/cpu.h"
#include "fast.h"
#include "half.h"
#include <stdatomic.h>

/* Sums that stay in registers while the inputs run: OUTS outputs x VECS vecs of columns. */
#if VL == 16
#define OUTS 8
#else
#define OUTS 4
#endif
#define VECS 3
/* A tile of at most FEW columns is slim: vectors run over outputs instead (integrate_slim.c), since most of a
 * vec of columns would be padding. */
#define FEW (VL < 8 ? VL : 8)
/* Outputs x vecs of one product by AMX tiles; its inputs come in blocks of AMX_IN. */
#define AMX_OUTS 16
#define AMX_IN 32

/* y = f(w x + b). */
typedef struct integrate_layer {
    int64_t in, out;
    int activation;
    const float *w; /* {ceil(out / n), in, n}, n = OUTS, or VL in a slim plan; zeros behind the last output */
    const float *b; /* {out rounded up to AMX_OUTS, VL}: an output's bias, VL times; zeros behind the last */
    /* NULL; or the weights as bfloat16, and then x is pairs of bfloat16: {ceil(out / OUTS), ceil(in / 2),
     * OUTS, 2}, or for AMX {ceil(out / AMX_OUTS), ceil(in / AMX_IN), AMX_OUTS, AMX_IN}; zeros behind the
     * last. */
    const uint16_t *half;
} integrate_layer;

/* What prepare leaves for the lanes, at the start of the scratch block. A lane is a thread here. */
typedef struct integrate_plan {
    atomic_llong next; /* the first row that no lane has taken */
    int64_t most;      /* rows of a tile */
    int lanes;         /* that there is memory for */
    int slim;          /* whether no tile has more than FEW columns */
    half_way half;     /* how layers with `half` are multiplied */
    integrate_layer
        features; /* b_1 and the features' part of the first layer; 0 inputs where there are none */
    integrate_layer layer[GAL_FLOW_LAYERS];
    int64_t widest, vecs; /* of any layer, in outputs; of any tile */
    char *work;           /* {lanes, work_bytes} */
    size_t work_bytes;
} integrate_plan;

/* The columns of a tile. Full: the first R = values * VL columns hold rows, and tangent j = 1, 2, ... of row
 * r is column j R + r. Narrow (fewer rows than a vec holds, with tangents): R is the number of rows, so that
 * a row and its tangents share a vec. */
typedef struct integrate_tile {
    int64_t rows;     /* of theta */
    int columns;      /* without padding */
    int64_t ld;       /* columns with padding: vecs * VL */
    int vecs, values; /* vecs of columns; vecs that hold rows, 1 where narrow */
    int narrow;
    ivec holds;   /* -1 at the columns of the first vec that hold a row: all of them unless narrow */
    ivec *row_of; /* narrow: {vecs}, the row of each column */
} integrate_tile;

/* y {out, ld} = f(w x + start), x {in, ld}, of the tile's first `vecs`. start: {out, values * VL} in place of
 * b, or NULL. Tangents have no start and are multiplied by f'. block {AMX_OUTS, ld}: scratch. to_half: y
 * becomes pairs of bfloat16, {ceil(out / 2), ld, 2}. */
void FAST(integrate_layer)(const integrate_plan *plan, const integrate_layer *l, const integrate_tile *t,
                           int vecs, const float *start, const void *x, void *y, int to_half, float *block);
/* trace {values * VL} = sum over j of row j of w with tangent j of x, for a full tile. */
void FAST(integrate_trace)(const integrate_layer *l, const integrate_tile *t, const float *x, float *trace);
/* integrate_slim.c. z {out rounded up to VL, VL} = start + w x for a slim tile. start: {out, VL} in place of
 * b, or NULL. */
void FAST(integrate_slim)(const integrate_layer *l, const integrate_tile *t, const float *start,
                          const float *x, float *z);

/* integrate_half.c. z {OUTS, ld} = b + w x, outputs from o on, by dot products; x {ceil(in / 2), ld, 2}. */
void FAST(integrate_dot)(const integrate_layer *l, const integrate_tile *t, int vecs, int64_t o,
                         const uint16_t *x, float *z);
/* The same by AMX, z {AMX_OUTS, ld}. Between half_begin and half_end. */
void FAST(integrate_amx)(const integrate_layer *l, const integrate_tile *t, int vecs, int64_t o,
                         const uint16_t *x, float *z);
/* y {ceil(outs / 2), ld, 2} = z {outs, ld} in bfloat16, rounded to nearest even; an odd last output has zeros
 * beside it. */
void FAST(integrate_pairs)(const integrate_tile *t, int vecs, int64_t outs, const float *z, uint16_t *y);

#endif
