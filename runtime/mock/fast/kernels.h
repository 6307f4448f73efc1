/* kernels.h: the mock survey's loops that are worth vectors: the flux of many draws, and the pixels of a
 * cutout. Every .c of this folder is compiled once for each instruction set, as in cpu/fast; mock/kernels.c
 * chooses the set. Planes are {128, 128}; positions are in pixels from the centre, x to the right and y
 * downwards. */
#ifndef GAL_MOCK_KERNELS_H
#define GAL_MOCK_KERNELS_H
#include <stdint.h>

enum { GAL_SIDE = 128, GAL_PLANE = GAL_SIDE * GAL_SIDE, GAL_TAPS = 24 };

/* A disc seen at an angle: r^2 = x'^2 + (y'^2 + soft^2) / q^2, x' along the major axis. In each band
 * e^(-r / scale) (1 + (arm cos(arms theta - winding ln r - phase) + lopsided cos(theta - lopsided_phase)) (1
 * - e^(-r^2 / reach^2))), less half of it in a dust lane where lane > 0. */
typedef struct gal_picture_disc {
    float cosine, sine, axis_ratio, soft;
    float scale[3], shift[3][2];
    float arm, winding, phase, reach;
    int arms;
    float lopsided, lopsided_cosine, lopsided_sine;
    float lane; /* its half-width; 0: none */
} gal_picture_disc;

typedef struct gal_picture_kernels {
    /* plane = the disc in band b; returns its sum. arms {128, 128}: the factor of arms and lane, made when b
     * is 0 and used after. */
    float (*disc)(float *plane, float *arms, const gal_picture_disc *d, int b);
    /* plane = e^(-3.67 sqrt(r / radius)), r >= .35; returns its sum. */
    float (*bulge)(float *plane, float cosine, float sine, float axis_ratio, float radius, float dx,
                   float dy);
    /* out = in * (near, then far, each separable and symmetric): weights of distance 0 ... taps - 1, at most
     * GAL_TAPS; zero beyond the frame. work: gal_picture_work floats. Returns the sum of out. */
    float (*blur)(float *out, const float *in, const float *near, int near_taps, const float *far,
                  int far_taps, float *work);
    /* out = N(0, 1) sqrt(variance + per_light max(plane, 0)), from the blocks of the stream from `block` on:
     * GAL_PLANE / 4 of them. */
    void (*noise)(float *out, const float *plane, float variance, float per_light, uint64_t key,
                  uint64_t block, uint64_t stream);
    /* rgb {128, 128, 3} of planes g, r, i. */
    void (*colours)(uint8_t *rgb, const float *gri);
} gal_picture_kernels;

enum { GAL_PICTURE_ROW = GAL_SIDE + 2 * GAL_TAPS, GAL_PICTURE_WORK = GAL_SIDE * GAL_PICTURE_ROW * 2 };

/* flux {count} in r, nanomaggies, as gal_mock_fluxes of model.h. */
typedef void gal_flux_kernel(float *flux, const float *latents, uint64_t seed, int64_t first, int64_t count);

/* All of one instruction set. */
typedef struct gal_mock_kernels {
    gal_flux_kernel *flux;
    const gal_picture_kernels *picture;
} gal_mock_kernels;

/* The set named "plain", "avx2" or "avx512" (gal_cpu_isa() names the one to use); NULL where the build has
 * none of that name. The machine has to be able to run it. */
const gal_mock_kernels *gal_mock_kernels_of(const char *isa);

/* flux.c, picture.c */
extern gal_flux_kernel gal_fast_flux_plain, gal_fast_flux_avx2, gal_fast_flux_avx512;
extern const gal_picture_kernels gal_fast_picture_plain, gal_fast_picture_avx2, gal_fast_picture_avx512;

#endif
