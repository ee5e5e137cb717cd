/* Stage 2: a client that resolves a name, connects with a time limit, and converses until the server ends.

   Read `main` first: it resolves, connects to the first address that answers, and calls `converse`. There, one loop
   waits for whatever is possible next, so that neither direction waits for the other:

       stdin ──▶ upward ──▶ socket ──▶ downward ──▶ stdout */

#include "net.h"
#include "target.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char HELP[] =
    "Connects to a server, sends its standard input, and prints the answer.\n\n"
    "Usage: stage2-client [TARGET] [OPTIONS]\n\n"
    "Arguments:\n"
    "  TARGET  the server's host and port [default: localhost:8080]\n\n"
    "Options:\n"
    "      --prefer FAMILY         which addresses to try first, ipv6 or ipv4 [default: ipv6]\n"
    "      --connect-timeout TIME  the time for each address, like 200ms [default: 5s]\n"
    "      --help                  print this help\n";

/* --- connecting --- */

/* Waits until an attempt has ended; returns 0 or the error. */
static int wait_for_connect(int fd, int limit) {
    struct pollfd room = {.fd = fd, .events = POLLOUT};
    long long end = now_ms() + limit;
    for (;;) {
        long long left = end - now_ms();
        int count = poll(&room, 1, left > 0 ? (int)left : 0);
        if (count > 0) {
            /* Writable means that the attempt has ended, and not that it has succeeded. */
            return connect_error(fd);
        }
        if (count == 0) {
            return ETIMEDOUT;
        }
        if (errno != EINTR) {
            return errno;
        }
    }
}

/* Connects to one address; returns the socket, or -1 and errno. */
static int connect_to(const struct address *address, int limit) {
    int fd = start_connect(address);
    if (fd < 0) {
        return -1;
    }
    int error = wait_for_connect(fd, limit);
    if (error != 0) {
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

/* Connects to the first address that answers; each has the whole time limit. Ends the program if none does. */
static int connect_to_any(const struct addresses *addresses, int limit) {
    /* The reasons of all failures, for the one sentence at the end. */
    char reasons[MAX_ADDRESSES * (ADDRESS_TEXT + 64)] = "";
    size_t length = 0;
    for (size_t i = 0; i < addresses->count; i++) {
        int fd = connect_to(&addresses->all[i], limit);
        if (fd >= 0) {
            return fd;
        }
        char text[ADDRESS_TEXT];
        const char *reason = errno == ETIMEDOUT ? "timed out" : strerror(errno);
        int written = snprintf(reasons + length, sizeof reasons - length, "%s%s: %s", i == 0 ? "" : ", ",
                               address_text(&addresses->all[i], text), reason);
        length += (size_t)written < sizeof reasons - length ? (size_t)written : 0;
    }
    fail("cannot connect to %s", reasons);
}

/* --- conversing --- */

/* Bytes on their way in one direction, and whether more will come. */
struct direction {
    size_t start, end;
    bool is_open;
    char bytes[64 * 1024];
};

static bool has_bytes(const struct direction *direction) {
    return direction->start < direction->end;
}

/* Returns whether to read: only into an empty buffer, so that no byte is ever moved within it. */
static bool wants_bytes(const struct direction *direction) {
    return direction->is_open && !has_bytes(direction);
}

/* EAGAIN and EINTR say "not yet". */
static bool is_failure(ssize_t result) {
    return result < 0 && errno != EAGAIN && errno != EINTR;
}

/* Reads once; returns 0 or the error. The end of the input closes the direction. */
static int fill(struct direction *direction, int fd) {
    ssize_t count = read(fd, direction->bytes, sizeof direction->bytes);
    if (is_failure(count)) {
        return errno;
    }
    if (count >= 0) {
        direction->start = 0;
        direction->end = (size_t)count;
        direction->is_open = count > 0;
    }
    return 0;
}

/* Writes once, at most `most` bytes; returns 0 or the error. */
static int drain(struct direction *direction, int fd, size_t most) {
    size_t length = direction->end - direction->start;
    ssize_t count = write(fd, direction->bytes + direction->start, length < most ? length : most);
    if (is_failure(count)) {
        return errno;
    }
    direction->start += count > 0 ? (size_t)count : 0;
    return 0;
}

/* The conversation, and the first error that did not end it. */
struct conversation {
    int socket;
    int error;
    struct direction upward, downward;
};

/* Moves bytes from stdin to the server. */
static void turn_upward(struct conversation *talk, short stdin_events, short socket_events) {
    struct direction *upward = &talk->upward;
    if (stdin_events != 0 && wants_bytes(upward)) {
        int error = fill(upward, STDIN_FILENO);
        if (error != 0) {
            talk->error = error;
            upward->is_open = false;
        }
        if (!upward->is_open) {
            /* The end of our direction only: the answer may be still on its way. */
            shutdown(talk->socket, SHUT_WR);
        }
    }
    if (has_bytes(upward) && (socket_events & (POLLOUT | POLLERR | POLLHUP)) != 0) {
        int error = drain(upward, talk->socket, SIZE_MAX);
        if (error != 0) {
            /* The server reads no more. Its last words may be here already, so read on, and report the error then.
               EPIPE is no news: the server has closed in order after its answer. */
            talk->error = error == EPIPE ? talk->error : error;
            upward->is_open = false;
            upward->start = upward->end;
        }
    }
}

/* Moves bytes from the server to stdout; returns whether the conversation goes on. */
static bool turn_downward(struct conversation *talk, short socket_events, short stdout_events) {
    struct direction *downward = &talk->downward;
    if (wants_bytes(downward) && (socket_events & (POLLIN | POLLERR | POLLHUP)) != 0) {
        int error = fill(downward, talk->socket);
        if (error != 0) {
            talk->error = error;
            return false;
        }
    }
    if (has_bytes(downward) && stdout_events != 0) {
        /* stdout stays blocking, because other programs may share it. poll(2) promises room for PIPE_BUF bytes. */
        int error = drain(downward, STDOUT_FILENO, PIPE_BUF);
        if (error != 0) {
            fail("cannot write the answer: %s", strerror(error));
        }
    }
    return downward->is_open || has_bytes(downward);
}

/* Converses until the server has ended its direction; returns 0 or the error. */
static int converse(int socket) {
    static struct conversation talk;
    talk.socket = socket;
    talk.upward.is_open = talk.downward.is_open = true;
    for (;;) {
        /* What to wait for follows from the state, anew in each turn. A negative descriptor is skipped. */
        short reads = wants_bytes(&talk.downward) ? POLLIN : 0;
        short writes = has_bytes(&talk.upward) ? POLLOUT : 0;
        struct pollfd polled[] = {
            {.fd = wants_bytes(&talk.upward) ? STDIN_FILENO : -1, .events = POLLIN},
            {.fd = (reads | writes) != 0 ? socket : -1, .events = reads | writes},
            {.fd = has_bytes(&talk.downward) ? STDOUT_FILENO : -1, .events = POLLOUT},
        };
        if (poll(polled, 3, -1) < 0) {
            if (errno != EINTR) {
                return errno;
            }
            continue;
        }
        turn_upward(&talk, polled[0].revents, polled[1].revents);
        if (!turn_downward(&talk, polled[1].revents, polled[2].revents)) {
            return talk.error;
        }
    }
}

/* --- the program --- */

static int family_of(const char *text) {
    if (strcmp(text, "ipv6") != 0 && strcmp(text, "ipv4") != 0) {
        refuse("%s is no family for --prefer: ipv6 or ipv4", text);
    }
    return text[3] == '6' ? AF_INET6 : AF_INET;
}

int main(int argc, char **argv) {
    (void)argc;
    struct option_value options[] = {{"--prefer", "ipv6"}, {"--connect-timeout", "5s"}};
    const char *text = "localhost:8080";
    read_options(argv, HELP, options, 2, &text);
    struct target target = target_of(text);
    int family = family_of(options[0].value);
    int limit = milliseconds_of(options[1].name, options[1].value);
    end_on_signals();

    struct addresses addresses;
    const char *reason = resolve(&target, family, &addresses);
    if (reason != NULL) {
        fail("cannot find %s: %s", target.host, reason);
    }
    int socket = connect_to_any(&addresses, limit);
    int error = converse(socket);
    if (error != 0) {
        fail("the conversation with %s broke off: %s", text, strerror(error));
    }
    return 0;
}
