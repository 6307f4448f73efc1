/* main.c: galrun, the program. Makes a Lua state that knows the runtime (cdef, gal.host, package.path) and
 * runs in it what the command line asks for. options.c reads the command line, call.c calls Lua and reports
 * its errors, repl.c is the prompt. */
#include "host.h"
#include "galrun.h"

#include <errno.h>
#include <lauxlib.h>
#include <limits.h>
#include <locale.h>
#include <lua.h>
#include <luajit.h>
#include <lualib.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

static const char cdef[] =
#include "cdef.inc"
    ;

/* ---- where the library is ---- */

/* Fills root {size} with the folder that holds lua/gal, and executable with this program's path. The places
 * are a link that CMake leaves in the build folder, wherever that is; the folder above it; and share/galrun,
 * when installed. Returns false with a sentence in message where none has it. */
static bool find_root(char *executable, char *root, size_t size, char *message, size_t message_size)
{
    static const char *const places[] = {"lua", "../lua", "../share/galrun/lua"};
    ssize_t n = readlink("/proc/self/exe", executable, size - 1);
    if (n < 0) {
        snprintf(message, message_size, "can't read /proc/self/exe, by which it finds its Lua library: %s",
                 strerror(errno));
        return false;
    }
    executable[n] = '\0';
    int folder = (int)(strrchr(executable, '/') - executable);
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        char path[PATH_MAX], found[PATH_MAX];
        if (snprintf(path, sizeof path, "%.*s/%s/gal", folder, executable, places[i]) >= (int)sizeof path ||
            !realpath(path, found))
            continue;
        found[strlen(found) - strlen("/lua/gal")] = '\0';
        snprintf(root, size, "%s", found[0] ? found : "/");
        return true;
    }
    snprintf(message, message_size,
             "can't find its Lua library: no lua/gal, ../lua/gal or ../share/galrun/lua/gal from %.*s",
             folder, executable);
    return false;
}

/* Pushes a search path without its places in the current folder (they begin with "./"), unless the user's
 * variable names that: a file that happens to lie there must not stand in for a module that is missing. */
static void push_elsewhere(lua_State *L, const char *path, const char *variable)
{
    const char *asked = getenv(variable);
    luaL_Buffer kept;
    luaL_buffinit(L, &kept);
    for (size_t n; *path; path += n + (path[n] == ';')) {
        n = strcspn(path, ";");
        if (n == 0 || (!strncmp(path, "./", 2) && !(asked && strstr(asked, "./"))))
            continue;
        luaL_addlstring(&kept, path, n);
        luaL_addchar(&kept, ';');
    }
    luaL_pushresult(&kept);
}

/* package.path becomes: the library, the script's own folder, then what it was (LUA_PATH, the system's)
 * without the current folder; package.cpath: what it was without that. The script's folder comes behind the
 * library, which a folder gal beside the script would else hide. */
static void set_path(lua_State *L, const char *root, const char *script)
{
    char beside[PATH_MAX + 8] = "";
    const char *slash = script ? strrchr(script, '/') : NULL;
    if (script && strcmp(script, "-") != 0)
        snprintf(beside, sizeof beside, "%.*s/?.lua;", slash ? (int)(slash - script) : 1,
                 slash ? script : ".");
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "path");
    lua_getfield(L, -2, "cpath");
    lua_pushfstring(L, "%s/lua/?.lua;%s/lua/?/init.lua;%s", root, root, beside);
    push_elsewhere(L, lua_tostring(L, -3), "LUA_PATH");
    lua_concat(L, 2);
    lua_setfield(L, -4, "path");
    push_elsewhere(L, lua_tostring(L, -1), "LUA_CPATH");
    lua_setfield(L, -4, "cpath");
    lua_pop(L, 3);
}

/* ---- gal.host ---- */

static int host_exit(lua_State *L)
{
    exit((int)luaL_optinteger(L, 1, 0));
}

/* gal.host.columns([stream = 1]): the width in characters of the terminal that standard output (1) or error
 * (2) goes to; nil where it goes to none. */
static int host_columns(lua_State *L)
{
    struct winsize window;
    int file = luaL_optinteger(L, 1, STDOUT_FILENO) == STDERR_FILENO ? STDERR_FILENO : STDOUT_FILENO;
    if (!isatty(file))
        return 0;
    bool known = ioctl(file, TIOCGWINSZ, &window) == 0 && window.ws_col > 0;
    lua_pushinteger(L, known ? window.ws_col : 80);
    return 1;
}

static int first_upvalue(lua_State *L)
{
    lua_pushvalue(L, lua_upvalueindex(1));
    return 1;
}

static void set_boolean(lua_State *L, const char *name, bool value)
{
    lua_pushboolean(L, value);
    lua_setfield(L, -2, name);
}

static void set_function(lua_State *L, const char *name, lua_CFunction function)
{
    lua_pushcfunction(L, function);
    lua_setfield(L, -2, name);
}

/* Makes the table that `require "gal.host"` returns, by package.preload: the options reach Lua without a
 * global. */
static void preload_host(lua_State *L, const host_options *o, const char *executable, const char *root,
                         bool interactive)
{
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "preload");
    lua_newtable(L);
    lua_pushstring(L, o->device);
    lua_setfield(L, -2, "device");
    if (o->threads) {
        lua_pushinteger(L, o->threads);
        lua_setfield(L, -2, "threads");
    }
    lua_pushnumber(L, o->seed);
    lua_setfield(L, -2, "seed");
    lua_pushstring(L, gal_version());
    lua_setfield(L, -2, "version");
    lua_pushstring(L, executable);
    lua_setfield(L, -2, "executable");
    lua_pushstring(L, root);
    lua_setfield(L, -2, "root");
    lua_pushstring(L, o->pictures);
    lua_setfield(L, -2, "pictures");
    set_boolean(L, "interactive", interactive);
    set_boolean(L, "colour", interactive && host_colour(STDOUT_FILENO));
    lua_newtable(L); /* which of the three the command line gave */
    set_boolean(L, "device", o->device_given);
    set_boolean(L, "threads", o->threads != 0);
    set_boolean(L, "seed", o->seed_given);
    lua_setfield(L, -2, "given");
    set_function(L, "exit", host_exit);
    set_function(L, "columns", host_columns);
    set_function(L, "trace", host_trace_last);
    host_terminal_functions(L);
    host_interrupt_catch(L);

    lua_pushcclosure(L, first_upvalue, 1);
    lua_setfield(L, -2, "gal.host");
    lua_pop(L, 2);
}

/* ---- what the command line asks for ---- */

static int load_cdef(lua_State *L)
{
    lua_getglobal(L, "require");
    lua_pushliteral(L, "ffi");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "cdef");
    lua_pushstring(L, cdef);
    lua_call(L, 1, 0);
    return 0;
}

/* Makes `gal` a global for -e, unless there is one or it can't be loaded. */
static void name_library(lua_State *L)
{
    lua_getglobal(L, "gal");
    lua_getglobal(L, "require");
    lua_pushliteral(L, "gal");
    if (lua_isnil(L, -3) && lua_pcall(L, 1, 1, 0) == 0) {
        lua_pushvalue(L, -1);
        lua_setglobal(L, "gal");
    }
}

static int run_action(lua_State *L, const host_action *action)
{
    if (action->kind == 'e') {
        int top = lua_gettop(L);
        name_library(L);
        lua_settop(L, top);
        if (luaL_loadbuffer(L, action->text, strlen(action->text), "=(-e)") != 0)
            return host_report(L);
        host_interpret(L);
        return host_call(L, 0, 0) ? HOST_DONE : host_report(L);
    }
    lua_getglobal(L, "require");
    lua_pushstring(L, action->text);
    if (!host_call(L, 1, 1))
        return host_report(L);
    const char *dot = strrchr(action->text, '.');
    lua_setglobal(L, dot ? dot + 1 : action->text);
    return HOST_DONE;
}

/* The global `arg`: the script's name at 0, its arguments from 1. */
static void set_arguments(lua_State *L, const host_options *o)
{
    lua_newtable(L);
    lua_pushstring(L, o->script ? o->script : "galrun");
    lua_rawseti(L, -2, 0);
    for (int i = 0; i < o->argument_count; i++) {
        lua_pushstring(L, o->arguments[i]);
        lua_rawseti(L, -2, i + 1);
    }
    lua_setglobal(L, "arg");
}

static int run_script(lua_State *L, const host_options *o)
{
    bool standard_input = strcmp(o->script, "-") == 0;
    struct stat status;
    if (!standard_input) {
        FILE *file = fopen(o->script, "r");
        int reason = errno;
        if (file && fstat(fileno(file), &status) == 0 && S_ISDIR(status.st_mode))
            reason = EISDIR;
        else if (file)
            reason = 0;
        if (file)
            fclose(file);
        if (reason) {
            fprintf(stderr, "galrun: can't open the script '%s': %s\n", o->script, strerror(reason));
            return HOST_USAGE;
        }
    }
    if (luaL_loadfile(L, standard_input ? NULL : o->script) != 0)
        return host_report(L);
    luaL_checkstack(L, o->argument_count + 8, "too many arguments");
    for (int i = 0; i < o->argument_count; i++)
        lua_pushstring(L, o->arguments[i]);
    return host_call(L, o->argument_count, 0) ? HOST_DONE : host_report(L);
}

static int run(lua_State *L, const host_options *o)
{
    int code = HOST_DONE;
    for (int i = 0; i < o->action_count && code == HOST_DONE; i++)
        code = run_action(L, &o->actions[i]);
    if (o->script && code == HOST_DONE)
        code = run_script(L, o);
    /* A prompt that -i asked for comes after an error too, when its user wants to look around. */
    if ((o->repl && code != HOST_USAGE) || (!o->script && o->action_count == 0)) {
        int repl_code = host_repl(L);
        if (repl_code != HOST_DONE)
            code = repl_code;
    }
    return code;
}

/* Prints "galrun: MESSAGE" on stderr and returns code. */
static int refuse(int code, const char *message)
{
    fprintf(stderr, "galrun: %s\n", message);
    return code;
}

/* Runs all that the command line asks for, in a Lua state of its own. Returns the exit code. */
static int start(const host_options *o)
{
    char message[512], executable[PATH_MAX], root[PATH_MAX];
    if (!find_root(executable, root, sizeof root, message, sizeof message))
        return refuse(HOST_FAILED, message);
    if (o->threads)
        gal_threads(o->threads);
    if (gal_device_open(o->device) != GAL_OK)
        return refuse(HOST_FAILED, gal_error());

    lua_State *L = luaL_newstate();
    if (!L)
        return refuse(HOST_FAILED, "out of memory while making the Lua state");
    luaL_openlibs(L);
    bool prompt = (o->repl || (!o->script && o->action_count == 0)) && isatty(STDIN_FILENO);
    preload_host(L, o, executable, root, prompt);
    lua_pushfstring(L, "@%s/lua/gal/", root);
    lua_setfield(L, LUA_REGISTRYINDEX, "gal.library"); /* call.c: whose calls a traceback leaves out */
    host_trace_set(o->trace ? TRACE_ALL : TRACE_OWN);
    set_path(L, root, o->script);
    set_arguments(L, o);
    lua_pushcfunction(L, load_cdef);
    int code = host_call(L, 0, 0) ? run(L, o) : host_report(L);
    host_interrupt_release();
    lua_close(L);
    return code;
}

int main(int argc, char **argv)
{
    host_options o;
    char message[512];
    int code = HOST_DONE;
    setlocale(LC_CTYPE, "");  /* wide characters at the prompt; numbers keep their decimal point */
    signal(SIGXFSZ, SIG_IGN); /* a write beyond the limit on file sizes fails with its sentence */
    if (!host_options_read(&o, argc, argv, message, sizeof message))
        code = refuse(HOST_USAGE, message);
    else if (o.help)
        fputs(host_help, stdout);
    else if (o.version)
        printf("galrun %s (%s)\n", gal_version(), LUAJIT_VERSION);
    else
        code = start(&o);
    host_options_free(&o);
    if ((fflush(stdout) != 0 || ferror(stdout)) && code == HOST_DONE) {
        snprintf(message, sizeof message, "can't write to standard output: %s", strerror(errno));
        code = refuse(HOST_FAILED, message);
    }
    return code;
}
