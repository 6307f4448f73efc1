/* terminal.c: a person at the prompt. Runs a program in a terminal of its own and plays a dialogue: what is
 * typed, what must appear.
 *
 *   terminal DIALOGUE PROGRAM [ARGUMENTS]
 *
 * A line of DIALOGUE is "type TEXT" (and Return), "send TEXT" (as it is), "key LETTER" (with Ctrl), "expect
 * TEXT" (must appear, within 5 s, after what was expected before), "absent TEXT" (must not have appeared
 * since then), "pause SECONDS", "end CODE" (the program must end, with this exit code) or a comment with #.
 * In TEXT \e is ESC, \r Return, \t Tab. Colours are not seen. Exits 1 with the line that failed.
 */
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { WAIT_MS = 5000 };

static char screen[1 << 16];
static size_t filled, seen;

static long now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Takes colours out of what was not expected yet. */
static void bleach(void)
{
    for (char *at = screen + seen; (at = strstr(at, "\033[")) != NULL;) {
        size_t n = strspn(at + 2, "0123456789;");
        if (at[2 + n] == 'm') {
            memmove(at, at + n + 3, strlen(at + n + 3) + 1);
            filled -= n + 3;
        } else {
            at += 2;
        }
    }
}

/* Makes room: forgets what was seen, and of the rest all but the end. */
static void forget(void)
{
    size_t kept = filled - seen;
    if (kept > sizeof screen / 4)
        kept = sizeof screen / 4;
    memmove(screen, screen + filled - kept, kept + 1);
    filled = kept;
    seen = 0;
}

/* Reads what the program writes, for at most ms. False at its end. */
static int listen_for(int terminal, int ms)
{
    struct pollfd p = {.fd = terminal, .events = POLLIN};
    if (poll(&p, 1, ms) <= 0)
        return 1;
    if (filled > sizeof screen / 2)
        forget();
    ssize_t n = read(terminal, screen + filled, sizeof screen - 1 - filled);
    if (n <= 0)
        return 0;
    filled += (size_t)n;
    screen[filled] = '\0';
    bleach();
    return 1;
}

static int expect(int terminal, const char *text)
{
    for (long end = now_ms() + WAIT_MS; now_ms() < end;) {
        const char *found = strstr(screen + seen, text);
        if (found) {
            seen = (size_t)(found - screen) + strlen(text);
            return 1;
        }
        if (!listen_for(terminal, 50))
            return strstr(screen + seen, text) != NULL;
    }
    return 0;
}

static int ended_with(int terminal, pid_t child, int code)
{
    int status;
    for (long end = now_ms() + WAIT_MS; now_ms() < end;) {
        if (waitpid(child, &status, WNOHANG) == child)
            return WIFEXITED(status) && WEXITSTATUS(status) == code;
        if (!listen_for(terminal, 20))
            usleep(10000);
    }
    return 0;
}

/* Puts ESC, Return and Tab in the place of \e, \r and \t. */
static void unescape(char *text)
{
    char *to = text;
    for (; *text; text++) {
        const char *names = "ert", *known = *text == '\\' && text[1] ? strchr(names, text[1]) : NULL;
        *to++ = known ? "\033\r\t"[known - names] : *text;
        text += known != NULL;
    }
    *to = '\0';
}

static int play(FILE *dialogue, int terminal, pid_t child)
{
    char line[1024];
    for (int number = 1; fgets(line, sizeof line, dialogue); number++) {
        line[strcspn(line, "\n")] = '\0';
        char *text = strchr(line, ' ');
        if (line[0] == '#' || line[0] == '\0' || !text)
            continue;
        *text++ = '\0';
        unescape(text);
        int done = 1;
        if (strcmp(line, "type") == 0)
            done = write(terminal, text, strlen(text)) >= 0 && write(terminal, "\r", 1) == 1;
        else if (strcmp(line, "send") == 0)
            done = write(terminal, text, strlen(text)) >= 0;
        else if (strcmp(line, "absent") == 0)
            done = strstr(screen + seen, text) == NULL;
        else if (strcmp(line, "key") == 0)
            done = write(terminal, &(char){(char)(text[0] & 31)}, 1) == 1;
        else if (strcmp(line, "expect") == 0)
            done = expect(terminal, text);
        else if (strcmp(line, "pause") == 0)
            for (long end = now_ms() + (long)(1000 * atof(text)); now_ms() < end;)
                listen_for(terminal, 10);
        else if (strcmp(line, "end") == 0)
            done = ended_with(terminal, child, atoi(text));
        else
            done = 0;
        if (!done) {
            fprintf(stderr, "FAILED: line %d: %s %s\nthe terminal since the last match:\n%s\n", number, line,
                    text, screen + seen);
            return 1;
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "terminal DIALOGUE PROGRAM [ARGUMENTS]\n");
        return 2;
    }
    FILE *dialogue = fopen(argv[1], "r");
    if (!dialogue) {
        perror(argv[1]);
        return 2;
    }
    int terminal;
    struct winsize size = {.ws_row = 40, .ws_col = 100};
    pid_t child = forkpty(&terminal, NULL, NULL, &size);
    if (child < 0) {
        perror("forkpty");
        return 2;
    }
    if (child == 0) {
        execv(argv[2], argv + 2);
        _exit(127);
    }
    int failed = play(dialogue, terminal, child);
    kill(child, SIGKILL);
    waitpid(child, NULL, WNOHANG);
    printf("%s\n", failed ? "failed" : "the dialogue went as written");
    return failed;
}
