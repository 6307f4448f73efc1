/* terminal.c: the terminal around the prompt: whether it echoes, what it can show, and what was typed while
 * nobody read. editor.c reads its lines. */
#define _GNU_SOURCE
#include "host.h"

#include <fcntl.h>
#include <lauxlib.h>
#include <lua.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

static struct {
    bool prompt;        /* standard input is a terminal, and the prompt reads it */
    bool silent;        /* it does not echo now */
    struct termios own; /* its settings outside chunks */
    char typed[1024];   /* what was typed while the terminal was asked, from `next` to `end` */
    int next, end;
} terminal;

bool host_colour(int descriptor)
{
    const char *off = getenv("NO_COLOR"), *term = getenv("TERM");
    return isatty(descriptor) && !(off && *off) && term && strcmp(term, "dumb") != 0;
}

/* ---- echo ---- */

static void restore(void)
{
    host_terminal_echo(true);
}

void host_terminal_prompt(void)
{
    terminal.prompt = tcgetattr(STDIN_FILENO, &terminal.own) == 0;
    if (terminal.prompt)
        atexit(restore);
}

/* Only what a signal handler may call, here and in the next two: interrupt.c ends the process in one, and
 * editor.c's notes that it goes on. */
static bool silence(void)
{
    struct termios settings = terminal.own;
    settings.c_lflag &= ~(tcflag_t)(ECHO | ICANON | IEXTEN); /* keys reach the prompt as they are */
    settings.c_cc[VMIN] = 1, settings.c_cc[VTIME] = 0;
    return tcsetattr(STDIN_FILENO, TCSANOW, &settings) == 0;
}

void host_terminal_echo(bool on)
{
    if (!terminal.prompt || on == !terminal.silent)
        return;
    if (on)
        terminal.silent = tcsetattr(STDIN_FILENO, TCSANOW, &terminal.own) != 0;
    else
        terminal.silent = tcgetattr(STDIN_FILENO, &terminal.own) == 0 && silence();
}

void host_terminal_again(void)
{
    if (terminal.prompt && terminal.silent)
        silence();
}

bool host_terminal_echoes(void)
{
    return !terminal.silent;
}

/* gal.host.echo(on) --> whether the terminal echoed before. */
static int echo(lua_State *L)
{
    lua_pushboolean(L, terminal.prompt && !terminal.silent);
    if (terminal.prompt)
        host_terminal_echo(lua_toboolean(L, 1));
    return 1;
}

/* ---- what comes from the keyboard ---- */

static bool is_final(char c)
{
    return c >= 0x40 && c <= 0x7e;
}

host_escape host_escape_of(const char *s, size_t n)
{
    enum { LONGEST = 256 };
    if (n < 2)
        return ESCAPE_OPEN;
    if (s[1] == '_') { /* kitty's answer: ESC _ G ... ESC \ */
        if (n >= 3 && s[2] != 'G')
            return ESCAPE_KEY;
        if (n >= 5 && s[n - 2] == '\033' && s[n - 1] == '\\')
            return ESCAPE_ANSWER;
        return n < LONGEST ? ESCAPE_OPEN : ESCAPE_ANSWER;
    }
    if (s[1] != '[')
        return ESCAPE_KEY;
    if (n == 2 || (!is_final(s[n - 1]) && n < LONGEST))
        return ESCAPE_OPEN;
    if (n == 6 && !strncmp(s, "\033[200~", 6))
        return ESCAPE_PASTE;
    if (n == 6 && !strncmp(s, "\033[201~", 6))
        return ESCAPE_PASTED;
    /* The kind of the terminal, and the size of its cells. */
    bool answer = (s[2] == '?' && s[n - 1] == 'c') || s[n - 1] == 't';
    return answer ? ESCAPE_ANSWER : ESCAPE_KEY;
}

int host_terminal_typed(void)
{
    return terminal.next < terminal.end ? (unsigned char)terminal.typed[terminal.next++] : -1;
}

/* Keeps what stands in s {n} beside the terminal's answers for the prompt. */
static void keep_typed(const char *s, size_t n)
{
    for (size_t i = 0, length; i < n; i += length) {
        host_escape kind = ESCAPE_KEY;
        length = 1;
        if (s[i] == '\033')
            while ((kind = host_escape_of(s + i, length)) == ESCAPE_OPEN && i + length < n)
                length++;
        for (size_t k = 0; kind != ESCAPE_ANSWER && k < length; k++)
            if (terminal.end < (int)sizeof terminal.typed)
                terminal.typed[terminal.end++] = s[i + k];
    }
}

/* ---- asking it ---- */

static long now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Reads the answers, up to that to "what are you" (ESC [ ? ... c), which every terminal gives, and gives
 * last; for a second at most. Returns how many bytes there are. */
static size_t read_answers(int tty, char *answer, size_t size)
{
    enum { PATIENCE_MS = 1000 };
    size_t n = 0;
    for (long end = now_ms() + PATIENCE_MS, left; (left = end - now_ms()) > 0 && n < size - 1;) {
        struct pollfd input = {.fd = tty, .events = POLLIN};
        if (poll(&input, 1, (int)left) <= 0 || read(tty, answer + n, 1) != 1)
            continue;
        answer[++n] = '\0';
        const char *last = strstr(answer, "\033[?");
        if (last && answer[n - 1] == 'c')
            break;
    }
    answer[n] = '\0';
    return n;
}

/* gal.host.ask(question) --> what the terminal answers; nil where there is none, where it belongs to another
 * process, or where something was typed that would be lost. At the prompt that is kept. A late answer is
 * dropped by the prompt. */
static int ask(lua_State *L)
{
    const char *question = luaL_checkstring(L, 1);
    int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY), waiting = 0;
    struct termios before, raw;
    lua_settop(L, 0);
    if (tty < 0)
        return 0;
    if (tcgetpgrp(tty) == getpgrp() && tcgetattr(tty, &before) == 0) {
        char answer[2048];
        raw = before;
        raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        raw.c_cc[VMIN] = 0, raw.c_cc[VTIME] = 0;
        tcsetattr(tty, TCSANOW, &raw); /* what was typed ahead stays */
        bool lossless = terminal.prompt || (ioctl(tty, FIONREAD, &waiting) == 0 && waiting == 0);
        if (lossless && write(tty, question, strlen(question)) > 0) {
            size_t n = read_answers(tty, answer, sizeof answer);
            if (terminal.prompt)
                keep_typed(answer, n);
            lua_pushlstring(L, answer, n);
        }
        tcsetattr(tty, TCSANOW, &before);
    }
    close(tty);
    return lua_gettop(L);
}

/* gal.host.cells() --> columns, rows, and the width and height of a cell in pixels, 0 where they are unknown;
 * nil where standard output is no terminal. */
static int cells(lua_State *L)
{
    struct winsize w = {0};
    if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) != 0)
        return 0;
    lua_pushinteger(L, w.ws_col ? w.ws_col : 80);
    lua_pushinteger(L, w.ws_row ? w.ws_row : 24);
    lua_pushinteger(L, w.ws_col ? w.ws_xpixel / w.ws_col : 0);
    lua_pushinteger(L, w.ws_row ? w.ws_ypixel / w.ws_row : 0);
    return 4;
}

void host_terminal_functions(lua_State *L)
{
    lua_pushcfunction(L, echo);
    lua_setfield(L, -2, "echo");
    lua_pushcfunction(L, ask);
    lua_setfield(L, -2, "ask");
    lua_pushcfunction(L, cells);
    lua_setfield(L, -2, "cells");
}
