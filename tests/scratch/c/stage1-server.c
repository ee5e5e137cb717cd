/* Stage 1: a blocking server that sends every line back reversed, to one client at a time.

   Read `main` first, then `serve`. Four system calls make a server, three more serve a client:

       socket, bind, listen     net.c        accept, read, write, close     here */

#include "lines.h"
#include "net.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

static const char HELP[] =
    "Sends every line back reversed, to one client at a time.\n\n"
    "Usage: stage1-server [--listen ADDR:PORT]\n\n"
    "Options:\n"
    "      --listen ADDR:PORT  where clients come in [default: 127.0.0.1:8080]\n"
    "      --help              print this help\n";

/* The pause after a failed accept(2), in milliseconds. */
enum { PAUSE = 100 };

/* Writes all bytes: write(2) may take fewer than it was given. */
static bool write_all(int fd, const char *bytes, size_t length) {
    while (length > 0) {
        ssize_t written = write(fd, bytes, length);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written < 0) {
            return false;
        }
        bytes += written;
        length -= (size_t)written;
    }
    return true;
}

/* Sends the answers that are ready; returns whether the client is still there. */
static bool answer(int client, struct lines *lines) {
    if (!write_all(client, lines->bytes, lines->answers)) {
        return false;
    }
    lines_sent(lines, lines->answers);
    return true;
}

/* Serves a client to its end. Its errors are its own matter: the next client is served all the same. */
static void serve(int client) {
    /* Static, because one client at a time needs one buffer, and 64 KiB are much for a stack. */
    static struct lines lines;
    lines.answers = lines.used = 0;
    for (;;) {
        size_t room;
        char *free_bytes = lines_room(&lines, &room);
        ssize_t count = read(client, free_bytes, room);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0) {
            return;
        }
        if (count == 0) {
            /* The client sends no more, but it still reads. */
            lines_ended(&lines);
            answer(client, &lines);
            return;
        }
        lines_came(&lines, (size_t)count);
        if (!answer(client, &lines) || lines_too_long(&lines)) {
            return;
        }
    }
}

int main(int argc, char **argv) {
    (void)argc;
    struct option_value listen = {"--listen", "127.0.0.1:8080"};
    read_options(argv, HELP, &listen, 1, NULL);
    struct address address = address_of(listen.name, listen.value);
    end_on_signals();
    int listener = listen_and_announce(&address);
    for (;;) {
        int client = accept(listener, NULL, NULL);
        if (client < 0) {
            /* Without a free descriptor, accept(2) would fail again at once, and the loop would spin. */
            poll(NULL, 0, PAUSE);
            continue;
        }
        serve(client);
        close(client);
    }
}
