/* host.h: what the files of the host share: the command line, running Lua under an error handler, and the
 * REPL. The host is the only part of the project that knows a lua_State, prints, and ends the process. */
#ifndef GAL_HOST_H
#define GAL_HOST_H
#include <stdbool.h>
#include <stddef.h>

enum { HOST_DONE = 0, HOST_FAILED = 1, HOST_USAGE = 2, HOST_INTERRUPTED = 130 }; /* exit codes */

/* ---- options.c ---- */

/* One -e CODE or -l MODULE, in the order of the command line. */
typedef struct host_action {
    char kind; /* 'e' or 'l' */
    const char *text;
} host_action;

/* The command line, read. All strings belong to argv. */
typedef struct host_options {
    const char *device;            /* "cpu" unless said otherwise */
    int threads;                   /* 0: not given */
    double seed;                   /* an integer in 0 .. 2^53 */
    bool device_given, seed_given; /* threads_given is threads != 0 */
    bool repl, version, help;      /* -i, --version, --help */
    host_action *actions;          /* {action_count} */
    int action_count;
    const char *script; /* NULL: none; "-": standard input */
    char **arguments;   /* {argument_count}: what the script gets, without the options that the host took */
    int argument_count;
} host_options;

/* Reads argv. True, or false with one sentence in message: the caller prints it and exits with HOST_USAGE. */
bool host_options_read(host_options *options, int argc, char **argv, char *message, size_t size);
void host_options_free(host_options *options);
extern const char host_help[];

/* ---- main.c ---- */
struct lua_State;

/* Calls the function below its `arguments` on the stack, leaving `results` (or the error value). True when it
 * returned. Errors that are strings come back with a traceback, refusals (gal.raise) as their sentence;
 * Ctrl-C comes back as the value gal.interrupted. */
bool host_call(struct lua_State *L, int arguments, int results);
/* Pops the error value of a failed host_call or load and prints it on stderr, after all that stdout holds.
 * Returns the exit code that it means. */
int host_report(struct lua_State *L);
/* The stack's top function, and all that is defined in it, will not be compiled: Ctrl-C then stops any loop
 * in it. */
void host_interpret(struct lua_State *L);
/* ---- interrupt.c ---- */

/* From here on Ctrl-C is caught, until released. Adds `interrupted` (the value of the error) and
 * `poll_interrupts` to the table on the stack, gal.host. */
void host_interrupt_catch(struct lua_State *L);
void host_interrupt_release(void);
/* Pushes the value that Ctrl-C raises: gal.interrupted, or gal.host.interrupted while gal is not loaded. */
void host_push_interrupted(struct lua_State *L);
/* Forgets a Ctrl-C that was not acted on, so that the next one counts as the first. */
void host_interrupt_clear(void);
/* Whether Ctrl-C was pressed since the last host_interrupt_clear. */
bool host_interrupt_pending(void);

/* ---- repl.c ---- */

/* Reads standard input chunk by chunk until its end: with prompts, line editing and history where it is a
 * terminal, silently where it is not. Returns HOST_DONE; piped, HOST_FAILED if a chunk failed and
 * HOST_INTERRUPTED at once after Ctrl-C. */
int host_repl(struct lua_State *L);

#endif
