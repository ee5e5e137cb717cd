/* One direction of a session: bytes on their way from one socket to the other.

       OPEN ── the source's end was read ──▶ DRAINING ── the last byte and the FIN were sent ──▶ OVER
         └──────────────── the sink takes no more ──────────────────────────────────────────────▶ OVER

   What to wait for follows from the state, and is computed, not switched:  read while OPEN and empty, write while bytes wait. */

#ifndef RELAY_H
#define RELAY_H

#include <stdbool.h>
#include <stddef.h>

enum { HALF_BYTES = 32 * 1024 };

enum half_state { OPEN, DRAINING, OVER };

/* Whether a socket of the half has failed; then both ends must see a reset, and no end in order. */
enum loss { NO_LOSS, SOURCE_LOST, SINK_LOST };

struct half {
    int from, to;
    enum half_state state;
    enum loss loss;
    size_t start, end;
    char bytes[HALF_BYTES];
};

bool half_wants_read(const struct half *half);
bool half_wants_write(const struct half *half);

/* Writes once; returns whether something has moved. */
bool half_write(struct half *half);

/* Moves what can be moved now: writes, reads once, writes. Returns whether a byte or an end has moved. */
bool half_turn(struct half *half);

/* Drops the bytes that wait: the sink is gone. */
void half_break(struct half *half);

#endif
