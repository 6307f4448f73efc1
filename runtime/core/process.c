/* process.c: other processes: starting them, waiting, signals, and whether one that is named by its machine
 * and number still lives. A child is spawned, never forked: a forked child hangs in its first parallel
 * region. */
#define _GNU_SOURCE
#include "core.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Milliseconds between two looks at a child: 0.1 % of a ten-second trial. */
#define LOOK 10

extern char **environ;

static const struct {
    const char *name;
    int number;
} SIGNALS[] = {{"INT", SIGINT}, {"TERM", SIGTERM}, {"USR1", SIGUSR1}, {"KILL", SIGKILL}};

/* The signal of that name; 0, with the sentence, where there is none. */
static int signal_of(const char *name)
{
    for (size_t i = 0; name && i < sizeof SIGNALS / sizeof SIGNALS[0]; i++)
        if (strcmp(name, SIGNALS[i].name) == 0)
            return SIGNALS[i].number;
    gal_fail(GAL_VALUE, "signal is \"%s\", expected INT, TERM, USR1 or KILL", name ? name : "");
    return 0;
}

/* This process's environment with the variables of `more` {.., NULL}, "NAME=value", in the place of those of
 * these names: a list of borrowed strings that the caller frees; NULL where there is no memory. */
static const char **environment(const char *const *more)
{
    size_t own = 0, added = 0, n = 0;
    while (environ[own])
        own++;
    while (more && more[added])
        added++;
    const char **list = malloc((own + added + 1) * sizeof *list);
    if (!list)
        return NULL;
    for (size_t i = 0; i < own; i++) {
        size_t name = strcspn(environ[i], "=") + 1, k = 0;
        while (k < added && strncmp(environ[i], more[k], name) != 0)
            k++;
        if (k == added)
            list[n++] = environ[i];
    }
    for (size_t k = 0; k < added; k++)
        list[n++] = more[k];
    list[n] = NULL;
    return list;
}

/* What the child begins with: input from nowhere, output and errors appended to a file, a process group of
 * its own, so that a terminal's Ctrl-C reaches it only through its parent, no signal blocked, the usual
 * handlers. */
static int prepare(posix_spawn_file_actions_t *files, posix_spawnattr_t *attributes, const char *folder,
                   const char *output)
{
    sigset_t none, usual;
    sigemptyset(&none);
    sigemptyset(&usual);
    sigaddset(&usual, SIGINT);
    sigaddset(&usual, SIGTERM);
    sigaddset(&usual, SIGUSR1);
    int flags = POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
    int failed = posix_spawn_file_actions_addopen(files, 0, "/dev/null", O_RDONLY, 0);
    if (!failed)
        failed = posix_spawn_file_actions_addopen(files, 1, output, O_WRONLY | O_CREAT | O_APPEND, 0666);
    if (!failed)
        failed = posix_spawn_file_actions_adddup2(files, 1, 2);
    if (!failed && folder)
        failed = posix_spawn_file_actions_addchdir_np(files, folder);
    if (!failed)
        failed = posix_spawnattr_setflags(attributes, (short)flags);
    if (!failed)
        failed = posix_spawnattr_setpgroup(attributes, 0);
    if (!failed)
        failed = posix_spawnattr_setsigmask(attributes, &none);
    return failed ? failed : posix_spawnattr_setsigdefault(attributes, &usual);
}

gal_status gal_process_start(int64_t *pid, const char *const *words, const char *const *more,
                             const char *folder, const char *output)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    if (!words || !words[0] || !output)
        return gal_fail(GAL_VALUE, "no program or no file for its output is given");
    const char **variables = environment(more);
    if (!variables)
        return gal_fail(GAL_MEMORY, "no memory left to start a process");
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attributes);
    pid_t child = 0;
    int failed = prepare(&files, &attributes, folder, output);
    if (!failed)
        failed = posix_spawn(&child, words[0], &files, &attributes, (char *const *)words, (char **)variables);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
    free(variables);
    if (failed)
        return gal_fail(failed == EAGAIN || failed == ENOMEM ? GAL_MEMORY : GAL_FILE,
                        "%s: can't be started with its output in %s: %s", words[0], output, strerror(failed));
    *pid = child;
    return GAL_OK;
}

/* Sleeps for some milliseconds; a signal ends the sleep. */
static void doze(double milliseconds)
{
    if (milliseconds > 0)
        poll(NULL, 0, (int)(milliseconds < 1 ? 1 : milliseconds));
}

gal_status gal_process_wait(int64_t pid, double seconds, int *state, int *code)
{
    double end = gal_now() + seconds;
    *state = *code = 0;
    for (;;) {
        int status;
        pid_t ended = waitpid((pid_t)pid, &status, WNOHANG);
        if (ended < 0 && errno != EINTR)
            return gal_fail(GAL_STATE, "process %lld can't be waited for: %s", (long long)pid,
                            strerror(errno));
        if (ended > 0) {
            *state = WIFSIGNALED(status) ? 2 : 1;
            *code = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
            return GAL_OK;
        }
        double left = 1000 * (end - gal_now());
        if (left <= 0 || gal_interrupted())
            return GAL_OK;
        doze(left < LOOK ? left : LOOK);
    }
}

void gal_sleep(double seconds)
{
    double end = gal_now() + seconds;
    for (double left; !gal_interrupted() && (left = 1000 * (end - gal_now())) > 0;)
        doze(left < 100 ? left : 100);
}

gal_status gal_process_signal(int64_t pid, const char *name)
{
    int number = signal_of(name);
    if (!number)
        return GAL_VALUE;
    if (pid <= 1)
        return gal_fail(GAL_VALUE, "process is %lld, expected the number of another process", (long long)pid);
    if (kill((pid_t)pid, number) == 0 || errno == ESRCH)
        return GAL_OK;
    return gal_fail(GAL_STATE, "process %lld can't be sent %s: %s", (long long)pid, name, strerror(errno));
}

int64_t gal_process_own(void)
{
    return getpid();
}

/* /proc/PID/stat: number, (name), state, ... ; the name may hold blanks and parentheses. Field 22 is when the
 * process began (proc(5)). */
int64_t gal_process_begun(int64_t pid)
{
    char name[64], text[1024];
    snprintf(name, sizeof name, "/proc/%lld/stat", (long long)pid);
    int file = open(name, O_RDONLY | O_CLOEXEC);
    ssize_t n = file >= 0 ? read(file, text, sizeof text - 1) : -1;
    if (file >= 0)
        close(file);
    if (n <= 0)
        return 0;
    text[n] = 0;
    const char *at = strrchr(text, ')');
    if (!at || !at[1] || at[2] == 'Z' || at[2] == 'X')
        return 0;
    for (int field = 2; field < 22 && at; field++)
        at = strchr(at + 1, ' ');
    return at ? strtoll(at, NULL, 10) : 0;
}

const char *gal_process_place(void)
{
    static char place[512];
    char host[128] = "", boot[64] = "", numbers[64] = "";
    if (place[0])
        return place;
    gethostname(host, sizeof host - 1);
    int file = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (file >= 0) {
        ssize_t n = read(file, boot, sizeof boot - 1);
        boot[n > 0 ? n : 0] = 0;
        boot[strcspn(boot, "\n")] = 0;
        close(file);
    }
    if (readlink("/proc/self/ns/pid", numbers, sizeof numbers - 1) < 0)
        numbers[0] = 0;
    snprintf(place, sizeof place, "%s %s %s", host[0] ? host : "this machine", boot[0] ? boot : "-",
             numbers[0] ? numbers : "-");
    return place;
}

gal_status gal_process_bind(int64_t parent, const char *name)
{
    int number = signal_of(name);
    if (!number)
        return GAL_VALUE;
    if (prctl(PR_SET_PDEATHSIG, number) != 0)
        return gal_fail(GAL_STATE, "this process can't be bound to its parent: %s", strerror(errno));
    if (getppid() != (pid_t)parent) /* the parent ended before it was bound */
        raise(number);
    return GAL_OK;
}
