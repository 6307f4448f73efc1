/* Servers on the network, by one on the loopback that misbehaves as it is asked to (net/server.c): bodies
 * come whole or not at all, what can't be helped is not asked for again, and no server is pressed. */
#define _GNU_SOURCE
#include "check.h"
#include <dirent.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

static char folder[] = "/tmp/galrun-net-XXXXXX", record[64], output[64], base[64];
static int64_t server;

static void remove_all(void)
{
    char command[96];
    gal_process_signal(server, "KILL");
    snprintf(command, sizeof command, "rm -r %s", folder);
    (void)!system(command);
}

/* The number behind `word` in the file, which a process is about to write; 0 where it does not in 20 s. */
static int told(const char *path, const char *word)
{
    for (double end = gal_now() + 20; gal_now() < end; usleep(5000)) {
        char text[4096] = "";
        FILE *file = fopen(path, "r");
        size_t n = file ? fread(text, 1, sizeof text - 1, file) : 0;
        text[n] = 0;
        if (file)
            fclose(file);
        const char *at = strstr(text, word);
        if (at && strchr(at, '\n'))
            return atoi(at + strlen(word));
    }
    return 0;
}

static void start_server(void)
{
    snprintf(record, sizeof record, "%s/record", folder);
    snprintf(output, sizeof output, "%s/output", folder);
    const char *const words[] = {NET_SERVER, record, "200", NULL};
    IS_OK(gal_process_start(&server, words, NULL, NULL, output));
    snprintf(base, sizeof base, "http://127.0.0.1:%d", told(output, "port "));
}

/* In a hurry: no pause, and waits of 10 to 50 ms. */
static gal_net_manners hurried(int tries)
{
    gal_net_manners manners;
    gal_net_usual(&manners);
    manners.pause = 0;
    manners.wait = 0.01;
    manners.longest = 0.05;
    manners.tries = tries;
    return manners;
}

static gal_net *opened(gal_net_manners manners)
{
    gal_net *net = NULL;
    IS_OK(gal_net_open(&net, base, &manners));
    return net;
}

static void ask(gal_net *net, const char *path, const char *file, int64_t most)
{
    int silent =
        strstr(path, "stall") || strstr(path, "silent"); /* others are waited for on a busy machine */
    gal_net_request request = {.path = path, .file = file, .most = most, .stall = silent ? 0.5 : 60};
    IS_OK(gal_net_ask(net, &request));
}

static gal_net_answer answered(gal_net *net)
{
    gal_net_answer answer;
    IS_OK(gal_net_next(&answer, net, 60));
    return answer;
}

static void is_kind(gal_net_answer answer, int kind, int status, int tries)
{
    REPORT(answer.kind == kind && answer.status == status && answer.tries == tries,
           "%s, %d, %d tries (%s), expected %s, %d, %d tries", gal_net_kind_name(answer.kind), answer.status,
           answer.tries, answer.problem, gal_net_kind_name(kind), status, tries);
}

/* Whether bytes are what the server has under that name. */
static int is_body(const char *bytes, int64_t n, const char *name)
{
    unsigned state = 1;
    for (const char *c = name; *c; c++)
        state = 31 * state + (unsigned char)*c;
    for (int64_t i = 0; i < n; i++)
        if (bytes[i] != (char)((state = state * 1664525u + 1013904223u) >> 24))
            return 0;
    return bytes[n] == 0;
}

static int entries(const char *path)
{
    int n = -2;
    DIR *here = opendir(path);
    while (here && readdir(here))
        n++;
    if (here)
        closedir(here);
    return n;
}

/* Asks for one body and closes the net; its kind is checked. */
static void one(const char *path, gal_net_manners manners, int kind, int status, int tries)
{
    gal_net *net = opened(manners);
    ask(net, path, NULL, 1 << 20);
    is_kind(answered(net), kind, status, tries);
    gal_net_close(net);
}

static void bodies(void)
{
    CASE("a body comes whole: none, one byte, a megabyte");
    gal_net *net = opened(hurried(1));
    ask(net, "/a?bytes=0", NULL, 1 << 20);
    gal_net_answer answer = answered(net);
    is_kind(answer, GAL_NET_WHOLE, 200, 1);
    IS_TRUE(answer.n == 0 && !*answer.bytes && !*answer.problem && !strcmp(answer.type, "text/plain"));
    ask(net, "/b?bytes=1", NULL, 1 << 20);
    answer = answered(net);
    IS_TRUE(answer.n == 1 && is_body(answer.bytes, 1, "/b"));
    ask(net, "/c?bytes=1048576", NULL, 1 << 20);
    answer = answered(net);
    IS_TRUE(answer.n == 1 << 20 && is_body(answer.bytes, 1 << 20, "/c"));
    CASE("one byte more than was allowed ends it, after one try");
    ask(net, "/d?bytes=1048577", NULL, 1 << 20);
    answer = answered(net);
    is_kind(answer, GAL_NET_LARGE, 200, 1);
    IS_TRUE(answer.n == 0 && strstr(answer.problem, "larger than 1048576 bytes"));
    CASE("a form is posted, and its answer is a body");
    char form[20001];
    memset(form, 'x', 20000);
    form[20000] = 0;
    IS_OK(gal_net_ask(
        net, &(gal_net_request){.path = "/echo", .form = form, .most = 20000, .stall = 5, .tag = 77}));
    answer = answered(net);
    IS_TRUE(answer.tag == 77 && answer.n == 20000 && !strcmp(answer.bytes, form));
    CASE("without requests there is no answer, at once");
    is_kind(answered(net), GAL_NET_NONE, 0, 0);
    IS_INT(gal_net_count(net, GAL_NET_WHOLE), 4);
    gal_net_close(net);
}

static void files(void)
{
    CASE("a whole body is under its name, and nothing is beside it");
    char place[64], path[96], *bytes;
    int64_t n;
    snprintf(place, sizeof place, "%s/files", folder);
    snprintf(path, sizeof path, "%s/body", place);
    IS_OK(gal_make_folder(place));
    gal_net *net = opened(hurried(2));
    ask(net, "/f?bytes=300000&faults=short", path, 1 << 20);
    gal_net_answer answer = answered(net);
    is_kind(answer, GAL_NET_WHOLE, 200, 2);
    IS_TRUE(answer.n == 300000 && !*answer.bytes);
    IS_OK(gal_file_read(&bytes, &n, path));
    IS_TRUE(n == 300000 && is_body(bytes, n, "/f"));
    gal_file_free(bytes);
    CASE("a body that is cut, too large or refused leaves the file that was there, and nothing beside it");
    ask(net, "/g?bytes=300000&faults=short,stall", path, 1 << 20);
    is_kind(answered(net), GAL_NET_STALLED, 200, 2);
    ask(net, "/g?bytes=300000", path, 200000);
    is_kind(answered(net), GAL_NET_LARGE, 200, 1);
    ask(net, "/g?bytes=300000&faults=404", path, 1 << 20);
    answer = answered(net);
    is_kind(answer, GAL_NET_REFUSED, 404, 1);
    IS_TRUE(answer.n == 1 << 16);
    IS_OK(gal_file_read(&bytes, &n, path));
    IS_TRUE(n == 300000 && is_body(bytes, n, "/f"));
    gal_file_free(bytes);
    IS_INT(entries(place), 1);
    CASE("closing in the middle of a body leaves nothing");
    ask(net, "/h?bytes=300000&faults=stall", path, 1 << 20);
    IS_OK(gal_net_next(&answer, net, 0.2));
    is_kind(answer, GAL_NET_NONE, 0, 0);
    IS_INT(entries(place), 2);
    gal_net_close(net);
    IS_INT(entries(place), 1);
    CASE("a file that can't be written is told with its request, and the others go on");
    net = opened(hurried(2));
    IS_OK(gal_net_ask(
        net, &(gal_net_request){.path = "/i", .file = "/nowhere/x", .most = 1000, .stall = 5, .tag = 5}));
    FAILS(gal_net_next(&answer, net, 60), GAL_FILE, "/nowhere/x: can't be written");
    IS_INT(answer.tag, 5);
    ask(net, "/j", NULL, 1000);
    is_kind(answered(net), GAL_NET_WHOLE, 200, 1);
    gal_net_close(net);
}

static void trying(void)
{
    CASE("each fault that can pass is met by another try, and counted by its name");
    gal_net *net = opened(hurried(8));
    ask(net, "/k?bytes=5000&faults=503,short,reset,stall,silent,nonsense,chunk", NULL, 1 << 20);
    gal_net_answer answer = answered(net);
    is_kind(answer, GAL_NET_WHOLE, 200, 8);
    IS_TRUE(answer.n == 5000 && is_body(answer.bytes, 5000, "/k"));
    IS_INT(gal_net_count(net, GAL_NET_BUSY), 1);
    IS_INT(gal_net_count(net, GAL_NET_CUT), 4);
    IS_INT(gal_net_count(net, GAL_NET_STALLED), 2);
    IS_INT(gal_net_count(net, GAL_NET_WHOLE), 1);
    CASE("what another try can't help is asked for once: a refusal with its body, another address");
    ask(net, "/l?faults=400", NULL, 1 << 20);
    answer = answered(net);
    is_kind(answer, GAL_NET_REFUSED, 400, 1);
    IS_TRUE(strstr(answer.bytes, "Incorrect syntax near 'selekt'"));
    ask(net, "/m?faults=moved", NULL, 1 << 20);
    answer = answered(net);
    is_kind(answer, GAL_NET_MOVED, 302, 1);
    IS_TRUE(strstr(answer.problem, "status 302 sends to http://127.0.0.1:9/elsewhere"));
    gal_net_close(net);
    CASE("after as many tries as were allowed the last one is told");
    one("/n?faults=reset,reset,503,503", hurried(3), GAL_NET_BUSY, 503, 3);
    char there[sizeof base];
    memcpy(there, base, sizeof there);
    snprintf(base, sizeof base, "http://127.0.0.1:1");
    one("/", hurried(2), GAL_NET_UNREACHABLE, 0, 2);
    memcpy(base, there, sizeof there);
}

/* Most clients that waited for an answer at once at any request to /NAME. */
static int most_at_once(const char *name)
{
    char line[8192];
    int most = 0, n;
    FILE *file = fopen(record, "r");
    while (file && fgets(line, sizeof line, file)) {
        const char *at = strstr(line, name);
        if (at && sscanf(line, "%d", &n) == 1 && n > most)
            most = n;
    }
    if (file)
        fclose(file);
    return most;
}

static int has_line(const char *path, const char *text)
{
    char line[8192];
    int found = 0;
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file))
        found |= strstr(line, text) != NULL;
    if (file)
        fclose(file);
    return found;
}

/* Asks for 6 bodies that take 40 ms each and returns how long all of them took, in seconds. */
static double six(const char *name, gal_net_manners manners)
{
    char path[64];
    gal_net *net = opened(manners);
    double before = gal_now();
    for (int i = 0; i < 6; i++) {
        snprintf(path, sizeof path, "%s%d?slow=40", name, i);
        ask(net, path, NULL, 1000);
    }
    IS_INT(gal_net_left(net), 6);
    for (int i = 0; i < 6; i++)
        is_kind(answered(net), GAL_NET_WHOLE, 200, 1);
    gal_net_close(net);
    return gal_now() - before;
}

static void resting(void)
{
    gal_net_manners m = hurried(1);
    CASE("the first try begins a pause after the opening, and none while the server is to be left alone");
    m.pause = 0.2;
    double before = gal_now();
    one("/first", m, GAL_NET_WHOLE, 200, 1);
    IS_TRUE(gal_now() - before >= 0.2);
    gal_net *rested = opened(hurried(1));
    IS_OK(gal_net_rest(rested, 0.2));
    ask(rested, "/rested", NULL, 1000);
    before = gal_now();
    is_kind(answered(rested), GAL_NET_WHOLE, 200, 1);
    IS_TRUE(gal_now() - before >= 0.19);
    FAILS(gal_net_rest(rested, -1), GAL_VALUE, "rest is -1, expected seconds from 0 to 86400");
    gal_net_close(rested);
}

static void manners(void)
{
    CASE("no more requests are on their way at once than manners allow");
    gal_net_manners m = hurried(1);
    six("/two", m);
    IS_INT(most_at_once("/two"), 2);
    m.connections = 1;
    six("/one", m);
    IS_INT(most_at_once("/one"), 1);
    CASE("two tries begin at least a pause apart, also where they are of two requests");
    m = hurried(1);
    m.pause = 0.1;
    double took = six("/paused", m);
    REPORT(took >= 0.5, "six requests took %g s, expected at least 0.5", took);
    CASE("waits are doubled: four of them, from 0.04 s, are at least 0.3 s");
    m = hurried(5);
    m.wait = 0.04;
    m.longest = 300;
    double before = gal_now();
    one("/o?faults=reset,reset,reset,reset", m, GAL_NET_WHOLE, 200, 5);
    IS_TRUE(gal_now() - before >= 0.3);
    CASE("no wait is longer than the longest");
    m = hurried(20);
    m.longest = 0.02;
    before = gal_now();
    one("/p?faults=reset,reset,reset,reset,reset,reset,reset,reset,reset,reset,reset,reset", m, GAL_NET_WHOLE,
        200, 13);
    IS_TRUE(gal_now() - before < 15); /* doubled without end: 20 s and more */
    CASE("a server that asks for a second gets it, from the other requests too");
    m = hurried(2);
    m.connections = 1;
    m.longest = 300;
    gal_net *net = opened(m);
    ask(net, "/q?faults=429", NULL, 1000);
    ask(net, "/r", NULL, 1000);
    before = gal_now();
    is_kind(answered(net), GAL_NET_WHOLE, 200, 1);
    IS_TRUE(gal_now() - before >= 1);
    is_kind(answered(net), GAL_NET_WHOLE, 200, 2);
    CASE("one that asks for more than the longest wait is not waited for");
    ask(net, "/s?faults=tomorrow", NULL, 1000);
    gal_net_answer answer = answered(net);
    is_kind(answer, GAL_NET_BUSY, 503, 1);
    IS_TRUE(strstr(answer.problem, "status 503; it asks to wait for 50000 s"));
    CASE("a request may be put off");
    before = gal_now();
    IS_OK(gal_net_ask(net, &(gal_net_request){.path = "/t", .most = 1000, .stall = 5, .after = 0.2}));
    is_kind(answered(net), GAL_NET_WHOLE, 200, 1);
    IS_TRUE(gal_now() - before >= 0.2);
    gal_net_close(net);
    CASE("galrun says who asks");
    char line[96];
    snprintf(line, sizeof line, "ok GET /t galrun/%s (posteriors of galaxies)\n", gal_version());
    IS_TRUE(has_line(record, line));
}

static void *press(void *own)
{
    (void)own;
    usleep(100000);
    gal_interrupt_set(1);
    return NULL;
}

static void interrupting(void)
{
    CASE("Ctrl-C ends the wait for a server that is silent, and the request is still there");
    gal_net *net = opened(hurried(1));
    gal_net_answer answer;
    pthread_t thread;
    IS_OK(gal_net_ask(net, &(gal_net_request){.path = "/u?faults=silent", .most = 1000, .stall = 1000}));
    pthread_create(&thread, NULL, press, NULL);
    double before = gal_now();
    IS_OK(gal_net_next(&answer, net, 60));
    IS_TRUE(gal_now() - before < 15);
    is_kind(answer, GAL_NET_NONE, 0, 0);
    IS_INT(gal_net_left(net), 1);
    pthread_join(thread, NULL);
    gal_interrupt_set(0);
    gal_net_close(net);
}

/* The server of another program, by TLS, with a certificate for 127.0.0.1 that it has signed itself. */
static void trusting(void)
{
    char certificate[64], key[64], log[64], command[512];
    if (system("command -v openssl > /dev/null") != 0) {
        printf("left out: certificates, as openssl is not installed\n");
        return;
    }
    snprintf(certificate, sizeof certificate, "%s/certificate", folder);
    snprintf(key, sizeof key, "%s/key", folder);
    snprintf(log, sizeof log, "%s/tls", folder);
    snprintf(command, sizeof command,
             "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=galrun "
             "-addext subjectAltName=IP:127.0.0.1 -days 2 -keyout %s -out %s 2> /dev/null",
             key, certificate);
    IS_INT(system(command), 0);
    snprintf(command, sizeof command,
             "exec timeout 60 openssl s_server -www -accept 127.0.0.1:0 -key %s -cert %s", key, certificate);
    int64_t pid = 0;
    IS_OK(gal_process_start(&pid, (const char *const[]){"/bin/sh", "-c", command, NULL}, NULL, NULL, log));
    int port = told(log, "ACCEPT 127.0.0.1:");
    char there[sizeof base];
    memcpy(there, base, sizeof there);
    CASE("a certificate that nobody vouches for is refused, after one try");
    gal_net_manners m = hurried(3);
    snprintf(base, sizeof base, "https://127.0.0.1:%d", port);
    one("/", m, GAL_NET_UNTRUSTED, 0, 1);
    CASE("it is taken where the user vouches for it");
    m.authorities = certificate;
    one("/", m, GAL_NET_WHOLE, 200, 1);
    CASE("but for the host that it names alone");
    snprintf(base, sizeof base, "https://localhost:%d", port);
    one("/", m, GAL_NET_UNTRUSTED, 0, 1);
    CASE("a list of authorities that is not there is no reason to trust");
    m.authorities = "/nowhere/x";
    snprintf(base, sizeof base, "https://127.0.0.1:%d", port);
    one("/", m, GAL_NET_UNTRUSTED, 0, 1);
    memcpy(base, there, sizeof base);
    gal_process_signal(pid, "TERM");
    int state, code;
    IS_OK(gal_process_wait(pid, 20, &state, &code));
}

static void refusing(void)
{
    gal_net *net = NULL;
    gal_net_manners m = hurried(1);
    CASE("an address that is none, and one without TLS, is refused before anything is asked");
    const char *const none[] = {"",
                                "x",
                                "ftp://example.org",
                                "file:///etc/passwd",
                                "https://",
                                "https://a b",
                                "https://me@example.org",
                                "https://example.org/?q=1",
                                "https://e.org/#a",
                                "https://example.org/\n",
                                NULL};
    for (int i = 0; none[i]; i++)
        FAILS(gal_net_open(&net, none[i], &m), GAL_VALUE, "expected an address https://HOST/PATH");
    FAILS(gal_net_open(&net, NULL, &m), GAL_VALUE, "expected an address");
    const char *const bare[] = {"http://example.org", "http://127.0.0.1.example.org", "http://10.0.0.1",
                                NULL};
    for (int i = 0; bare[i]; i++)
        FAILS(gal_net_open(&net, bare[i], &m), GAL_VALUE, "expected https://");
    IS_TRUE(net == NULL);
    CASE("manners and requests that can't be are sentences");
    m.connections = 3;
    FAILS(gal_net_open(&net, base, &m), GAL_VALUE, "connections is 3, expected 1 to 2");
    m = hurried(0);
    FAILS(gal_net_open(&net, base, &m), GAL_VALUE, "tries is 0, expected 1 to 100");
    m = hurried(1);
    m.pause = NAN;
    FAILS(gal_net_open(&net, base, &m), GAL_VALUE, "pause is nan, expected seconds");
    net = opened(hurried(1));
    gal_net_request request = {.path = "a", .most = 1, .stall = 1};
    FAILS(gal_net_ask(net, &request), GAL_VALUE, "path is \"a\", expected /");
    request.path = "/a\r\nHost: b";
    FAILS(gal_net_ask(net, &request), GAL_VALUE, "without blanks");
    request = (gal_net_request){.path = "/a", .most = 0, .stall = 1};
    FAILS(gal_net_ask(net, &request), GAL_VALUE, "most is 0, expected bytes above 0");
    request = (gal_net_request){.path = "/a", .most = 1, .stall = 0};
    FAILS(gal_net_ask(net, &request), GAL_VALUE, "stall is 0, expected seconds above 0");
    IS_INT(gal_net_left(net), 0);
    CASE("a net may be closed with requests that wait, and none may be closed");
    ask(net, "/v", NULL, 1000);
    gal_net_close(net);
    gal_net_close(NULL);
}

int main(void)
{
    if (!mkdtemp(folder))
        return 1;
    start_server();
    bodies();
    files();
    trying();
    resting();
    manners();
    interrupting();
    trusting();
    refusing();
    remove_all();
    return finish();
}
