#define _GNU_SOURCE
#include "client.h"
#include "net.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct client *client_new(int fd) {
    struct client *client = malloc(sizeof *client);
    if (client != NULL) {
        /* All but the buffers: a page of memory that was never written to is none. */
        memset(client, 0, offsetof(struct client, answer));
        client->fd = fd;
    }
    return client;
}

bool client_wants_write(const struct client *client) {
    return client->start < client->end;
}

/* A client that doesn't take its answer may send no further line: that bounds its memory. */
bool client_wants_read(const struct client *client) {
    return client->place == IDLE && !client->has_ended && !client_wants_write(client);
}

static bool is_not_yet(int error) {
    return error == EAGAIN || error == EINTR;
}

bool client_read(struct client *client) {
    size_t room = sizeof client->line - client->used;
    ssize_t count = recv(client->fd, client->line + client->used, room, 0);
    if (count < 0) {
        return is_not_yet(errno);
    }
    /* The time for a line begins with its first byte. A person who types nothing has all the time in the world. */
    if (client->used == 0) {
        client->since = now_ms();
    }
    client->has_ended = count == 0;
    client->used += (size_t)count;
    return true;
}

bool client_send(struct client *client) {
    ssize_t count = send(client->fd, client->answer + client->start, client->end - client->start, MSG_NOSIGNAL);
    if (count < 0) {
        return is_not_yet(errno);
    }
    client->start += (size_t)count;
    client->since = now_ms();
    return true;
}

size_t client_line(const struct client *client, size_t max_line) {
    const char *newline = memchr(client->line, '\n', client->used);
    if (newline != NULL && (size_t)(newline - client->line) <= max_line) {
        return (size_t)(newline - client->line) + 1;
    }
    return client->has_ended && newline == NULL ? client->used : 0;
}

bool client_line_too_long(const struct client *client, size_t max_line) {
    return client->used > max_line && memchr(client->line, '\n', max_line + 1) == NULL;
}

void client_taken(struct client *client, size_t length) {
    memmove(client->line, client->line + length, client->used - length);
    client->used -= length;
    client->since = now_ms();
}
