#!/usr/bin/env python3
# Bug: s1-no-reuse-address
"""A connection that the last run has closed first is still in the kernel when the next run binds."""

from hunting import Program, Server, expect


def comes_back():
    """Ends a server that has a client, and returns whether its port can be used again."""
    with Server() as server:
        client = server.connect()
        client.sendall(b"ab\n")
        client.recv(3)
        again = "%s:%d" % server.address
    with Program("--listen", again) as program:
        return program.first_line() == f"listening on {again}"


# Three tries, because the kernel may have given the free port to another program.
expect(any(comes_back() for _ in range(3)), "the port of the last run cannot be used")
