#define _GNU_SOURCE
#include "handshake.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

/* --- SOCKS5 --- */

/* The numbers of RFC 1928. */
enum { VERSION = 5, NO_AUTHENTICATION = 0, NO_METHOD = 0xff, CONNECT = 1, IPV4 = 1, NAME = 3, IPV6 = 4 };
enum { SUCCEEDED = 0, GENERAL = 1, NOT_ALLOWED = 2, NO_HOST = 4, NO_LISTENER = 5, EXPIRED = 6, NO_COMMAND = 7, NO_TYPE = 8 };

static void append(struct handshake *handshake, const void *bytes, size_t length) {
    memcpy(handshake->reply + handshake->reply_length, bytes, length);
    handshake->reply_length += length;
}

/* A client needs no address in the reply to CONNECT, so it's 0.0.0.0, port 0. */
static void append_code(struct handshake *handshake, unsigned char code) {
    append(handshake, (unsigned char[]){VERSION, code, 0, IPV4, 0, 0, 0, 0, 0, 0}, 10);
}

static enum verdict refuse_request(struct handshake *handshake, unsigned char code) {
    append_code(handshake, code);
    return NO_TARGET;
}

static enum verdict greet(struct handshake *handshake, const unsigned char *bytes, size_t length, size_t *used) {
    if (length >= 1 && bytes[0] != VERSION) {
        return NO_TARGET;
    }
    if (length < 2 || length < 2u + bytes[1]) {
        return MORE;
    }
    bool fits = memchr(bytes + 2, NO_AUTHENTICATION, bytes[1]) != NULL;
    append(handshake, (unsigned char[]){VERSION, fits ? NO_AUTHENTICATION : NO_METHOD}, 2);
    *used = 2u + bytes[1];
    handshake->is_greeted = true;
    return fits ? MORE : NO_TARGET;
}

/* Writes the host of a request, whose address has `size` bytes, as text; returns whether it is one. */
static bool read_host(unsigned char type, const unsigned char *address, size_t size, struct target *target) {
    switch (type) {
    case IPV4:
        return inet_ntop(AF_INET, address, target->host, sizeof target->host) != NULL;
    case IPV6:
        return inet_ntop(AF_INET6, address, target->host, sizeof target->host) != NULL;
    default:
        memcpy(target->host, address, size);
        target->host[size] = '\0';
        /* A zero byte would end the name early, and another name would be looked up than was asked for. */
        return size > 0 && strlen(target->host) == size;
    }
}

static enum verdict read_request(struct handshake *handshake, const unsigned char *bytes, size_t length, size_t *used,
                                 struct target *target) {
    if (length >= 2 && bytes[1] != CONNECT) {
        return refuse_request(handshake, NO_COMMAND);
    }
    if (length < 5) {
        return MORE;
    }
    unsigned char type = bytes[3];
    if (type != IPV4 && type != NAME && type != IPV6) {
        return refuse_request(handshake, NO_TYPE);
    }
    /* The address begins behind the type, or behind the length of a name. */
    size_t begin = type == NAME ? 5 : 4;
    size_t size = type == IPV4 ? 4 : type == IPV6 ? 16 : bytes[4];
    if (length < begin + size + 2) {
        return MORE;
    }
    unsigned port = bytes[begin + size] * 256u + bytes[begin + size + 1];
    if (!read_host(type, bytes + begin, size, target) || port == 0) {
        return refuse_request(handshake, GENERAL);
    }
    snprintf(target->port, sizeof target->port, "%u", port);
    *used = begin + size + 2;
    return TARGET;
}

static enum verdict step_socks5(struct handshake *handshake, const unsigned char *bytes, size_t length, size_t *used,
                                struct target *target) {
    *used = 0;
    if (!handshake->is_greeted) {
        enum verdict verdict = greet(handshake, bytes, length, used);
        if (verdict != MORE || !handshake->is_greeted) {
            return verdict;
        }
    }
    /* The request may have come with the greeting. */
    size_t of_greeting = *used, of_request = 0;
    enum verdict verdict = read_request(handshake, bytes + of_greeting, length - of_greeting, &of_request, target);
    *used = of_greeting + of_request;
    return verdict;
}

static unsigned char code_of(enum failure failure) {
    switch (failure) {
    case UNKNOWN_NAME:
    case UNREACHABLE:
        return NO_HOST;
    case REFUSED:
        return NO_LISTENER;
    case TIMED_OUT:
        return EXPIRED;
    case DENIED:
        return NOT_ALLOWED;
    case TOO_SLOW:
        return GENERAL;
    }
    return GENERAL;
}

/* --- HTTP --- */

static void append_status(struct handshake *handshake, const char *status, const char *why) {
    int length = snprintf(handshake->reply, sizeof handshake->reply,
                          "HTTP/1.1 %s\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s\n", status,
                          strlen(why) + 1, why);
    handshake->reply_length = (size_t)length;
}

static enum verdict refuse_head(struct handshake *handshake, const char *status, const char *why) {
    append_status(handshake, status, why);
    return NO_TARGET;
}

/* Takes `host:port` or `[address]:port` apart; returns whether it is one. */
static bool read_authority(const char *text, size_t length, struct target *target) {
    const char *colon = memrchr(text, ':', length);
    if (colon == NULL) {
        return false;
    }
    size_t digits = length - (size_t)(colon - text) - 1, size = (size_t)(colon - text);
    bool has_brackets = size > 2 && text[0] == '[' && colon[-1] == ']';
    const char *host = has_brackets ? text + 1 : text;
    size -= has_brackets ? 2 : 0;
    if (digits < 1 || digits >= sizeof target->port || size < 1 || size >= sizeof target->host) {
        return false;
    }
    memcpy(target->port, colon + 1, digits);
    target->port[digits] = '\0';
    memcpy(target->host, host, size);
    target->host[size] = '\0';
    bool is_host = strlen(target->host) == size && (has_brackets || strpbrk(target->host, ":[]/@") == NULL);
    return is_host && is_port(target->port);
}

static enum verdict step_http(struct handshake *handshake, const char *bytes, size_t length, size_t most, size_t *used,
                              struct target *target) {
    static const char METHOD[] = "CONNECT ";
    size_t compared = length < sizeof METHOD - 1 ? length : sizeof METHOD - 1;
    *used = 0;
    if (memcmp(bytes, METHOD, compared) != 0) {
        return refuse_head(handshake, "501 Not Implemented", "This proxy opens tunnels by CONNECT, and does nothing else.");
    }
    const char *end = memmem(bytes, length, "\r\n\r\n", 4);
    if (end == NULL) {
        return length < most ? MORE : refuse_head(handshake, "431 Request Header Fields Too Large", "The head is too long.");
    }
    const char *authority = bytes + sizeof METHOD - 1;
    const char *line_end = memmem(bytes, length, "\r\n", 2);
    const char *blank = memchr(authority, ' ', (size_t)(line_end - authority));
    if (blank == NULL || line_end - blank != 9 || memcmp(blank, " HTTP/1.", 8) != 0 ||
        !read_authority(authority, (size_t)(blank - authority), target)) {
        return refuse_head(handshake, "400 Bad Request", "A tunnel is asked for by CONNECT HOST:PORT HTTP/1.1.");
    }
    *used = (size_t)(end - bytes) + 4;
    return TARGET;
}

static void fail_http(struct handshake *handshake, enum failure failure) {
    switch (failure) {
    case UNKNOWN_NAME:
        append_status(handshake, "502 Bad Gateway", "The name of the target has no address.");
        return;
    case REFUSED:
        append_status(handshake, "502 Bad Gateway", "The target refuses: connection refused.");
        return;
    case UNREACHABLE:
        append_status(handshake, "502 Bad Gateway", "The target cannot be reached.");
        return;
    case TIMED_OUT:
        append_status(handshake, "504 Gateway Timeout", "The target does not answer: connect timed out.");
        return;
    case DENIED:
        append_status(handshake, "403 Forbidden", "The proxy does not connect to that target.");
        return;
    case TOO_SLOW:
        append_status(handshake, "408 Request Timeout", "The head did not come in time.");
        return;
    }
}

/* --- either of them --- */

enum verdict handshake_step(struct handshake *handshake, const char *bytes, size_t length, size_t most, size_t *used,
                            struct target *target) {
    handshake->reply_length = 0;
    switch (handshake->ingress) {
    case SOCKS5:
        return step_socks5(handshake, (const unsigned char *)bytes, length, used, target);
    case HTTP:
        return step_http(handshake, bytes, length, most, used, target);
    case FIXED:
        break;
    }
    *used = 0;
    return NO_TARGET;
}

void handshake_connected(struct handshake *handshake) {
    static const char ESTABLISHED[] = "HTTP/1.1 200 Connection established\r\n\r\n";
    handshake->reply_length = 0;
    if (handshake->ingress == SOCKS5) {
        append_code(handshake, SUCCEEDED);
    } else if (handshake->ingress == HTTP) {
        append(handshake, ESTABLISHED, sizeof ESTABLISHED - 1);
    }
}

void handshake_failed(struct handshake *handshake, enum failure failure) {
    handshake->reply_length = 0;
    if (handshake->ingress == SOCKS5 && handshake->is_greeted) {
        append_code(handshake, code_of(failure));
    } else if (handshake->ingress == HTTP) {
        fail_http(handshake, failure);
    }
}
