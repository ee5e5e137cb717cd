#!/usr/bin/env python3
# Bug: s5-late-answer-to-the-next
"""A client leaves while the upstream works on its answer; the next client must not get that answer."""

import select

from hunting import PATIENCE, Server, accept, exposed, expect, is_silent, receive_all, receive_until, reset, upstream

HEAD_END = b"\r\n\r\n"


def request(path):
    return f"GET {path} HTTP/1.1\r\nHost: mail\r\nConnection: close\r\n\r\n".encode()


def response(body):
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


listener, address = upstream()
with Server("queue", "--upstream", address) as queue:
    leaver = queue.connect()
    leaver.sendall(request("/hers"))
    server = accept(listener)
    receive_until(server, HEAD_END)
    stayer = queue.connect()
    stayer.sendall(request("/his"))
    reset(leaver)
    # The queue sees now that the leaver has gone. A wrong one sends the next request at once.
    is_silent(server, 0.5)
    server.sendall(response("hers"))
    # A right one sends it now, on this connection or on another.
    ready = select.select([server, listener], [], [], PATIENCE)[0]
    if listener in ready:
        server = accept(listener)
    elif not ready:
        exposed("the request of the client that stayed never reaches the upstream")
    receive_until(server, HEAD_END)
    server.sendall(response("his"))
    answer = receive_all(stayer)
    expect(answer.endswith(HEAD_END + b"his"), f"a client gets another one's answer: {answer[-20:]!r}")
