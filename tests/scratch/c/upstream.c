#define _GNU_SOURCE
#include "upstream.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void upstream_close(struct upstream *upstream) {
    if (upstream->fd >= 0) {
        close(upstream->fd);
    }
    upstream->fd = -1;
    upstream->watched = 0;
    upstream->link = CLOSED;
    upstream->client = NULL;
}

bool upstream_connect(struct upstream *upstream) {
    size_t next = upstream->link == CONNECTING ? upstream->attempt + 1 : 0;
    upstream_close(upstream);
    for (; next < upstream->addresses.count; next++) {
        upstream->fd = start_connect(&upstream->addresses.all[next]);
        if (upstream->fd >= 0) {
            upstream->attempt = next;
            upstream->link = CONNECTING;
            upstream->since = now_ms();
            return true;
        }
    }
    return false;
}

void upstream_take(struct upstream *upstream, struct client *client, size_t length) {
    memcpy(upstream->request, client->line, length);
    upstream->hides_newline = client->line[length - 1] != '\n';
    client_taken(client, length);
    if (upstream->hides_newline) {
        /* The upstream's input goes on, so there a newline has to end the line. There is room: a line without one is shorter. */
        upstream->request[length++] = '\n';
    }
    upstream->sent = 0;
    upstream->length = length;
    upstream->has_begun = false;
    upstream->client = client;
    upstream->link = BUSY;
    upstream->since = now_ms();
}

/* An answer is read as fast as its client takes it; one for a client that has gone as fast as it comes. Without a line in
   flight it's read as well, because its end has to be noticed, and bytes that no client has asked for. */
bool upstream_wants_read(const struct upstream *upstream) {
    bool has_room = upstream->client == NULL || !client_wants_write(upstream->client);
    return upstream->link == READY || (upstream->link == BUSY && has_room);
}

bool upstream_wants_write(const struct upstream *upstream) {
    return upstream->link == CONNECTING || (upstream->link == BUSY && upstream->sent < upstream->length);
}

static bool is_not_yet(int error) {
    return error == EAGAIN || error == EINTR;
}

static enum step send_once(struct upstream *upstream) {
    const char *rest = upstream->request + upstream->sent;
    ssize_t count = send(upstream->fd, rest, upstream->length - upstream->sent, MSG_NOSIGNAL);
    if (count < 0) {
        return is_not_yet(errno) ? NOTHING : LOST;
    }
    upstream->sent += (size_t)count;
    return MOVED;
}

/* Reads once. Bytes behind the newline belong to no line that was sent. */
static enum step read_once(struct upstream *upstream) {
    static char dropped[ANSWER_BYTES];
    struct client *client = upstream->client;
    char *bytes = client != NULL ? client->answer : dropped;
    ssize_t count = recv(upstream->fd, bytes, ANSWER_BYTES, 0);
    if (count < 0 && is_not_yet(errno)) {
        return NOTHING;
    }
    if (count <= 0) {
        return LOST;
    }
    if (upstream->link == READY) {
        return ANSWERED_WITH_SURPLUS;
    }
    upstream->has_begun = true;
    const char *newline = memchr(bytes, '\n', (size_t)count);
    size_t length = newline == NULL ? (size_t)count : (size_t)(newline - bytes) + 1;
    if (client != NULL) {
        client->start = 0;
        client->end = newline != NULL && upstream->hides_newline ? length - 1 : length;
        client->since = now_ms();
    }
    if (newline == NULL) {
        return MOVED;
    }
    /* An answer that is there before its line was sent answers something else. */
    bool is_in_order = upstream->sent == upstream->length && length == (size_t)count;
    return is_in_order ? ANSWERED : ANSWERED_WITH_SURPLUS;
}

enum step upstream_step(struct upstream *upstream) {
    enum step sent = NOTHING, read = NOTHING;
    if (upstream->link == BUSY && upstream_wants_write(upstream)) {
        sent = send_once(upstream);
    }
    if (sent != LOST && upstream_wants_read(upstream)) {
        read = read_once(upstream);
    }
    if (sent != NOTHING || read != NOTHING) {
        upstream->since = now_ms();
    }
    return sent == LOST ? LOST : read != NOTHING ? read : sent;
}
