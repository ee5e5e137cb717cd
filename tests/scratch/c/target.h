/* Where a client connects to: a name or an address with a port, and the addresses that the name has. */

#ifndef TARGET_H
#define TARGET_H

#include "net.h"

/* The most addresses of a name that are tried. */
enum { MAX_ADDRESSES = 16 };

struct target {
    char host[256];
    char port[8];
};

/* The addresses of a target, in the order in which they are tried. */
struct addresses {
    size_t count;
    struct address all[MAX_ADDRESSES];
};

/* Reads `localhost:8080`, `127.0.0.1:80` or `[::1]:80`; ends the program with 2 if `text` is something else. */
struct target target_of(const char *text);

/* Looks a target up. The addresses of the family come first (AF_INET6 or AF_INET), then the others. Returns NULL, or the
   reason why there are none. */
const char *resolve(const struct target *target, int family, struct addresses *found);

/* Takes the addresses out of a list, those of the family first. */
struct addrinfo;
void take_addresses(struct addresses *found, const struct addrinfo *list, int family);

/* Returns whether a text is a port to connect to: a number from 1 to 65535. */
bool is_port(const char *text);

/* Returns where a connect to an address really goes: 127.0.0.1 for ::ffff:127.0.0.1 and for 0.0.0.0, ::1 for ::. */
struct address plain_address(const struct address *address);

/* Starts to connect and does not wait: EINPROGRESS is success. Returns the non-blocking socket, or -1 and errno. */
int start_connect(const struct address *address);

/* Returns how an attempt has ended, once its socket is writable: 0, or the error. */
int connect_error(int fd);

#endif
