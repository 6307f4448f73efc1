/* options.c: reads the command line into host_options, and refuses unknown options and wrong values in one
 * sentence. */
#include "host.h"
#include "galrun.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char host_help[] = "galrun [options] [script [arguments]]\n"
                         "\n"
                         "Runs a Lua script with tensors, gradients and flows. Without a script, opens a\n"
                         "prompt, or runs standard input chunk by chunk where it is a pipe.\n"
                         "\n"
                         "  -e CODE          runs CODE before the script; -e and -l may be repeated and\n"
                         "                   run in their order\n"
                         "  -l MODULE        requires MODULE before the script, as a global: -l gal.flow\n"
                         "                   makes flow\n"
                         "  -i               opens a prompt after the script or CODE\n"
                         "  -                reads the script from standard input\n"
                         "  --device NAME    where new tensors live: cpu, cuda or cuda:1 (default: cpu)\n"
                         "  --threads N      threads on the CPU (default: the cores that this process may\n"
                         "                   use)\n"
                         "  --seed N         seed of the default random generator (default: 0)\n"
                         "  --pictures KIND  how a terminal shows figures: kitty, iterm, sixel, text or\n"
                         "                   none; auto: as it says itself (default: auto)\n"
                         "  --trace          errors show all calls, those inside the library, too\n"
                         "  --version        prints the version\n"
                         "  --help           prints this text\n"
                         "\n"
                         "--device, --threads and --seed may also follow the script's name. --name=value\n"
                         "is --name value. All other words after the script's name are its own: galrun\n"
                         "SCRIPT --help lists an experiment's options. At the prompt, ? shows what it can\n"
                         "do, ?name the help of a name.\n"
                         "Exit codes: 0 done, 1 an error, 2 a wrong command line, 130 Ctrl-C, 143 SIGTERM,\n"
                         "75 SIGUSR1: there is more to do.\n";

static const char *const names[] = {"--device", "--threads", "--seed", "--pictures",
                                    "--trace",  "--version", "--help"};
static const char *const pictures[] = {"auto", "kitty", "iterm", "sixel", "text", "none"};
enum { NAMES = sizeof names / sizeof names[0], LONGEST_NAME = 24 };

/* Levenshtein's distance between a and b; LONGEST_NAME where either has more letters than that. */
static int distance(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b);
    int row[LONGEST_NAME + 1];
    if (n > LONGEST_NAME || m > LONGEST_NAME)
        return LONGEST_NAME;
    for (size_t j = 0; j <= m; j++)
        row[j] = (int)j;
    for (size_t i = 1; i <= n; i++) {
        int diagonal = row[0];
        row[0] = (int)i;
        for (size_t j = 1; j <= m; j++) {
            int best = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[m];
}

/* False, with a sentence in message: "no option '--sed'; did you mean --seed?" */
static bool refuse(const char *option, char *message, size_t size)
{
    char name[LONGEST_NAME + 1];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(option, "="), option);
    int nearest = 0;
    for (int i = 1; i < NAMES; i++)
        if (distance(name, names[i]) < distance(name, names[nearest]))
            nearest = i;
    if (name[1] == '-' && distance(name, names[nearest]) <= 2)
        snprintf(message, size, "no option '%s'; did you mean %s?", option, names[nearest]);
    else
        snprintf(message, size, "no option '%s'; galrun --help lists them", option);
    return false;
}

/* The value of the option `name` at argv[*i], which stands behind '=' or in the next word: then *i moves on
 * to that. NULL where argv[*i] is another option, and with a sentence in message where the value is missing.
 */
static const char *value_of(const char *name, const char *what, int *i, int argc, char **argv, char *message,
                            size_t size)
{
    size_t n = strlen(name);
    if (strncmp(argv[*i], name, n) != 0)
        return NULL;
    if (argv[*i][n] == '=')
        return argv[*i] + n + 1;
    if (argv[*i][n] != '\0')
        return NULL;
    if (*i + 1 == argc) {
        snprintf(message, size, "%s is the last word, expected %s after it", name, what);
        return NULL;
    }
    return argv[++*i];
}

/* Takes --device, --threads or --seed at argv[*i], before or after the script. False where argv[*i] is
 * another word, and with a sentence in message where the value is wrong. */
static bool shared_option(host_options *o, int *i, int argc, char **argv, char *message, size_t size)
{
    const char *value;
    char *end;
    if ((value = value_of("--device", "cpu or cuda", i, argc, argv, message, size))) {
        if (!gal_device_known(value)) {
            snprintf(message, size, "--device is '%s', expected cpu, cuda or, of several, cuda:1", value);
            return false;
        }
        o->device = value;
        o->device_given = true;
        return true;
    }
    if ((value = value_of("--threads", "a number", i, argc, argv, message, size))) {
        long n = strtol(value, &end, 10);
        if (*value == '\0' || *end != '\0' || n < 1 || n > 1024) {
            snprintf(message, size, "--threads is '%s', expected a whole number from 1 to 1024", value);
            return false;
        }
        o->threads = (int)n;
        return true;
    }
    if ((value = value_of("--seed", "a number", i, argc, argv, message, size))) {
        long long n = strtoll(value, &end, 10);
        /* 2^53: beyond it a Lua number would not be the seed that was asked for. */
        if (*value == '\0' || *end != '\0' || n < 0 || n > 9007199254740992LL) {
            snprintf(message, size, "--seed is '%s', expected a whole number from 0 to 2^53", value);
            return false;
        }
        o->seed = (double)n;
        o->seed_given = true;
        return true;
    }
    return false;
}

/* Takes --pictures KIND. False as shared_option's. */
static bool pictures_option(host_options *o, int *i, int argc, char **argv, char *message, size_t size)
{
    const char *value =
        value_of("--pictures", "auto, kitty, iterm, sixel, text or none", i, argc, argv, message, size);
    if (!value)
        return false;
    for (size_t k = 0; k < sizeof pictures / sizeof pictures[0]; k++)
        if (strcmp(value, pictures[k]) == 0) {
            o->pictures = value;
            return true;
        }
    snprintf(message, size, "--pictures is '%s', expected auto, kitty, iterm, sixel, text or none", value);
    return false;
}

/* Takes -e CODE or -eCODE, and the same of -l. */
static bool action_option(host_options *o, int *i, int argc, char **argv, char *message, size_t size)
{
    char kind = argv[*i][1];
    if (kind != 'e' && kind != 'l')
        return false;
    const char *text = argv[*i] + 2;
    if (*text == '\0') {
        if (*i + 1 == argc) {
            snprintf(message, size, "-%c is the last word, expected %s after it", kind,
                     kind == 'e' ? "code" : "a module's name");
            return false;
        }
        text = argv[++*i];
    }
    o->actions[o->action_count++] = (host_action){kind, text};
    return true;
}

bool host_options_read(host_options *o, int argc, char **argv, char *message, size_t size)
{
    *o = (host_options){.device = "cpu", .pictures = "auto"};
    message[0] = '\0';
    o->actions = calloc((size_t)argc + 1, sizeof *o->actions);
    o->arguments = calloc((size_t)argc + 1, sizeof *o->arguments);
    if (!o->actions || !o->arguments) {
        snprintf(message, size, "out of memory while reading the command line");
        return false;
    }
    int i = 1;
    for (; i < argc && argv[i][0] == '-' && argv[i][1] != '\0'; i++) {
        const char *option = argv[i];
        if (strcmp(option, "--") == 0) {
            i++;
            break;
        }
        if (strcmp(option, "--help") == 0 || strcmp(option, "-h") == 0)
            o->help = true;
        else if (strcmp(option, "--version") == 0)
            o->version = true;
        else if (strcmp(option, "-i") == 0)
            o->repl = true;
        else if (strcmp(option, "--trace") == 0)
            o->trace = true;
        else if (!pictures_option(o, &i, argc, argv, message, size) && message[0] == '\0' &&
                 !shared_option(o, &i, argc, argv, message, size) && message[0] == '\0' &&
                 !action_option(o, &i, argc, argv, message, size) && message[0] == '\0')
            return refuse(option, message, size);
        if (message[0] != '\0')
            return false;
    }
    if (i < argc)
        o->script = argv[i++];
    bool taking = true; /* until a "--", which the script sees */
    for (; i < argc; i++) {
        taking = taking && strcmp(argv[i], "--") != 0;
        if (taking && shared_option(o, &i, argc, argv, message, size))
            continue;
        if (message[0] != '\0')
            return false;
        o->arguments[o->argument_count++] = argv[i];
    }
    return true;
}

void host_options_free(host_options *o)
{
    free(o->actions);
    free(o->arguments);
    *o = (host_options){0};
}
