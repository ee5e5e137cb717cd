#!/usr/bin/env python3
# Bug: s1-half-a-line-forgotten
"""A line that comes in pieces, with pauses that a slow network would make."""

import time

from hunting import Server, expect, receive_until

with Server() as server:
    client = server.connect()
    for piece in [b"one ", b"two ", b"three ", b"four\n"]:
        client.sendall(piece)
        time.sleep(0.1)
    answer = receive_until(client, b"\n")
    expect(answer == b"ruof eerht owt eno\n", f"the answer is {answer!r}")
