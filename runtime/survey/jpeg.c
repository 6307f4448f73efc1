/* jpeg.c: cutouts as JPEG files, by libjpeg. */
#include "image.h"
#include "io/io.h"
#include <stdio.h>
#include <stdlib.h>
#include <setjmp.h>
#include <jpeglib.h>

/* libjpeg reports an error by a call that must not return; it ends in gal_jpeg_write, no further. */
typedef struct failure {
    struct jpeg_error_mgr manager;
    jmp_buf back;
    char sentence[JMSG_LENGTH_MAX];
} failure;

static void fail(j_common_ptr jpeg)
{
    failure *f = (failure *)jpeg->err;
    f->manager.format_message(jpeg, f->sentence);
    longjmp(f->back, 1);
}

gal_status gal_jpeg_write(const char *path, const uint8_t *rgb, int width, int height)
{
    struct jpeg_compress_struct jpeg;
    failure error;
    /* More than any JPEG of so many pixels, so that libjpeg keeps to it and it is ours to free. */
    unsigned long size = 6ul * (unsigned long)(width + 16) * (unsigned long)(height + 16) + 4096;
    unsigned char *const buffer = malloc(size);
    if (!buffer)
        return gal_fail(GAL_MEMORY, "%s: no memory for a JPEG", path);
    unsigned char *made = buffer;
    jpeg.err = jpeg_std_error(&error.manager);
    error.manager.error_exit = fail;
    if (setjmp(error.back)) {
        jpeg_destroy_compress(&jpeg);
        free(buffer);
        return gal_fail(GAL_FILE, "%s: can't be made a JPEG: %s", path, error.sentence);
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
    if (!gal_path_exists(path) || gal_file_open(&file, path) != GAL_OK)
        return 0;
    int read = file.size > 4 && !gal_file_at(&file, first, 2, 0) && !gal_file_at(&file, last, 2, file.size - 2);
    gal_file_close(&file);
    return read && first[0] == 0xff && first[1] == 0xd8 && last[0] == 0xff && last[1] == 0xd9;
}
