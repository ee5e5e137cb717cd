#!/usr/bin/env python3
# Bug: s5-head-has-a-body
"""A HEAD is answered with the length of a body that does not come; the next request must not wait for it."""

import select

from hunting import PATIENCE, Server, accept, expect, receive_until, upstream

HEAD_END = b"\r\n\r\n"

listener, address = upstream()
with Server("queue", "--upstream", address) as queue:
    check = queue.connect()
    check.sendall(b"HEAD / HTTP/1.1\r\nHost: shop\r\n\r\n")
    server = accept(listener)
    receive_until(server, HEAD_END)
    server.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
    expect(b" 200 " in receive_until(check, HEAD_END), "the check has no answer")
    client = queue.connect()
    client.sendall(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n")
    ready = select.select([server, listener], [], [], PATIENCE)[0]
    expect(ready, "a request waits for the body of an answer that has none")
    if listener in ready:
        server = accept(listener)
    expect(receive_until(server, HEAD_END).startswith(b"GET / "), "another request arrives")
    server.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
    expect(receive_until(client, b"hello").endswith(HEAD_END + b"hello"), "the client gets another answer")
