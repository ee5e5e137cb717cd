#!/usr/bin/env python3
# Bug: s2-send-first-then-receive
"""A server that answers while it is still being sent to, with more than all buffers between the two hold."""

import subprocess
import threading

from hunting import PATIENCE, Program, accept, expect, upstream

DATA = bytes(range(256)) * (64 << 10)


def echo(connection):
    try:
        while piece := connection.recv(65536):
            connection.sendall(piece)
    except OSError:
        pass
    connection.close()


def feed(pipe):
    try:
        pipe.write(DATA)
        pipe.close()
    except OSError:
        pass


listener, address = upstream()
with Program(address, stdin=subprocess.PIPE) as client:
    server = accept(listener)
    for work, what in [(echo, server), (feed, client.process.stdin)]:
        threading.Thread(target=work, args=(what,), daemon=True).start()
    # A client that is stuck is ended here, so that the read below ends as well.
    watch = threading.Timer(2 * PATIENCE, client.process.kill)
    watch.start()
    answer = client.process.stdout.read()
    watch.cancel()
    expect(answer == DATA, f"only {len(answer)} of {len(DATA)} bytes have come back")
