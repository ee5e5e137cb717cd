#define _GNU_SOURCE
#include "session.h"
#include "lookup.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum phase { SHAKING, LOOKING_UP, CONNECTING, RELAY, GONE };

/* A session is in a list, and once it's gone in another one until the batch of events has ended: an event of the same
   batch may still point to one of its sides. */
struct session {
    struct session *next, *previous;
    enum phase phase;
    struct handshake handshake;
    struct lookup *lookup;
    struct addresses targets;
    /* Which of them is being tried, and why the one before was not reached. */
    size_t attempt;
    enum failure failure;
    /* When it began to wait for what it waits for now. */
    long long since;
    struct side client, upstream;
    struct half up, down;
};

/* --- epoll --- */

static bool control(struct sessions *sessions, int operation, int fd, uint32_t events, void *token) {
    struct epoll_event event = {.events = events, .data.ptr = token};
    return epoll_ctl(sessions->epoll, operation, fd, &event) == 0;
}

/* Registers a side for `wanted`. One that wants nothing is taken out: epoll reports EPOLLHUP whether it was asked for or not,
   and the loop would never sleep. */
static void watch(struct sessions *sessions, struct side *side, uint32_t wanted) {
    if (wanted == side->watched) {
        return;
    }
    int operation = side->watched == 0 ? EPOLL_CTL_ADD : wanted == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;
    if (!control(sessions, operation, side->fd, wanted, side)) {
        fail("cannot watch a socket: %s", strerror(errno));
    }
    side->watched = wanted;
}

static uint32_t interest(const struct half *from_it, const struct half *to_it) {
    return (half_wants_read(from_it) ? EPOLLIN : 0u) | (half_wants_write(to_it) ? EPOLLOUT : 0u);
}

/* --- the end of a session --- */

/* With a linger time of 0, close(2) sends a reset. */
static void close_side(struct side *side, bool with_reset) {
    if (side->fd < 0) {
        return;
    }
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    if (with_reset) {
        setsockopt(side->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    }
    close(side->fd);
    side->fd = -1;
    side->watched = 0;
}

static void end_session(struct sessions *sessions, struct session *session, bool with_reset) {
    close_side(&session->client, with_reset);
    close_side(&session->upstream, with_reset);
    if (session->lookup != NULL) {
        lookup_abandon(session->lookup);
    }
    if (session->previous != NULL) {
        session->previous->next = session->next;
    } else {
        sessions->first = session->next;
    }
    if (session->next != NULL) {
        session->next->previous = session->previous;
    }
    session->phase = GONE;
    session->next = sessions->gone;
    sessions->gone = session;
}

void sessions_free_gone(struct sessions *sessions) {
    while (sessions->gone != NULL) {
        struct session *session = sessions->gone;
        sessions->gone = session->next;
        free(session);
    }
}

/* Lets the reply of the handshake go to the client before all other bytes. */
static void take_reply(struct session *session) {
    struct half *down = &session->down;
    memcpy(down->bytes + down->end, session->handshake.reply, session->handshake.reply_length);
    down->end += session->handshake.reply_length;
    session->handshake.reply_length = 0;
    half_write(down);
}

/* Ends a session whose target isn't reached, with the reply that its protocol has for that. */
static void end_with_reply(struct sessions *sessions, struct session *session) {
    take_reply(session);
    /* close(2) with unread bytes sends a reset, which overtakes the reply. Bytes that come later still do that to it: the
       whole cure is a lingering close, which reads until the client has ended as well. */
    static char dropped[HALF_BYTES];
    while (recv(session->client.fd, dropped, sizeof dropped, 0) > 0) {
    }
    end_session(sessions, session, false);
}

static void end_with_failure(struct sessions *sessions, struct session *session, enum failure failure) {
    fprintf(stderr, "a client is closed: its target cannot be reached\n");
    handshake_failed(&session->handshake, failure);
    end_with_reply(sessions, session);
}

/* --- connecting --- */

static enum failure failure_of(int error) {
    return error == ECONNREFUSED ? REFUSED : error == ETIMEDOUT ? TIMED_OUT : UNREACHABLE;
}

/* Returns whether an address is our own listener's, in whatever disguise. */
static bool is_own(const struct sessions *sessions, const struct address *address) {
    char ours[ADDRESS_TEXT], theirs[ADDRESS_TEXT];
    struct address plain = plain_address(address);
    return strcmp(address_text(&sessions->own, ours), address_text(&plain, theirs)) == 0;
}

/* Starts to connect to the next address that can be tried; without one, the session ends. */
static void connect_next(struct sessions *sessions, struct session *session) {
    session->phase = CONNECTING;
    if (session->upstream.fd >= 0) {
        close_side(&session->upstream, false);
        session->attempt++;
    }
    for (; session->attempt < session->targets.count; session->attempt++) {
        const struct address *address = &session->targets.all[session->attempt];
        if (is_own(sessions, address)) {
            session->failure = DENIED;
            continue;
        }
        session->upstream.fd = start_connect(address);
        if (session->upstream.fd >= 0) {
            session->since = now_ms();
            watch(sessions, &session->upstream, EPOLLOUT);
            return;
        }
        session->failure = failure_of(errno);
    }
    end_with_failure(sessions, session, session->failure);
}

/* Returns whether the attempt has succeeded. */
static bool is_connected(struct sessions *sessions, struct session *session) {
    int error = connect_error(session->upstream.fd);
    if (error != 0) {
        session->failure = failure_of(error);
        connect_next(sessions, session);
        return false;
    }
    session->phase = RELAY;
    session->up.from = session->client.fd;
    session->up.to = session->down.from = session->upstream.fd;
    /* Before the first byte of the target, also if that has come already. */
    handshake_connected(&session->handshake);
    take_reply(session);
    return true;
}

/* --- the handshake --- */

void sessions_looked_up(struct sessions *sessions, void *lookup) {
    struct addresses found;
    struct session *session = lookup_end(lookup, &found);
    if (session == NULL) {
        /* It has ended meanwhile. */
        return;
    }
    session->lookup = NULL;
    session->targets = found;
    session->failure = UNKNOWN_NAME;
    connect_next(sessions, session);
}

static void look_up(struct sessions *sessions, struct session *session, const struct target *target) {
    session->phase = LOOKING_UP;
    session->since = now_ms();
    session->lookup = lookup_begin(target, session);
    /* From here on the client isn't read: its bytes belong to the target. */
    watch(sessions, &session->client, 0);
    if (session->lookup == NULL) {
        end_with_failure(sessions, session, UNREACHABLE);
    }
}

/* Reads once, and shows the handshake all bytes that it has not used yet. */
static void shake(struct sessions *sessions, struct session *session) {
    struct half *up = &session->up;
    ssize_t count = recv(session->client.fd, up->bytes + up->end, sizeof up->bytes - up->end, 0);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (count <= 0) {
        end_session(sessions, session, count < 0);
        return;
    }
    up->end += (size_t)count;
    struct target target;
    size_t used, length = up->end - up->start, most = sizeof up->bytes - up->start;
    switch (handshake_step(&session->handshake, up->bytes + up->start, length, most, &used, &target)) {
    case MORE:
        up->start += used;
        take_reply(session);
        return;
    case TARGET:
        /* The bytes behind the handshake stay in the half, and go to the target first. */
        up->start += used;
        take_reply(session);
        look_up(sessions, session, &target);
        return;
    case NO_TARGET:
        end_with_reply(sessions, session);
        return;
    }
}

/* A client that has said nothing is reset: there is no reply to a question that has not begun. */
static void end_slow_handshake(struct sessions *sessions, struct session *session) {
    if (session->up.end == 0) {
        end_session(sessions, session, true);
    } else {
        end_with_failure(sessions, session, TOO_SLOW);
    }
}

/* --- relaying --- */

/* The source of one half is the sink of the other. The opposite isn't true: a side that takes no more may have sent its last
   words, and they are still read. */
static void share_the_loss(const struct half *half, struct half *other) {
    if (half->loss == SOURCE_LOST && other->state != OVER) {
        half_break(other);
    }
}

static void relay(struct sessions *sessions, struct session *session) {
    struct half *up = &session->up, *down = &session->down;
    bool moved = half_turn(up);
    moved |= half_turn(down);
    share_the_loss(up, down);
    share_the_loss(down, up);
    if (moved) {
        session->since = now_ms();
    }
    if (up->state == OVER && down->state == OVER) {
        end_session(sessions, session, up->loss != NO_LOSS || down->loss != NO_LOSS);
        return;
    }
    watch(sessions, &session->client, interest(up, down));
    watch(sessions, &session->upstream, interest(down, up));
}

void sessions_serve(struct sessions *sessions, struct side *side) {
    struct session *session = side->session;
    switch (session->phase) {
    case GONE:
        /* The event is older than the end of its session. */
    case LOOKING_UP:
        /* Nothing is watched, so it's an event of the same batch as the one that began the lookup. */
        return;
    case SHAKING:
        shake(sessions, session);
        return;
    case CONNECTING:
        if (side == &session->upstream && is_connected(sessions, session)) {
            relay(sessions, session);
        }
        return;
    case RELAY:
        relay(sessions, session);
        return;
    }
}

void sessions_add(struct sessions *sessions, int client) {
    struct session *session = malloc(sizeof *session);
    if (session == NULL) {
        close(client);
        return;
    }
    /* All but the bytes: a page of memory that was never written to is none. */
    memset(session, 0, offsetof(struct session, up));
    session->client = (struct side){.fd = client, .session = session};
    session->upstream = (struct side){.fd = -1, .session = session};
    struct half *halves[] = {&session->up, &session->down};
    for (size_t i = 0; i < 2; i++) {
        halves[i]->from = -1;
        halves[i]->state = OPEN;
        halves[i]->loss = NO_LOSS;
        halves[i]->start = halves[i]->end = 0;
    }
    session->down.to = client;
    session->handshake.ingress = sessions->ingress;
    session->since = now_ms();
    session->next = sessions->first;
    if (session->next != NULL) {
        session->next->previous = session;
    }
    sessions->first = session;
    if (sessions->ingress != FIXED) {
        watch(sessions, &session->client, EPOLLIN);
        return;
    }
    session->targets = sessions->upstream;
    connect_next(sessions, session);
}

void sessions_stop(struct sessions *sessions) {
    while (sessions->first != NULL) {
        end_session(sessions, sessions->first, true);
    }
    sessions_free_gone(sessions);
}

/* --- deadlines --- */

/* Returns how long a session may stay silent in its state. */
static int limit_of(const struct sessions *sessions, const struct session *session) {
    switch (session->phase) {
    case SHAKING:
        return sessions->limits.handshake;
    case LOOKING_UP:
    case CONNECTING:
        return sessions->limits.connect;
    case RELAY:
    case GONE:
        break;
    }
    bool is_half_closed = session->up.state != OPEN || session->down.state != OPEN;
    return is_half_closed ? sessions->limits.half_close : sessions->limits.idle;
}

static void expire(struct sessions *sessions, struct session *session) {
    switch (session->phase) {
    case SHAKING:
        end_slow_handshake(sessions, session);
        return;
    case LOOKING_UP:
        end_with_failure(sessions, session, UNKNOWN_NAME);
        return;
    case CONNECTING:
        session->failure = TIMED_OUT;
        connect_next(sessions, session);
        return;
    case RELAY:
        end_session(sessions, session, true);
        return;
    case GONE:
        return;
    }
}

/* A list is enough for some hundreds of sessions; a heap finds the earliest deadline of ten thousand without looking at all
   of them. */
void sessions_expire(struct sessions *sessions) {
    long long now = now_ms();
    for (struct session *session = sessions->first, *next; session != NULL; session = next) {
        next = session->next;
        int limit = limit_of(sessions, session);
        if (limit != NEVER && now - session->since >= limit) {
            expire(sessions, session);
        }
    }
}

long long earlier(long long one, long long other) {
    return other == 0 || (one != 0 && one < other) ? one : other;
}

long long sessions_deadline(const struct sessions *sessions) {
    long long at = 0;
    for (const struct session *session = sessions->first; session != NULL; session = session->next) {
        int limit = limit_of(sessions, session);
        at = limit == NEVER ? at : earlier(session->since + limit, at);
    }
    return at;
}
