/* A client of the queue: at most one of its lines is on its way, and at most one answer.

       IDLE ── a whole line, and no answer is unsent ──▶ WAITING ── its turn has come ──▶ IN_FLIGHT
         ▲                                                  the answer is complete          │
         └──────────────────────────────────────────────────────────────────────────────────┘

   So a client that has sent a hundred lines waits a hundred times in the queue, once for each, and delays no other. Until its
   line has been answered it's not read further: the kernel keeps the rest, and tells the client to slow down. */

#ifndef CLIENT_H
#define CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

enum {
    /* The longest line, without its newline. */
    MAX_LINE = 64 * 1024,
    /* How much of an answer is held for a client that reads slowly. */
    ANSWER_BYTES = 64 * 1024,
};

enum place { IDLE, WAITING, IN_FLIGHT, GONE };

struct client {
    /* All clients are in a list; those whose lines wait are in the queue as well. */
    TAILQ_ENTRY(client) all, queue;
    enum place place;
    int fd;
    /* What epoll watches for now. */
    uint32_t watched;
    bool has_ended;
    /* Since when we wait for the client to end its line, or to take its answer. */
    long long since;
    size_t start, end, used;
    char answer[ANSWER_BYTES];
    /* One byte for the newline. */
    char line[MAX_LINE + 1];
};

/* Creates a client for an accepted socket; returns NULL if there is no memory. */
struct client *client_new(int fd);

bool client_wants_read(const struct client *client);
bool client_wants_write(const struct client *client);

/* Reads once; returns false if the connection is broken. */
bool client_read(struct client *client);

/* Sends once; returns false if the connection is broken. */
bool client_send(struct client *client);

/* Returns the length of the first line with its newline, or 0 if it isn't whole. The end of the input ends a line, too. */
size_t client_line(const struct client *client, size_t max_line);

/* Returns whether the line is longer than `max_line`, whether it has ended or not. */
bool client_line_too_long(const struct client *client, size_t max_line);

/* Forgets the first `length` bytes, which have gone to the upstream. */
void client_taken(struct client *client, size_t length);

#endif
