/* Stage 5: many clients share one connection to an upstream that answers each line with a line.

   Read `main` and `run` here, then queue.h: there is the plan. client.c has one client, upstream.c the one connection.

       client ◀──┐                                ┌── the answer goes to the client whose line is in flight
       client ◀──┼──▶ queue ──▶ one line ──▶ upstream
       client ◀──┘    first come, first served, and a new place for each line */

#define _GNU_SOURCE
#include "net.h"
#include "queue.h"
#include "target.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

static const char HELP[] =
    "Lets many clients share one connection to an upstream: one line is in flight at a time.\n\n"
    "Usage: stage5-mux queue --framing line [OPTIONS]\n\n"
    "Options:\n"
    "      --listen ADDR:PORT       where clients come in [default: 127.0.0.1:8080]\n"
    "      --upstream HOST:PORT     the server of all clients [default: localhost:3000]\n"
    "      --framing line           what a request is; this program knows lines only [default: line]\n"
    "      --max-head BYTES         the longest line, at most 65536 [default: 65536]\n"
    "      --client-timeout TIME    for a client to end its line, and to take its answer [default: 30s]\n"
    "      --upstream-timeout TIME  for the upstream to go on with its answer [default: 60s]\n"
    "      --connect-timeout TIME   for each address of the upstream [default: 5s]\n"
    "      --drain-timeout TIME     what lines that wait get after the first signal [default: 5s]\n"
    "      --inspect PORT           accepted for scripts; there is no inspector\n"
    "      --help                   print this help\n";

enum { LISTEN, UPSTREAM, FRAMING, HEAD, CLIENT, ANSWER, CONNECT, DRAIN, INSPECT, OPTIONS };

enum {
    EVENTS_PER_WAIT = 256,
    ACCEPTS_PER_TURN = 64,
    PAUSE = 250,
    NEVER = -1,
};

struct loop {
    int listener, signals;
    struct queue queue;
    /* When accepting goes on after a shortage of descriptors; 0, if it isn't paused. */
    long long resume_at;
    /* When a drain ends; 0 before the first signal. */
    long long drained_at;
};

static bool watch(struct loop *loop, int operation, int fd, void *token) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = token};
    return epoll_ctl(loop->queue.epoll, operation, fd, &event) == 0;
}

/* --- the listener --- */

static void resume_accepting(struct loop *loop) {
    loop->resume_at = 0;
    if (!watch(loop, EPOLL_CTL_ADD, loop->listener, &loop->listener)) {
        fail("cannot watch the listener: %s", strerror(errno));
    }
}

/* Accepts some clients; returns whether there may be more. */
static bool accept_clients(struct loop *loop) {
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        int fd = accept4(loop->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            queue_add(&loop->queue, fd);
        } else if (errno == EAGAIN) {
            return false;
        } else if (is_shortage(errno)) {
            watch(loop, EPOLL_CTL_DEL, loop->listener, NULL);
            loop->resume_at = now_ms() + PAUSE;
            return false;
        }
    }
    return true;
}

/* --- signals --- */

/* Accepts the clients that the kernel has connected already, because closing the listener would reset them. */
static void drain(struct loop *loop) {
    while (accept_clients(loop)) {
    }
    close(loop->listener);
    loop->resume_at = 0;
    loop->drained_at = now_ms() + loop->queue.limits.drain;
    fprintf(stderr, "draining\n");
    queue_drain(&loop->queue);
}

/* The first signal lets the lines that wait be answered; the second one doesn't wait for them. */
static void take_signals(struct loop *loop) {
    struct signalfd_siginfo info;
    while (read(loop->signals, &info, sizeof info) == sizeof info) {
        if (loop->drained_at == 0) {
            drain(loop);
        } else {
            loop->drained_at = now_ms();
        }
    }
}

/* --- the loop --- */

/* Returns how long the next wait may take, in milliseconds. */
static int patience(const struct loop *loop) {
    long long at = earlier(earlier(loop->resume_at, loop->drained_at), queue_deadline(&loop->queue));
    if (at == 0) {
        return NEVER;
    }
    long long left = at - now_ms();
    return left > 0 ? (int)left : 0;
}

/* Handles the events of one wait. New clients come last, because a descriptor that was closed meanwhile may become theirs. */
static void turn(struct loop *loop, const struct epoll_event *events, int count) {
    bool has_visitors = false, has_signals = false;
    for (int i = 0; i < count; i++) {
        void *token = events[i].data.ptr;
        if (token == &loop->signals) {
            has_signals = true;
        } else if (token == &loop->listener) {
            has_visitors = true;
        } else if (token == &loop->queue.upstream) {
            queue_serve_upstream(&loop->queue);
        } else {
            queue_serve(&loop->queue, token);
        }
    }
    if (loop->resume_at != 0 && now_ms() >= loop->resume_at) {
        resume_accepting(loop);
    }
    if (has_visitors) {
        accept_clients(loop);
    }
    if (has_signals) {
        take_signals(loop);
    }
    queue_end_turn(&loop->queue);
}

static bool is_done(const struct loop *loop) {
    return loop->drained_at != 0 && (TAILQ_EMPTY(&loop->queue.all) || now_ms() >= loop->drained_at);
}

static void run(struct loop *loop) {
    struct epoll_event events[EVENTS_PER_WAIT];
    while (!is_done(loop)) {
        int count = epoll_wait(loop->queue.epoll, events, EVENTS_PER_WAIT, patience(loop));
        if (count < 0 && errno != EINTR) {
            fail("cannot wait for events: %s", strerror(errno));
        }
        turn(loop, events, count);
    }
    queue_stop(&loop->queue);
}

/* --- the command line --- */

static struct limits limits_of(const struct option_value *options) {
    return (struct limits){
        .line = (size_t)number_of(options[HEAD].name, options[HEAD].value, 1, MAX_LINE),
        .client = milliseconds_of(options[CLIENT].name, options[CLIENT].value),
        .upstream = milliseconds_of(options[ANSWER].name, options[ANSWER].value),
        .connect = milliseconds_of(options[CONNECT].name, options[CONNECT].value),
        .drain = milliseconds_of(options[DRAIN].name, options[DRAIN].value),
    };
}

/* Takes the first argument, `queue`, off the command line. */
static char **after_subcommand(char **argv) {
    if (argv[1] == NULL) {
        refuse("there is no subcommand\n\n%s", HELP);
    }
    if (strcmp(argv[1], "queue") != 0 && strcmp(argv[1], "--help") != 0) {
        refuse("there is no subcommand %s: this program knows queue", argv[1]);
    }
    return strcmp(argv[1], "queue") == 0 ? argv + 1 : argv;
}

int main(int argc, char **argv) {
    (void)argc;
    struct option_value options[OPTIONS] = {
        [LISTEN] = {"--listen", "127.0.0.1:8080"}, [UPSTREAM] = {"--upstream", "localhost:3000"},
        [FRAMING] = {"--framing", "line"},         [HEAD] = {"--max-head", "65536"},
        [CLIENT] = {"--client-timeout", "30s"},    [ANSWER] = {"--upstream-timeout", "60s"},
        [CONNECT] = {"--connect-timeout", "5s"},   [DRAIN] = {"--drain-timeout", "5s"},
        [INSPECT] = {"--inspect", NULL},
    };
    read_options(after_subcommand(argv), HELP, options, OPTIONS, NULL);
    if (strcmp(options[FRAMING].value, "line") != 0) {
        refuse("%s is no value for --framing: this program knows line", options[FRAMING].value);
    }
    struct address address = address_of(options[LISTEN].name, options[LISTEN].value);
    struct target target = target_of(options[UPSTREAM].value);
    /* Static, because the buffers of the upstream are much for a stack. */
    static struct loop loop;
    struct queue *queue = &loop.queue;
    queue_init(queue);
    queue->limits = limits_of(options);
    raise_descriptors();
    /* Once, before the loop: getaddrinfo(3) may wait for seconds, and in the loop it would hold up every client. */
    const char *reason = resolve(&target, AF_INET6, &queue->upstream.addresses);
    if (reason != NULL) {
        fail("cannot find %s: %s", target.host, reason);
    }
    loop.signals = signals_as_descriptor(0);
    queue->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (queue->epoll < 0 || !watch(&loop, EPOLL_CTL_ADD, loop.signals, &loop.signals)) {
        fail("cannot create the event loop: %s", strerror(errno));
    }
    loop.listener = listen_and_announce(&address);
    make_nonblocking(loop.listener);
    resume_accepting(&loop);
    run(&loop);
    return 0;
}
