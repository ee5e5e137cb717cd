#define _GNU_SOURCE
#include "lookup.h"

#include <netdb.h>
#include <signal.h>
#include <stdlib.h>

/* It owns everything that the thread of the library reads, for as long as that may run. */
struct lookup {
    void *session;
    struct target target;
    struct addrinfo hints;
    struct gaicb request;
};

int lookup_signal(void) {
    return SIGRTMIN;
}

struct lookup *lookup_begin(const struct target *target, void *session) {
    struct lookup *lookup = calloc(1, sizeof *lookup);
    if (lookup == NULL) {
        return NULL;
    }
    lookup->session = session;
    lookup->target = *target;
    lookup->hints = (struct addrinfo){.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    lookup->request.ar_name = lookup->target.host;
    lookup->request.ar_service = lookup->target.port;
    lookup->request.ar_request = &lookup->hints;
    struct gaicb *list[] = {&lookup->request};
    struct sigevent tell = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = lookup_signal(), .sigev_value.sival_ptr = lookup};
    if (getaddrinfo_a(GAI_NOWAIT, list, 1, &tell) != 0) {
        free(lookup);
        return NULL;
    }
    return lookup;
}

void lookup_abandon(struct lookup *lookup) {
    lookup->session = NULL;
}

void *lookup_end(struct lookup *lookup, struct addresses *found) {
    void *session = lookup->session;
    found->count = 0;
    if (gai_error(&lookup->request) == 0) {
        take_addresses(found, lookup->request.ar_result, AF_INET6);
        freeaddrinfo(lookup->request.ar_result);
    }
    free(lookup);
    return session;
}
