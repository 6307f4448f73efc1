/* device.c: from a name to a device. The CPU is linked in; others are libraries that may be absent, loaded
 * when first asked for: "cuda" is device 0 of libgalrun_cuda.so, "cuda:1" its device 1. */
#define _GNU_SOURCE
#include "core.h"
#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* "cuda:1" as its library's name and the device's number in it. */
typedef struct device_name {
    char library[16];
    int number;
} device_name;

/* The devices that are open, in the order of their opening. */
static struct {
    device_name name;
    const gal_backend *device;
} opened[GAL_DEVICES - 1]; /* the CPU is always open */
static int open_count;

/* What a test's own device is loaded from, NAME in libgalrun_NAME.so being the device's name; only tests set
 * it. */
#define TEST_LIBRARY "GALRUN_TEST_DEVICE"

/* NAME or NAME:N with a NAME of small letters. */
static int parse(device_name *out, const char *text)
{
    size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyz");
    char *end = NULL;
    if (length == 0 || length >= sizeof out->library)
        return 0;
    snprintf(out->library, sizeof out->library, "%.*s", (int)length, text);
    out->number = 0;
    if (!text[length])
        return 1;
    if (text[length] != ':' || text[length + 1] < '0' || text[length + 1] > '9')
        return 0;
    long number = strtol(text + length + 1, &end, 10);
    out->number = (int)number;
    return *end == 0 && number < 1024;
}

/* The path of the test library, if it is of this name; else NULL. */
static const char *test_library(const char *library)
{
    const char *path = getenv(TEST_LIBRARY), *slash = path ? strrchr(path, '/') : NULL;
    char file[64];
    snprintf(file, sizeof file, "libgalrun_%s.so", library);
    return path && !strcmp(slash ? slash + 1 : path, file) ? path : NULL;
}

/* Loads libgalrun_NAME.so from beside the executable or ../lib/galrun; NULL with the reason. */
static void *library_open(const char *name, char *reason, size_t size)
{
    const char *const patterns[] = {"%s/libgalrun_%s.so", "%s/../lib/galrun/libgalrun_%s.so"};
    char self[PATH_MAX / 2], path[PATH_MAX];
    const char *tested = test_library(name);
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    self[length > 0 ? length : 0] = 0;
    char *slash = strrchr(self, '/');
    if (slash)
        *slash = 0;
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, patterns[i], self, name);
        if (!tested && access(path, R_OK) != 0)
            continue;
        void *library = dlopen(tested ? tested : path, RTLD_NOW | RTLD_LOCAL);
        if (!library)
            snprintf(reason, size, "%s", dlerror());
        return library;
    }
    snprintf(reason, size, "this build has no libgalrun_%s.so", name);
    return NULL;
}

static gal_status library_device(const gal_backend **out, const char *device, const device_name *name)
{
    static const gal_host host = {.version = GAL_BACKEND_VERSION,
                                  .fail = gal_fail,
                                  .fault = gal_fault_fail,
                                  .note = gal_note,
                                  .interrupted = gal_interrupted,
                                  .threads = gal_threads};
    char reason[512];
    void *library = library_open(name->library, reason, sizeof reason);
    if (!library)
        return gal_fail(GAL_DEVICE, "device \"%s\" can't be had: %s", device, reason);
    gal_backend_opener *open = (gal_backend_opener *)(intptr_t)dlsym(library, "gal_backend_open");
    if (!open)
        return gal_fail(GAL_DEVICE, "device \"%s\" can't be had: libgalrun_%s.so has no gal_backend_open",
                        device, name->library);
    return open(out, name->number, &host);
}

/* parse, of a library that there can be. */
static int known(device_name *out, const char *text)
{
    return parse(out, text) && (!strcmp(out->library, "cuda") || test_library(out->library));
}

int gal_device_known(const char *name)
{
    device_name parsed;
    return name && (!strcmp(name, "cpu") || known(&parsed, name));
}

gal_status gal_backend_find(const gal_backend **out, const char *device)
{
    device_name name;
    if (!device)
        return gal_fail(GAL_DEVICE, "no device is given, expected a name such as \"cpu\"");
    if (!strcmp(device, "cpu")) {
        *out = gal_cpu_backend();
        return GAL_OK;
    }
    if (!known(&name, device))
        return gal_fail(GAL_DEVICE,
                        "device \"%s\" is unknown, expected \"cpu\", \"cuda\" or, of several, \"cuda:1\"",
                        device);
    for (int i = 0; i < open_count; i++)
        if (!strcmp(opened[i].name.library, name.library) && opened[i].name.number == name.number) {
            *out = opened[i].device;
            return GAL_OK;
        }
    if (open_count == GAL_DEVICES - 1)
        return gal_fail(GAL_DEVICE, "device \"%s\" can't be had: %d are open, which is the most there can be",
                        device, GAL_DEVICES - 1);
    gal_status status = library_device(out, device, &name);
    if (status != GAL_OK)
        return status;
    opened[open_count].name = name;
    opened[open_count++].device = *out;
    return GAL_OK;
}

gal_status gal_device_about(gal_device_info *out, const char *device)
{
    const gal_backend *backend;
    gal_status status = gal_backend_find(&backend, device);
    return status == GAL_OK ? backend->about(backend, out) : status;
}

gal_status gal_device_wait(const char *device)
{
    const gal_backend *backend;
    gal_status status = gal_backend_find(&backend, device);
    return status == GAL_OK ? backend->synchronize(backend) : status;
}

gal_status gal_device_open(const char *name)
{
    const gal_backend *device;
    return gal_backend_find(&device, name);
}

const char *gal_device_name(const char *name)
{
    const gal_backend *device;
    return gal_backend_find(&device, name) == GAL_OK ? device->name : NULL;
}

int gal_device_host_readable(const char *name)
{
    const gal_backend *device;
    return gal_backend_find(&device, name) == GAL_OK && device->host_readable;
}
