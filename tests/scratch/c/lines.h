/* Lines out of a stream of bytes, each reversed in its place.

       bytes   | answers: whole lines, reversed | the beginning of a line | room |
               0                          answers                      used   MAX_LINE + 1

   The buffer holds exactly one line of the longest length. So it's full without a newline only if a line is too long, and
   the memory of a client has a bound that needs no further check. */

#ifndef LINES_H
#define LINES_H

#include <stdbool.h>
#include <stddef.h>

/* The longest line, without its newline. */
enum { MAX_LINE = 64 * 1024 };

struct lines {
    size_t answers;
    size_t used;
    char bytes[MAX_LINE + 1];
};

/* Returns where the next bytes go, and how many fit; there is room for one at least unless a line is too long. */
char *lines_room(struct lines *lines, size_t *room);

/* Takes note that `count` bytes were put there, and reverses all lines that are whole now. */
void lines_came(struct lines *lines, size_t count);

/* The input has ended: the bytes that are left are a line without a newline. */
void lines_ended(struct lines *lines);

/* Returns whether there is a line with more than MAX_LINE bytes. */
bool lines_too_long(const struct lines *lines);

/* Forgets the first `count` bytes of the answers, which were sent. */
void lines_sent(struct lines *lines, size_t count);

#endif
