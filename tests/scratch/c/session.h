/* Sessions: a client, its target, and a half for each direction.

       SHAKING ──▶ LOOKING_UP ──▶ CONNECTING ──▶ RELAY ──▶ GONE
          what it wants    the name's     each address      both halves are over
          (handshake.h)    addresses      in turn           (relay.h)
          └─────────────────┴───────────────┴──── a failure: a reply in the client's protocol ────▶ GONE

   With the ingress FIXED, a session begins with CONNECTING. */

#ifndef SESSION_H
#define SESSION_H

#include "handshake.h"
#include "relay.h"
#include "target.h"

#include <stdint.h>

/* Times in milliseconds. */
struct limits {
    int handshake, connect, half_close, idle, drain;
};

/* A time limit that isn't there. */
enum { NEVER = -1 };

struct session;

/* A socket of a session, and what epoll watches for now; 0: it isn't registered. Its address is the token. */
struct side {
    int fd;
    uint32_t watched;
    struct session *session;
};

struct sessions {
    int epoll;
    struct limits limits;
    enum ingress ingress;
    /* The target of FIXED. */
    struct addresses upstream;
    /* Where we listen ourselves: a session to there would open the next one, and so on. */
    struct address own;
    struct session *first, *gone;
};

/* Adds a session for an accepted client. */
void sessions_add(struct sessions *sessions, int client);

/* Acts on an event of a side. */
void sessions_serve(struct sessions *sessions, struct side *side);

/* Goes on with the session whose lookup has ended. */
void sessions_looked_up(struct sessions *sessions, void *lookup);

/* Ends the sessions that are late. */
void sessions_expire(struct sessions *sessions);

/* Returns when the next of them is late, or 0. */
long long sessions_deadline(const struct sessions *sessions);

/* Frees the sessions that have ended, after a batch of events. */
void sessions_free_gone(struct sessions *sessions);

/* Resets all sessions. */
void sessions_stop(struct sessions *sessions);

/* Returns the earlier of two deadlines, of which 0 is none. */
long long earlier(long long one, long long other);

#endif
