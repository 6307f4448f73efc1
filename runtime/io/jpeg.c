/* jpeg.c: JPEG bytes to pixels by libjpeg. Where data are missing or wrong, libjpeg warns and fills the rest
 * with grey. A warning is an error here: a model must not learn from a galaxy with half a picture. */
#include "io.h"
#include "jpeg.h"
#include <jerror.h>
#include <stdlib.h>

/* A progressive JPEG may repeat its scans for ever; real ones have about ten. */
#define SCANS 200
/* An 8 x 8 block takes at least a bit of each of its channels: no byte holds more pixels than this. */
#define PIXELS_OF_A_BYTE 512

static void fail(j_common_ptr jpeg)
{
    gal_jpeg_failure *f = (gal_jpeg_failure *)jpeg->err;
    f->manager.format_message(jpeg, f->sentence);
    longjmp(f->back, 1);
}

/* libjpeg's messages. level < 0 is a warning: data are damaged or missing, or odd in a way that costs no
 * pixel. */
static void message(j_common_ptr jpeg, int level)
{
    int code = jpeg->err->msg_code;
    if (level < 0 && code != JWRN_EXTRANEOUS_DATA && code != JWRN_ADOBE_XFORM && code != JWRN_JFIF_MAJOR)
        fail(jpeg);
}

struct jpeg_error_mgr *gal_jpeg_errors(gal_jpeg_failure *failure)
{
    jpeg_std_error(&failure->manager);
    failure->manager.error_exit = fail;
    failure->manager.emit_message = message;
    return &failure->manager;
}

static void scanned(j_common_ptr jpeg)
{
    if (((j_decompress_ptr)jpeg)->input_scan_number > SCANS)
        ERREXIT(jpeg, JERR_BAD_PROGRESSION);
}

/* Whether libjpeg's error says that the file is of a kind which is not read, and not that it is damaged. */
static int is_unread_kind(int code)
{
    return code == JERR_BAD_PRECISION || code == JERR_SOF_UNSUPPORTED || code == JERR_ARITH_NOTIMPL ||
           code == JERR_CONVERSION_NOTIMPL || code == JERR_FRACT_SAMPLE_NOTIMPL ||
           code == JERR_CCIR601_NOTIMPL || code == JERR_NOT_COMPILED || code == JERR_NOTIMPL;
}

/* Whether the picture is of inks, cyan, magenta, yellow and black. */
static int is_ink(const struct jpeg_decompress_struct *jpeg)
{
    return jpeg->jpeg_color_space == JCS_CMYK || jpeg->jpeg_color_space == JCS_YCCK;
}

/* rgb {w, 3} of a row of inks {w, 4}: what each leaves of white, without a profile of the printer. Adobe's
 * files, which say so, hold 255 less the ink. */
static void rgb_of_inks(uint8_t *rgb, const uint8_t *inks, int64_t w, int adobe)
{
    for (int64_t k = 0; k < w; k++)
        for (int c = 0; c < 3; c++) {
            int ink = inks[4 * k + c], black = inks[4 * k + 3];
            int light = adobe ? ink : 255 - ink, left = adobe ? black : 255 - black;
            rgb[3 * k + c] = (uint8_t)((light * left + 127) / 255);
        }
}

/* GAL_OK where the picture, whose header has been read, may be decoded. */
static gal_status check(const struct jpeg_decompress_struct *jpeg, int64_t n, int most)
{
    int64_t w = jpeg->image_width, h = jpeg->image_height;
    J_COLOR_SPACE space = jpeg->jpeg_color_space;
    if (space != JCS_GRAYSCALE && space != JCS_RGB && space != JCS_YCbCr && !is_ink(jpeg))
        return gal_fail(GAL_FILE, "is a picture of %d channels, expected RGB, grey or CMYK",
                        jpeg->num_components);
    if (w > most || h > most)
        return gal_fail(GAL_FILE, "is too large: %lld x %lld pixels, expected at most %d a side",
                        (long long)w, (long long)h, most);
    if (w * h > n * PIXELS_OF_A_BYTE)
        return gal_fail(GAL_FILE, "is truncated or damaged: %lld bytes can't hold %lld x %lld pixels",
                        (long long)n, (long long)w, (long long)h);
    return GAL_OK;
}

gal_status gal_jpeg_decode(uint8_t **pixels, int *width, int *height, const uint8_t *bytes, int64_t n,
                           int most)
{
    struct jpeg_decompress_struct jpeg;
    struct jpeg_progress_mgr progress = {.progress_monitor = scanned};
    gal_jpeg_failure failure;
    uint8_t *volatile made = NULL; /* set between setjmp and longjmp */
    jpeg.err = gal_jpeg_errors(&failure);
    if (setjmp(failure.back)) {
        jpeg_destroy_decompress(&jpeg);
        free(made);
        return gal_fail(GAL_FILE, "is %s: %s",
                        is_unread_kind(failure.manager.msg_code) ? "a JPEG of a kind that is not read"
                                                                 : "truncated or damaged",
                        failure.sentence);
    }
    jpeg_create_decompress(&jpeg);
    jpeg_mem_src(&jpeg, bytes, (unsigned long)n);
    jpeg.progress = &progress;
    jpeg_read_header(&jpeg, TRUE);
    gal_status status = check(&jpeg, n, most);
    if (status != GAL_OK) {
        jpeg_destroy_decompress(&jpeg);
        return status;
    }
    int64_t w = jpeg.image_width, h = jpeg.image_height;
    made = malloc((size_t)(w * h * 3 + w * 4)); /* and a row of inks */
    if (!made) {
        jpeg_destroy_decompress(&jpeg);
        return gal_fail(GAL_MEMORY, "no memory for an image of %lld x %lld pixels", (long long)w,
                        (long long)h);
    }
    int inks = is_ink(&jpeg);
    jpeg.out_color_space = inks ? JCS_CMYK : JCS_RGB;
    jpeg_start_decompress(&jpeg);
    while (jpeg.output_scanline < jpeg.output_height) {
        uint8_t *rgb = made + (size_t)jpeg.output_scanline * (size_t)w * 3;
        JSAMPROW row = inks ? made + w * h * 3 : rgb;
        jpeg_read_scanlines(&jpeg, &row, 1);
        if (inks)
            rgb_of_inks(rgb, row, w, jpeg.saw_Adobe_marker);
    }
    jpeg_finish_decompress(&jpeg);
    jpeg_destroy_decompress(&jpeg);
    *pixels = made, *width = (int)w, *height = (int)h;
    return GAL_OK;
}
