/* Stage 3: the service of stage 1 for any number of clients, on one event loop.

   Read `main` first, then `run`: one call waits, and everything else must not. An event is a hint that something may be
   possible; only the system call that follows tells.

       epoll_wait ──▶ a client     turn: send what waits, read once, answer, send
                  ──▶ the listener accept until there is none
                  ──▶ a signal     the loop ends */

#define _GNU_SOURCE
#include "lines.h"
#include "net.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static const char HELP[] =
    "Sends every line back reversed, to any number of clients.\n\n"
    "Usage: stage3-epoll [--listen ADDR:PORT]\n\n"
    "Options:\n"
    "      --listen ADDR:PORT  where clients come in [default: 127.0.0.1:8080]\n"
    "      --help              print this help\n";

enum {
    EVENTS_PER_WAIT = 256,
    /* A bound, so that a crowd at the listener doesn't delay the clients that are served already. */
    ACCEPTS_PER_TURN = 64,
    /* How long accepting pauses after a shortage, in milliseconds. */
    PAUSE = 250,
};

/* A client. Its answers lie at the front of `lines`; as long as there are any, it isn't read: a client that takes no
   answers gets no further ones, and needs no further memory. */
struct client {
    int fd;
    bool has_ended;
    /* What epoll watches for now. */
    uint32_t watched;
    struct lines lines;
};

struct loop {
    int epoll;
    int listener;
    int signals;
    /* When accepting goes on after a shortage; 0, if it isn't paused. */
    long long resume_at;
};

/* --- epoll --- */

/* The token is a pointer. Each event may free the client that it's about, and no other, and epoll reports a descriptor
   once in a batch; so no event of a batch can point to a client that is gone. In stage 4 this is no longer true. */
static bool watch(int epoll, int operation, int fd, uint32_t events, void *token) {
    struct epoll_event event = {.events = events, .data.ptr = token};
    return epoll_ctl(epoll, operation, fd, &event) == 0;
}

/* --- a client --- */

/* Computes what to wait for. EPOLLOUT only while answers wait: a socket is nearly always writable, and the loop would
   never sleep. EPOLLIN only while the client is read: the end of the input stays readable forever. */
static uint32_t interest(const struct client *client) {
    return client->lines.answers > 0 ? EPOLLOUT : EPOLLIN;
}

static bool is_over(const struct client *client) {
    return client->has_ended && client->lines.answers == 0;
}

/* Sends once; returns false if the connection is broken. */
static bool send_answers(struct client *client) {
    struct lines *lines = &client->lines;
    ssize_t count = send(client->fd, lines->bytes, lines->answers, 0);
    if (count < 0) {
        return errno == EAGAIN || errno == EINTR;
    }
    lines_sent(lines, (size_t)count);
    return true;
}

/* Reads once; returns false if the connection is broken. */
static bool read_lines(struct client *client) {
    size_t room;
    char *bytes = lines_room(&client->lines, &room);
    ssize_t count = recv(client->fd, bytes, room, 0);
    if (count < 0) {
        return errno == EAGAIN || errno == EINTR;
    }
    if (count == 0) {
        lines_ended(&client->lines);
        client->has_ended = true;
        return true;
    }
    lines_came(&client->lines, (size_t)count);
    return true;
}

/* One turn: it's bounded, so that a client with much to say doesn't delay the others. Returns whether the client stays. */
static bool turn(struct client *client) {
    struct lines *lines = &client->lines;
    if (lines->answers > 0 && !send_answers(client)) {
        return false;
    }
    if (lines->answers == 0 && !client->has_ended && !read_lines(client)) {
        return false;
    }
    /* At once, because there nearly always is room, and a further wait would only cost time. */
    if (lines->answers > 0 && !send_answers(client)) {
        return false;
    }
    return !is_over(client) && !lines_too_long(lines);
}

/* close(2) also takes the descriptor out of epoll. */
static void dismiss(struct client *client) {
    close(client->fd);
    free(client);
}

static void serve(struct loop *loop, struct client *client) {
    if (!turn(client)) {
        dismiss(client);
        return;
    }
    uint32_t wanted = interest(client);
    if (wanted == client->watched) {
        return;
    }
    client->watched = wanted;
    if (!watch(loop->epoll, EPOLL_CTL_MOD, client->fd, wanted, client)) {
        dismiss(client);
    }
}

/* --- the listener --- */

/* Adds a client that was accepted; returns false if there is no memory for it. */
static bool add_client(struct loop *loop, int fd) {
    struct client *client = malloc(sizeof *client);
    if (client == NULL) {
        return false;
    }
    /* Not calloc: the 64 KiB of the buffer need no pages before bytes are in them. */
    client->fd = fd;
    client->has_ended = false;
    client->watched = EPOLLIN;
    client->lines.answers = client->lines.used = 0;
    if (!watch(loop->epoll, EPOLL_CTL_ADD, fd, EPOLLIN, client)) {
        free(client);
        return false;
    }
    return true;
}

/* A listener that cannot accept stays readable, so stop asking about it for a while. */
static void pause_accepting(struct loop *loop) {
    if (!watch(loop->epoll, EPOLL_CTL_DEL, loop->listener, 0, NULL)) {
        fail("cannot pause the listener: %s", strerror(errno));
    }
    loop->resume_at = now_ms() + PAUSE;
}

static void resume_accepting(struct loop *loop) {
    if (!watch(loop->epoll, EPOLL_CTL_ADD, loop->listener, EPOLLIN, &loop->listener)) {
        fail("cannot watch the listener: %s", strerror(errno));
    }
    loop->resume_at = 0;
}

static void accept_clients(struct loop *loop) {
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        int fd = accept4(loop->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && errno == EAGAIN) {
            return;
        }
        if (fd < 0 && is_shortage(errno)) {
            pause_accepting(loop);
            return;
        }
        /* Any other error is about a client that has gone meanwhile (accept(2)). */
        if (fd >= 0 && !add_client(loop, fd)) {
            close(fd);
        }
    }
}

/* --- the loop --- */

static int patience(const struct loop *loop) {
    if (loop->resume_at == 0) {
        return -1;
    }
    long long left = loop->resume_at - now_ms();
    return left > 0 ? (int)left : 0;
}

static void run(struct loop *loop) {
    struct epoll_event events[EVENTS_PER_WAIT];
    for (;;) {
        int count = epoll_wait(loop->epoll, events, EVENTS_PER_WAIT, patience(loop));
        if (count < 0 && errno != EINTR) {
            fail("cannot wait for events: %s", strerror(errno));
        }
        bool has_visitors = false;
        for (int i = 0; i < count; i++) {
            void *token = events[i].data.ptr;
            if (token == &loop->signals) {
                return;
            }
            if (token == &loop->listener) {
                has_visitors = true;
            } else {
                serve(loop, token);
            }
        }
        /* New clients come last: a descriptor that this batch has closed may be theirs. */
        if (loop->resume_at != 0 && now_ms() >= loop->resume_at) {
            resume_accepting(loop);
        }
        if (has_visitors) {
            accept_clients(loop);
        }
    }
}

int main(int argc, char **argv) {
    (void)argc;
    struct option_value listen = {"--listen", "127.0.0.1:8080"};
    read_options(argv, HELP, &listen, 1, NULL);
    struct address address = address_of(listen.name, listen.value);
    struct loop loop = {.signals = signals_as_descriptor(0), .epoll = epoll_create1(EPOLL_CLOEXEC)};
    if (loop.epoll < 0 || !watch(loop.epoll, EPOLL_CTL_ADD, loop.signals, EPOLLIN, &loop.signals)) {
        fail("cannot create the event loop: %s", strerror(errno));
    }
    loop.listener = listen_and_announce(&address);
    make_nonblocking(loop.listener);
    resume_accepting(&loop);
    run(&loop);
    return 0;
}
