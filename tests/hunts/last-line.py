#!/usr/bin/env python3
# Bug: s3-fin-drops-answers
"""A last line without a newline, and the end of the input right behind it."""

import socket

from hunting import Server, expect, receive_all

with Server() as server:
    client = server.connect()
    client.sendall(b"first\nlast")
    client.shutdown(socket.SHUT_WR)
    answer = receive_all(client)
    expect(answer == b"tsrif\ntsal", f"the answer is {answer!r}")
