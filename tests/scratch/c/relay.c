#define _GNU_SOURCE
#include "relay.h"

#include <errno.h>
#include <sys/socket.h>

static bool has_bytes(const struct half *half) {
    return half->start < half->end;
}

/* Only into an empty buffer: a sink that takes nothing stops its source, and memory has a bound. That's backpressure. */
bool half_wants_read(const struct half *half) {
    return half->state == OPEN && !has_bytes(half);
}

bool half_wants_write(const struct half *half) {
    return has_bytes(half);
}

void half_break(struct half *half) {
    half->state = OVER;
    half->loss = SINK_LOST;
    half->start = half->end;
}

static bool is_not_yet(int error) {
    return error == EAGAIN || error == EINTR;
}

bool half_write(struct half *half) {
    if (!has_bytes(half)) {
        return false;
    }
    ssize_t count = send(half->to, half->bytes + half->start, half->end - half->start, MSG_NOSIGNAL);
    if (count < 0 && is_not_yet(errno)) {
        return false;
    }
    if (count < 0) {
        half_break(half);
        return true;
    }
    half->start += (size_t)count;
    return true;
}

/* Reads once; returns whether something has moved. */
static bool read_once(struct half *half) {
    if (!half_wants_read(half)) {
        return false;
    }
    ssize_t count = recv(half->from, half->bytes, sizeof half->bytes, 0);
    if (count < 0 && is_not_yet(errno)) {
        return false;
    }
    half->start = 0;
    half->end = count > 0 ? (size_t)count : 0;
    if (count <= 0) {
        half->state = DRAINING;
        half->loss = count < 0 ? SOURCE_LOST : NO_LOSS;
    }
    return true;
}

/* Passes the end on, once all bytes before it are gone. After a reset there is no end to pass on. */
static bool end_once(struct half *half) {
    if (half->state != DRAINING || has_bytes(half)) {
        return false;
    }
    half->state = OVER;
    if (half->loss == NO_LOSS && shutdown(half->to, SHUT_WR) != 0) {
        half->loss = SINK_LOST;
    }
    return true;
}

bool half_turn(struct half *half) {
    bool moved = half_write(half);
    /* After a read write at once: there nearly always is room, and a further wait would only cost time. */
    moved |= read_once(half);
    moved |= half_write(half);
    moved |= end_once(half);
    return moved;
}
