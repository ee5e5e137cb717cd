#!/usr/bin/env python3
# Bug: s4-the-password-is-passed-on
"""A request with the proxy's password: the target must not get it."""

from hunting import Server, accept, expect, receive_until, upstream

listener, address = upstream()
with Server("--ingress", "http", "--user", "office:secret") as proxy:
    client = proxy.connect()
    request = f"GET http://{address}/ HTTP/1.1\r\nHost: {address}\r\nProxy-Authorization: Basic b2ZmaWNlOnNlY3JldA==\r\n\r\n"
    client.sendall(request.encode())
    head = receive_until(accept(listener), b"\r\n\r\n")
    expect(head.startswith(b"GET / "), f"the request does not arrive: {head!r}")
    expect(b"b2ZmaWNlOnNlY3JldA==" not in head, "the target gets the password of the proxy")
