/* net.c: a server and the requests to it: when each one begins, which are made again and after how long, and
 * what the caller is told. One request by itself is exchange.c's. */
#define _POSIX_C_SOURCE 200809L
#include "net.h"
#include "core/random.h"
#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Seconds between two looks at the flag of an interrupt. */
#define LOOK 0.1
/* A list that is longer than a server's answers could be is a mistake of the caller's. */
#define MOST_WAITING (1 << 20)

struct gal_net {
    char *base, *authorities;
    gal_net_manners manners;
    int local;
    CURLM *multi;
    gal_exchange *waiting, **last;             /* those that wait, in the order in which they were asked */
    gal_exchange *active[GAL_NET_CONNECTIONS]; /* NULL: free */
    gal_exchange *answered;                    /* what the caller was told of last */
    double quiet_until;                        /* no try begins before */
    int64_t waits, counts[GAL_NET_KINDS];
    uint32_t key[2], draws; /* random numbers for the waits */
};

const char *gal_net_kind_name(int kind)
{
    static const char *const names[GAL_NET_KINDS] = {"none", "whole",   "refused",     "moved",     "busy",
                                                     "cut",  "stalled", "unreachable", "untrusted", "large"};
    return kind >= 0 && kind < GAL_NET_KINDS ? names[kind] : "none";
}

void gal_net_usual(gal_net_manners *manners)
{
    *manners = (gal_net_manners){.connections = GAL_NET_CONNECTIONS,
                                 .tries = 6,
                                 .pause = 0.5,
                                 .wait = 1,
                                 .longest = 300,
                                 .connect = 20};
}

static gal_status check_manners(const gal_net_manners *m)
{
    if (m->connections < 1 || m->connections > GAL_NET_CONNECTIONS)
        return gal_fail(GAL_VALUE, "connections is %d, expected 1 to %d", m->connections,
                        GAL_NET_CONNECTIONS);
    if (m->tries < 1 || m->tries > 100)
        return gal_fail(GAL_VALUE, "tries is %d, expected 1 to 100", m->tries);
    const char *const names[] = {"pause", "wait", "longest", "connect"};
    const double values[] = {m->pause, m->wait, m->longest, m->connect};
    for (int i = 0; i < 4; i++)
        if (!(values[i] >= 0 && values[i] <= 86400))
            return gal_fail(GAL_VALUE, "%s is %g, expected seconds from 0 to 86400", names[i], values[i]);
    if (m->connect <= 0)
        return gal_fail(GAL_VALUE, "connect is 0, expected seconds above 0");
    return GAL_OK;
}

/* Whether text is of characters that may stand in an address as they are: no blank, no control character,
 * nothing beyond ASCII. */
static int plain(const char *text)
{
    for (; *text; text++)
        if (*text <= ' ' || *text > '~')
            return 0;
    return 1;
}

static int is_loopback(const char *host)
{
    struct in_addr number; /* 127.0.0.1.example.org is no number */
    if (inet_pton(AF_INET, host, &number) == 1)
        return ntohl(number.s_addr) >> 24 == 127;
    return !strcmp(host, "localhost") || !strcmp(host, "[::1]");
}

/* Checks the address of a server; *local: whether it is this machine. */
static gal_status check_base(const char *base, int *local)
{
    if (!base || !plain(base) || strlen(base) > 1024)
        return gal_fail(GAL_VALUE, "the server is \"%.200s\", expected an address https://HOST/PATH",
                        base ? base : "");
    CURLU *url = curl_url();
    char *parts[5] = {NULL};
    const CURLUPart which[] = {CURLUPART_SCHEME, CURLUPART_HOST, CURLUPART_QUERY, CURLUPART_FRAGMENT,
                               CURLUPART_USER};
    gal_status status = GAL_OK;
    int parsed = url && curl_url_set(url, CURLUPART_URL, base, 0) == CURLUE_OK;
    for (int i = 0; parsed && i < 5; i++)
        curl_url_get(url, which[i], &parts[i], 0);
    int http = parts[0] && !strcmp(parts[0], "http"), https = parts[0] && !strcmp(parts[0], "https");
    *local = parts[1] && is_loopback(parts[1]);
    if (!parsed || !parts[1] || !(http || https) || parts[2] || parts[3] || parts[4])
        status = gal_fail(GAL_VALUE, "the server is \"%s\", expected an address https://HOST/PATH", base);
    else if (http && !*local)
        status = gal_fail(GAL_VALUE,
                          "the server is \"%s\", expected https://: without it anybody on the way could "
                          "change the data",
                          base);
    for (int i = 0; i < 5; i++)
        curl_free(parts[i]);
    curl_url_cleanup(url);
    return status;
}

static CURLcode begun;

static void begin_libcurl(void)
{
    begun = curl_global_init(CURL_GLOBAL_DEFAULT);
}

gal_status gal_net_open(gal_net **out, const char *base, const gal_net_manners *manners)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    int local = 0;
    *out = NULL;
    pthread_once(&once, begin_libcurl);
    if (begun)
        return gal_fail(GAL_STATE, "libcurl can't begin: %s", curl_easy_strerror(begun));
    gal_status status = check_manners(manners);
    if (!status)
        status = check_base(base, &local);
    if (status)
        return status;
    gal_net *net = calloc(1, sizeof *net);
    if (net) {
        net->base = strdup(base);
        net->authorities = manners->authorities ? strdup(manners->authorities) : NULL;
        net->multi = curl_multi_init();
    }
    if (!net || !net->base || !net->multi || (manners->authorities && !net->authorities)) {
        gal_net_close(net);
        return gal_fail(GAL_MEMORY, "no memory to ask a server");
    }
    size_t length = strlen(net->base);
    while (length && net->base[length - 1] == '/')
        net->base[--length] = 0;
    net->manners = *manners;
    net->manners.authorities = net->authorities;
    net->local = local;
    net->last = &net->waiting;
    double now = gal_now();
    net->quiet_until = now + manners->pause;
    memcpy(net->key, &now, sizeof net->key);
    net->key[0] ^= (uint32_t)getpid();
    curl_multi_setopt(net->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)manners->connections);
    gal_memory_outside(GAL_HANDLE_BYTES);
    *out = net;
    return GAL_OK;
}

void gal_net_close(gal_net *net)
{
    if (!net)
        return;
    for (int i = 0; i < GAL_NET_CONNECTIONS; i++)
        if (net->active[i]) {
            gal_exchange_drop(net->active[i], net->multi);
            gal_exchange_free(net->active[i]);
        }
    while (net->waiting) {
        gal_exchange *next = net->waiting->next;
        gal_exchange_free(net->waiting);
        net->waiting = next;
    }
    gal_exchange_free(net->answered);
    curl_multi_cleanup(net->multi);
    free(net->base);
    free(net->authorities);
    free(net);
}

static void put_last(gal_net *net, gal_exchange *e)
{
    e->next = NULL;
    *net->last = e;
    net->last = &e->next;
    net->waits++;
}

gal_status gal_net_ask(gal_net *net, const gal_net_request *r)
{
    gal_exchange *e;
    if (!r->path || r->path[0] != '/' || !plain(r->path))
        return gal_fail(GAL_VALUE, "path is \"%.200s\", expected / and characters without blanks",
                        r->path ? r->path : "");
    if (r->most < 1)
        return gal_fail(GAL_VALUE, "most is %lld, expected bytes above 0", (long long)r->most);
    if (!(r->stall > 0 && r->stall <= 86400))
        return gal_fail(GAL_VALUE, "stall is %g, expected seconds above 0, up to 86400", r->stall);
    if (!(r->after >= 0 && r->after <= 86400))
        return gal_fail(GAL_VALUE, "after is %g, expected seconds from 0 to 86400", r->after);
    if (net->waits >= MOST_WAITING)
        return gal_fail(GAL_STATE, "%d requests wait already, expected fewer", MOST_WAITING);
    gal_status status = gal_exchange_new(&e, net->base, r);
    if (!status)
        put_last(net, e);
    return status;
}

gal_status gal_net_rest(gal_net *net, double seconds)
{
    if (!(seconds >= 0 && seconds <= 86400))
        return gal_fail(GAL_VALUE, "rest is %g, expected seconds from 0 to 86400", seconds);
    double until = gal_now() + seconds;
    if (until > net->quiet_until)
        net->quiet_until = until;
    return GAL_OK;
}

int64_t gal_net_left(const gal_net *net)
{
    int64_t left = net->waits;
    for (int i = 0; i < GAL_NET_CONNECTIONS; i++)
        left += net->active[i] != NULL;
    return left;
}

int64_t gal_net_count(const gal_net *net, int kind)
{
    return kind > GAL_NET_NONE && kind < GAL_NET_KINDS ? net->counts[kind] : 0;
}

/* Seconds to wait after the k-th try, k from 1: doubled each time, and a random half of it taken off, so that
 * many clients that failed together do not come back together (Brooker 2015, "equal jitter"). */
static double back_off(gal_net *net, int k)
{
    uint32_t block[4] = {net->draws++, 0, 0, 0};
    double wait = net->manners.wait;
    for (int i = 1; i < k && wait < net->manners.longest; i++)
        wait *= 2;
    if (wait > net->manners.longest)
        wait = net->manners.longest;
    gal_philox_block(block, block, net->key);
    return wait * (0.5 + 0.5 * block[0] / 4294967296.0);
}

/* A try has ended: another one waits for its time (0), or this was the last (1). A server that asks for time
 * gets it from all requests. */
static int settled(gal_net *net, gal_exchange *e)
{
    net->counts[e->kind]++;
    int again = e->kind == GAL_NET_BUSY || e->kind == GAL_NET_CUT || e->kind == GAL_NET_STALLED ||
                e->kind == GAL_NET_UNREACHABLE;
    double wait = back_off(net, e->tries);
    if (e->asked > wait)
        wait = e->asked;
    double until = gal_now() + wait;
    if (e->kind == GAL_NET_BUSY && wait <= net->manners.longest && until > net->quiet_until)
        net->quiet_until = until;
    if (again && wait > net->manners.longest) {
        size_t n = strlen(e->problem);
        snprintf(e->problem + n, sizeof e->problem - n, "; it asks to wait for %.0f s", wait);
        return 1;
    }
    if (!again || e->tries >= net->manners.tries)
        return 1;
    e->not_before = until;
    put_last(net, e);
    return 0;
}

/* Takes the first request off the list whose time has come; NULL where there is none. *next: when the first
 * of the others may begin. */
static gal_exchange *due(gal_net *net, double now, double *next)
{
    for (gal_exchange **at = &net->waiting; *at; at = &(*at)->next) {
        gal_exchange *e = *at;
        double time = e->not_before > net->quiet_until ? e->not_before : net->quiet_until;
        if (time <= now) {
            *at = e->next;
            if (!*at)
                net->last = at;
            net->waits--;
            return e;
        }
        if (time < *next)
            *next = time;
    }
    return NULL;
}

/* Begins the requests whose time has come on the connections that are free. */
static gal_status begin_due(gal_net *net, gal_exchange **failed, double *next)
{
    for (int i = 0; i < net->manners.connections; i++) {
        double now = gal_now();
        gal_exchange *e = net->active[i] ? NULL : due(net, now, next);
        if (!e)
            continue;
        gal_status status = gal_exchange_begin(e, net->multi, &net->manners, net->local);
        if (status) {
            *failed = e;
            return status;
        }
        net->active[i] = e;
        if (now + net->manners.pause > net->quiet_until)
            net->quiet_until = now + net->manners.pause;
    }
    return GAL_OK;
}

/* Looks for a request that has got its answer, *out; NULL: there is none yet. */
static gal_status collect(gal_net *net, gal_exchange **out)
{
    int running, more;
    CURLMsg *message;
    curl_multi_perform(net->multi, &running);
    while ((message = curl_multi_info_read(net->multi, &more)) != NULL) {
        gal_exchange *e = NULL;
        CURLcode code = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &e);
        for (int i = 0; i < GAL_NET_CONNECTIONS; i++)
            if (net->active[i] == e)
                net->active[i] = NULL;
        gal_status status = gal_exchange_end(e, net->multi, code);
        if (status || settled(net, e)) {
            *out = e;
            return status;
        }
    }
    for (int i = 0; i < GAL_NET_CONNECTIONS; i++) {
        gal_exchange *e = net->active[i];
        if (!e || gal_now() - e->heard <= e->stall)
            continue;
        net->active[i] = NULL;
        gal_exchange_stall(e, net->multi);
        if (settled(net, e)) {
            *out = e;
            return GAL_OK;
        }
    }
    return GAL_OK;
}

static void tell(gal_net_answer *answer, const gal_exchange *e)
{
    int memory = e->bytes && e->n > 0 && !(e->file && e->kind == GAL_NET_WHOLE);
    *answer = (gal_net_answer){.tag = e->tag,
                               .kind = e->kind,
                               .status = e->status,
                               .tries = e->tries,
                               .bytes = memory ? e->bytes : "",
                               .n = e->n,
                               .type = e->type,
                               .problem = e->problem};
}

gal_status gal_net_next(gal_net_answer *answer, gal_net *net, double seconds)
{
    double end = gal_now() + seconds;
    *answer = (gal_net_answer){.bytes = "", .type = "", .problem = ""};
    gal_exchange_free(net->answered);
    net->answered = NULL;
    for (;;) {
        double next = end;
        gal_status status = collect(net, &net->answered);
        if (!status && !net->answered)
            status = begin_due(net, &net->answered, &next);
        if (net->answered)
            tell(answer, net->answered);
        double now = gal_now(), left = next - now;
        if (status || net->answered || now >= end || !gal_net_left(net) || gal_interrupted())
            return status;
        left = left < LOOK ? left : LOOK;
        curl_multi_poll(net->multi, NULL, 0, left > 0 ? (int)(1000 * left) + 1 : 1, NULL);
    }
}
