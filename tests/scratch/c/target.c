#define _GNU_SOURCE
#include "target.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool is_port(const char *text) {
    size_t length = strlen(text);
    /* strtol(3) would also take a sign and blanks, and 0 is no port to connect to. */
    return length >= 1 && length <= 5 && strspn(text, "0123456789") == length && atoi(text) >= 1 && atoi(text) <= 65535;
}

static bool is_ipv6(const char *host) {
    struct in6_addr address;
    char plain[256];
    size_t length = strcspn(host, "%");
    memcpy(plain, host, length);
    plain[length] = '\0';
    return inet_pton(AF_INET6, plain, &address) == 1;
}

struct target target_of(const char *text) {
    struct target target = {.host = ""};
    const char *colon = strrchr(text, ':');
    if (colon == NULL || !is_port(colon + 1)) {
        refuse("%s has no port at its end, like localhost:8080", text);
    }
    size_t length = (size_t)(colon - text);
    if (length == 0 || length >= sizeof target.host) {
        refuse("%s has no host before its port, like localhost:8080", text);
    }
    bool has_brackets = text[0] == '[' && colon[-1] == ']' && length > 2;
    const char *host = has_brackets ? text + 1 : text;
    memcpy(target.host, host, has_brackets ? length - 2 : length);
    strcpy(target.port, colon + 1);
    if (has_brackets ? !is_ipv6(target.host) : strpbrk(target.host, ":[] /@") != NULL) {
        refuse("%s has no host that can be looked up; an IPv6 address needs brackets, like [::1]:8080", text);
    }
    return target;
}

/* Appends the addresses of a list that are of a family, or that are not. */
static void append(struct addresses *found, const struct addrinfo *list, int family, bool is_of_family) {
    for (; list != NULL && found->count < MAX_ADDRESSES; list = list->ai_next) {
        if ((list->ai_family == family) == is_of_family) {
            struct address *address = &found->all[found->count++];
            address->length = list->ai_addrlen;
            memcpy(&address->storage, list->ai_addr, list->ai_addrlen);
        }
    }
}

void take_addresses(struct addresses *found, const struct addrinfo *list, int family) {
    found->count = 0;
    append(found, list, family, true);
    append(found, list, family, false);
}

const char *resolve(const struct target *target, int family, struct addresses *found) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *list;
    int error = getaddrinfo(target->host, target->port, &hints, &list);
    if (error != 0) {
        return error == EAI_SYSTEM ? strerror(errno) : gai_strerror(error);
    }
    take_addresses(found, list, family);
    freeaddrinfo(list);
    return NULL;
}

struct address plain_address(const struct address *address) {
    struct address plain = *address;
    struct sockaddr_in *v4 = (struct sockaddr_in *)&plain.storage;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&plain.storage;
    if (plain.storage.ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
        struct sockaddr_in inside = {.sin_family = AF_INET, .sin_port = v6->sin6_port};
        memcpy(&inside.sin_addr, v6->sin6_addr.s6_addr + 12, sizeof inside.sin_addr);
        *v4 = inside;
        plain.length = sizeof inside;
    }
    if (plain.storage.ss_family == AF_INET && v4->sin_addr.s_addr == htonl(INADDR_ANY)) {
        v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    } else if (plain.storage.ss_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr)) {
        v6->sin6_addr = in6addr_loopback;
    }
    return plain;
}

int start_connect(const struct address *address) {
    int fd = socket(address->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    if (connect(fd, (const struct sockaddr *)&address->storage, address->length) != 0 && errno != EINPROGRESS) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

int connect_error(int fd) {
    int error = 0;
    socklen_t length = sizeof error;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0 ? error : errno;
}
