/* device.c: from a device's name to its table of kernels. The CPU's is linked in; a GPU's is in a library,
 * which may be absent and is loaded when the device is first asked for. */
#define _GNU_SOURCE
#include "core.h"
#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Opens libgalrun_NAME.so beside the executable or in ../lib/galrun; NULL, with the reason, where there is
 * none. */
static void *library_open(const char *name, char *reason, size_t size)
{
    char self[PATH_MAX / 2], path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    self[length > 0 ? length : 0] = 0;
    char *slash = strrchr(self, '/');
    if (slash)
        *slash = 0;
    const char *const patterns[] = {"%s/libgalrun_%s.so", "%s/../lib/galrun/libgalrun_%s.so"};
    for (int i = 0; slash && i < 2; i++) {
        snprintf(path, sizeof path, patterns[i], self, name);
        if (access(path, R_OK) != 0)
            continue;
        void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        if (!library)
            snprintf(reason, size, "%s", dlerror());
        return library;
    }
    snprintf(reason, size, "this build has no libgalrun_%s.so", name);
    return NULL;
}

static gal_status cuda_open(const gal_backend **out)
{
    static const gal_backend *backend;
    static const gal_host host = {GAL_BACKEND_VERSION, gal_fail, gal_interrupted};
    if (!backend) {
        char reason[512];
        void *library = library_open("cuda", reason, sizeof reason);
        if (!library)
            return gal_fail(GAL_DEVICE, "device \"cuda\" can't be had: %s", reason);
        gal_backend_open *open = (gal_backend_open *)(intptr_t)dlsym(library, "gal_backend_open");
        if (!open)
            return gal_fail(GAL_DEVICE,
                            "device \"cuda\" can't be had: libgalrun_cuda.so has no gal_backend_open");
        gal_status status = open(&backend, &host);
        if (status != GAL_OK)
            return status;
    }
    *out = backend;
    return GAL_OK;
}

gal_status gal_backend_find(const gal_backend **out, const char *device)
{
    if (!strcmp(device, "cpu")) {
        *out = gal_cpu_backend();
        return GAL_OK;
    }
    if (!strcmp(device, "cuda"))
        return cuda_open(out);
    return gal_fail(GAL_DEVICE, "device \"%s\" is unknown, expected \"cpu\" or \"cuda\"", device);
}

gal_status gal_device_open(const char *name)
{
    const gal_backend *backend;
    return gal_backend_find(&backend, name);
}
