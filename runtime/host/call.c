/* call.c: calls of Lua from C: their errors become a message with its traceback, and the message becomes a
 * line on stderr and an exit code. */
#include "host.h"
#include "galrun.h"

#include <lauxlib.h>
#include <lua.h>
#include <luajit.h>
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

/* The message handler: turns an error value into its message and a traceback without this program's own
 * frame. Strings are handled with few slots of the stack, since a stack overflow leaves hardly any. */
static int add_traceback(lua_State *L)
{
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
    }
    luaL_traceback(L, L, lua_tostring(L, 1), 1);
    const char *text = lua_tostring(L, -1), *host_frame = strstr(text, "\n\t[C]: at 0x");
    if (host_frame)
        lua_pushlstring(L, text, (size_t)(host_frame - text));
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
    if (interrupted && isatty(STDERR_FILENO))
        fputc('\n', stderr); /* the terminal has shown ^C on the line */
    if (interrupted)
        fprintf(stderr, "%s\n", host_interrupt_text());
    else
        fprintf(stderr, "%s\n", lua_isstring(L, -2) ? lua_tostring(L, -2) : "an error without a message");
    lua_pop(L, 2);
    return interrupted ? host_interrupt_code() : HOST_FAILED;
}

void host_interpret(lua_State *L)
{
    luaJIT_setmode(L, -1, LUAJIT_MODE_ALLFUNC | LUAJIT_MODE_OFF);
}
