#!/usr/bin/env python3
"""The program of stage 1 in another language: the same tests judge it, through COURSE_BIN."""

import argparse
import os
import signal
import socket
import sys
import time

MAX_LINE = 64 * 1024


def address(text):
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise ValueError(text)
    if host.startswith("[") and host.endswith("]"):
        family, host = socket.AF_INET6, host[1:-1]
    else:
        family = socket.AF_INET
    socket.inet_pton(family, host)
    return family, host, int(port)


def show(name):
    host, port = name[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def listen(family, host, port):
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.bind((host, port))
    listener.listen(4096)
    return listener


def serve(client):
    rest = b""
    while piece := client.recv(16 * 1024):
        *lines, rest = (rest + piece).split(b"\n")
        answer = b""
        for line in lines:
            if len(line) > MAX_LINE:
                client.sendall(answer)
                return
            answer += line[::-1] + b"\n"
        client.sendall(answer)
        if len(rest) > MAX_LINE:
            return
    client.sendall(rest[::-1])


def main():
    parser = argparse.ArgumentParser(prog="stage1-server")
    parser.add_argument("--listen", metavar="ADDR:PORT", type=address, default=address("127.0.0.1:8080"),
                        help="address to listen on [default: 127.0.0.1:8080]")
    options = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: os._exit(0))
    family, host, port = options.listen
    try:
        listener = listen(family, host, port)
    except OSError as error:
        where = show((host, port))
        sys.exit(f"stage1-server: cannot listen on {where}: {error.strerror}")
    print(f"listening on {show(listener.getsockname())}", flush=True)
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            time.sleep(0.5)
            continue
        with client:
            try:
                serve(client)
            except OSError:
                pass


main()
