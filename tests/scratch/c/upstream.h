/* The one connection to the upstream, and the one line that's on its way there.

       CLOSED ── a client waits ──▶ CONNECTING ── connected ──▶ READY ── a line ──▶ BUSY ── its answer is complete ──▶ READY
          ▲                             │                         │                  │
          └──── no address is left ─────┴──── its end was read ───┴──── its end ─────┘

   While it's BUSY no other line is sent: the bytes of an answer name no client, and only the order tells whose it is. */

#ifndef UPSTREAM_H
#define UPSTREAM_H

#include "client.h"
#include "target.h"

enum link { CLOSED, CONNECTING, READY, BUSY };

struct upstream {
    struct addresses addresses;
    enum link link;
    int fd;
    uint32_t watched;
    /* Which address is being tried. */
    size_t attempt;
    /* Since when we wait for the upstream. */
    long long since;
    /* Whose line is in flight; NULL if that client has gone, and its answer is dropped. */
    struct client *client;
    /* Whether a byte of the answer has come, and whether its newline is kept from the client, whose line had none. */
    bool has_begun, hides_newline;
    /* A copy of the line, because its client may go while it's being sent. */
    size_t sent, length;
    char request[MAX_LINE + 1];
};

/* What a step has brought. */
enum step { NOTHING, MOVED, ANSWERED, ANSWERED_WITH_SURPLUS, LOST };

/* Starts to connect to the next address; returns false if none is left. */
bool upstream_connect(struct upstream *upstream);

/* Closes the connection, if there is one. */
void upstream_close(struct upstream *upstream);

/* Takes the first `length` bytes of a client's line, which are in flight from now on. */
void upstream_take(struct upstream *upstream, struct client *client, size_t length);

bool upstream_wants_read(const struct upstream *upstream);
bool upstream_wants_write(const struct upstream *upstream);

/* Sends what is left of the line, once, and reads a piece of the answer, once, into the memory of its client. */
enum step upstream_step(struct upstream *upstream);

#endif
