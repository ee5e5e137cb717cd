#!/usr/bin/env python3
# Bug: s4-reset-becomes-an-end
"""The upstream breaks the connection in the middle: the client must not see an ordinary end."""

from hunting import Server, accept, exposed, receive, reset, upstream

listener, address = upstream()
with Server("--upstream", address) as proxy:
    client = proxy.connect()
    client.sendall(b"get\n")
    server = accept(listener)
    receive(server, 4)
    server.sendall(b"half")
    receive(client, 4)
    reset(server)
    try:
        rest = client.recv(1)
    except ConnectionResetError:
        pass
    else:
        exposed(f"the client sees {rest!r}, an ordinary end")
