/* npy_stream.c: a .npy file whose values come piece after piece, so that one piece at a time is in memory. As
 * every file, it gets its name when all of it is on disk (file.c). */
#include "io.h"
#include <stdlib.h>

struct gal_npy_stream {
    gal_writer writer;
    gal_tensor shape; /* dtype, rank and shape only */
    int64_t left;     /* values that are still to come */
};

gal_status gal_npy_stream_open(gal_npy_stream **out, const char *path, int dtype, int rank,
                               const int64_t *shape)
{
    *out = NULL;
    if (dtype != GAL_F32 && dtype != GAL_U8 && dtype != GAL_I64)
        return gal_fail(GAL_TYPE, "%s: dtype is %d, expected float32, uint8 or int64", path, dtype);
    if (rank < 0 || rank > GAL_RANK)
        return gal_fail(GAL_SHAPE, "%s: rank is %d, expected 0 to %d", path, rank, GAL_RANK);
    gal_npy_stream *s = calloc(1, sizeof *s);
    if (!s)
        return gal_fail(GAL_MEMORY, "%s: no memory to write it", path);
    s->shape.dtype = (gal_dtype)dtype;
    s->shape.rank = rank;
    for (int d = 0; d < rank; d++)
        s->shape.shape[d] = shape[d];
    gal_status status = GAL_OK;
    if (!gal_shape_product(&s->left, shape, rank))
        status =
            gal_fail(GAL_SHAPE, "%s: shape is %s, too large for any file", path, gal_shape_text(&s->shape));
    char header[512];
    if (!status)
        status = gal_writer_open(&s->writer, path);
    if (!status)
        status = gal_writer_put(&s->writer, header, gal_npy_header_text(header, &s->shape));
    if (status) {
        free(s);
        return status;
    }
    *out = s;
    return GAL_OK;
}

gal_status gal_npy_stream_put(gal_npy_stream *s, const gal_tensor *x)
{
    if (s->writer.fd < 0)
        return gal_fail(GAL_STATE, "the .npy file has been abandoned: an earlier piece could not be written");
    if (x->dtype != s->shape.dtype)
        return gal_fail(GAL_TYPE, "%s: the piece is %s, expected %s as the file", s->writer.path,
                        gal_dtype_name(x->dtype), gal_dtype_name(s->shape.dtype));
    int64_t count = gal_tensor_count(x);
    if (count > s->left)
        return gal_fail(GAL_SHAPE,
                        "%s: the piece has %lld values, but the file of shape %s has room for %lld more",
                        s->writer.path, (long long)count, gal_shape_text(&s->shape), (long long)s->left);
    gal_status status = gal_writer_put_tensor(&s->writer, x);
    if (!status)
        s->left -= count;
    return status;
}

gal_status gal_npy_stream_commit(gal_npy_stream *s)
{
    if (s->writer.fd < 0)
        return gal_fail(GAL_STATE, "the .npy file has been abandoned: a piece of it could not be written");
    if (s->left > 0)
        return gal_fail(GAL_STATE, "%s: %lld values of shape %s are missing", s->writer.path,
                        (long long)s->left, gal_shape_text(&s->shape));
    return gal_writer_commit(&s->writer);
}

void gal_npy_stream_free(gal_npy_stream *s)
{
    if (!s)
        return;
    gal_writer_abandon(&s->writer);
    free(s);
}
