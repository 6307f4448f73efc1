/* cutouts.c: how many cutouts a second: the parts of one on one thread, then all of it, drawn, rendered and
 * written as JPEG, on all. bench_cutouts FOLDER [galaxies]: the files go to FOLDER, which should not be a
 * disk. */
#include "core/parallel.h"
#include "mock/image.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { MOST = 100000 };
static gal_mock_galaxy galaxy[MOST];

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* args: the folder. */
static gal_status whole_cutouts(void *args, int64_t from, int64_t to)
{
    gal_status status = GAL_OK;
    for (int64_t i = from; !status && i < to; i++) {
        char name[4096];
        snprintf(name, sizeof name, "%s/%lld.jpg", (const char *)args, (long long)i + 1);
        status = gal_mock_cutout(name, &galaxy[i], NULL, 0, 1, 1);
    }
    return status;
}

int main(int count, char **argument)
{
    int n = count > 2 ? atoi(argument[2]) : 2000;
    if (count < 2 || n < 1 || n > MOST) {
        fprintf(stderr, "usage: bench_cutouts FOLDER [galaxies]\n");
        return 2;
    }
    int found = 0;
    for (int64_t draw = 0; found < n; draw++) {
        gal_mock_draw(&galaxy[found], 1, draw);
        found += gal_mock_selected(&galaxy[found]);
    }
    gal_mock_canvas *canvas;
    static float gri[GAL_PLANES * GAL_CUTOUT_PIXELS];
    static uint8_t rgb[GAL_PLANES * GAL_CUTOUT_PIXELS];
    gal_mock_shape shape;
    char path[4096];
    if (gal_mock_canvas_new(&canvas))
        return 1;
    double spent[6] = {0};
    for (int i = 0; i < n; i++) {
        snprintf(path, sizeof path, "%s/%d.jpg", argument[1], i + 1);
        double t[7] = {now()};
        gal_mock_shape_of(&shape, &galaxy[i], NULL, 0, 1);
        t[1] = now();
        gal_mock_render(canvas, gri, &shape, galaxy[i].draw, 0, 1);
        t[2] = now();
        gal_mock_render(canvas, gri, &shape, galaxy[i].draw, GAL_RENDER_FIELD | GAL_RENDER_SKY, 1);
        t[3] = now();
        gal_mock_render(canvas, gri, &shape, galaxy[i].draw, GAL_RENDER_ALL, 1);
        t[4] = now();
        gal_mock_colours(rgb, gri);
        t[5] = now();
        if (gal_jpeg_write(path, rgb, GAL_CUTOUT, GAL_CUTOUT)) {
            fprintf(stderr, "%s\n", gal_error());
            return 1;
        }
        t[6] = now();
        for (int k = 0; k < 6; k++)
            spent[k] += (t[k + 1] - t[k]) * 1e6 / n;
    }
    gal_mock_canvas_free(canvas);
    printf("%s, us a cutout on one thread: shape %.0f, galaxy %.0f, field %.0f, noise %.0f, colours %.0f, "
           "JPEG and file %.0f; sum %.0f\n",
           gal_cpu_isa(), spent[0], spent[1], spent[2] - spent[1], spent[3] - spent[2], spent[4], spent[5],
           spent[0] + spent[3] + spent[4] + spent[5]);
    for (int threads = 1, all = gal_threads(0); threads <= all; threads *= 2) {
        gal_threads(threads);
        double start = now();
        gal_status status = gal_parallel(n, 16, whole_cutouts, argument[1]);
        printf("%d thread%s: %.0f cutouts/s%s%s\n", threads, threads > 1 ? "s" : "", n / (now() - start),
               status ? ", FAILED: " : "", status ? gal_error() : "");
    }
    return 0;
}
