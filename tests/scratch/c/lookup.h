/* A name is looked up beside the loop, because getaddrinfo(3) may wait for seconds: the C library does it on a thread of its own
   (getaddrinfo_a(3)), and tells by a signal that it's done, which the loop reads from its descriptor of signals. */

#ifndef LOOKUP_H
#define LOOKUP_H

#include "target.h"

struct lookup;

/* The signal, which has to be blocked. */
int lookup_signal(void);

/* Begins to look a target up for a session; returns NULL if that isn't possible. */
struct lookup *lookup_begin(const struct target *target, void *session);

/* Forgets the session, which has ended; the answer will come all the same. */
void lookup_abandon(struct lookup *lookup);

/* Takes a lookup whose signal has come, writes its addresses, of which there may be none, and returns its session. */
void *lookup_end(struct lookup *lookup, struct addresses *found);

#endif
