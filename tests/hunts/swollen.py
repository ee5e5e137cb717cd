#!/usr/bin/env python3
# Bug: s3-no-backpressure
"""A client that sends and never reads: a server that goes on reading must keep the answers somewhere."""

from hunting import Server, expect

PIECE = (b"x" * 1023 + b"\n") * 64
MOST = 64 << 20

with Server() as server:
    client = server.connect(receive_buffer=4096)
    client.sendall(b"a\n")
    client.recv(2)
    before, sent = server.memory(), 0
    # A server that has stopped reading lets our send buffer fill up.
    client.settimeout(0.5)
    try:
        while sent < MOST:
            sent += client.send(PIECE)
    except TimeoutError:
        pass
    grown = server.memory() - before
    expect(grown < 24 << 20, f"{grown >> 20} MiB more after {sent >> 20} MiB that were not read")
