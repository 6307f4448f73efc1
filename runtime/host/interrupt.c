/* interrupt.c: Ctrl-C, and the signals by which supervisors end work. They set a flag, which the long loops
 * of C and of the library poll; they arm a debug hook, which raises the error gal.interrupted in interpreted
 * Lua outside of sheltered chunks; and Ctrl-C pressed twice, or another signal that nothing heeds, ends the
 * process, which stops all other code. */
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
    volatile sig_atomic_t pending; /* the last signal, 0 once host_interrupt_clear has forgotten it */
    struct timespec last;
} interrupts;

/* TERM is how batch systems, init and kill end a process. USR1 is how a batch system is asked to tell that
 * the time is nearly up: 75, EX_TEMPFAIL of BSD, says that the same command has more to do. */
static const struct ending {
    int signal;
    const char *name, *told;
    int code;
} endings[] = {
    {SIGINT, "INT", "interrupted", HOST_INTERRUPTED},
    {SIGTERM, "TERM", "interrupted by TERM", HOST_TERMINATED},
    {SIGUSR1, "USR1", "interrupted by USR1: there is more to do", HOST_MORE},
};
enum { ENDINGS = sizeof endings / sizeof endings[0] };

/* Seconds after TERM or USR1 until a process that does not heed it is ended: less than batch systems wait
 * before they kill (Slurm's KillWait is 30 s), and longer than the work between two polls. */
enum { GRACE = 10 };

static const struct ending *last_ending(void)
{
    int last = interrupts.pending, i = 0;
    while (i < ENDINGS - 1 && endings[i].signal != last)
        i++;
    return last ? &endings[i] : &endings[0];
}

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

/* Says the text {n} and ends the process: for signal handlers. */
static void end_at_once(const char *text, size_t n, int code)
{
    ssize_t ignored = write(STDERR_FILENO, text, n);
    (void)ignored;
    host_terminal_echo(true);
    _exit(code);
}

/* Whether this Ctrl-C is the second within 2 s. A compiled loop never calls the hook and a long computation
 * polls late: it ends the process. */
static bool pressed_twice(void)
{
    struct timespec now, before = interrupts.last;
    clock_gettime(CLOCK_MONOTONIC, &now);
    interrupts.last = now;
    double since = (double)(now.tv_sec - before.tv_sec) + 1e-9 * (double)(now.tv_nsec - before.tv_nsec);
    return interrupts.pending == SIGINT && since < 2;
}

static void on_grace(int signal_number)
{
    static const char text[] = "interrupted, and nothing heeded it: ended at once\n";
    (void)signal_number;
    if (gal_interrupted())
        end_at_once(text, sizeof text - 1, host_interrupt_code());
}

/* A batch system may send TERM twice in a moment, to a job and to its processes: only Ctrl-C counts. */
static void on_interrupt(int signal_number)
{
    static const char text[] = "\ninterrupted twice: ended at once\n";
    if (!pthread_equal(pthread_self(), interrupts.thread)) {
        pthread_kill(interrupts.thread, signal_number);
        return;
    }
    int saved = errno;
    if (signal_number != SIGINT)
        alarm(GRACE);
    else if (pressed_twice())
        end_at_once(text, sizeof text - 1, HOST_INTERRUPTED);
    interrupts.pending = signal_number;
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
    return interrupts.pending != 0;
}

int host_interrupt_code(void)
{
    return last_ending()->code;
}

const char *host_interrupt_text(void)
{
    return last_ending()->told;
}

bool host_interrupt_ends(void)
{
    return interrupts.pending && interrupts.pending != SIGINT;
}

void host_interrupt_set(sigset_t *set)
{
    sigemptyset(set);
    for (int i = 0; i < ENDINGS; i++)
        sigaddset(set, endings[i].signal);
}

/* gal.host.signal(): "INT", "TERM" or "USR1", the last that came; nil where none has. */
static int signal_name(lua_State *L)
{
    if (!interrupts.pending)
        return 0;
    lua_pushstring(L, last_ending()->name);
    return 1;
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
    lua_pushcfunction(L, signal_name);
    lua_setfield(L, -2, "signal");
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
    struct sigaction action = {.sa_handler = on_interrupt}, grace = {.sa_handler = on_grace};
    host_interrupt_set(&action.sa_mask);
    sigemptyset(&grace.sa_mask);
    sigaction(SIGALRM, &grace, NULL);
    for (int i = 0; i < ENDINGS; i++)
        sigaction(endings[i].signal, &action, NULL);
}

void host_interrupt_release(void)
{
    alarm(0);
    for (int i = 0; i < ENDINGS; i++)
        signal(endings[i].signal, SIG_DFL);
}
