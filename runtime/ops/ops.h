/* ops.h: the checks that every op starts with, and how it is issued. An op of this folder computes nothing.
 */
#ifndef GAL_OPS_H
#define GAL_OPS_H
#include "core/core.h"

/* One operand and what is expected of it. */
typedef struct gal_operand {
    const char *name;
    const gal_tensor *x;
    int dtype;
    int contiguous; /* 1: must be */
} gal_operand;

/* Checks the operands' dtypes and layouts, and that all are on one device; a recorded program then holds them
 * all. */
gal_status gal_check(const char *op, const gal_operand *operands, int count);
#define CHECK(op, ...)                                                                              \
    do {                                                                                            \
        const gal_operand operands_[] = {__VA_ARGS__};                                              \
        gal_status status_ = gal_check(op, operands_, (int)(sizeof operands_ / sizeof *operands_)); \
        if (status_ != GAL_OK)                                                                      \
            return status_;                                                                         \
    } while (0)
/* The dtype of an operand that may be missing, which gal_check then says. */
#define DTYPE(x) ((x) ? (x)->dtype : GAL_F32)
/* clang-format off */
#define ANY(x)     {#x, x, GAL_F32, 0}
#define FLAT(x)    {#x, x, GAL_F32, 1}
#define INTEGER(x) {#x, x, GAL_I64, 1}
#define DOUBLE(x)  {#x, x, GAL_F64, 1}
/* clang-format on */

/* x has exactly this shape, else a sentence with `meaning` behind it ("{rows, out}"). */
#define SHAPE(op, x, meaning, ...)                                                              \
    do {                                                                                        \
        const int64_t shape_[] = {__VA_ARGS__};                                                 \
        gal_status status_ =                                                                    \
            gal_check_shape(op, #x, x, meaning, (int)(sizeof shape_ / sizeof *shape_), shape_); \
        if (status_ != GAL_OK)                                                                  \
            return status_;                                                                     \
    } while (0)
gal_status gal_check_shape(const char *op, const char *name, const gal_tensor *x, const char *meaning,
                           int rank, const int64_t *shape);
/* activation is one of gal_activation. */
gal_status gal_check_activation(const char *op, int activation);
/* precision is one of gal_precision, and the device has it for the op (a gal_op). */
gal_status gal_check_precision(int op, const gal_backend *device, int precision);
#define RANK(op, x, expected)                                                                          \
    do {                                                                                               \
        if ((x)->rank != (expected))                                                                   \
            return gal_fail(GAL_SHAPE, op ": " #x " is %s, expected %d dimensions", gal_shape_text(x), \
                            expected);                                                                 \
    } while (0)
#define SAME_COUNT(op, x, y)                                                                        \
    do {                                                                                            \
        if (gal_tensor_count(x) != gal_tensor_count(y))                                             \
            return gal_fail(GAL_SHAPE, op ": " #x " is %s, expected as many elements as " #y " %s", \
                            gal_shape_text(x), gal_shape_text(y));                                  \
    } while (0)

/* The device that x is on. */
static inline const gal_backend *gal_backend_of(const gal_tensor *x)
{
    return x->storage->backend;
}

/* Runs the op on x's device and records it (gal_issue). args: a pointer to the op's struct. */
#define ISSUE(x, op, args, work)                                                                          \
    gal_issue(gal_backend_of(x), GAL_OP_##op, (const gal_args_of_##op *){args}, sizeof(gal_args_of_##op), \
              work)

/* strides.c: x's strides along y's dimensions: 0 where x has one element and y more. GAL_SHAPE where x does
 * not broadcast to y. */
gal_status gal_broadcast_strides(const char *op, const char *name, int64_t *strides, const gal_tensor *x,
                                 const gal_tensor *y);
/* Merges neighbouring dimensions that every operand steps through as one, and drops those of size 1; returns
 * the new rank. */
int gal_merge_dimensions(int rank, int64_t *shape, int64_t *const *strides, int operands);
/* conv.c: checks that x is images {N, H, W, C} into which a window of kh x kw with that stride and padding
 * fits, and counts its positions. */
gal_status gal_check_window(const char *op, const gal_tensor *x, int64_t kh, int64_t kw, int64_t stride,
                            int64_t padding, int64_t *down, int64_t *across);

#endif
