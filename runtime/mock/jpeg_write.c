/* jpeg_write.c: cutouts as JPEG files, by libjpeg. */
#include "image.h"
#include "io/io.h"
#include "io/jpeg.h"
#include <stdlib.h>

gal_status gal_jpeg_write(const char *path, const uint8_t *rgb, int width, int height)
{
    struct jpeg_compress_struct jpeg;
    gal_jpeg_failure failure;
    /* Larger than any JPEG of so many pixels: so libjpeg never puts a buffer of its own in its place. */
    unsigned long size = 6ul * (unsigned long)(width + 16) * (unsigned long)(height + 16) + 4096;
    unsigned char *const buffer = malloc(size);
    if (!buffer)
        return gal_fail(GAL_MEMORY, "%s: no memory for a JPEG", path);
    unsigned char *made = buffer;
    jpeg.err = gal_jpeg_errors(&failure);
    if (setjmp(failure.back)) {
        jpeg_destroy_compress(&jpeg);
        free(buffer);
        return gal_fail(GAL_FILE, "%s: can't be made a JPEG: %s", path, failure.sentence);
    }
    jpeg_create_compress(&jpeg);
    jpeg_mem_dest(&jpeg, &made, &size);
    jpeg.image_width = (JDIMENSION)width;
    jpeg.image_height = (JDIMENSION)height;
    jpeg.input_components = 3;
    jpeg.in_color_space = JCS_RGB;
    jpeg_set_defaults(&jpeg); /* 4:2:0 */
    jpeg_set_quality(&jpeg, 92, TRUE);
    jpeg_start_compress(&jpeg, TRUE);
    while (jpeg.next_scanline < jpeg.image_height) {
        JSAMPROW row = (JSAMPROW)(rgb + (size_t)jpeg.next_scanline * width * 3);
        jpeg_write_scanlines(&jpeg, &row, 1);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    gal_writer writer;
    gal_status status = gal_writer_open(&writer, path);
    if (!status)
        status = gal_writer_put(&writer, buffer, (int64_t)size);
    if (!status)
        status = gal_writer_commit_unsynced(&writer);
    free(buffer);
    return status;
}

int gal_jpeg_whole(const char *path)
{
    unsigned char first[2] = {0}, last[2] = {0};
    gal_file file;
    if (gal_path_exists(path) != 1 || gal_file_open(&file, path) != GAL_OK)
        return 0;
    int read =
        file.size > 4 && !gal_file_at(&file, first, 2, 0) && !gal_file_at(&file, last, 2, file.size - 2);
    gal_file_close(&file);
    return read && first[0] == 0xff && first[1] == 0xd8 && last[0] == 0xff && last[1] == 0xd9;
}
