/* repl.c: the prompt. Gathers lines into chunks and runs them. A terminal has prompts, and line editing by
 * editor.c; a pipe has none of these. lua/gal/repl.lua knows what a line means, how a value looks and where
 * help comes from. */
#define _GNU_SOURCE
#include "host.h"

#include <lauxlib.h>
#include <lua.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct prompt {
    bool terminal;
    host_editor *editor; /* NULL: plain lines from stdin */
    char *line;          /* getline's buffer */
    size_t size;
    int line_number; /* of the last line read, from 1 */
    bool pasting;    /* the last line was pasted, and more follows */
} prompt;

typedef enum line_state { LINE_READ, LINE_END, LINE_INTERRUPTED } line_state;

/* ---- lines ---- */

/* The next line, with its newline; valid until the next call. LINE_INTERRUPTED after Ctrl-C, which gives up
 * the line, and after TERM and USR1, which end the prompt. */
static line_state read_line(prompt *p, const char *text, const char **line)
{
    if (host_interrupt_ends())
        return LINE_INTERRUPTED;
    if (p->terminal)
        host_interrupt_clear();
    if (p->editor) {
        fflush(stdout);
        *line = host_editor_line(p->editor, text, &p->pasting);
    } else {
        if (p->terminal) {
            fputs(text, stdout);
            fflush(stdout);
        }
        *line = getline(&p->line, &p->size, stdin) < 0 ? NULL : p->line;
    }
    if (!*line && host_interrupt_pending()) {
        clearerr(stdin);
        if (p->terminal)
            fputc('\n', stdout);
        return LINE_INTERRUPTED;
    }
    if (!*line)
        return LINE_END;
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

/* Compiles the text on top of the stack, whose first line is number `line`, and pops it. True: it is on the
 * stack as a function, or *failed is set and the message is there. False: more lines are needed. */
static bool compile(lua_State *L, int line, bool at_end, bool *failed)
{
    push_repl(L, "compile");
    lua_insert(L, -2);
    lua_pushinteger(L, line);
    lua_pushboolean(L, at_end);
    *failed = !host_call(L, 3, 2);
    if (*failed)
        return true;
    if (lua_isfunction(L, -2)) {
        lua_pop(L, 1);
        return true;
    }
    lua_remove(L, -2);
    *failed = !lua_isnil(L, -1);
    if (!*failed)
        lua_pop(L, 1);
    return *failed;
}

/* Reads the next chunk. LINE_READ: it is on the stack, as a function or, of a pasted text, as its lines;
 * where it can't be compiled, the message is there and *failed is set. Otherwise the stack is as it was. */
static line_state read_chunk(lua_State *L, prompt *p, bool *failed)
{
    int first = p->line_number + 1;
    bool pasted = false;
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
        /* A pasted text is run when all of it is there. */
        pasted = pasted || p->pasting;
        *failed = false;
        if (p->pasting)
            continue;
        if (pasted) {
            push_repl(L, "unfinished");
            lua_pushvalue(L, -2);
            bool more = host_call(L, 1, 1) && lua_toboolean(L, -1) && state == LINE_READ;
            lua_pop(L, 1);
            if (!more)
                return LINE_READ;
            continue;
        }
        lua_pushvalue(L, -1);
        /* On a terminal every chunk counts its lines from 1; in a pipe the lines are those of the whole text.
         */
        if (compile(L, p->terminal ? 1 : first, state == LINE_END, failed)) {
            lua_remove(L, -2);
            return LINE_READ;
        }
    }
}

/* Runs the function on the stack and prints what it returns. Its argument is gal.repl's marks, by which the
 * values of an expression are known. */
static bool run_chunk(lua_State *L)
{
    int base = lua_gettop(L) - 1;
    host_interpret(L);
    push_repl(L, "marks");
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

/* Runs the chunks of the pasted text on the stack, one after another, and pops it. False, with the message in
 * its place, where one can't be compiled or has raised: those behind it are left out. */
static bool run_pasted(lua_State *L)
{
    int text = lua_gettop(L), line = 1;
    for (;;) {
        bool failed = false;
        push_repl(L, "next_chunk");
        lua_pushvalue(L, text);
        lua_pushinteger(L, line);
        if (!host_call(L, 2, 3)) /* --> the first chunk, what is left, the number of its first line; nil */
            break;
        if (lua_isnil(L, -3)) {
            lua_settop(L, text - 1);
            return true;
        }
        int next = (int)lua_tointeger(L, -1);
        lua_pop(L, 1);
        lua_replace(L, text);
        if (!compile(L, line, true, &failed) || failed || !run_chunk(L))
            break;
        lua_settop(L, text);
        line = next;
    }
    lua_replace(L, text);
    lua_settop(L, text);
    return false;
}

/* Runs what read_chunk has left on the stack, and reports its error. Returns HOST_DONE or its exit code. */
static int run_read(lua_State *L, bool failed)
{
    static bool told;
    bool done = !failed && (lua_isstring(L, -1) ? run_pasted(L) : run_chunk(L));
    if (!done && lua_isstring(L, -1) && isatty(STDIN_FILENO)) {
        push_repl(L, "filled");
        lua_pushvalue(L, -2);
        if (host_call(L, 1, 1))
            lua_replace(L, -2);
        else
            lua_pop(L, 1);
    }
    int code = done ? HOST_DONE : host_report(L);
    lua_getfield(L, LUA_REGISTRYINDEX, "gal.trace");
    if (code == HOST_FAILED && !told && !lua_isnil(L, -1) && isatty(STDIN_FILENO)) {
        fputs("(trace() shows the calls that led to an error)\n", stderr);
        told = true;
    }
    lua_pop(L, 1);
    return code;
}

int host_repl(lua_State *L)
{
    prompt p = {.terminal = isatty(STDIN_FILENO)};
    int code = HOST_DONE;
    if (!prepare(L, p.terminal))
        return host_report(L);
    if (p.terminal) {
        host_terminal_prompt();
        host_trace_set(TRACE_NONE);
        p.editor = host_editor_open(L);
        if (p.editor)
            host_terminal_echo(false); /* libedit echoes */
    }
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
        int result = run_read(L, failed);
        if (p.terminal) /* its user has seen what went wrong */
            continue;
        if (result != HOST_DONE)
            code = result;
        if (result == host_interrupt_code())
            break;
    }
    if (p.editor) {
        fputc('\n', stdout);
        host_editor_close(p.editor);
        host_terminal_echo(true);
    }
    free(p.line);
    return code;
}
