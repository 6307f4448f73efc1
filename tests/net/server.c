/* server.c: a web server on 127.0.0.1 that misbehaves as its requests ask, for tests of clients.
 *
 * server LOG SECONDS prints "port N", and serves until it is killed, its parent ends or the seconds are over.
 * GET or POST /NAME?bytes=B&slow=S&faults=A,B,...: the k-th request for an address gets the k-th fault, later
 * ones the body: bytes B of a pattern that depends on NAME alone, after S milliseconds. The faults are in
 * serve() and serve_picture(); "ok" is none. random=P: P of 100 requests get a fault, each kind in turn, the
 * same ones whenever the server is asked the same. POST to /rows=R/faults=A,B/SqlSearch is a query, as
 * select_rows() has it; twins=N there gives every N-th row the objID of the row before. What asks for a
 * picture as SkyServer, the Legacy Surveys' viewer or hips2fits are asked gets one; outside=N: of every N-th
 * galaxy there is none. POST to /echo answers with what was posted. Each request adds a line to LOG: clients
 * that wait for an answer, seconds, fault, method, address, user agent. */
#define _GNU_SOURCE
#include "pictures.h"
#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { ADDRESSES = 10000, LARGEST = 1 << 24 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static FILE *record;
static int asking, addresses; /* asking: clients that wait for an answer */
static char *address[ADDRESSES];
static int requests[ADDRESSES];

/* How many requests there were for the address before this one. */
static int earlier(const char *name)
{
    int i = 0;
    while (i < addresses && strcmp(address[i], name) != 0)
        i++;
    if (i == ADDRESSES)
        exit(3);
    if (i == addresses)
        address[addresses++] = strdup(name);
    return requests[i]++;
}

static long number_of(const char *name, const char *word, long otherwise)
{
    const char *at = strstr(name, word);
    return at ? atol(at + strlen(word)) : otherwise;
}

static unsigned hash_of(const char *text, unsigned state)
{
    for (; *text; text++)
        state = (state ^ (unsigned char)*text) * 16777619u;
    state = (state ^ state >> 15) * 2246822519u;
    return state ^ state >> 13;
}

static int is_picture(const char *name)
{
    return strstr(name, "/getjpeg?") || strstr(name, "/cutout.") || strstr(name, "/hips2fits?");
}

/* A fault of `percent` of the requests: of one address no kind comes again before all others have. */
static void random_fault(char fault[32], const char *name, int k, long percent)
{
    static const char *const all[] = {"html",   "400",      "503",   "rate",  "database", "line",
                                      "empty",  "short",    "reset", "429",   "chunk",    "stall",
                                      "silent", "nonsense", "small", "words", "no",       "flat"};
    unsigned first = hash_of(name, 7), kinds = is_picture(name) ? 18 : 9; /* a query may be silent for long */
    int fails = hash_of(name, (unsigned)k + 100) % 100 < (unsigned)percent;
    snprintf(fault, 32, "%s", fails ? all[(first + (unsigned)k) % kinds] : "ok");
}

/* The k-th of the faults in the address, from 0. */
static void fault_of(char fault[32], const char *name, int k)
{
    long percent = number_of(name, "random=", 0);
    if (percent > 0) {
        random_fault(fault, name, k, percent);
        return;
    }
    const char *at = strstr(name, "faults=");
    at = at ? at + 7 : "";
    for (; k > 0 && *at && *at != '&' && *at != '/'; k--) {
        at += strcspn(at, ",&/");
        at += *at == ',';
    }
    size_t n = strcspn(at, ",&/");
    snprintf(fault, 32, "%.*s", (int)(n ? n : 2), n ? at : "ok");
}

static void put(int s, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t k = send(s, bytes, n, MSG_NOSIGNAL);
        if (k <= 0)
            return;
        bytes += k;
        n -= (size_t)k;
    }
}

/* The head with what it says of the length, and so many bytes of the body. */
static void answer(int s, const char *status, const char *extra, const char *body, size_t n, size_t said)
{
    char head[512];
    int length = snprintf(head, sizeof head,
                          "HTTP/1.1 %s\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n%s"
                          "Connection: close\r\n\r\n",
                          status, said, extra);
    put(s, head, (size_t)length);
    put(s, body, n);
}

static void say(int s, const char *status, const char *extra, const char *body)
{
    answer(s, status, extra, body, strlen(body), strlen(body));
}

/* Waits until the client has gone, at most 20 s. */
static void wait_for_end(int s)
{
    struct pollfd p = {.fd = s, .events = POLLIN};
    char c;
    while (poll(&p, 1, 20000) > 0 && recv(s, &c, 1, 0) > 0)
        ;
}

/* Waits so many milliseconds, less where the client goes. */
static void linger(int s, long milliseconds)
{
    struct pollfd p = {.fd = s, .events = POLLRDHUP};
    poll(&p, 1, (int)milliseconds);
}

#define CHUNK "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"

static void serve(int s, const char *fault, const char *body, size_t n)
{
    if (!strcmp(fault, "503"))
        say(s, "503 Service Unavailable", "", "<html><h1>503 Service Unavailable</h1></html>\n");
    else if (!strcmp(fault, "429")) /* too many requests: come back in a second */
        say(s, "429 Too Many Requests", "Retry-After: 1\r\n", "<html>Too Many Requests</html>");
    else if (!strcmp(fault, "tomorrow"))
        say(s, "503 Service Unavailable", "Retry-After: 50000\r\n", "down for maintenance");
    else if (!strcmp(fault, "400"))
        say(s, "400 BadRequest", "",
            "{\"ErrorCode\":400,\"ErrorMessage\":\"Incorrect syntax near 'selekt'.\"}");
    else if (!strcmp(fault, "404")) /* a body as long as the one that was asked for */
        answer(s, "404 NOT FOUND", "", body, n, n);
    else if (!strcmp(fault, "moved"))
        say(s, "302 Found", "Location: http://127.0.0.1:9/elsewhere\r\n", "");
    else if (!strcmp(fault, "html")) /* a page of errors that calls itself a success */
        say(s, "200 OK", "",
            "<html><head>\n<title>Error</title>\n</head><body>\n<h2>An error occured</h2></body></html>");
    else if (!strcmp(fault, "rate"))
        say(s, "200 OK", "",
            "#Table1\nerror_message\nERROR: Maximum 60 queries allowed per minute. Rejected query: select 1 "
            "\n");
    else if (!strcmp(fault, "database"))
        say(s, "200 OK", "", "#Table1\nerror_message\nInvalid column name 'zz'.\n");
    else if (!strcmp(fault, "line")) /* the last line is cut, and the length fits */
        answer(s, "200 OK", "", body, n - 3, n - 3);
    else if (!strcmp(fault, "empty"))
        say(s, "200 OK", "", "");
    else if (!strcmp(fault, "short")) /* half of the body */
        answer(s, "200 OK", "", body, n / 2, n);
    else if (!strcmp(fault, "chunk")) /* a first chunk, and no last one */
        put(s, CHUNK, strlen(CHUNK));
    else if (!strcmp(fault, "reset"))
        setsockopt(s, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
    else if (!strcmp(fault, "nonsense"))
        put(s, "SSH-2.0-OpenSSH\r\n\r\n", 19);
    else if (!strcmp(fault, "stall")) { /* some of the body, and nothing more */
        answer(s, "200 OK", "", body, n / 2, n);
        wait_for_end(s);
    } else if (!strcmp(fault, "silent"))
        wait_for_end(s);
    else
        answer(s, "200 OK", "", body, n, n);
}

/* body {LARGEST} = the picture that is asked for, or another of another size; its length. */
static size_t put_picture(char *body, const char *name, int what, int size, unsigned more)
{
    const char *ra = strstr(name, "ra="), *dec = strstr(name, "dec=");
    unsigned seed = more + (unsigned)(1000 * (ra ? atof(ra + 3) : 0) + 0.5) +
                    977 * (unsigned)(1000 * (dec ? atof(dec + 4) : 0) + 100000.5);
    int fits = strstr(name, "cutout.fits") || strstr(name, "format=fits");
    return (fits ? picture_fits : picture_jpeg)((unsigned char *)body, LARGEST, size, what, seed);
}

/* Whether there is no picture of the galaxy that the address asks for. */
static int is_outside(const char *name)
{
    long every = number_of(name, "outside=", 0);
    const char *ra = strstr(name, "ra=");
    return every > 0 && ra && (long)(1000 * atof(ra + 3) + 0.5) % every == 0;
}

/* Answers with a picture, or as a server does that has none: SkyServer with words and 404, others with a
 * flat tile. k: of the request, so that no fault comes twice alike. */
static void serve_picture(int s, const char *fault, char *body, const char *name, int k)
{
    int size = (int)number_of(name, "width=", number_of(name, "size=", 128)),
        sdss = !!strstr(name, "getjpeg");
    size_t n;
    if (!strcmp(fault, "small")) { /* a server may clamp sizes silently */
        n = put_picture(body, name, PICTURE_GALAXY, size / 2, 0);
    } else if (!strcmp(fault, "words") || !strcmp(fault, "no")) {
        n = put_picture(body, name, PICTURE_WORDS, size, (unsigned)k + !strcmp(fault, "no"));
    } else if (!strcmp(fault, "flat")) {
        n = put_picture(body, name, PICTURE_FLAT, size, (unsigned)k);
    } else if (is_outside(name)) {
        n = put_picture(body, name, sdss ? PICTURE_WORDS : PICTURE_FLAT, size, 0);
        if (!strcmp(fault, "ok") && sdss)
            fault = "404";
    } else {
        n = put_picture(body, name, PICTURE_GALAXY, size, 0);
    }
    if (!strcmp(fault, "no"))
        fault = "404";
    if (!strcmp(fault, "line")) /* half of it, and the length fits */
        answer(s, "200 OK", "", body, n / 2, n / 2);
    else
        serve(s, fault, body, n);
}

/* The request with its body, {size} with a 0 behind it; 0 where it does not come whole. */
static int read_request(int s, char *text, size_t size)
{
    size_t n = 0, whole = 0;
    while (!whole || n < whole) {
        ssize_t k = n < size - 1 ? recv(s, text + n, size - 1 - n, 0) : 0;
        if (k <= 0)
            return 0;
        text[n += (size_t)k] = 0;
        const char *end = strstr(text, "\r\n\r\n"), *length = strcasestr(text, "\r\nContent-Length:");
        if (end && !whole)
            whole = (size_t)(end + 4 - text) + (length && length < end ? (size_t)atol(length + 17) : 0);
    }
    return 1;
}

static void answered(void)
{
    pthread_mutex_lock(&lock);
    asking--;
    pthread_mutex_unlock(&lock);
}

static long long id_of(long k)
{
    return 299489676975171584 + 2048 * (long long)k;
}

/* The value of a column in row k, from 1: what cuts look at goes through both sides of them. */
static int put_value(char *to, const char *column, long k)
{
    if (!strcmp(column, "specObjID") || !strcmp(column, "objID"))
        return sprintf(to, "%lld", id_of(k));
    if (!strcmp(column, "bptclass"))
        return sprintf(to, "%ld", 1 + k % 2);
    if (!strcmp(column, "zWarning"))
        return sprintf(to, "%d", k % 5 ? 0 : 4);
    if (!strcmp(column, "reliable"))
        return sprintf(to, "%d", k % 7 != 0);
    if (!strcmp(column, "primtarget"))
        return sprintf(to, "%d", k % 3 ? 96 : 32);
    if (!strcmp(column, "petroMag_r"))
        return sprintf(to, "%.1f", 17 + 0.1 * (double)(k % 10));
    if (!strncmp(column, "extinction", 10))
        return sprintf(to, "0.05");
    if (!strncmp(column, "modelMag_", 9))
        return sprintf(to, "%.3f", 17 + (double)(k * 37 % 1000) / 1000);
    if (!strcmp(column, "d4000_n"))
        return sprintf(to, "%.3f", 1 + (double)(k * 61 % 1000) / 1000);
    return sprintf(to, "%.3f", (double)k / 1000);
}

/* The body {LARGEST} of the query "SELECT TOP n t.a, t.b FROM ... specObjID > last ..." as SkyServer answers
 * it, or of "SELECT COUNT(*) AS n ...", also where "specObjID % 1000003 < share"; its length. The table has
 * `rows` rows; every twins-th is of the object of the row before. */
static long select_rows(char *body, const char *posted, long rows, long twins)
{
    char query[8192] = "", names[64][32];
    size_t length = 0;
    for (const char *c = posted; *c && length < sizeof query - 1; c++) {
        char digits[3] = {c[0] == '%' ? c[1] : 0, c[0] == '%' ? c[2] : 0, 0};
        query[length++] = digits[0] ? (char)strtol(digits, NULL, 16) : *c;
        c += digits[0] ? 2 : 0;
    }
    char *top = strstr(query, "TOP "), *from = strstr(query, "FROM"), *after = strstr(query, "specObjID > ");
    const char *share = strstr(query, "% 1000003 < ");
    long count = top ? strtol(top + 4, &top, 10) : 0, done = 0, least = share ? atol(share + 12) : 1000003;
    long long last = after ? atoll(after + 12) : 0;
    int columns = 0, n = sprintf(body, "#Table1\n");
    if (strstr(query, "COUNT(*)")) {
        for (long k = 1; k <= rows; k++)
            done += id_of(k) % 1000003 < least;
        return sprintf(body, "#Table1\nn\n%ld\n", done);
    }
    if (from)
        *from = 0;
    for (char *word = strtok(top, " ,\n"); word && columns < 64; word = strtok(NULL, " ,\n")) {
        const char *point = strchr(word, '.');
        snprintf(names[columns], sizeof names[0], "%.31s", point ? point + 1 : word);
        n += sprintf(body + n, "%s%s", columns ? "," : "", names[columns]);
        columns++;
    }
    n += sprintf(body + n, "\n");
    for (long k = 1; k <= rows && done < count; k++) {
        if (id_of(k) <= last || id_of(k) % 1000003 >= least)
            continue;
        for (int i = 0; i < columns; i++) {
            int twin = twins && k % twins == 0 && !strcmp(names[i], "objID");
            n += sprintf(body + n, "%s", i ? "," : "");
            n += put_value(body + n, names[i], k - twin);
        }
        n += sprintf(body + n, "\n");
        done++;
    }
    return n;
}

static void serve_request(int s, const char *request)
{
    char method[8] = "", name[4096] = "", fault[32];
    const char *agent = strcasestr(request, "\r\nUser-Agent: "), *posted = strstr(request, "\r\n\r\n");
    if (sscanf(request, "%7s %4095s", method, name) != 2)
        exit(3);
    pthread_mutex_lock(&lock);
    int k = earlier(name);
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    fault_of(fault, name, k);
    agent = agent ? agent + 14 : "-";
    fprintf(record, "%d %ld.%06ld %s %s %s %.*s\n", asking, (long)now.tv_sec, now.tv_nsec / 1000, fault,
            method, name, (int)strcspn(agent, "\r\n"), agent);
    fflush(record);
    pthread_mutex_unlock(&lock);
    long n = number_of(name, "bytes=", 100);
    char *body = malloc(LARGEST);
    if (!body || n > LARGEST)
        exit(3);
    unsigned state = 1;
    for (const char *c = name; *c && *c != '?'; c++)
        state = 31 * state + (unsigned char)*c;
    for (long i = 0; i < n; i++)
        body[i] = (char)((state = state * 1664525u + 1013904223u) >> 24);
    if (strstr(name, "SqlSearch"))
        n = select_rows(body, posted, number_of(name, "rows=", 0), number_of(name, "twins=", 0));
    linger(s, number_of(name, "slow=", 0));
    answered(); /* before the answer: who has it may come again at once */
    if (!strncmp(name, "/echo", 5))
        serve(s, fault, posted + 4, strlen(posted + 4));
    else if (is_picture(name))
        serve_picture(s, fault, body, name, k);
    else
        serve(s, fault, body, (size_t)n);
    free(body);
}

static void *connection(void *own)
{
    static _Thread_local char request[1 << 16];
    int s = (int)(long)own;
    if (read_request(s, request, sizeof request))
        serve_request(s, request);
    else
        answered();
    close(s);
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc != 3 || !(record = fopen(argv[1], "a")))
        return 2;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    alarm((unsigned)atoi(argv[2]));
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof here;
    int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(listening, (struct sockaddr *)&here, size) || listen(listening, 64) ||
        getsockname(listening, (struct sockaddr *)&here, &size))
        return 1;
    printf("port %d\n", ntohs(here.sin_port));
    fflush(stdout);
    for (;;) {
        int s = accept(listening, NULL, NULL);
        pthread_t thread;
        pthread_mutex_lock(&lock);
        asking++;
        pthread_mutex_unlock(&lock);
        if (s < 0 || pthread_create(&thread, NULL, connection, (void *)(long)s))
            return 1;
        pthread_detach(thread);
    }
}
