#!/usr/bin/env python3
# Bug: s3-out-of-descriptors-is-the-end
"""More clients than the server has descriptors: each must be served when others have left."""

from hunting import Server, expect, receive

with Server(descriptors=64) as server:
    clients = [server.connect() for _ in range(120)]
    for client in clients:
        client.sendall(b"ab\n")
    for number, client in enumerate(clients):
        expect(receive(client, 3) == b"ba\n", f"client {number} is not served")
        client.close()
    expect(server.ended(0.1) is None, "the server has ended")
