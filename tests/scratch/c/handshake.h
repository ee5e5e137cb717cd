/* How a client says where it wants to go. Bytes go in, a reply and at last a target come out: no socket is touched here.

       FIXED   says nothing; the target is --upstream
       SOCKS5  greeting  05 n METHODS                 reply  05 00, or 05 ff if no method fits        RFC 1928 section 3
               request   05 01 00 TYPE ADDRESS PORT   reply  05 CODE 00 01 0.0.0.0 0                  sections 4 and 6
       HTTP    CONNECT HOST:PORT HTTP/1.1, fields, and an empty line                                  RFC 9110 section 9.3.6 */

#ifndef HANDSHAKE_H
#define HANDSHAKE_H

#include "target.h"

enum ingress { FIXED, SOCKS5, HTTP };

/* Why there is no connection to the target. Each protocol has its own words for it. */
enum failure { UNKNOWN_NAME, REFUSED, TIMED_OUT, UNREACHABLE, DENIED, TOO_SLOW };

enum verdict { MORE, TARGET, NO_TARGET };

enum { REPLY_BYTES = 512 };

struct handshake {
    enum ingress ingress;
    /* SOCKS5: the greeting has been answered. */
    bool is_greeted;
    /* For the client, not taken yet by the caller. */
    size_t reply_length;
    char reply[REPLY_BYTES];
};

/* Looks at the bytes that have come, of which there will be `most` at most. Sets `used` to the number of those that it needs
   no more: the bytes behind them belong to the target. */
enum verdict handshake_step(struct handshake *handshake, const char *bytes, size_t length, size_t most, size_t *used,
                            struct target *target);

/* Writes the reply for a client whose target is connected, or isn't. */
void handshake_connected(struct handshake *handshake);
void handshake_failed(struct handshake *handshake, enum failure failure);

#endif
