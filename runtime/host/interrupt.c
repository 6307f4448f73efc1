/* interrupt.c: Ctrl-C. It sets a flag, which the long loops of C and of the library poll; it arms a debug
 * hook, which raises the error gal.interrupted in interpreted Lua outside of sheltered chunks; and pressed
 * twice it ends the process, which stops all other code. */
#include "host.h"
#include "galrun.h"

#include <errno.h>
#include <lauxlib.h>
#include <lua.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

static struct {
    lua_State *L;
    pthread_t thread;              /* the one that runs Lua */
    volatile sig_atomic_t pending; /* pressed, and not yet forgotten by host_interrupt_clear */
    struct timespec last;
} interrupts;

void host_push_interrupted(lua_State *L)
{
    int top = lua_gettop(L);
    lua_getfield(L, LUA_REGISTRYINDEX, "_LOADED");
    lua_getfield(L, -1, "gal");
    if (lua_istable(L, -1)) {
        lua_pushliteral(L, "interrupted");
        lua_rawget(L, -2);
    }
    if (!lua_istable(L, -1) || lua_gettop(L) != top + 3)
        lua_getfield(L, LUA_REGISTRYINDEX, "gal.interrupted");
    lua_replace(L, top + 1);
    lua_settop(L, top + 1);
}

/* The registry's table of sheltered chunks, {source = true}. */
#define SHELTERED "gal.sheltered"

/* Whether the Lua function that runs, or that called the C function that runs, is in a sheltered chunk. */
static bool in_shelter(lua_State *L)
{
    lua_Debug frame;
    for (int level = 0; lua_getstack(L, level, &frame); level++) {
        lua_getinfo(L, "S", &frame);
        if (*frame.what == 'C')
            continue;
        lua_getfield(L, LUA_REGISTRYINDEX, SHELTERED);
        lua_getfield(L, -1, frame.source);
        bool sheltered = lua_toboolean(L, -1);
        lua_pop(L, 2);
        return sheltered;
    }
    return false;
}

/* Interpreted code calls this at its next instruction. By then a loop of the library may have seen the flag,
 * cleared it and raised the error. In a sheltered chunk the hook stays armed: it gets its turn behind it. */
static void interrupt_hook(lua_State *L, lua_Debug *where)
{
    (void)where;
    if (gal_interrupted() && in_shelter(L))
        return;
    lua_sethook(L, NULL, 0, 0);
    if (!gal_interrupted())
        return;
    gal_interrupt_set(0);
    host_push_interrupted(L);
    lua_error(L);
}

static void arm_hook(void)
{
    lua_sethook(interrupts.L, interrupt_hook, LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT, 1);
}

/* A compiled loop never calls the hook and a long computation polls late, so a second Ctrl-C within 2 s ends
 * the process. */
static void on_interrupt(int signal_number)
{
    if (!pthread_equal(pthread_self(), interrupts.thread)) {
        pthread_kill(interrupts.thread, signal_number);
        return;
    }
    int saved = errno;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    double since = (double)(now.tv_sec - interrupts.last.tv_sec) +
                   1e-9 * (double)(now.tv_nsec - interrupts.last.tv_nsec);
    if (interrupts.pending && since < 2) {
        static const char text[] = "\ninterrupted twice: ended at once\n";
        ssize_t ignored = write(STDERR_FILENO, text, sizeof text - 1);
        (void)ignored;
        _exit(HOST_INTERRUPTED);
    }
    interrupts.last = now;
    interrupts.pending = 1;
    gal_interrupt_set(1);
    arm_hook();
    errno = saved;
}

void host_interrupt_clear(void)
{
    interrupts.pending = 0;
    gal_interrupt_set(0);
}

bool host_interrupt_pending(void)
{
    return interrupts.pending;
}

/* gal.host.shelter(): the chunk that calls it is sheltered from here on: its functions change what must not
 * stay half changed (a handle of C that has no owner yet, the scope that is open), call no other chunk's
 * meanwhile, and do not run long. */
static int shelter(lua_State *L)
{
    lua_Debug caller;
    if (!lua_getstack(L, 1, &caller))
        return 0;
    lua_getinfo(L, "S", &caller);
    lua_getfield(L, LUA_REGISTRYINDEX, SHELTERED);
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, caller.source);
    return 0;
}

static int interrupted_text(lua_State *L)
{
    lua_pushliteral(L, "interrupted");
    return 1;
}

/* Without SA_RESTART a read that waits (io.read, the prompt) returns, and the hook gets its turn. */
void host_interrupt_catch(lua_State *L)
{
    lua_newtable(L);
    lua_setfield(L, LUA_REGISTRYINDEX, SHELTERED);
    lua_pushcfunction(L, shelter);
    lua_setfield(L, -2, "shelter");
    lua_newtable(L);
    lua_newtable(L);
    lua_pushcfunction(L, interrupted_text);
    lua_setfield(L, -2, "__tostring");
    lua_setmetatable(L, -2);
    lua_pushvalue(L, -1);
    lua_setfield(L, LUA_REGISTRYINDEX, "gal.interrupted");
    lua_setfield(L, -2, "interrupted");

    interrupts.L = L;
    interrupts.thread = pthread_self();
    struct sigaction action = {.sa_handler = on_interrupt};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
}

void host_interrupt_release(void)
{
    signal(SIGINT, SIG_DFL);
}
