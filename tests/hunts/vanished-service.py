#!/usr/bin/env python3
# Bug: s1-reset-ends-the-server
"""A client resets its connection; the next one must be served all the same."""

from hunting import Server, receive_until, reset, expect

with Server() as server:
    first = server.connect()
    first.sendall(b"a whole line\nand half a li")
    first.recv(1)
    reset(first)
    second = server.connect()
    second.sendall(b"next\n")
    expect(receive_until(second, b"\n") == b"txen\n", "the next client is not served")
