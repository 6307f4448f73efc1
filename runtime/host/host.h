/* host.h: what the files of the host share: the command line, calls of Lua, Ctrl-C and the prompt. Only the
 * host includes lua.h, prints, and ends the process. */
#ifndef GAL_HOST_H
#define GAL_HOST_H
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

/* Exit codes. Ended by Ctrl-C, by TERM, and by USR1: there is more to do, and the same command does it. */
enum { HOST_DONE = 0, HOST_FAILED = 1, HOST_USAGE = 2 };
enum { HOST_INTERRUPTED = 130, HOST_TERMINATED = 143, HOST_MORE = 75 };

/* ---- options.c ---- */

/* One -e CODE or -l MODULE, in the order of the command line. */
typedef struct host_action {
    char kind; /* 'e' or 'l' */
    const char *text;
} host_action;

/* What the command line says. All strings belong to argv. */
typedef struct host_options {
    const char *device; /* "cpu" unless the command line gave another */
    int threads;        /* 0: the command line gave none */
    double seed;        /* an integer in 0 .. 2^53 */
    bool device_given, seed_given;
    const char *pictures;            /* how a terminal shows figures: "auto" unless the command line said */
    bool repl, trace, version, help; /* -i, --trace, --version, --help */
    host_action *actions;            /* {action_count} */
    int action_count;
    const char *script; /* NULL: none; "-": standard input */
    char **arguments;   /* {argument_count}: the script's, without the options that the host takes out */
    int argument_count;
} host_options;

/* Reads argv. Returns false with one sentence in message {size} where it is wrong: the caller prints the
 * sentence and exits with HOST_USAGE. Free the options in either case. */
bool host_options_read(host_options *options, int argc, char **argv, char *message, size_t size);
void host_options_free(host_options *options);
extern const char host_help[];

/* ---- call.c ---- */
struct lua_State;

/* What an error's text has below its message: the calls in the user's own files, all calls, or nothing. */
typedef enum host_trace { TRACE_OWN, TRACE_ALL, TRACE_NONE } host_trace;
/* Sets that. Takes effect with the next error; TRACE_OWN before. */
void host_trace_set(host_trace shown);
/* gal.host.trace(): the last error with all calls, as text; nil where there was none. */
int host_trace_last(struct lua_State *L);

/* Calls the function below its `arguments` on the stack. True when it returned: its `results` take their
 * place on the stack. False when it raised: the error value does. A string has its traceback then
 * (host_trace_set), a refusal (gal.base.errors) is its sentence alone, and Ctrl-C is the value
 * gal.interrupted. */
bool host_call(struct lua_State *L, int arguments, int results);
/* Pops the error value that a failed host_call or load has left, flushes stdout and prints the error on
 * stderr. Returns host_interrupt_code() for an interrupt, else HOST_FAILED. */
int host_report(struct lua_State *L);
/* Keeps LuaJIT from compiling the stack's top function and all that is defined in it, so that Ctrl-C stops
 * any loop in them. */
void host_interpret(struct lua_State *L);

/* ---- interrupt.c ---- */

/* Catches Ctrl-C, TERM and USR1, which all interrupt, until host_interrupt_release. Adds `interrupted`, the
 * value of the error, `shelter` and `signal` to the table on top of the stack, gal.host. */
void host_interrupt_catch(struct lua_State *L);
void host_interrupt_release(void);
/* Pushes the value that Ctrl-C raises: gal.interrupted, or gal.host.interrupted before gal is loaded, which
 * then takes it over. */
void host_push_interrupted(struct lua_State *L);
/* Forgets a Ctrl-C that nobody has acted on, so that the next one counts as the first. */
void host_interrupt_clear(void);
/* Whether an interrupt came since the last host_interrupt_clear; whether it was TERM or USR1, which end a
 * prompt too. */
bool host_interrupt_pending(void);
bool host_interrupt_ends(void);
/* The exit code of the last interrupt, HOST_INTERRUPTED, HOST_TERMINATED or HOST_MORE, and what is told of
 * it; Ctrl-C's where none came. */
int host_interrupt_code(void);
const char *host_interrupt_text(void);
/* Fills the set with the signals that interrupt. */
void host_interrupt_set(sigset_t *set);

/* ---- terminal.c ---- */

/* Whether text on standard output, or on standard error, may have colours: a terminal that knows them, and no
 * NO_COLOR in the environment. */
bool host_colour(int descriptor);
/* While a chunk runs the terminal does not echo what is typed ahead: it waits for the prompt. `on` = true
 * gives the terminal its own settings back. Nothing happens where standard input is no terminal or the prompt
 * does not run. */
void host_terminal_prompt(void);
void host_terminal_echo(bool on);
bool host_terminal_echoes(void);
/* Silences a terminal once more that others have made echo: a shell, while the process was stopped; libedit.
 */
void host_terminal_again(void);
/* What stands in s {n}, which begins with ESC: more is needed, a key, the terminal's answer to a question, or
 * a mark before or behind a pasted text. */
typedef enum host_escape { ESCAPE_OPEN, ESCAPE_KEY, ESCAPE_ANSWER, ESCAPE_PASTE, ESCAPE_PASTED } host_escape;
host_escape host_escape_of(const char *s, size_t n);
/* The next byte that was typed while the terminal was asked; -1 where there is none. */
int host_terminal_typed(void);
/* Adds `echo`, `ask` and `cells` to the table on top of the stack, gal.host. */
void host_terminal_functions(struct lua_State *L);

/* ---- editor.c ---- */

/* Lines of a terminal: editing, history, completion by gal.repl, pasted text. */
typedef struct host_editor host_editor;
/* NULL where the terminal can't be edited on. */
host_editor *host_editor_open(struct lua_State *L);
void host_editor_close(host_editor *editor);
/* The next line, with its newline, behind the prompt `text`; valid until the next call. NULL at the end of
 * the input and after Ctrl-C (host_interrupt_pending). *pasting: the line ends inside a pasted text, which
 * goes on. */
const char *host_editor_line(host_editor *editor, const char *text, bool *pasting);

/* ---- repl.c ---- */

/* Reads standard input chunk by chunk until its end and runs each: with prompts, line editing and history
 * where it is a terminal, without them where it is a pipe. Returns HOST_DONE; from a pipe HOST_FAILED where a
 * chunk failed, and host_interrupt_code() at once after an interrupt, at a terminal after TERM or USR1. */
int host_repl(struct lua_State *L);

#endif
