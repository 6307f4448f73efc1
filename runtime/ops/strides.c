/* strides.c: the strides of broadcast operands, in as few dimensions as they allow: for elementwise ops. */
#include "ops.h"

gal_status gal_broadcast_strides(const char *op, const char *name, int64_t *strides, const gal_tensor *x,
                                 const gal_tensor *y)
{
    for (int i = 0; i < y->rank; i++) {
        int j = i - (y->rank - x->rank);
        int64_t size = j < 0 ? 1 : x->shape[j];
        if (x->rank > y->rank || (size != 1 && size != y->shape[i]))
            return gal_fail(GAL_SHAPE, "%s: %s is %s, which does not broadcast to %s", op, name,
                            gal_shape_text(x), gal_shape_text(y));
        strides[i] = size == 1 ? 0 : x->stride[j];
    }
    return x->rank > y->rank ? gal_fail(GAL_SHAPE, "%s: %s is %s, which does not broadcast to %s", op, name,
                                        gal_shape_text(x), gal_shape_text(y))
                             : GAL_OK;
}

int gal_merge_dimensions(int rank, int64_t *shape, int64_t *const *strides, int operands)
{
    int kept = 0;
    for (int i = 0; i < rank; i++) {
        if (shape[i] == 1)
            continue;
        int fits = kept > 0;
        for (int k = 0; fits && k < operands; k++)
            fits = strides[k][kept - 1] == strides[k][i] * shape[i];
        if (fits)
            shape[kept - 1] *= shape[i];
        else
            shape[kept++] = shape[i];
        for (int k = 0; k < operands; k++)
            strides[k][kept - 1] = strides[k][i];
    }
    return kept;
}
