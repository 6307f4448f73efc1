/* walk.h: the one way in which map.c, copy.c and fast/map.c go through operands of any strides. */
#ifndef GAL_WALK_H
#define GAL_WALK_H
#include "cpu.h"

#define WALK_INLINE static inline __attribute__((always_inline))

/* A lane's share of the elements of shape {rank}, in row-major order, piece after piece of the last
 * dimension: for (gal_walk w = gal_walk_of(lane, count, rank, shape); w.n > 0; gal_walk_on(&w)) The piece at
 * hand is elements [from, from + n) of that order, the first of them at index at {rank}. */
typedef struct gal_walk {
    const int64_t *shape;
    int64_t from, n, to, at[GAL_RANK];
    int rank;
} gal_walk;

/* n: to the end of the last dimension, or of the share. */
WALK_INLINE void gal_walk_measure(gal_walk *w)
{
    int64_t piece = w->rank ? w->shape[w->rank - 1] - w->at[w->rank - 1] : 1, left = w->to - w->from;
    w->n = piece < left ? piece : left;
}

WALK_INLINE void gal_walk_begin(gal_walk *w, const gal_lane *lane, int64_t count, int rank,
                                const int64_t *shape)
{
    w->shape = shape, w->rank = rank;
    gal_share(lane, count, 64, &w->from, &w->to);
    w->n = 0;
    if (w->from >= w->to)
        return;
    int64_t rest = w->from;
    for (int d = rank - 1; d >= 0; d--) {
        w->at[d] = rest % shape[d];
        rest /= shape[d];
    }
    gal_walk_measure(w);
}

WALK_INLINE void gal_walk_on(gal_walk *w)
{
    w->from += w->n;
    for (int d = w->rank - 1; d >= 0; d--) {
        w->at[d] += d == w->rank - 1 ? w->n : 1;
        if (w->at[d] < w->shape[d])
            break;
        w->at[d] = 0;
    }
    gal_walk_measure(w);
}

/* Where the piece begins in an operand of these strides {rank}: elements from the operand's first. */
WALK_INLINE int64_t gal_walk_offset(const gal_walk *w, const int64_t *strides)
{
    int64_t offset = 0;
    for (int d = 0; d < w->rank; d++) {
        offset += w->at[d] * strides[d];
        __asm__(
            ""
            : "+r"(
                offset)); /* in vectors it would wait for the stores to at: 1.6 times slower for short rows */
    }
    return offset;
}

/* The stride along the piece. */
WALK_INLINE int64_t gal_walk_stride(const gal_walk *w, const int64_t *strides)
{
    return w->rank ? strides[w->rank - 1] : 1;
}

#endif
