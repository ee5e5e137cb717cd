/* Stage 4: a relay from clients to one upstream, or to targets that they choose, on one event loop, with half-close,
   backpressure, deadlines and a drain.

   Read `main` and `run` here, then session.h: there is the plan. relay.c has one direction of a session, which has two of them,
   handshake.c what a client says before, and lookup.c asks for the addresses of a name.

       client ──▶ up   ──▶ target
       client ◀── down ◀── target */

#define _GNU_SOURCE
#include "lookup.h"
#include "net.h"
#include "session.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

static const char HELP[] =
    "Passes the bytes of any number of clients to one upstream, or to targets that they choose, and back.\n\n"
    "Usage: stage4-proxy [OPTIONS]\n\n"
    "Options:\n"
    "      --listen ADDR:PORT         where clients come in [default: 127.0.0.1:8080]\n"
    "      --ingress KIND             how a client says where it wants to go: fixed, socks5 or http [default: fixed]\n"
    "      --upstream HOST:PORT       the target of fixed [default: localhost:3000]\n"
    "      --handshake-timeout TIME   for a client to say where it wants to go [default: 10s]\n"
    "      --connect-timeout TIME     the time for each address of a target [default: 5s]\n"
    "      --half-close-timeout TIME  silence after which a session with one end is reset [default: 60s]\n"
    "      --idle-timeout TIME        silence after which any session is reset, or off [default: off]\n"
    "      --drain-timeout TIME       what open sessions get after the first signal [default: 5s]\n"
    "      --threads N                accepted for scripts; there is one thread [default: 1]\n"
    "      --inspect PORT             accepted for scripts; there is no inspector\n"
    "      --help                     print this help\n";

enum { LISTEN, INGRESS, UPSTREAM, HANDSHAKE, CONNECT, HALF_CLOSE, IDLE, DRAIN, THREADS, INSPECT, OPTIONS };

enum {
    EVENTS_PER_WAIT = 256,
    ACCEPTS_PER_TURN = 64,
    PAUSE = 250,
};

struct loop {
    int listener, signals;
    struct sessions sessions;
    long long resume_at;
    /* When a drain ends; 0 before the first signal. */
    long long drained_at;
};

static bool watch(struct loop *loop, int operation, int fd, void *token) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = token};
    return epoll_ctl(loop->sessions.epoll, operation, fd, &event) == 0;
}

/* --- the listener --- */

static void pause_accepting(struct loop *loop) {
    watch(loop, EPOLL_CTL_DEL, loop->listener, NULL);
    loop->resume_at = now_ms() + PAUSE;
}

static void resume_accepting(struct loop *loop) {
    loop->resume_at = 0;
    if (!watch(loop, EPOLL_CTL_ADD, loop->listener, &loop->listener)) {
        fail("cannot watch the listener: %s", strerror(errno));
    }
}

static void accept_clients(struct loop *loop) {
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        int client = accept4(loop->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (client >= 0) {
            sessions_add(&loop->sessions, client);
        } else if (errno == EAGAIN) {
            return;
        } else if (is_shortage(errno)) {
            pause_accepting(loop);
            return;
        }
    }
}

/* --- the loop --- */

/* Returns how long the next wait may take, in milliseconds. */
static int patience(const struct loop *loop) {
    long long at = earlier(earlier(loop->resume_at, loop->drained_at), sessions_deadline(&loop->sessions));
    if (at == 0) {
        return NEVER;
    }
    long long left = at - now_ms();
    return left > 0 ? (int)left : 0;
}

/* The first signal closes the listener and lets the sessions end; the second one ends them. A further kind of signal says that
   a lookup has ended. */
static void take_signals(struct loop *loop) {
    struct signalfd_siginfo info;
    while (read(loop->signals, &info, sizeof info) == sizeof info) {
        if ((int)info.ssi_signo == lookup_signal()) {
            sessions_looked_up(&loop->sessions, (void *)(uintptr_t)info.ssi_ptr);
        } else if (loop->drained_at == 0) {
            close(loop->listener);
            loop->resume_at = 0;
            loop->drained_at = now_ms() + loop->sessions.limits.drain;
        } else {
            loop->drained_at = now_ms();
        }
    }
}

static bool is_done(const struct loop *loop) {
    return loop->drained_at != 0 && (loop->sessions.first == NULL || now_ms() >= loop->drained_at);
}

static void turn(struct loop *loop, const struct epoll_event *events, int count) {
    bool has_visitors = false, has_signals = false;
    for (int i = 0; i < count; i++) {
        void *token = events[i].data.ptr;
        if (token == &loop->signals) {
            has_signals = true;
        } else if (token == &loop->listener) {
            has_visitors = true;
        } else {
            sessions_serve(&loop->sessions, token);
        }
    }
    sessions_expire(&loop->sessions);
    sessions_free_gone(&loop->sessions);
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

static void run(struct loop *loop) {
    struct epoll_event events[EVENTS_PER_WAIT];
    while (!is_done(loop)) {
        int count = epoll_wait(loop->sessions.epoll, events, EVENTS_PER_WAIT, patience(loop));
        if (count < 0 && errno != EINTR) {
            fail("cannot wait for events: %s", strerror(errno));
        }
        turn(loop, events, count);
    }
    sessions_stop(&loop->sessions);
}

/* --- the command line --- */

static struct limits limits_of(const struct option_value *options) {
    const char *idle = options[IDLE].value;
    return (struct limits){
        .handshake = milliseconds_of(options[HANDSHAKE].name, options[HANDSHAKE].value),
        .connect = milliseconds_of(options[CONNECT].name, options[CONNECT].value),
        .half_close = milliseconds_of(options[HALF_CLOSE].name, options[HALF_CLOSE].value),
        .idle = strcmp(idle, "off") == 0 ? NEVER : milliseconds_of(options[IDLE].name, idle),
        .drain = milliseconds_of(options[DRAIN].name, options[DRAIN].value),
    };
}

static enum ingress ingress_of(const char *text) {
    static const char *const names[] = {[FIXED] = "fixed", [SOCKS5] = "socks5", [HTTP] = "http"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], text) == 0) {
            return (enum ingress)i;
        }
    }
    refuse("%s is no value for --ingress: this program knows fixed, socks5 and http", text);
}

static bool is_loopback(const struct address *address) {
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&address->storage;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&address->storage;
    bool is_v4 = address->storage.ss_family == AF_INET;
    return is_v4 ? ntohl(v4->sin_addr.s_addr) >> 24 == 127 : IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

/* Looks the upstream up, once and before the loop: there it would hold up every session. */
static void find_upstream(struct sessions *sessions, const char *text) {
    struct target target = target_of(text);
    const char *reason = resolve(&target, AF_INET6, &sessions->upstream);
    if (reason != NULL) {
        fail("cannot find %s: %s", target.host, reason);
    }
}

int main(int argc, char **argv) {
    (void)argc;
    struct option_value options[OPTIONS] = {
        [LISTEN] = {"--listen", "127.0.0.1:8080"},      [INGRESS] = {"--ingress", "fixed"},
        [UPSTREAM] = {"--upstream", "localhost:3000"},  [HANDSHAKE] = {"--handshake-timeout", "10s"},
        [CONNECT] = {"--connect-timeout", "5s"},        [HALF_CLOSE] = {"--half-close-timeout", "60s"},
        [IDLE] = {"--idle-timeout", "off"},             [DRAIN] = {"--drain-timeout", "5s"},
        [THREADS] = {"--threads", "1"},                 [INSPECT] = {"--inspect", NULL},
    };
    read_options(argv, HELP, options, OPTIONS, NULL);
    struct address address = address_of(options[LISTEN].name, options[LISTEN].value);
    struct loop loop = {.sessions = {.limits = limits_of(options), .ingress = ingress_of(options[INGRESS].value)}};
    struct sessions *sessions = &loop.sessions;
    number_of(options[THREADS].name, options[THREADS].value, 1, 1024);
    if (sessions->ingress != FIXED && !is_loopback(&address)) {
        /* An open relay is found and misused within hours, and this program has no rules about who may go where. */
        fail("clients that choose their targets are served on a loopback address only");
    }
    raise_descriptors();
    if (sessions->ingress == FIXED) {
        find_upstream(sessions, options[UPSTREAM].value);
    }
    loop.signals = signals_as_descriptor(lookup_signal());
    sessions->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (sessions->epoll < 0 || !watch(&loop, EPOLL_CTL_ADD, loop.signals, &loop.signals)) {
        fail("cannot create the event loop: %s", strerror(errno));
    }
    loop.listener = listen_and_announce(&address);
    sessions->own.length = sizeof sessions->own.storage;
    getsockname(loop.listener, (struct sockaddr *)&sessions->own.storage, &sessions->own.length);
    make_nonblocking(loop.listener);
    resume_accepting(&loop);
    run(&loop);
    return 0;
}
