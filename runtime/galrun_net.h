/* galrun_net.h: asking a server on the network for what users have no file of: catalogues and cutouts of
 * public archives. galrun.h has the conventions; net/README.md says how a server is treated. */
#ifndef GALRUN_NET_H
#define GALRUN_NET_H
#include "galrun_core.h"

/* The most requests that are on their way to a server at once. */
#define GAL_NET_CONNECTIONS 2

GAL_BEGIN

/* What came of a try, and at last of a request. */
typedef enum gal_net_kind {
    GAL_NET_NONE = 0,    /* nothing has ended yet */
    GAL_NET_WHOLE,       /* a status from 200 to 299 and the whole body */
    GAL_NET_REFUSED,     /* a status from 400 to 499 but 408, 425 and 429: asking again won't help */
    GAL_NET_MOVED,       /* a status from 300 to 399: the server sends to another address */
    GAL_NET_BUSY,        /* 408, 425, 429, or 500 and above: the server asks for time */
    GAL_NET_CUT,         /* the connection ended before the body did */
    GAL_NET_STALLED,     /* no byte came for too long */
    GAL_NET_UNREACHABLE, /* no such host, or no connection to it */
    GAL_NET_UNTRUSTED,   /* the server's certificate is not what it should be */
    GAL_NET_LARGE,       /* the body is larger than what was asked for allows */
    GAL_NET_KINDS
} gal_net_kind;
/* "whole", "refused", ...: the word for it. */
GAL_API const char *gal_net_kind_name(int kind);

/* How a server is treated; times in seconds. */
typedef struct gal_net_manners {
    int connections;         /* at once: 1 to GAL_NET_CONNECTIONS */
    int tries;               /* of a request, at least 1 */
    double pause;            /* at least so long from the beginning of a try to that of the next one */
    double wait, longest;    /* before the second try, doubled for each one more, up to longest */
    double connect;          /* the longest that a connection may take to be made */
    const char *authorities; /* a file of certificates (PEM) to trust, or NULL: the system's */
} gal_net_manners;
/* Two connections, 6 tries, a pause of 0.5 s, waits of 1 s to 300 s, 20 s to connect. */
GAL_API void gal_net_usual(gal_net_manners *manners);

/* A server that can be asked, with the requests to it. Its functions are called by one thread. */
typedef struct gal_net gal_net;
/* base: what all addresses begin with, "https://skyserver.sdss.org/dr18/SkyServerWS". http:// is taken on
 * this machine's loopback alone. GAL_VALUE for an address or manners that can't be. Nothing is
 * asked yet, and nothing will be within the first pause: another process may have asked just before. */
GAL_API gal_status gal_net_open(gal_net **out, const char *base, const gal_net_manners *manners);
/* Ends what is on its way, and removes its temporary files. NULL does nothing. */
GAL_API void gal_net_close(gal_net *net);

typedef struct gal_net_request {
    const char
        *path; /* behind base: "/ImgCutout/getjpeg?ra=180", what is no plain character written as %41 */
    const char *form; /* a body to POST, of type application/x-www-form-urlencoded; NULL: GET */
    const char *file; /* where a whole body is to stand, complete or not there; NULL: in memory */
    int64_t most;     /* the most bytes that the body may have, unpacked */
    double stall;     /* the longest time without a byte, in seconds: a query may think for minutes */
    double after;     /* not before so many seconds from now */
    int64_t tag;      /* the caller's name for the request, which its answer carries */
} gal_net_request;
/* Puts a request behind those that wait; what it points at is copied. */
GAL_API gal_status gal_net_ask(gal_net *net, const gal_net_request *request);
/* Leaves the server alone: no try begins within so many seconds from now. What is on its way goes on. */
GAL_API gal_status gal_net_rest(gal_net *net, double seconds);
/* How many requests have not been answered. */
GAL_API int64_t gal_net_left(const gal_net *net);

typedef struct gal_net_answer {
    int64_t tag;
    int kind;   /* gal_net_kind of the last try; GAL_NET_NONE: there is no answer yet */
    int status; /* HTTP's, 0 where none came */
    int tries;  /* how many there were */
    /* bytes {n + 1}, the last one 0: the body; empty where it stands in a file, the first 64 KiB where the
     * status is not of the 200s. */
    const char *bytes;
    int64_t n;           /* bytes of the body, in memory or in the file */
    const char *type;    /* Content-Type, "" where none came */
    const char *problem; /* a sentence that begins with the address; "" where kind is GAL_NET_WHOLE */
} gal_net_answer;
/* Goes on with the requests for so many seconds, less where one is answered, none is left, or the flag of an
 * interrupt is set. The answer's pointers live until the next call with this net. A try that ended busy, cut,
 * stalled or unreachable is made again, until there were as many as manners allow. GAL_FILE, GAL_MEMORY: the
 * body of request answer->tag could not be kept; that request is gone, the others go on. */
GAL_API gal_status gal_net_next(gal_net_answer *answer, gal_net *net, double seconds);
/* How many tries have ended as that gal_net_kind; 0 for GAL_NET_NONE. */
GAL_API int64_t gal_net_count(const gal_net *net, int kind);

GAL_END

#endif
