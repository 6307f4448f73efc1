/* call.c: calls of Lua from C: their errors become a message with its traceback, and the message becomes a
 * line on stderr and an exit code. */
#include "host.h"
#include "galrun.h"

#include <lauxlib.h>
#include <lua.h>
#include <luajit.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Pushes the text of an error value that is no string: its __tostring, else how the prompt shows it. */
static void push_value_text(lua_State *L, int value)
{
    if (luaL_callmeta(L, value, "__tostring") && lua_isstring(L, -1))
        return;
    lua_getglobal(L, "require");
    lua_pushliteral(L, "gal.repl");
    if (lua_pcall(L, 1, 1, 0) == 0 && lua_istable(L, -1)) {
        lua_getfield(L, -1, "format");
        lua_pushvalue(L, value);
        if (lua_pcall(L, 1, 1, 0) == 0 && lua_isstring(L, -1)) {
            lua_pushfstring(L, "error value: %s", lua_tostring(L, -1));
            return;
        }
    }
    lua_pushfstring(L, "error value: a %s", luaL_typename(L, value));
}

static host_trace shown = TRACE_OWN;

void host_trace_set(host_trace value)
{
    shown = value;
}

int host_trace_last(lua_State *L)
{
    lua_getfield(L, LUA_REGISTRYINDEX, "gal.trace");
    return 1;
}

/* Appends to text {size}. */
static void append(char *text, size_t size, const char *format, ...)
{
    size_t used = strlen(text);
    va_list values;
    va_start(values, format);
    vsnprintf(text + used, size - used, format, values);
    va_end(values);
}

/* Whether s begins with "SOURCE:LINE:" of the frame. */
static bool begins_at(const char *s, const lua_Debug *frame)
{
    char place[LUA_IDSIZE + 16];
    int n = snprintf(place, sizeof place, "%s:%d:", frame->short_src, frame->currentline);
    return strncmp(s, place, (size_t)n) == 0;
}

/* Fills text {size} with the calls in the user's own files, a line each; "" where the message names the only
 * one. Returns how many calls inside the library were left out; -1 where the library itself is at fault,
 * since its own line is in the message. */
static int own_calls(lua_State *L, const char *message, char *text, size_t size)
{
    enum { MOST = 22 };
    lua_getfield(L, LUA_REGISTRYINDEX, "gal.library");
    const char *library = lua_tostring(L, -1);
    size_t length = library ? strlen(library) : 0;
    int left_out = 0, own = 0, lua = 0;
    bool named = false;
    lua_Debug frame;
    text[0] = '\0';
    for (int level = 1; own < MOST && lua_getstack(L, level, &frame); level++) {
        lua_getinfo(L, "Snl", &frame);
        if (*frame.what == 'C')
            continue;
        if (length && strncmp(frame.source, library, length) == 0) {
            if (lua++ == 0 && begins_at(message, &frame))
                return -1;
            left_out++;
            continue;
        }
        lua++;
        named = named || begins_at(message, &frame);
        own++;
        append(text, size, "\n\t%s:%d: in ", frame.short_src, frame.currentline);
        if (*frame.what == 'm')
            append(text, size, "main chunk");
        else if (frame.name)
            append(text, size, "function '%s'", frame.name);
        else
            append(text, size, "function <%s:%d>", frame.short_src, frame.linedefined);
    }
    if (own == 1 && named)
        text[0] = '\0';
    return left_out;
}

/* The message of a raw error of Lua's, with a hint at what to write in its place; gal.repl knows. */
static void add_hint(lua_State *L)
{
    lua_getfield(L, LUA_REGISTRYINDEX, "_LOADED");
    lua_getfield(L, -1, "gal.tensor");
    if (lua_toboolean(L, -1)) {
        lua_getglobal(L, "require");
        lua_pushliteral(L, "gal.repl");
        if (lua_pcall(L, 1, 1, 0) == 0) {
            lua_getfield(L, -1, "hinted");
            lua_pushvalue(L, 1);
            if (lua_pcall(L, 1, 1, 0) == 0 && lua_isstring(L, -1))
                lua_replace(L, 1);
        }
    }
    lua_settop(L, 1);
}

/* The message handler: turns an error value into its message and a traceback without this program's own
 * frame. Strings are handled with few slots of the stack, since a stack overflow leaves hardly any. */
static int add_traceback(lua_State *L)
{
    bool overflow = lua_isstring(L, 1) && strstr(lua_tostring(L, 1), "stack overflow");
    if (!lua_isstring(L, 1)) {
        host_push_interrupted(L);
        if (lua_rawequal(L, 1, -1)) {
            lua_settop(L, 1);
            return 1;
        }
        lua_settop(L, 1);
        bool refusal = luaL_getmetafield(L, 1, "refusal"); /* gal.base.errors: the sentence is enough */
        push_value_text(L, 1);
        lua_replace(L, 1);
        lua_settop(L, 1);
        if (refusal)
            return 1;
    } else if (strstr(lua_tostring(L, 1), "attempt to compare")) {
        add_hint(L);
    }
    luaL_traceback(L, L, lua_tostring(L, 1), 1);
    const char *text = lua_tostring(L, -1), *host_frame = strstr(text, "\n\t[C]: at 0x");
    if (host_frame)
        lua_pushlstring(L, text, (size_t)(host_frame - text));
    lua_pushvalue(L, -1);
    lua_setfield(L, LUA_REGISTRYINDEX, "gal.trace");
    if (shown == TRACE_ALL || overflow)
        return 1;
    char own[4096];
    int left_out = own_calls(L, lua_tostring(L, 1), own, sizeof own);
    if (left_out < 0) {
        lua_getfield(L, LUA_REGISTRYINDEX, "gal.trace");
        return 1;
    }
    lua_settop(L, 1);
    if (shown == TRACE_NONE)
        return 1;
    if (own[0])
        lua_pushfstring(L, "%s\nstack traceback:%s", lua_tostring(L, 1), own);
    if (left_out)
        lua_pushfstring(L, "%s\n(galrun --trace shows the calls inside the library, too)",
                        lua_tostring(L, -1));
    return 1;
}

/* Prints the notices that the library has left; it prints nothing itself. */
static void print_notices(void)
{
    for (const char *notice = gal_notice(); notice; notice = gal_notice()) {
        fflush(stdout);
        fprintf(stderr, "galrun: %s\n", notice);
    }
}

bool host_call(lua_State *L, int arguments, int results)
{
    int function = lua_gettop(L) - arguments;
    lua_pushcfunction(L, add_traceback);
    lua_insert(L, function);
    bool done = lua_pcall(L, arguments, results, function) == 0;
    print_notices();
    lua_remove(L, function);
    return done;
}

int host_report(lua_State *L)
{
    host_push_interrupted(L);
    bool interrupted = lua_rawequal(L, -1, -2);
    fflush(stdout);
    if (interrupted && isatty(STDERR_FILENO)) /* the terminal shows ^C itself where it echoes */
        fputs(host_terminal_echoes() ? "\n" : "^C\n", stderr);
    const char *text = lua_isstring(L, -2) ? lua_tostring(L, -2) : "an error without a message";
    bool red = shown == TRACE_NONE && host_colour(STDERR_FILENO);
    fprintf(stderr, red ? "\033[31m%s\033[0m\n" : "%s\n", interrupted ? host_interrupt_text() : text);
    lua_pop(L, 2);
    return interrupted ? host_interrupt_code() : HOST_FAILED;
}

void host_interpret(lua_State *L)
{
    luaJIT_setmode(L, -1, LUAJIT_MODE_ALLFUNC | LUAJIT_MODE_OFF);
}
