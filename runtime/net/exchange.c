/* exchange.c: one request and its tries: how libcurl is told of it, where the body goes, and what came of it.
 * When a try begins, and whether there is another one, is net.c's. */
#include "net.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is kept of the body of a refusal. */
#define REFUSAL (64 << 10)

static char *copied(const char *text)
{
    return text ? strdup(text) : NULL;
}

gal_status gal_exchange_new(gal_exchange **out, const char *base, const gal_net_request *request)
{
    gal_exchange *e = calloc(1, sizeof *e);
    *out = NULL;
    if (!e)
        return gal_fail(GAL_MEMORY, "no memory for a request");
    size_t length = strlen(base) + strlen(request->path) + 1;
    e->writer.fd = -1;
    e->most = request->most;
    e->tag = request->tag;
    e->stall = request->stall;
    e->not_before = gal_now() + request->after;
    e->form = copied(request->form);
    e->file = copied(request->file);
    e->url = malloc(length);
    if (!e->url || (request->form && !e->form) || (request->file && !e->file)) {
        gal_exchange_free(e);
        return gal_fail(GAL_MEMORY, "no memory for a request");
    }
    snprintf(e->url, length, "%s%s", base, request->path);
    *out = e;
    return GAL_OK;
}

void gal_exchange_free(gal_exchange *e)
{
    if (!e)
        return;
    gal_writer_abandon(&e->writer);
    free(e->url);
    free(e->form);
    free(e->file);
    free(e->bytes);
    free(e);
}

/* Puts n bytes behind the body in memory, and a 0 behind them; 0, with e->failed, where there is none. */
static int put(gal_exchange *e, const char *bytes, int64_t n)
{
    if (e->n + n >= e->room) {
        int64_t room = 2 * (e->n + n) + 4096;
        char *more = realloc(e->bytes, (size_t)room);
        if (!more) {
            e->failed = gal_fail(GAL_MEMORY, "%s: no memory for its body", e->url);
            return 0;
        }
        e->bytes = more;
        e->room = room;
    }
    memcpy(e->bytes + e->n, bytes, (size_t)n);
    e->n += n;
    e->bytes[e->n] = 0;
    return 1;
}

/* Whether the status says that the body is what was asked for. */
static int welcome(const gal_exchange *e)
{
    long status = 0;
    curl_easy_getinfo(e->curl, CURLINFO_RESPONSE_CODE, &status);
    return status >= 200 && status < 300;
}

/* libcurl hands over some more of the body; a return other than n ends the try. */
static size_t take(char *bytes, size_t size, size_t count, void *to)
{
    gal_exchange *e = to;
    int64_t n = (int64_t)(size * count);
    e->heard = gal_now();
    if (!welcome(e)) {
        int64_t kept = n < REFUSAL - e->n ? n : REFUSAL - e->n;
        return put(e, bytes, kept) ? (size_t)n : 0;
    }
    if (n > e->most - e->n) {
        e->large = 1;
        return 0;
    }
    if (e->file) {
        if (e->writer.fd < 0)
            e->failed = gal_writer_open(&e->writer, e->file);
        if (!e->failed)
            e->failed = gal_writer_put(&e->writer, bytes, n);
        e->n += n;
        return e->failed ? 0 : (size_t)n;
    }
    return put(e, bytes, n) ? (size_t)n : 0;
}

static size_t take_header(char *bytes, size_t size, size_t count, void *to)
{
    (void)bytes;
    ((gal_exchange *)to)->heard = gal_now();
    return size * count;
}

/* http and https are all that libcurl may speak. */
static void restrict_protocols(CURL *curl)
{
#if LIBCURL_VERSION_NUM >= 0x075500
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
}

gal_status gal_exchange_begin(gal_exchange *e, CURLM *multi, const gal_net_manners *manners, int local)
{
    CURL *curl = e->curl = curl_easy_init();
    if (!curl)
        return gal_fail(GAL_MEMORY, "%s: no memory for a connection", e->url);
    e->tries++;
    e->heard = gal_now();
    e->n = e->large = e->kind = e->status = 0;
    e->asked = 0;
    e->failed = GAL_OK;
    e->type[0] = e->reason[0] = e->problem[0] = 0;
    restrict_protocols(curl);
    curl_easy_setopt(curl, CURLOPT_URL, e->url);
    curl_easy_setopt(curl, CURLOPT_PRIVATE, e);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, e);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, e);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, e->reason);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L); /* it may lead to another host */
    curl_easy_setopt(curl, CURLOPT_ACCEPT_ENCODING, "");
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)(1000 * manners->connect));
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "galrun/" GAL_VERSION " (posteriors of galaxies)");
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (manners->authorities)
        curl_easy_setopt(curl, CURLOPT_CAINFO, manners->authorities);
    if (local)
        curl_easy_setopt(curl, CURLOPT_PROXY, "");
    if (e->form) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(e->form));
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, e->form);
    }
    CURLMcode added = curl_multi_add_handle(multi, curl);
    if (!added)
        return GAL_OK;
    curl_easy_cleanup(curl);
    e->curl = NULL;
    return gal_fail(GAL_MEMORY, "%s: can't be asked for: %s", e->url, curl_multi_strerror(added));
}

void gal_exchange_drop(gal_exchange *e, CURLM *multi)
{
    if (e->curl) {
        curl_multi_remove_handle(multi, e->curl);
        curl_easy_cleanup(e->curl);
    }
    e->curl = NULL;
    gal_writer_abandon(&e->writer);
}

/* What a try is that libcurl could not finish. */
static int kind_of_failure(const gal_exchange *e, CURLcode code)
{
    double connected = 0;
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
        return GAL_NET_UNREACHABLE;
    case CURLE_OPERATION_TIMEDOUT: /* of the connection: there is no other limit */
        curl_easy_getinfo(e->curl, CURLINFO_CONNECT_TIME, &connected);
        return connected > 0 ? GAL_NET_STALLED : GAL_NET_UNREACHABLE;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_INVALIDCERTSTATUS:
        return GAL_NET_UNTRUSTED;
    default:
        return e->large ? GAL_NET_LARGE : GAL_NET_CUT;
    }
}

static int kind_of_status(int status)
{
    if (status >= 200 && status < 300)
        return GAL_NET_WHOLE;
    if (status >= 300 && status < 400)
        return GAL_NET_MOVED;
    if (status >= 400 && status < 500 && status != 408 && status != 425 && status != 429)
        return GAL_NET_REFUSED;
    return GAL_NET_BUSY;
}

/* The sentence for a try that is not whole. */
static void explain(gal_exchange *e, CURLcode code)
{
    const char *reason = e->reason[0] ? e->reason : curl_easy_strerror(code), *target = NULL;
    curl_easy_getinfo(e->curl, CURLINFO_REDIRECT_URL, &target);
    char *text = e->problem;
    size_t size = sizeof e->problem;
    if (e->kind == GAL_NET_LARGE)
        snprintf(text, size, "%.500s: the body is larger than %lld bytes", e->url, (long long)e->most);
    else if (e->kind == GAL_NET_UNTRUSTED)
        snprintf(text, size, "%.500s: the server can't be trusted: %.255s", e->url, reason);
    else if (e->kind == GAL_NET_MOVED)
        snprintf(text, size, "%.500s: status %d sends to %.400s", e->url, e->status,
                 target ? target : "nowhere");
    else if (code != CURLE_OK)
        snprintf(text, size, "%.500s: %.255s", e->url, reason);
    else
        snprintf(text, size, "%.500s: status %d", e->url, e->status);
}

/* Puts a body that was written to a file under its name. */
static gal_status keep(gal_exchange *e)
{
    gal_status status = e->writer.fd < 0 ? gal_writer_open(&e->writer, e->file) : GAL_OK; /* no byte came */
    return status ? status : gal_writer_commit(&e->writer);
}

gal_status gal_exchange_end(gal_exchange *e, CURLM *multi, CURLcode code)
{
    long status = 0;
    curl_off_t after = 0;
    const char *type = NULL;
    curl_easy_getinfo(e->curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(e->curl, CURLINFO_RETRY_AFTER, &after);
    curl_easy_getinfo(e->curl, CURLINFO_CONTENT_TYPE, &type);
    e->status = (int)status;
    e->asked = (double)after;
    snprintf(e->type, sizeof e->type, "%s", type ? type : "");
    e->kind = code == CURLE_OK ? kind_of_status(e->status) : kind_of_failure(e, code);
    if (e->kind != GAL_NET_WHOLE)
        explain(e, code);
    gal_status failed = e->failed;
    if (!failed && code == CURLE_OUT_OF_MEMORY)
        failed = gal_fail(GAL_MEMORY, "%s: no memory to ask for it", e->url);
    if (!failed && e->kind == GAL_NET_WHOLE && e->file)
        failed = keep(e);
    if (code != CURLE_OK)
        e->n = 0;
    gal_exchange_drop(e, multi);
    return failed;
}

void gal_exchange_stall(gal_exchange *e, CURLM *multi)
{
    long status = 0;
    curl_easy_getinfo(e->curl, CURLINFO_RESPONSE_CODE, &status);
    e->status = (int)status;
    e->kind = GAL_NET_STALLED;
    e->n = 0;
    snprintf(e->problem, sizeof e->problem, "%.500s: no byte came for %g s", e->url, e->stall);
    gal_exchange_drop(e, multi);
}
