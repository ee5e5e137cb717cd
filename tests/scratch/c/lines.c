#define _GNU_SOURCE
#include "lines.h"

#include <string.h>

static void reverse(char *first, size_t length) {
    if (length == 0) {
        return;
    }
    for (char *last = first + length - 1; first < last; first++, last--) {
        char byte = *first;
        *first = *last;
        *last = byte;
    }
}

char *lines_room(struct lines *lines, size_t *room) {
    *room = sizeof lines->bytes - lines->used;
    return lines->bytes + lines->used;
}

void lines_came(struct lines *lines, size_t count) {
    char *piece = lines->bytes + lines->used;
    lines->used += count;
    /* Only the new bytes are searched, so that a long line in many pieces isn't searched from its start each time. */
    char *last = memrchr(piece, '\n', count);
    if (last == NULL) {
        return;
    }
    char *line = lines->bytes + lines->answers;
    while (line <= last) {
        char *newline = memchr(line, '\n', (size_t)(last - line) + 1);
        reverse(line, (size_t)(newline - line));
        line = newline + 1;
    }
    lines->answers = (size_t)(line - lines->bytes);
}

void lines_ended(struct lines *lines) {
    reverse(lines->bytes + lines->answers, lines->used - lines->answers);
    lines->answers = lines->used;
}

bool lines_too_long(const struct lines *lines) {
    return lines->answers == 0 && lines->used == sizeof lines->bytes;
}

void lines_sent(struct lines *lines, size_t count) {
    memmove(lines->bytes, lines->bytes + count, lines->used - count);
    lines->used -= count;
    lines->answers -= count;
}
