#!/usr/bin/env python3
# Bug: s4-one-end-ends-both
"""The client ends its direction and waits for the answer, which comes only then."""

import socket

from hunting import Server, accept, expect, receive_all, upstream

listener, address = upstream()
with Server("--upstream", address) as proxy:
    client = proxy.connect()
    client.sendall(b"report")
    client.shutdown(socket.SHUT_WR)
    server = accept(listener)
    expect(receive_all(server) == b"report", "the report does not arrive")
    try:
        server.sendall(b"receipt")
        server.close()
    except OSError as error:
        print(error)
    answer = receive_all(client)
    expect(answer == b"receipt", f"the client gets {answer!r}")
