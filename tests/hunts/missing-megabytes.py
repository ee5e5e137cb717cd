#!/usr/bin/env python3
# Bug: s3-short-write-ignored
"""A client that reads late: the server's send buffer fills up, and a write takes only a part."""

import socket
import threading

from hunting import PATIENCE, Server, expect, receive_all

# More than the kernel's largest buffers hold.
BLOCK = b"".join(b"%07d\n" % number for number in range(8192))
ANSWER = b"".join(line[::-1] + b"\n" for line in BLOCK.split(b"\n")[:-1])
COUNT = 192


def fill(client):
    """Sends until the server takes no more for a while; returns the unsent bytes."""
    client.settimeout(0.5)
    rest = memoryview(BLOCK * COUNT)
    try:
        while rest:
            rest = rest[client.send(rest[:65536]) :]
    except TimeoutError:
        pass
    client.settimeout(PATIENCE)
    return rest


def send_rest(client, rest):
    """Sends the rest, and ends the direction."""
    try:
        while rest:
            rest = rest[client.send(rest[:65536]) :]
        client.shutdown(socket.SHUT_WR)
    except OSError as error:
        print(error)


with Server() as server:
    client = server.connect(receive_buffer=4096)
    rest = fill(client)
    threading.Thread(target=send_rest, args=(client, rest), daemon=True).start()
    answer = receive_all(client)
    expect(answer == ANSWER * COUNT, f"{len(answer)} of {len(ANSWER) * COUNT} bytes have come, or they are others")
