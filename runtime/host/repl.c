/* repl.c: the prompt. Gathers lines into chunks and runs them. A terminal has prompts, and line editing and
 * history by libedit; a pipe has none of these. lua/gal/repl.lua knows what a line means, how a value looks
 * and where help comes from. */
#define _GNU_SOURCE /* ppoll */
#include "host.h"

#include <errno.h>
#include <histedit.h>
#include <lauxlib.h>
#include <lua.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wchar.h>

enum { KEPT_LINES = 2000 };

typedef struct prompt {
    bool terminal;
    const char *text; /* "> ", or ">> " inside a chunk */
    EditLine *editor; /* NULL: plain lines from stdin */
    History *history;
    char path[4096]; /* of the history; "" where there is none */
    char *line;      /* getline's buffer */
    size_t size;
    int line_number; /* of the last line read, from 1 */
} prompt;

typedef enum line_state { LINE_READ, LINE_END, LINE_INTERRUPTED } line_state;

/* ---- the terminal ---- */

static volatile sig_atomic_t resized, continued;

static void on_terminal_change(int signal_number)
{
    if (signal_number == SIGWINCH)
        resized = 1;
    else
        continued = 1;
}

static char *prompt_text(EditLine *editor)
{
    prompt *p;
    el_get(editor, EL_CLIENTDATA, &p);
    return (char *)p->text;
}

/* Waits for a byte of standard input. Returns false after a signal. Interrupts are blocked but while it
 * waits, so that none is missed on the way there. */
static bool wait_for_input(void)
{
    sigset_t interrupt, before;
    host_interrupt_set(&interrupt);
    sigprocmask(SIG_BLOCK, &interrupt, &before);
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    bool ready = !host_interrupt_pending() && ppoll(&input, 1, NULL, &before) > 0;
    sigprocmask(SIG_SETMASK, &before, NULL);
    /* Where both have come, the signal came first: a terminal drops its input at Ctrl-C. */
    return ready && !host_interrupt_pending();
}

/* Reads a character for libedit, whose own reader goes on after SIGINT; this one gives up the line. Returns
 * 1, 0 at the end of the input, -1 after SIGINT. */
static int read_character(EditLine *editor, wchar_t *character)
{
    mbstate_t state = {0};
    for (;;) {
        char byte;
        if (!wait_for_input()) {
            if (host_interrupt_pending())
                return -1;
            if (resized)
                el_resize(editor);
            if (continued) {
                el_set(editor, EL_PREP_TERM, 1);
                el_set(editor, EL_REFRESH);
            }
            resized = continued = 0;
            continue;
        }
        ssize_t n = read(STDIN_FILENO, &byte, 1);
        if (n <= 0)
            return n == 0 || errno != EINTR ? 0 : -1;
        size_t used = mbrtowc(character, &byte, 1, &state);
        if (used == (size_t)-2)
            continue;
        if (used == (size_t)-1)
            *character = L'?';
        return 1;
    }
}

/* $XDG_STATE_HOME/galrun_history or ~/.galrun_history. */
static void find_history(prompt *p)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    int n = 0;
    if (state && *state)
        n = snprintf(p->path, sizeof p->path, "%s/galrun_history", state);
    else if (home && *home)
        n = snprintf(p->path, sizeof p->path, "%s/.galrun_history", home);
    if (n >= (int)sizeof p->path)
        p->path[0] = '\0';
}

static void open_terminal(prompt *p)
{
    HistEvent event;
    p->editor = el_init("galrun", stdin, isatty(STDOUT_FILENO) ? stdout : stderr, stderr);
    if (!p->editor)
        return;
    el_set(p->editor, EL_CLIENTDATA, p);
    el_set(p->editor, EL_PROMPT, prompt_text);
    el_set(p->editor, EL_EDITOR, "emacs");
    el_set(p->editor, EL_GETCFN, read_character);
    el_set(p->editor, EL_BIND, "^R", "em-inc-search-prev", NULL);
    el_set(p->editor, EL_BIND, "\t", "ed-insert", NULL); /* pasted code is indented */
    el_source(p->editor, NULL);                          /* ~/.editrc */
    if ((p->history = history_init())) {
        history(p->history, &event, H_SETSIZE, KEPT_LINES);
        history(p->history, &event, H_SETUNIQUE, 1);
        el_set(p->editor, EL_HIST, history, p->history);
        find_history(p);
        if (p->path[0])
            history(p->history, &event, H_LOAD, p->path);
    }
    struct sigaction action = {.sa_handler = on_terminal_change};
    sigemptyset(&action.sa_mask);
    sigaction(SIGWINCH, &action, NULL);
    sigaction(SIGCONT, &action, NULL);
}

static void close_prompt(prompt *p)
{
    if (p->editor) {
        el_end(p->editor);
        signal(SIGWINCH, SIG_DFL);
        signal(SIGCONT, SIG_DFL);
    }
    if (p->history)
        history_end(p->history);
    free(p->line);
}

/* Adds line to the history and writes its file, which only its owner can read. It is written after every
 * line, so that a killed session leaves its history. */
static void remember(prompt *p, const char *line)
{
    HistEvent event;
    if (!p->history || line[strspn(line, " \t\r\n")] == '\0')
        return;
    history(p->history, &event, H_ENTER, line);
    if (!p->path[0])
        return;
    mode_t old = umask(077);
    history(p->history, &event, H_SAVE, p->path);
    umask(old);
}

/* ---- lines ---- */

/* The next line, with its newline; valid until the next call. LINE_INTERRUPTED after Ctrl-C, which gives up
 * the line, and after TERM and USR1, which end the prompt. */
static line_state read_line(prompt *p, const char *text, const char **line)
{
    p->text = text;
    if (host_interrupt_ends())
        return LINE_INTERRUPTED;
    if (p->terminal)
        host_interrupt_clear();
    if (p->editor) {
        int count;
        fflush(stdout);
        *line = el_gets(p->editor, &count);
    } else {
        if (p->terminal) {
            fputs(text, stdout);
            fflush(stdout);
        }
        *line = getline(&p->line, &p->size, stdin) < 0 ? NULL : p->line;
    }
    if (!*line && host_interrupt_pending()) {
        clearerr(stdin);
        if (p->editor)
            el_reset(p->editor);
        if (p->terminal)
            fputc('\n', stdout);
        return LINE_INTERRUPTED;
    }
    if (!*line)
        return LINE_END;
    if (p->editor)
        remember(p, *line);
    p->line_number++;
    return LINE_READ;
}

/* ---- chunks ---- */

/* Pushes gal.repl's function `name`. */
static void push_repl(lua_State *L, const char *name)
{
    lua_getfield(L, LUA_REGISTRYINDEX, "gal.repl");
    lua_getfield(L, -1, name);
    lua_remove(L, -2);
}

/* Reads the next chunk. LINE_READ: it is on the stack as a function; where it can't be compiled, the message
 * is there and *failed is set. Otherwise the stack is as it was. */
static line_state read_chunk(lua_State *L, prompt *p, bool *failed)
{
    int first = p->line_number + 1;
    lua_pushliteral(L, "");
    for (const char *text = "> ";; text = ">> ") {
        const char *line;
        line_state state = read_line(p, text, &line);
        if (state == LINE_INTERRUPTED || (state == LINE_END && lua_objlen(L, -1) == 0)) {
            lua_pop(L, 1);
            return state;
        }
        if (state == LINE_READ) {
            lua_pushstring(L, line);
            lua_concat(L, 2);
        }
        push_repl(L, "compile");
        lua_pushvalue(L, -2);
        /* On a terminal every chunk counts its lines from 1; in a pipe the lines are those of the whole text.
         */
        lua_pushinteger(L, p->terminal ? 1 : first);
        lua_pushboolean(L, state == LINE_END);
        *failed = !host_call(L, 3, 2);
        if (*failed) {
            lua_remove(L, -2);
            return LINE_READ;
        }
        if (lua_isfunction(L, -2)) {
            lua_pop(L, 1);
            lua_remove(L, -2);
            return LINE_READ;
        }
        if (!lua_isnil(L, -1)) {
            *failed = true;
            lua_replace(L, -3);
            lua_pop(L, 1);
            return LINE_READ;
        }
        lua_pop(L, 2);
    }
}

/* Runs the function on the stack and prints what it returns. Its argument is gal.repl's show, by which
 * gal.repl marks the values of an expression. */
static bool run_chunk(lua_State *L)
{
    int base = lua_gettop(L) - 1;
    host_interpret(L);
    push_repl(L, "show");
    if (!host_call(L, 1, LUA_MULTRET))
        return false;
    push_repl(L, "show");
    lua_insert(L, base + 1);
    if (!host_call(L, lua_gettop(L) - base - 1, 1))
        return false;
    if (lua_isstring(L, -1)) {
        fwrite(lua_tostring(L, -1), 1, lua_objlen(L, -1), stdout);
        fputc('\n', stdout);
    }
    lua_pop(L, 1);
    return true;
}

/* Loads gal.repl, makes `gal` and `exit` global for the session, and greets. False where it raised. */
static bool prepare(lua_State *L, bool terminal)
{
    lua_getglobal(L, "require");
    lua_pushliteral(L, "gal.repl");
    if (!host_call(L, 1, 1))
        return false;
    lua_pushvalue(L, -1);
    lua_setfield(L, LUA_REGISTRYINDEX, "gal.repl");
    lua_getfield(L, -1, "start");
    lua_remove(L, -2);
    if (!host_call(L, 0, 2))
        return false;
    if (terminal)
        printf("%s\n", lua_tostring(L, -2));
    if (!lua_isnil(L, -1))
        fprintf(stderr, "%s\n", lua_tostring(L, -1));
    lua_pop(L, 2);
    return true;
}

int host_repl(lua_State *L)
{
    prompt p = {.terminal = isatty(STDIN_FILENO)};
    int code = HOST_DONE;
    if (!prepare(L, p.terminal))
        return host_report(L);
    if (p.terminal)
        open_terminal(&p);
    for (;;) {
        bool failed;
        line_state state = read_chunk(L, &p, &failed);
        if (state == LINE_END)
            break;
        if (state == LINE_INTERRUPTED) {
            if (p.terminal && !host_interrupt_ends())
                continue;
            code = host_interrupt_code();
            break;
        }
        if (failed || !run_chunk(L)) {
            code = host_report(L);
            if (code == host_interrupt_code() && !p.terminal)
                break;
        }
        if (p.terminal) /* its user has seen what went wrong */
            code = HOST_DONE;
    }
    if (p.editor)
        fputc('\n', stdout);
    close_prompt(&p);
    return code;
}
