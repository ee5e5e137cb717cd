#define _GNU_SOURCE
#include "queue.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- epoll --- */

static bool control(struct queue *queue, int operation, int fd, uint32_t events, void *token) {
    struct epoll_event event = {.events = events, .data.ptr = token};
    return epoll_ctl(queue->epoll, operation, fd, &event) == 0;
}

/* A client stays registered even where nothing is wanted of it: EPOLLHUP is always reported, and tells that it has gone. */
static void watch_client(struct queue *queue, struct client *client) {
    uint32_t wanted = (client_wants_read(client) ? EPOLLIN : 0u) | (client_wants_write(client) ? EPOLLOUT : 0u);
    if (wanted != client->watched && !control(queue, EPOLL_CTL_MOD, client->fd, wanted, client)) {
        fail("cannot watch a client: %s", strerror(errno));
    }
    client->watched = wanted;
}

/* The upstream is taken out where nothing is wanted of it: its end can wait until a slow client has taken what came before. */
static void watch_upstream(struct queue *queue) {
    struct upstream *upstream = &queue->upstream;
    uint32_t wanted = (upstream_wants_read(upstream) ? EPOLLIN : 0u) | (upstream_wants_write(upstream) ? EPOLLOUT : 0u);
    if (wanted == upstream->watched) {
        return;
    }
    int operation = upstream->watched == 0 ? EPOLL_CTL_ADD : wanted == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;
    if (!control(queue, operation, upstream->fd, wanted, upstream)) {
        fail("cannot watch the upstream: %s", strerror(errno));
    }
    upstream->watched = wanted;
}

/* --- a client --- */

/* Ends a client, with a reset if a part of its answer is missing: a FIN would say that it's whole. */
static void dismiss(struct queue *queue, struct client *client, bool with_reset) {
    if (client->place == WAITING) {
        TAILQ_REMOVE(&queue->waiting, client, queue);
    }
    if (queue->upstream.client == client) {
        /* The answer still comes: it's read to its end and dropped, so that no other client gets it. */
        queue->upstream.client = NULL;
    }
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    if (with_reset) {
        setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    }
    close(client->fd);
    client->place = GONE;
    TAILQ_REMOVE(&queue->all, client, all);
    TAILQ_INSERT_TAIL(&queue->gone, client, all);
}

static void free_gone(struct queue *queue) {
    struct client *client;
    while ((client = TAILQ_FIRST(&queue->gone)) != NULL) {
        TAILQ_REMOVE(&queue->gone, client, all);
        free(client);
    }
}

/* Lets an idle client join the queue if its next line is whole; returns whether the client stays. */
static bool join(struct queue *queue, struct client *client) {
    if (client_line_too_long(client, queue->limits.line)) {
        return false;
    }
    if (client_line(client, queue->limits.line) > 0) {
        client->place = WAITING;
        TAILQ_INSERT_TAIL(&queue->waiting, client, queue);
        return true;
    }
    return !client->has_ended && !(queue->is_draining && client->used == 0);
}

/* Does for a client whatever can be done now, and computes what to wait for. */
static void settle(struct queue *queue, struct client *client) {
    if (client_wants_write(client) && !client_send(client)) {
        dismiss(queue, client, true);
        return;
    }
    if (client->place == IDLE && !client_wants_write(client) && !join(queue, client)) {
        dismiss(queue, client, false);
        return;
    }
    watch_client(queue, client);
}

void queue_serve(struct queue *queue, struct client *client) {
    if (client->place == GONE) {
        /* The event is older than the end of its client. */
        return;
    }
    /* An event although none was asked for is EPOLLHUP or EPOLLERR: the client has reset its connection. */
    bool is_broken = client->watched == 0;
    if (is_broken || (client_wants_read(client) && !client_read(client))) {
        dismiss(queue, client, true);
        return;
    }
    settle(queue, client);
}

/* --- the upstream --- */

/* The line protocol has no words for an error, so a client learns only from the end of its connection that no answer comes. */
static void lose_upstream(struct queue *queue) {
    struct client *client = queue->upstream.client;
    bool has_begun = queue->upstream.has_begun;
    upstream_close(&queue->upstream);
    if (client != NULL) {
        dismiss(queue, client, has_begun);
    }
}

/* No address of the upstream can be reached: that costs the first client in the queue, and the next one tries again. */
static void refuse_first(struct queue *queue) {
    struct client *first = TAILQ_FIRST(&queue->waiting);
    upstream_close(&queue->upstream);
    if (first != NULL) {
        fprintf(stderr, "a client is closed: its upstream cannot be reached\n");
        dismiss(queue, first, false);
    }
}

static void finish_answer(struct queue *queue) {
    struct client *client = queue->upstream.client;
    queue->upstream.link = READY;
    queue->upstream.client = NULL;
    if (client != NULL) {
        client->place = IDLE;
        settle(queue, client);
    }
}

/* Moves bytes to the upstream and from it, and acts on what they mean. */
static void turn_upstream(struct queue *queue) {
    struct upstream *upstream = &queue->upstream;
    switch (upstream_step(upstream)) {
    case NOTHING:
        return;
    case MOVED:
        if (upstream->client != NULL) {
            settle(queue, upstream->client);
        }
        return;
    case ANSWERED:
        finish_answer(queue);
        return;
    case ANSWERED_WITH_SURPLUS:
        if (upstream->link == BUSY) {
            finish_answer(queue);
        }
        fprintf(stderr, "the upstream has sent bytes that answer no line: is it a protocol that begins with a greeting?\n");
        upstream_close(upstream);
        return;
    case LOST:
        lose_upstream(queue);
        return;
    }
}

void queue_serve_upstream(struct queue *queue) {
    struct upstream *upstream = &queue->upstream;
    if (upstream->link != CONNECTING) {
        turn_upstream(queue);
    } else if (connect_error(upstream->fd) == 0) {
        upstream->link = READY;
    } else if (!upstream_connect(upstream)) {
        refuse_first(queue);
    }
}

/* Sends the first line of the queue as soon as no other is in flight. */
static void start_next(struct queue *queue) {
    struct upstream *upstream = &queue->upstream;
    while (!TAILQ_EMPTY(&queue->waiting) && upstream->link != BUSY && upstream->link != CONNECTING) {
        if (upstream->link == READY) {
            /* The upstream's end may have come meanwhile. Then the line isn't sent into a connection that's over. */
            turn_upstream(queue);
        }
        if (upstream->link == CLOSED) {
            if (!upstream_connect(upstream)) {
                refuse_first(queue);
            }
            continue;
        }
        struct client *first = TAILQ_FIRST(&queue->waiting);
        TAILQ_REMOVE(&queue->waiting, first, queue);
        first->place = IN_FLIGHT;
        upstream_take(upstream, first, client_line(first, queue->limits.line));
        turn_upstream(queue);
    }
    watch_upstream(queue);
}

/* --- deadlines --- */

long long earlier(long long one, long long other) {
    return other == 0 || (one != 0 && one < other) ? one : other;
}

/* Returns when a client is late, or 0. One that types nothing, or waits for the others, never is. */
static long long client_deadline(const struct queue *queue, const struct client *client) {
    bool is_waited_for = client_wants_write(client) || (client->place == IDLE && client->used > 0);
    return is_waited_for ? client->since + queue->limits.client : 0;
}

static long long upstream_deadline(const struct queue *queue) {
    const struct upstream *upstream = &queue->upstream;
    switch (upstream->link) {
    case CONNECTING:
        return upstream->since + queue->limits.connect;
    case BUSY:
        /* While a slow client takes its answer, the upstream isn't late. */
        return upstream_wants_read(upstream) ? upstream->since + queue->limits.upstream : 0;
    case CLOSED:
    case READY:
        return 0;
    }
    return 0;
}

static bool has_passed(long long deadline, long long now) {
    return deadline != 0 && deadline <= now;
}

static void expire(struct queue *queue) {
    long long now = now_ms();
    for (struct client *client = TAILQ_FIRST(&queue->all), *next; client != NULL; client = next) {
        next = TAILQ_NEXT(client, all);
        if (has_passed(client_deadline(queue, client), now)) {
            dismiss(queue, client, client_wants_write(client));
        }
    }
    if (!has_passed(upstream_deadline(queue), now)) {
        return;
    }
    if (queue->upstream.link == BUSY) {
        lose_upstream(queue);
    } else if (!upstream_connect(&queue->upstream)) {
        refuse_first(queue);
    }
}

long long queue_deadline(const struct queue *queue) {
    long long at = upstream_deadline(queue);
    const struct client *client;
    TAILQ_FOREACH(client, &queue->all, all) {
        at = earlier(client_deadline(queue, client), at);
    }
    return at;
}

/* --- the whole queue --- */

void queue_init(struct queue *queue) {
    TAILQ_INIT(&queue->all);
    TAILQ_INIT(&queue->waiting);
    TAILQ_INIT(&queue->gone);
    queue->upstream.fd = -1;
}

void queue_add(struct queue *queue, int fd) {
    struct client *client = client_new(fd);
    if (client == NULL || !control(queue, EPOLL_CTL_ADD, fd, EPOLLIN, client)) {
        close(fd);
        free(client);
        return;
    }
    client->watched = EPOLLIN;
    TAILQ_INSERT_TAIL(&queue->all, client, all);
}

void queue_end_turn(struct queue *queue) {
    expire(queue);
    start_next(queue);
    free_gone(queue);
}

void queue_drain(struct queue *queue) {
    queue->is_draining = true;
    for (struct client *client = TAILQ_FIRST(&queue->all), *next; client != NULL; client = next) {
        next = TAILQ_NEXT(client, all);
        /* A line that has just come is still in the kernel. */
        if (client_wants_read(client)) {
            queue_serve(queue, client);
        }
    }
}

void queue_stop(struct queue *queue) {
    while (!TAILQ_EMPTY(&queue->all)) {
        dismiss(queue, TAILQ_FIRST(&queue->all), true);
    }
    free_gone(queue);
    upstream_close(&queue->upstream);
}
