/* Stage 4: a relay from clients to one upstream, on one event loop, with half-close, backpressure, deadlines and a drain.

   Read `main`, then `run` and `serve`. relay.c has one direction of a session, and a session has two of them:

       client ──▶ up   ──▶ upstream
       client ◀── down ◀── upstream */

#define _GNU_SOURCE
#include "net.h"
#include "relay.h"
#include "target.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

static const char HELP[] =
    "Passes the bytes of any number of clients to one upstream and back.\n\n"
    "Usage: stage4-proxy [OPTIONS]\n\n"
    "Options:\n"
    "      --listen ADDR:PORT         where clients come in [default: 127.0.0.1:8080]\n"
    "      --upstream HOST:PORT       where they are passed to [default: localhost:3000]\n"
    "      --connect-timeout TIME     the time for each address of the upstream [default: 5s]\n"
    "      --half-close-timeout TIME  silence after which a session with one end is reset [default: 60s]\n"
    "      --idle-timeout TIME        silence after which any session is reset, or off [default: off]\n"
    "      --drain-timeout TIME       what open sessions get after the first signal [default: 5s]\n"
    "      --threads N                accepted for scripts; there is one thread [default: 1]\n"
    "      --inspect PORT             accepted for scripts; there is no inspector\n"
    "      --help                     print this help\n";

enum { LISTEN, UPSTREAM, CONNECT, HALF_CLOSE, IDLE, DRAIN, THREADS, INSPECT, OPTIONS };

enum {
    EVENTS_PER_WAIT = 256,
    ACCEPTS_PER_TURN = 64,
    PAUSE = 250,
    NEVER = -1,
};

/* A socket of a session, and what epoll watches for now; 0: it isn't registered. */
struct side {
    int fd;
    uint32_t watched;
    struct session *session;
};

enum phase { CONNECTING, RELAY, GONE };

/* A session is in a list, and once it's gone in another one until the batch of events has ended: an event of the same
   batch may still point to one of its sides. */
struct session {
    struct session *next, *previous;
    enum phase phase;
    /* Which address of the upstream is being tried. */
    size_t attempt;
    /* When it began to wait for what it waits for now. */
    long long since;
    struct side client, upstream;
    struct half up, down;
};

struct limits {
    int connect, half_close, idle, drain;
};

struct loop {
    int epoll, listener, signals;
    struct limits limits;
    struct addresses upstream;
    struct session *sessions, *gone;
    long long resume_at;
    /* When a drain ends; 0 before the first signal. */
    long long drained_at;
};

/* --- epoll --- */

static bool control(struct loop *loop, int operation, int fd, uint32_t events, void *token) {
    struct epoll_event event = {.events = events, .data.ptr = token};
    return epoll_ctl(loop->epoll, operation, fd, &event) == 0;
}

/* Registers a side for `wanted`. One that wants nothing is taken out: epoll reports EPOLLHUP whether it was asked for or not,
   and the loop would never sleep. */
static void watch(struct loop *loop, struct side *side, uint32_t wanted) {
    if (wanted == side->watched) {
        return;
    }
    int operation = side->watched == 0 ? EPOLL_CTL_ADD : wanted == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;
    if (!control(loop, operation, side->fd, wanted, side)) {
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
}

static void end_session(struct loop *loop, struct session *session, bool with_reset) {
    close_side(&session->client, with_reset);
    close_side(&session->upstream, with_reset);
    if (session->previous != NULL) {
        session->previous->next = session->next;
    } else {
        loop->sessions = session->next;
    }
    if (session->next != NULL) {
        session->next->previous = session->previous;
    }
    session->phase = GONE;
    session->next = loop->gone;
    loop->gone = session;
}

static void free_gone(struct loop *loop) {
    while (loop->gone != NULL) {
        struct session *session = loop->gone;
        loop->gone = session->next;
        free(session);
    }
}

/* --- connecting --- */

/* Starts to connect to the next address that can be tried; without one, the session ends. */
static void connect_next(struct loop *loop, struct session *session) {
    if (session->upstream.fd >= 0) {
        close_side(&session->upstream, false);
        session->upstream.watched = 0;
        session->attempt++;
    }
    for (; session->attempt < loop->upstream.count; session->attempt++) {
        session->upstream.fd = start_connect(&loop->upstream.all[session->attempt]);
        if (session->upstream.fd >= 0) {
            session->since = now_ms();
            watch(loop, &session->upstream, EPOLLOUT);
            return;
        }
    }
    fprintf(stderr, "a client is closed: its upstream cannot be reached\n");
    end_session(loop, session, false);
}

/* Returns whether the attempt has succeeded. */
static bool is_connected(struct loop *loop, struct session *session) {
    if (connect_error(session->upstream.fd) != 0) {
        connect_next(loop, session);
        return false;
    }
    session->phase = RELAY;
    session->up.from = session->down.to = session->client.fd;
    session->up.to = session->down.from = session->upstream.fd;
    return true;
}

/* --- relaying --- */

/* The source of one half is the sink of the other. The opposite isn't true: a side that takes no more may have sent its last
   words, and they are still read. */
static void share_the_loss(const struct half *half, struct half *other) {
    if (half->loss == SOURCE_LOST && other->state != OVER) {
        half_break(other);
    }
}

static void relay(struct loop *loop, struct session *session) {
    struct half *up = &session->up, *down = &session->down;
    bool moved = half_turn(up);
    moved |= half_turn(down);
    share_the_loss(up, down);
    share_the_loss(down, up);
    if (moved) {
        session->since = now_ms();
    }
    if (up->state == OVER && down->state == OVER) {
        end_session(loop, session, up->loss != NO_LOSS || down->loss != NO_LOSS);
        return;
    }
    watch(loop, &session->client, interest(up, down));
    watch(loop, &session->upstream, interest(down, up));
}

static void serve(struct loop *loop, struct session *session) {
    switch (session->phase) {
    case GONE:
        /* The event is older than the end of its session. */
        return;
    case CONNECTING:
        if (is_connected(loop, session)) {
            relay(loop, session);
        }
        return;
    case RELAY:
        relay(loop, session);
        return;
    }
}

/* --- the listener --- */

static void add_session(struct loop *loop, int client) {
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
        halves[i]->state = OPEN;
        halves[i]->loss = NO_LOSS;
        halves[i]->start = halves[i]->end = 0;
    }
    session->next = loop->sessions;
    if (session->next != NULL) {
        session->next->previous = session;
    }
    loop->sessions = session;
    connect_next(loop, session);
}

static void pause_accepting(struct loop *loop) {
    control(loop, EPOLL_CTL_DEL, loop->listener, 0, NULL);
    loop->resume_at = now_ms() + PAUSE;
}

static void resume_accepting(struct loop *loop) {
    loop->resume_at = 0;
    if (!control(loop, EPOLL_CTL_ADD, loop->listener, EPOLLIN, &loop->listener)) {
        fail("cannot watch the listener: %s", strerror(errno));
    }
}

static void accept_clients(struct loop *loop) {
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        int client = accept4(loop->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (client >= 0) {
            add_session(loop, client);
        } else if (errno == EAGAIN) {
            return;
        } else if (is_shortage(errno)) {
            pause_accepting(loop);
            return;
        }
    }
}

/* --- deadlines --- */

/* Returns how long a session may stay silent in its state. */
static int limit_of(const struct loop *loop, const struct session *session) {
    if (session->phase == CONNECTING) {
        return loop->limits.connect;
    }
    bool is_half_closed = session->up.state != OPEN || session->down.state != OPEN;
    return is_half_closed ? loop->limits.half_close : loop->limits.idle;
}

/* Ends the sessions that are late. A list is enough for some hundreds of sessions; a heap finds the earliest deadline of
   ten thousand without looking at all of them. */
static void expire(struct loop *loop) {
    long long now = now_ms();
    for (struct session *session = loop->sessions, *next; session != NULL; session = next) {
        next = session->next;
        int limit = limit_of(loop, session);
        if (limit == NEVER || now - session->since < limit) {
            continue;
        }
        if (session->phase == CONNECTING) {
            connect_next(loop, session);
        } else {
            end_session(loop, session, true);
        }
    }
}

static long long earlier(long long one, long long other) {
    return other == 0 || (one != 0 && one < other) ? one : other;
}

/* Returns how long the next wait may take, in milliseconds. */
static int patience(const struct loop *loop) {
    long long at = earlier(loop->resume_at, loop->drained_at);
    for (const struct session *session = loop->sessions; session != NULL; session = session->next) {
        int limit = limit_of(loop, session);
        at = limit == NEVER ? at : earlier(session->since + limit, at);
    }
    if (at == 0) {
        return NEVER;
    }
    long long left = at - now_ms();
    return left > 0 ? (int)left : 0;
}

/* --- the loop --- */

/* The first signal closes the listener and lets the sessions end; the second one ends them. */
static void take_signals(struct loop *loop) {
    struct signalfd_siginfo info;
    while (read(loop->signals, &info, sizeof info) == sizeof info) {
        if (loop->drained_at == 0) {
            close(loop->listener);
            loop->resume_at = 0;
            loop->drained_at = now_ms() + loop->limits.drain;
        } else {
            loop->drained_at = now_ms();
        }
    }
}

static bool is_done(const struct loop *loop) {
    return loop->drained_at != 0 && (loop->sessions == NULL || now_ms() >= loop->drained_at);
}

static void run(struct loop *loop) {
    struct epoll_event events[EVENTS_PER_WAIT];
    while (!is_done(loop)) {
        int count = epoll_wait(loop->epoll, events, EVENTS_PER_WAIT, patience(loop));
        if (count < 0 && errno != EINTR) {
            fail("cannot wait for events: %s", strerror(errno));
        }
        bool has_visitors = false, has_signals = false;
        for (int i = 0; i < count; i++) {
            void *token = events[i].data.ptr;
            if (token == &loop->signals) {
                has_signals = true;
            } else if (token == &loop->listener) {
                has_visitors = true;
            } else {
                serve(loop, ((struct side *)token)->session);
            }
        }
        expire(loop);
        free_gone(loop);
        if (loop->resume_at != 0 && now_ms() >= loop->resume_at) {
            resume_accepting(loop);
        }
        if (has_visitors) {
            accept_clients(loop);
        }
        if (has_signals) {
            take_signals(loop);
        }
    }
    while (loop->sessions != NULL) {
        end_session(loop, loop->sessions, true);
    }
    free_gone(loop);
}

static struct limits limits_of(const struct option_value *options) {
    const char *idle = options[IDLE].value;
    return (struct limits){
        .connect = milliseconds_of(options[CONNECT].name, options[CONNECT].value),
        .half_close = milliseconds_of(options[HALF_CLOSE].name, options[HALF_CLOSE].value),
        .idle = strcmp(idle, "off") == 0 ? NEVER : milliseconds_of(options[IDLE].name, idle),
        .drain = milliseconds_of(options[DRAIN].name, options[DRAIN].value),
    };
}

int main(int argc, char **argv) {
    (void)argc;
    struct option_value options[OPTIONS] = {
        [LISTEN] = {"--listen", "127.0.0.1:8080"}, [UPSTREAM] = {"--upstream", "localhost:3000"},
        [CONNECT] = {"--connect-timeout", "5s"},   [HALF_CLOSE] = {"--half-close-timeout", "60s"},
        [IDLE] = {"--idle-timeout", "off"},        [DRAIN] = {"--drain-timeout", "5s"},
        [THREADS] = {"--threads", "1"},            [INSPECT] = {"--inspect", NULL},
    };
    read_options(argv, HELP, options, OPTIONS, NULL);
    struct address address = address_of(options[LISTEN].name, options[LISTEN].value);
    struct target target = target_of(options[UPSTREAM].value);
    struct loop loop = {.limits = limits_of(options)};
    number_of(options[THREADS].name, options[THREADS].value, 1, 1024);
    raise_descriptors();
    /* Once, before the loop: getaddrinfo(3) may wait for seconds, and in the loop it would hold up every session. */
    const char *reason = resolve(&target, AF_INET6, &loop.upstream);
    if (reason != NULL) {
        fail("cannot find %s: %s", target.host, reason);
    }
    loop.signals = signals_as_descriptor();
    loop.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (loop.epoll < 0 || !control(&loop, EPOLL_CTL_ADD, loop.signals, EPOLLIN, &loop.signals)) {
        fail("cannot create the event loop: %s", strerror(errno));
    }
    loop.listener = listen_and_announce(&address);
    make_nonblocking(loop.listener);
    resume_accepting(&loop);
    run(&loop);
    return 0;
}
