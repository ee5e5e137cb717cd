/* The queue: all clients, those whose lines wait, and the one connection to the upstream.

       settle          a client joins when its line is whole and its answer before that is sent
       start_next      the first one's line is sent as soon as no other is in flight
       finish_answer   its client is idle again, and may join at the end

   A client may end at any time. Its line is forgotten while it waits; once it's in flight, its answer is read and dropped. */

#ifndef QUEUE_H
#define QUEUE_H

#include "client.h"
#include "upstream.h"

/* Times in milliseconds. */
struct limits {
    size_t line;
    int client, upstream, connect, drain;
};

TAILQ_HEAD(clients, client);

struct queue {
    int epoll;
    struct limits limits;
    /* A client that's gone stays in a list of its own until the batch of events has ended: one of them may point to it. */
    struct clients all, waiting, gone;
    struct upstream upstream;
    bool is_draining;
};

void queue_init(struct queue *queue);

/* Registers a client for an accepted socket, or closes it for want of memory. */
void queue_add(struct queue *queue, int fd);

/* Acts on an event of a client, or of the upstream, whose token is the address of `queue->upstream`. */
void queue_serve(struct queue *queue, struct client *client);
void queue_serve_upstream(struct queue *queue);

/* Ends what is late, sends the next line, and frees the clients that have gone: the last step for a batch of events. */
void queue_end_turn(struct queue *queue);

/* Returns when the next of its deadlines is, or 0. */
long long queue_deadline(const struct queue *queue);

/* Ends each client as soon as no line of its is left. */
void queue_drain(struct queue *queue);

/* Resets all clients. */
void queue_stop(struct queue *queue);

/* Returns the earlier of two deadlines, of which 0 is none. */
long long earlier(long long one, long long other);

#endif
