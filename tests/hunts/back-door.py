#!/usr/bin/env python3
# Bug: s4-mapped-is-another-address
"""A forbidden IPv4 address, written as an address of IPv6."""

import socket
import struct

from hunting import Server, expect, receive, upstream

listener, address = upstream()
port = struct.pack(">H", int(address.rpartition(":")[2]))
PLAIN = b"\x01" + socket.inet_aton("127.0.0.1")
MAPPED = b"\x04" + socket.inet_pton(socket.AF_INET6, "::ffff:127.0.0.1")

with Server("--ingress", "socks5", "--allow", "any", "--deny", "127.0.0.0/8") as proxy:
    for target in [PLAIN, MAPPED]:
        client = proxy.connect()
        client.sendall(b"\x05\x01\x00")
        receive(client, 2)
        client.sendall(b"\x05\x01\x00" + target + port)
        reply = receive(client, 2)
        expect(reply[1:] != b"\x00", f"the proxy connects to {target.hex()}")
