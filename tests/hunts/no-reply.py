#!/usr/bin/env python3
# Bug: s2-end-of-input-closes-all
"""The server answers only when it has seen the end of the question."""

import subprocess

from hunting import Program, accept, expect, receive_all, upstream

listener, address = upstream()
with Program(address, stdin=subprocess.PIPE) as client:
    server = accept(listener)
    client.process.stdin.write(b"question\n")
    client.process.stdin.close()
    expect(receive_all(server) == b"question\n", "the question does not arrive")
    try:
        server.sendall(b"answer\n")
        server.close()
    except OSError as error:
        print(error)
    answer = client.process.stdout.read()
    expect(answer == b"answer\n", f"the client prints {answer!r}")
