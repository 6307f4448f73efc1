/* Other processes: spawned, waited for, signalled, told from later ones of the same number; and files that
 * one of many makes. */
#define _GNU_SOURCE
#include "check.h"
#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[] = "/tmp/galrun-process-XXXXXX", output[64];

static int64_t started(const char *code, const char *const *more)
{
    int64_t pid = 0;
    IS_OK(gal_process_start(&pid, (const char *const[]){"/bin/sh", "-c", code, NULL}, more, NULL, output));
    return pid;
}

/* How the process ended: its exit code, or its signal and 1000. */
static int ended(int64_t pid)
{
    int state = 0, code = 0;
    IS_OK(gal_process_wait(pid, 20, &state, &code));
    IS_TRUE(state != 0);
    return state == 2 ? 1000 + code : code;
}

static void holds(const char *expected)
{
    char text[256];
    FILE *file = fopen(output, "r");
    size_t n = file ? fread(text, 1, sizeof text - 1, file) : 0;
    text[n] = 0;
    if (file)
        fclose(file);
    REPORT(strcmp(text, expected) == 0, "it is \"%s\", expected \"%s\"", text, expected);
    unlink(output);
}

static void spawning(void)
{
    CASE("a process ends with its code, its output and errors are in the file, its input is empty");
    IS_INT(ended(started("echo a; echo b >&2; cat; exit 7", NULL)), 7);
    holds("a\nb\n");
    CASE("output is appended; a variable takes the place of this process's");
    setenv("GALRUN_TEST_WORD", "old", 1);
    IS_INT(ended(started("echo $GALRUN_TEST_WORD", NULL)), 0);
    IS_INT(ended(started("echo $GALRUN_TEST_WORD", (const char *const[]){"GALRUN_TEST_WORD=new", NULL})), 0);
    holds("old\nnew\n");
    CASE("it begins in the folder that is named");
    int64_t there = 0;
    const char *const pwd[] = {"/bin/sh", "-c", "pwd", NULL};
    IS_OK(gal_process_start(&there, pwd, NULL, "/usr", output));
    IS_INT(ended(there), 0);
    holds("/usr\n");
    FAILS(gal_process_start(&there, pwd, NULL, "/nowhere", output), GAL_FILE, "can't be started");
    unlink(output);
    CASE("a program that is not there, and a file that can't be made, are sentences");
    int64_t pid = 0;
    FAILS(gal_process_start(&pid, (const char *const[]){"/nowhere/x", NULL}, NULL, NULL, output), GAL_FILE,
          "/nowhere/x: can't be started");
    FAILS(gal_process_start(&pid, (const char *const[]){"/bin/sh", NULL}, NULL, NULL, "/nowhere/out"),
          GAL_FILE, "/bin/sh: can't be started with its output in /nowhere/out: No such file");
    FAILS(gal_process_start(&pid, NULL, NULL, NULL, output), GAL_VALUE, "no program");
    unlink(output);
}

static void living(void)
{
    CASE("a wait is no longer than it was asked to be, and ends early after Ctrl-C");
    int state = 1, code = 1;
    int64_t pid = started("sleep 60", NULL);
    double before = gal_now();
    IS_OK(gal_process_wait(pid, 0.05, &state, &code));
    IS_INT(state, 0);
    IS_TRUE(gal_now() - before < 10);
    gal_interrupt_set(1);
    IS_OK(gal_process_wait(pid, 1000, &state, &code));
    gal_sleep(1000);
    gal_interrupt_set(0);
    IS_INT(state, 0);
    CASE("a process has one beginning while it lives, none once it has ended, waited for or not");
    int64_t begun = gal_process_begun(pid);
    IS_TRUE(begun > 0);
    IS_INT(gal_process_begun(pid), begun);
    IS_OK(gal_process_signal(pid, "KILL"));
    siginfo_t info;
    IS_INT(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0); /* dead, and still a number */
    IS_INT(gal_process_begun(pid), 0);
    IS_INT(ended(pid), 1009);
    IS_INT(gal_process_begun(pid), 0);
    CASE("a signal to a process that has ended is no error, one by another name is");
    IS_OK(gal_process_signal(pid, "TERM"));
    FAILS(gal_process_signal(pid, "HUP"), GAL_VALUE, "signal is \"HUP\", expected INT, TERM, USR1 or KILL");
    FAILS(gal_process_signal(0, "TERM"), GAL_VALUE, "process is 0");
    FAILS(gal_process_wait(pid, 0, &state, &code), GAL_STATE, "can't be waited for");
    CASE("signals of other names arrive, though this process ignores them");
    signal(SIGUSR1, SIG_IGN);
    pid = started("sleep 60", NULL);
    IS_OK(gal_process_signal(pid, "USR1"));
    IS_INT(ended(pid), 1000 + SIGUSR1);
    CASE("this process began, and its place has three words");
    IS_TRUE(gal_process_begun(gal_process_own()) > 0);
    char a[128], b[128], c[128];
    IS_INT(sscanf(gal_process_place(), "%127s %127s %127s", a, b, c), 3);
}

/* A process that binds itself to a parent which is not its own is ended at once. */
static void binding(void)
{
    CASE("a process that is bound to a parent that has ended gets its signal");
    pid_t child = fork();
    if (child == 0) {
        gal_process_bind(getppid() + 1000000, "KILL");
        _exit(0);
    }
    IS_INT(ended(child), 1009);
    CASE("it gets it when its parent ends, and not before");
    int ends[2];
    IS_INT(pipe(ends), 0);
    child = fork();
    if (child == 0) {
        pid_t own = getpid();
        if (fork() == 0) {
            gal_process_bind(own, "KILL");
            (void)!write(ends[1], "x", 1);
            sleep(60);
            _exit(0);
        }
        char byte;
        (void)!read(ends[0], &byte, 1);
        _exit(0);
    }
    close(ends[1]);
    IS_INT(ended(child), 0);
    char byte; /* the pipe ends when the grandchild has: within 60 s only where it was ended */
    double before = gal_now();
    IS_INT(read(ends[0], &byte, 1), 0);
    IS_TRUE(gal_now() - before < 30);
    close(ends[0]);
}

enum { MAKERS = 8, FILES = 200 };
static int wins[MAKERS][FILES];

static void *maker(void *own)
{
    for (int k = 0; k < FILES; k++) {
        char path[96];
        snprintf(path, sizeof path, "%s/%d", folder, k);
        gal_file_create(path, "me", 2, &((int *)own)[k]);
    }
    return NULL;
}

static void creating(void)
{
    CASE("of eight that make the same 200 files at once, each file is made by one");
    pthread_t threads[MAKERS];
    for (int i = 0; i < MAKERS; i++)
        pthread_create(&threads[i], NULL, maker, wins[i]);
    for (int i = 0; i < MAKERS; i++)
        pthread_join(threads[i], NULL);
    for (int k = 0; k < FILES; k++) {
        int made = 0;
        for (int i = 0; i < MAKERS; i++)
            made += wins[i][k];
        IS_INT(made, 1);
    }
    CASE("what is there stays; a touch moves its time");
    char path[96];
    int made = 1;
    int64_t bytes, before, now;
    snprintf(path, sizeof path, "%s/0", folder);
    IS_OK(gal_file_create(path, "other", 5, &made));
    IS_INT(made, 0);
    IS_INT(gal_file_stamp(path, &bytes, &before), 1);
    IS_INT(bytes, 2);
    usleep(20000);
    IS_OK(gal_file_touch(path, &now));
    IS_TRUE(now > before && now - before < 30000000000);
    FAILS(gal_file_create("/nowhere/x", "me", 2, &made), GAL_FILE, "/nowhere/x: can't be made: No such");
    FAILS(gal_file_touch("/nowhere/x", &now), GAL_FILE, "/nowhere/x: can't be touched: No such");
}

int main(void)
{
    char command[96];
    if (!mkdtemp(folder))
        return 1;
    snprintf(output, sizeof output, "%s/output", folder);
    spawning();
    living();
    binding();
    creating();
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command) != 0 || finish();
}
