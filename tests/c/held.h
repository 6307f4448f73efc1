/* held.h: what a program asks for at once, and what it holds, in all its libraries. One file of a program
 * includes it. watch_memory() once, then largest, held and most_held say. */
#ifndef GAL_TEST_HELD_H
#define GAL_TEST_HELD_H
#include <stdatomic.h>
#include <stdlib.h>

static atomic_llong largest, held, most_held;

static void count_taken(size_t asked, size_t got)
{
    long long now = atomic_fetch_add(&held, (long long)got) + (long long)got;
    if ((long long)asked > atomic_load(&largest))
        atomic_store(&largest, (long long)asked);
    if (now > atomic_load(&most_held))
        atomic_store(&most_held, now);
}

#if defined(__SANITIZE_ADDRESS__)
/* As in <sanitizer/allocator_interface.h>, which gcc does not bring. */
int __sanitizer_install_malloc_and_free_hooks(void (*taken)(const volatile void *, size_t),
                                              void (*freed)(const volatile void *));
size_t __sanitizer_get_allocated_size(const volatile void *block);
/* A larger request ends the test then and there, with the stack that made it. */
__attribute__((visibility("default"))) const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "max_allocation_size_mb=64:allocator_may_return_null=0";
}

static void on_malloc(const volatile void *block, size_t n)
{
    (void)block;
    count_taken(n, n);
}

static void on_free(const volatile void *block)
{
    atomic_fetch_sub(&held, block ? (long long)__sanitizer_get_allocated_size(block) : 0);
}

static void watch_memory(void)
{
    __sanitizer_install_malloc_and_free_hooks(on_malloc, on_free);
}
#elif defined(__GLIBC__)
#include <malloc.h>
/* In front of the C library's own, for CFITSIO, libzip and zlib too. */
#define OURS __attribute__((visibility("default")))
extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
extern void __libc_free(void *);

OURS void *malloc(size_t n)
{
    void *block = __libc_malloc(n);
    count_taken(n, malloc_usable_size(block));
    return block;
}

OURS void *calloc(size_t n, size_t size)
{
    void *block = __libc_calloc(n, size);
    count_taken(n * size, malloc_usable_size(block));
    return block;
}

OURS void *realloc(void *old, size_t n)
{
    atomic_fetch_sub(&held, (long long)malloc_usable_size(old));
    void *block = __libc_realloc(old, n);
    count_taken(n, malloc_usable_size(block ? block : old));
    return block;
}

OURS void free(void *block)
{
    atomic_fetch_sub(&held, (long long)malloc_usable_size(block));
    __libc_free(block);
}

static void watch_memory(void)
{
}
#else
static void watch_memory(void)
{
}
#endif

#endif
