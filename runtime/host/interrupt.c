/* interrupt.c: Ctrl-C. It sets a flag, which the long loops of C and of the library poll; it arms a debug
 * hook, which raises the error gal.interrupted in interpreted Lua; and pressed twice it ends the process,
 * which stops all other code. */
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
    pthread_t thread;                  /* the one that runs Lua */
    volatile sig_atomic_t pending;     /* pressed, and not yet forgotten by host_interrupt_clear */
    volatile sig_atomic_t polled_only; /* gal.host.poll_interrupts: the library asks, the hook stays off */
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

/* Interpreted code calls this at its next instruction. By then a loop of the library may have seen the flag,
 * cleared it and raised the error. */
static void interrupt_hook(lua_State *L, lua_Debug *where)
{
    (void)where;
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
    if (!interrupts.polled_only)
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

/* gal.host.poll_interrupts(on): while on, Ctrl-C only sets the flag, and the caller asks gal_interrupted()
 * where its state is whole. Returns whether it was on before. */
static int poll_interrupts(lua_State *L)
{
    lua_pushboolean(L, interrupts.polled_only);
    interrupts.polled_only = lua_toboolean(L, 1);
    if (!interrupts.polled_only && gal_interrupted())
        arm_hook();
    return 1;
}

static int interrupted_text(lua_State *L)
{
    lua_pushliteral(L, "interrupted");
    return 1;
}

/* Without SA_RESTART a read that waits (io.read, the prompt) returns, and the hook gets its turn. */
void host_interrupt_catch(lua_State *L)
{
    lua_pushcfunction(L, poll_interrupts);
    lua_setfield(L, -2, "poll_interrupts");
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
