#define _GNU_SOURCE
#include "net.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

/* How many clients may wait in the accept queue; the kernel takes no more than net.core.somaxconn. */
enum { BACKLOG = 4096 };

static void say(const char *before, const char *format, va_list arguments) {
    fputs(before, stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
}

void fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    say("", format, arguments);
    va_end(arguments);
    exit(STATUS_FAILED);
}

void refuse(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    say("error: ", format, arguments);
    va_end(arguments);
    exit(STATUS_USAGE);
}

/* --- the command line --- */

/* Finds the option that `word` names, with or without `=VALUE` behind the name. */
static struct option_value *find_option(const char *word, struct option_value *options, size_t count) {
    size_t length = strcspn(word, "=");
    for (size_t i = 0; i < count; i++) {
        if (strlen(options[i].name) == length && strncmp(options[i].name, word, length) == 0) {
            return &options[i];
        }
    }
    refuse("there is no option %s", word);
}

void read_options(char **argv, const char *help, struct option_value *options, size_t count, const char **target) {
    for (char **word = argv + 1; *word != NULL; word++) {
        if (strcmp(*word, "--help") == 0) {
            fputs(help, stdout);
            exit(0);
        }
        if (strncmp(*word, "--", 2) != 0) {
            if (target == NULL) {
                refuse("the argument %s is one too many", *word);
            }
            *target = *word;
            target = NULL;
            continue;
        }
        struct option_value *option = find_option(*word, options, count);
        const char *equals = strchr(*word, '=');
        if (equals != NULL) {
            option->value = equals + 1;
        } else if (word[1] != NULL) {
            option->value = *++word;
        } else {
            refuse("%s needs a value", *word);
        }
    }
}

long number_of(const char *option, const char *text, long low, long high) {
    char *end;
    errno = 0;
    long number = strtol(text, &end, 10);
    /* strtol(3) would also take a sign and blanks. */
    bool is_number = text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0;
    if (!is_number || number < low || number > high) {
        refuse("%s is no number for %s: it goes from %ld to %ld", text, option, low, high);
    }
    return number;
}

int milliseconds_of(const char *option, const char *text) {
    static const struct {
        const char *unit;
        long factor;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60 * 1000}};
    size_t digits = strspn(text, "0123456789");
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (digits > 0 && digits < 10 && strcmp(text + digits, units[i].unit) == 0) {
            long time = strtol(text, NULL, 10);
            if (time <= INT_MAX / units[i].factor) {
                return (int)(time * units[i].factor);
            }
        }
    }
    refuse("%s is no time for %s: write it like 200ms, 5s or 2m", text, option);
}

/* --- addresses --- */

/* Cuts `host:port` at its last colon, and takes brackets off the host; returns whether there are both. */
static bool cut(const char *text, char host[ADDRESS_TEXT], const char **port) {
    const char *colon = strrchr(text, ':');
    if (colon == NULL || (size_t)(colon - text) >= ADDRESS_TEXT) {
        return false;
    }
    size_t length = (size_t)(colon - text);
    bool has_brackets = length > 2 && text[0] == '[' && colon[-1] == ']';
    if (has_brackets) {
        text++;
        length -= 2;
    } else if (memchr(text, ':', length) != NULL) {
        /* An IPv6 address without brackets: where would its port begin? */
        return false;
    }
    memcpy(host, text, length);
    host[length] = '\0';
    *port = colon + 1;
    return length > 0;
}

struct address address_of(const char *option, const char *text) {
    char host[ADDRESS_TEXT];
    const char *port;
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    if (!cut(text, host, &port) || port[0] < '0' || port[0] > '9' || strtol(port, NULL, 10) > 65535 ||
        getaddrinfo(host, port, &hints, &found) != 0) {
        refuse("%s is no address for %s: write it like 127.0.0.1:8080 or [::1]:8080", text, option);
    }
    struct address address = {.length = found->ai_addrlen};
    memcpy(&address.storage, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    return address;
}

const char *address_text(const struct address *address, char text[ADDRESS_TEXT]) {
    char host[64], port[8];
    int flags = NI_NUMERICHOST | NI_NUMERICSERV;
    const struct sockaddr *any = (const struct sockaddr *)&address->storage;
    if (getnameinfo(any, address->length, host, sizeof host, port, sizeof port, flags) != 0) {
        snprintf(text, ADDRESS_TEXT, "an address without a name");
    } else {
        const char *format = any->sa_family == AF_INET6 ? "[%s]:%s" : "%s:%s";
        snprintf(text, ADDRESS_TEXT, format, host, port);
    }
    return text;
}

/* --- sockets --- */

static int set(int fd, int level, int option, int value) {
    return setsockopt(fd, level, option, &value, sizeof value);
}

/* Creates a listening socket; returns -1 and errno if that fails. The options come before bind(2): after it, they may be
   too late. Accepted sockets inherit TCP_NODELAY and the keepalive from it. */
static int listen_at(const struct address *address) {
    int family = address->storage.ss_family;
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    bool is_set = set(fd, SOL_SOCKET, SO_REUSEADDR, 1) == 0 && set(fd, IPPROTO_TCP, TCP_NODELAY, 1) == 0 &&
                  set(fd, SOL_SOCKET, SO_KEEPALIVE, 1) == 0;
    if (is_set && family == AF_INET6) {
        is_set = set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) == 0;
    }
    if (!is_set || bind(fd, (const struct sockaddr *)&address->storage, address->length) != 0 ||
        listen(fd, BACKLOG) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

int listen_and_announce(const struct address *address) {
    char text[ADDRESS_TEXT];
    int fd = listen_at(address);
    if (fd < 0) {
        fail("cannot listen on %s: %s", address_text(address, text), strerror(errno));
    }
    /* Port 0 became a real one in bind(2), so ask the socket. */
    struct address real = {.length = sizeof real.storage};
    if (getsockname(fd, (struct sockaddr *)&real.storage, &real.length) != 0) {
        fail("cannot tell where the socket listens: %s", strerror(errno));
    }
    printf("listening on %s\n", address_text(&real, text));
    /* stdout may be a pipe, where stdio keeps a line to itself until it is flushed. */
    fflush(stdout);
    return fd;
}

void make_nonblocking(int fd) {
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) {
        fail("cannot make a socket non-blocking: %s", strerror(errno));
    }
}

void raise_descriptors(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

bool is_shortage(int error) {
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

long long now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* --- signals --- */

static const int ENDING[] = {SIGINT, SIGTERM, SIGHUP};
enum { ENDINGS = sizeof ENDING / sizeof ENDING[0] };

/* Under nohup(1), SIGHUP is ignored when we start, and stays so. A shell ignores SIGINT for its background jobs, but a
   server has to end on it. */
static bool stays_ignored(int number) {
    struct sigaction action;
    return number == SIGHUP && sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

static void end(int number) {
    (void)number;
    /* Nothing but the exit: most functions must not be called in a handler (signal-safety(7)). */
    _exit(0);
}

void end_on_signals(void) {
    /* Otherwise a write to a client that is gone would kill the program; so it fails with EPIPE. */
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < ENDINGS; i++) {
        if (!stays_ignored(ENDING[i])) {
            signal(ENDING[i], end);
        }
    }
}

int signals_as_descriptor(int further) {
    signal(SIGPIPE, SIG_IGN);
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < ENDINGS; i++) {
        if (!stays_ignored(ENDING[i])) {
            sigaddset(&set, ENDING[i]);
        }
    }
    if (further != 0) {
        sigaddset(&set, further);
    }
    /* Blocked, a signal is not delivered: it waits until it is read from the descriptor. */
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0) {
        fail("cannot block signals: %s", strerror(errno));
    }
    int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd < 0) {
        fail("cannot receive signals: %s", strerror(errno));
    }
    return fd;
}
