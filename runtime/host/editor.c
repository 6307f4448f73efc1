/* editor.c: a line of the prompt on a terminal, by libedit: editing, history, search, completion, and pasted
 * text. What completes a word is Lua's: gal.repl. */
#define _GNU_SOURCE /* ppoll */
#include "host.h"

#include <errno.h>
#include <histedit.h>
#include <limits.h>
#include <lua.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wchar.h>

enum { KEPT_LINES = 2000, LONGEST_PATTERN = 80 };

struct host_editor {
    EditLine *line;
    History *history;
    lua_State *L;
    FILE *out;
    char path[4096];  /* of the history; "" where there is none */
    char prompt[256]; /* what stands before the line, escapes between two \1 */
    char held[256];   /* bytes of a key that has begun with ESC, from `next` to `count` */
    int next, count;
    bool pasting;   /* the terminal has said that what comes is pasted */
    bool searching; /* Ctrl-R was pressed: keys are the pattern's */
    wint_t key;     /* the last of them */
    char pattern[LONGEST_PATTERN + 8], old_line[4096], old_prompt[256];
    int skip;           /* lines that were found and passed by */
    bool colour, marks; /* the terminal knows colours, and marks pasted text */
};

/* ---- characters ---- */

static volatile sig_atomic_t resized, continued;

static void on_terminal_change(int signal_number)
{
    if (signal_number == SIGWINCH)
        resized = 1;
    else {
        continued = 1;
        host_terminal_again();
    }
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

/* The next byte of the keyboard; -1 at the end of the input, -2 after SIGINT. */
static int typed_byte(host_editor *e)
{
    int typed = host_terminal_typed();
    if (typed >= 0)
        return typed;
    for (;;) {
        char byte;
        if (!wait_for_input()) {
            if (host_interrupt_pending())
                return -2;
            if (resized)
                el_resize(e->line);
            if (continued) {
                el_set(e->line, EL_PREP_TERM, 0); /* the shell has changed the terminal: begin anew */
                el_set(e->line, EL_PREP_TERM, 1);
                el_set(e->line, EL_REFRESH);
            }
            resized = continued = 0;
            continue;
        }
        ssize_t n = read(STDIN_FILENO, &byte, 1);
        if (n <= 0)
            return n == 0 || errno != EINTR ? -1 : -2;
        return (unsigned char)byte;
    }
}

/* The next byte for libedit. The terminal's answers and its marks around a pasted text are taken out. */
static int next_byte(host_editor *e)
{
    while (e->next >= e->count) {
        int byte = typed_byte(e);
        if (byte != '\033') {
            bool control = byte >= 0 && byte < ' ' && !strchr("\t\n\r", byte);
            if (e->pasting && control)
                continue;
            return byte;
        }
        host_escape kind = ESCAPE_OPEN;
        e->next = e->count = 0;
        e->held[e->count++] = '\033';
        while ((kind = host_escape_of(e->held, (size_t)e->count)) == ESCAPE_OPEN) {
            if ((byte = typed_byte(e)) < 0)
                return byte;
            e->held[e->count++] = (char)byte;
        }
        if (kind == ESCAPE_PASTE || kind == ESCAPE_PASTED)
            e->pasting = kind == ESCAPE_PASTE;
        if (kind != ESCAPE_KEY || e->pasting)
            e->count = 0;
    }
    return (unsigned char)e->held[e->next++];
}

/* Reads a character for libedit, whose own reader goes on after SIGINT; this one gives up the line. Returns
 * 1, 0 at the end of the input, -1 after SIGINT. */
static int read_character(EditLine *line, wchar_t *character)
{
    host_editor *e;
    mbstate_t state = {0};
    el_get(line, EL_CLIENTDATA, &e);
    for (;;) {
        int byte = next_byte(e);
        if (byte < 0)
            return byte == -1 ? 0 : -1;
        char c = (char)byte;
        size_t used = mbrtowc(character, &c, 1, &state);
        if (used == (size_t)-2)
            continue;
        if (used == (size_t)-1)
            *character = L'?';
        if (e->searching) { /* search() takes it */
            e->key = *character;
            *character = 'R' & 31;
        }
        return 1;
    }
}

/* ---- completion ---- */

/* Tab. gal.repl says how much of the word goes, what is put in its place, and what there is to choose from.
 * In a pasted text and at the start of a line it is indentation. */
static unsigned char complete(EditLine *line, int key)
{
    (void)key;
    host_editor *e;
    el_get(line, EL_CLIENTDATA, &e);
    const LineInfo *info = el_line(line);
    size_t before = (size_t)(info->cursor - info->buffer);
    if (e->pasting)
        return el_insertstr(line, "\t") ? CC_ERROR : CC_REFRESH;
    lua_State *L = e->L;
    unsigned char done = CC_ERROR;
    int top = lua_gettop(L);
    lua_getfield(L, LUA_REGISTRYINDEX, "gal.repl");
    lua_getfield(L, -1, "complete");
    lua_pushlstring(L, info->buffer, before);
    if (host_call(L, 1, 3)) {
        int gone = (int)lua_tointeger(L, -3);
        const char *more = lua_tostring(L, -2), *choice = lua_tostring(L, -1);
        if (gone > 0)
            el_deletestr(line, gone);
        if (more && *more && el_insertstr(line, more) == 0)
            done = CC_REFRESH;
        if (choice) {
            fprintf(e->out, "\n%s\n", choice);
            fflush(e->out);
            done = CC_REDISPLAY;
        }
    }
    lua_settop(L, top);
    return done;
}

/* ---- search ---- */

/* The last character, a blank, stays without colour: libedit draws what follows an escape with it. */
static void set_prompt(host_editor *e, const char *text)
{
    const char *format = e->colour ? "\1\033[1;34m\1%.*s\1\033[0m\1%s" : "%.*s%s";
    int n = (int)strlen(text) - 1;
    snprintf(e->prompt, sizeof e->prompt, format, n, text, text + n);
}

static char *prompt_text(EditLine *line)
{
    host_editor *e;
    el_get(line, EL_CLIENTDATA, &e);
    return e->prompt;
}

/* The line of the history that holds the pattern, the `skip`-th from the latest; NULL where there is none. */
static const char *found_line(host_editor *e, const char *pattern, int skip)
{
    HistEvent event;
    if (!*pattern || !e->history)
        return NULL;
    for (int more = history(e->history, &event, H_FIRST); more == 0;
         more = history(e->history, &event, H_NEXT))
        if (strstr(event.str, pattern) && skip-- == 0)
            return event.str;
    return NULL;
}

static void replace_line(EditLine *line, const char *text)
{
    char kept[4096];
    snprintf(kept, sizeof kept, "%.*s", (int)strcspn(text, "\n"), text);
    const LineInfo *info = el_line(line);
    el_cursor(line, (int)(info->lastchar - info->cursor));
    el_deletestr(line, (int)(info->lastchar - info->buffer));
    el_insertstr(line, kept);
}

/* Shows what the search finds, in the line, and its pattern, in the prompt. */
static unsigned char show_search(host_editor *e)
{
    char text[LONGEST_PATTERN + 40];
    const char *found = found_line(e, e->pattern, e->skip);
    replace_line(e->line, found ? found : "");
    snprintf(text, sizeof text, "(%s '%s') ", *e->pattern && !found ? "nothing with" : "search", e->pattern);
    set_prompt(e, text);
    return CC_REFRESH;
}

/* Ctrl-R, and all that is typed after it (read_character): each letter finds the latest line that holds what
 * was typed so far, Ctrl-R again the one before. Ctrl-G gives the line from before back; another key takes
 * the line that was found, and does to it what it does. */
static unsigned char search(EditLine *line, int key)
{
    (void)key;
    host_editor *e;
    el_get(line, EL_CLIENTDATA, &e);
    if (!e->searching) {
        const LineInfo *info = el_line(line);
        snprintf(e->old_line, sizeof e->old_line, "%.*s", (int)(info->lastchar - info->buffer), info->buffer);
        memcpy(e->old_prompt, e->prompt, sizeof e->prompt);
        e->searching = true;
        e->pattern[0] = '\0';
        e->skip = 0;
        return show_search(e);
    }
    size_t n = strlen(e->pattern);
    if (e->key == ('R' & 31)) {
        e->skip += found_line(e, e->pattern, e->skip + 1) != NULL;
        return show_search(e);
    }
    if (e->key == 127 || e->key == ('H' & 31)) {
        while (n > 0 && (e->pattern[--n] & 0xc0) == 0x80) {
        }
        e->pattern[n] = '\0';
        e->skip = 0;
        return show_search(e);
    }
    if (e->key >= ' ') {
        char letter[MB_LEN_MAX + 1] = "";
        int bytes = wctomb(letter, (wchar_t)e->key);
        if (bytes > 0 && n + (size_t)bytes <= LONGEST_PATTERN)
            strcat(e->pattern, letter);
        e->skip = 0;
        return show_search(e);
    }
    if (e->key == ('G' & 31))
        replace_line(line, e->old_line);
    else if (e->key == '\033') /* the first of e->held: what follows it belongs to the same key */
        e->next--;
    else
        e->held[0] = (char)e->key, e->next = 0, e->count = 1;
    e->searching = false;
    memcpy(e->prompt, e->old_prompt, sizeof e->prompt);
    return CC_REFRESH;
}

/* ---- history ---- */

/* $XDG_STATE_HOME/galrun_history or ~/.galrun_history. */
static void find_history(host_editor *e)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    int n = 0;
    if (state && *state)
        n = snprintf(e->path, sizeof e->path, "%s/galrun_history", state);
    else if (home && *home)
        n = snprintf(e->path, sizeof e->path, "%s/.galrun_history", home);
    if (n >= (int)sizeof e->path)
        e->path[0] = '\0';
}

/* Adds line to the history and writes its file, which only its owner can read. It is written after every
 * line, so that a killed session leaves its history. */
static void remember(host_editor *e, const char *line)
{
    HistEvent event;
    if (!e->history || line[strspn(line, " \t\r\n")] == '\0')
        return;
    history(e->history, &event, H_ENTER, line);
    if (!e->path[0])
        return;
    mode_t old = umask(077);
    history(e->history, &event, H_SAVE, e->path);
    umask(old);
}

/* ---- the editor ---- */

host_editor *host_editor_open(lua_State *L)
{
    host_editor *e = calloc(1, sizeof *e);
    HistEvent event;
    if (!e)
        return NULL;
    e->L = L;
    e->out = isatty(STDOUT_FILENO) ? stdout : stderr;
    e->colour = host_colour(fileno(e->out));
    e->marks = e->colour || (getenv("TERM") && strcmp(getenv("TERM"), "dumb") != 0);
    e->line = el_init("galrun", stdin, e->out, stderr);
    if (!e->line) {
        free(e);
        return NULL;
    }
    el_set(e->line, EL_CLIENTDATA, e);
    el_set(e->line, EL_PROMPT_ESC, prompt_text, '\1');
    el_set(e->line, EL_EDITOR, "emacs");
    el_set(e->line, EL_GETCFN, read_character);
    el_set(e->line, EL_ADDFN, "gal-complete", "completes a name", complete);
    el_set(e->line, EL_ADDFN, "gal-search", "searches the history", search);
    el_set(e->line, EL_BIND, "\t", "gal-complete", NULL);
    el_set(e->line, EL_BIND, "^R", "gal-search", NULL);
    el_source(e->line, NULL); /* ~/.editrc */
    if ((e->history = history_init())) {
        history(e->history, &event, H_SETSIZE, KEPT_LINES);
        history(e->history, &event, H_SETUNIQUE, 1);
        el_set(e->line, EL_HIST, history, e->history);
        find_history(e);
        if (e->path[0])
            history(e->history, &event, H_LOAD, e->path);
    }
    struct sigaction action = {.sa_handler = on_terminal_change};
    sigemptyset(&action.sa_mask);
    sigaction(SIGWINCH, &action, NULL);
    sigaction(SIGCONT, &action, NULL);
    return e;
}

void host_editor_close(host_editor *e)
{
    el_end(e->line);
    signal(SIGWINCH, SIG_DFL);
    signal(SIGCONT, SIG_DFL);
    if (e->history)
        history_end(e->history);
    free(e);
}

const char *host_editor_line(host_editor *e, const char *text, bool *pasting)
{
    int count;
    set_prompt(e, text);
    fputs(e->marks ? "\033[?2004h" : "", e->out); /* mark what is pasted, while a line is read */
    fflush(e->out);
    const char *line = el_gets(e->line, &count);
    host_terminal_again(); /* libedit leaves a terminal that echoes */
    fputs(e->marks ? "\033[?2004l" : "", e->out);
    fflush(e->out);
    if (!line && host_interrupt_pending()) {
        e->pasting = e->searching = false;
        e->next = e->count = 0;
        el_reset(e->line);
    }
    *pasting = line && e->pasting;
    if (line)
        remember(e, line);
    return line;
}
