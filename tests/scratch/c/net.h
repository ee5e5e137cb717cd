/* What all programs share: the command line, addresses, listening sockets, signals. */

#ifndef NET_H
#define NET_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

/* The exit statuses of the contract; a clean stop ends with 0. */
enum { STATUS_FAILED = 1, STATUS_USAGE = 2 };

/* An option with a value: `--listen 127.0.0.1:0`. The value is a string of argv, or the default. */
struct option_value {
    const char *name;
    const char *value;
};

/* An address of any family, as bind(2) and connect(2) want it. */
struct address {
    socklen_t length;
    struct sockaddr_storage storage;
};

/* Long enough for `[IPv6 address with a zone]:65535`. */
enum { ADDRESS_TEXT = 96 };

/* Tells what went wrong in one sentence on stderr, and ends the program with 1 or 2. */
__attribute__((noreturn, format(printf, 1, 2))) void fail(const char *format, ...);
__attribute__((noreturn, format(printf, 1, 2))) void refuse(const char *format, ...);

/* Reads the command line. `--help` prints `help` and ends with 0; an unknown option, a missing value, or more than one
   argument that is no option ends with 2. If `target` is NULL, every such argument is one too many. */
void read_options(char **argv, const char *help, struct option_value *options, size_t count, const char **target);

/* Reads a whole number from `low` to `high`; ends the program with 2 if `text` is none. */
long number_of(const char *option, const char *text, long low, long high);

/* Returns the milliseconds of `200ms`, `5s` or `2m`; ends the program with 2 if `text` is none of these. */
int milliseconds_of(const char *option, const char *text);

/* Reads `127.0.0.1:80` or `[::1]:80`; ends the program with 2 if `text` is something else. */
struct address address_of(const char *option, const char *text);

/* Writes an address as people write it, and returns `text`. */
const char *address_text(const struct address *address, char text[ADDRESS_TEXT]);

/* Listens at an address and prints the one line `listening on ADDR:PORT`; ends the program with 1 if it cannot. */
int listen_and_announce(const struct address *address);

/* Lets SIGINT, SIGTERM and SIGHUP end the program at once with 0, and ignores SIGPIPE. */
void end_on_signals(void);

/* Returns a descriptor that is readable as soon as one of these signals has come (signalfd(2)), or a further one if it isn't 0;
   and ignores SIGPIPE. */
int signals_as_descriptor(int further);

/* Makes system calls on a descriptor fail with EAGAIN where they would wait. */
void make_nonblocking(int fd);

/* Asks for as many descriptors as the system allows: most give fewer at first, and a relay needs two for a client. */
void raise_descriptors(void);

/* Returns whether a call has failed for want of a descriptor or of memory, which says nothing about its client. */
bool is_shortage(int error);

/* Returns a clock that no person sets, in milliseconds. */
long long now_ms(void);

#endif
