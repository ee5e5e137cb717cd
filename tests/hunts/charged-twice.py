#!/usr/bin/env python3
# Bug: s5-post-sent-twice
"""The upstream takes an order and closes without an answer; the order must not be sent again."""

from hunting import Server, accept, expect, is_silent, receive, receive_until, upstream

ORDER = b"POST /orders HTTP/1.1\r\nHost: shop\r\nContent-Length: 4\r\n\r\none!"
FOUND = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

listener, address = upstream()
with Server("queue", "--upstream", address) as queue:
    # The connection is kept after one answer, as it is in the shop.
    client = queue.connect()
    client.sendall(b"GET /offers HTTP/1.1\r\nHost: shop\r\n\r\n")
    server = accept(listener)
    receive_until(server, b"\r\n\r\n")
    server.sendall(FOUND)
    expect(receive_until(client, b"ok").endswith(b"ok"), "the first answer does not arrive")
    client.sendall(ORDER)
    expect(receive_until(server, b"one!").endswith(b"one!"), "the order does not arrive")
    server.close()
    expect(is_silent(listener, 1), "the order is sent a second time")
    expect(receive(client, 12) == b"HTTP/1.1 502", "the client is not told that nothing is known of its order")
