#!/usr/bin/env python3
# Bug: s5-length-and-chunks
"""A request with a length and with chunks ends at two places: no program may pass it on."""

from hunting import Server, expect, is_silent, receive, upstream

SMUGGLED = b"GET /admin HTTP/1.1\r\nHost: shop\r\n\r\n"
CHUNKS = b"0\r\n\r\n" + SMUGGLED
REQUEST = (
    b"POST / HTTP/1.1\r\nHost: shop\r\n"
    + b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n" % len(CHUNKS)
    + CHUNKS
)

listener, address = upstream()
with Server("queue", "--upstream", address) as queue:
    client = queue.connect()
    client.sendall(REQUEST)
    expect(receive(client, 12) == b"HTTP/1.1 400", "the request is not refused")
    expect(is_silent(listener, 0.5), "the request reaches the upstream")
