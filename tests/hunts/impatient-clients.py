#!/usr/bin/env python3
# Bug: s4-early-bytes-are-dropped
"""A client that sends its first bytes together with its SOCKS5 request."""

import socket
import struct

from hunting import Server, accept, expect, is_silent, receive, upstream

listener, address = upstream()
host, _, port = address.rpartition(":")
with Server("--ingress", "socks5") as proxy:
    client = proxy.connect()
    client.sendall(b"\x05\x01\x00")
    expect(receive(client, 2) == b"\x05\x00", "the greeting is not answered")
    request = b"\x05\x01\x00\x01" + socket.inet_aton(host) + struct.pack(">H", int(port))
    client.sendall(request + b"hello")
    server = accept(listener)
    expect(not is_silent(server, 3), "the first bytes of the client are lost")
    expect(receive(server, 5) == b"hello", "the first bytes of the client have changed")
