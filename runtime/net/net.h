/* net.h: what the files of runtime/net share: a request on its way, and what becomes of it. */
#ifndef GAL_NET_H
#define GAL_NET_H
#include "io/io.h"
#include "galrun_net.h"
#include <curl/curl.h>

/* A request from being asked to being answered. It waits in a list, or is on its way, or is answered. */
typedef struct gal_exchange {
    struct gal_exchange *next; /* in the list of those that wait */
    char *url, *form, *file;
    int64_t most, tag;
    double stall, not_before; /* the clock's time (gal_now) before which it does not begin */
    int tries;
    /* of the try */
    CURL *curl;        /* NULL: not on its way */
    double heard;      /* when it began, or the last byte came */
    char *bytes;       /* {room}: the body, and a 0 */
    int64_t n, room;   /* n: bytes of the body so far, in memory or in the file */
    gal_writer writer; /* fd -1: nothing is written */
    int large;         /* the body passed `most` */
    gal_status failed; /* the body could not be kept */
    int kind, status;
    double asked; /* seconds that the server asks to be left alone (Retry-After), 0: it says nothing */
    char type[128], reason[CURL_ERROR_SIZE], problem[1024];
} gal_exchange;

/* ---- exchange.c: one request and its tries ---- */
gal_status gal_exchange_new(gal_exchange **out, const char *base, const gal_net_request *request);
void gal_exchange_free(gal_exchange *exchange); /* NULL does nothing */
/* Begins a try in multi. local: the server is on the loopback, and no proxy is between. */
gal_status gal_exchange_begin(gal_exchange *exchange, CURLM *multi, const gal_net_manners *manners,
                              int local);
/* Ends the try with curl's code for it: kind, status and problem are set, a whole body is under its name.
 * GAL_FILE, GAL_MEMORY: it could not be kept. */
gal_status gal_exchange_end(gal_exchange *exchange, CURLM *multi, CURLcode code);
/* Ends the try that has been silent for too long. */
void gal_exchange_stall(gal_exchange *exchange, CURLM *multi);
/* Takes the try off its way, whatever has come of it. */
void gal_exchange_drop(gal_exchange *exchange, CURLM *multi);

#endif
