#!/usr/bin/env python3
# Bug: s2-reset-is-an-end
"""The server breaks the connection in the middle: the exit status must say so."""

import subprocess

from hunting import Program, accept, expect, reset, upstream

listener, address = upstream()
with Program(address, stdin=subprocess.PIPE) as client:
    server = accept(listener)
    server.sendall(b"half")
    client.process.stdout.read(4)
    reset(server)
    status = client.ended()
    expect(status is not None, "the client goes on after the connection broke")
    expect(status != 0, "the client calls a broken transfer a success")
