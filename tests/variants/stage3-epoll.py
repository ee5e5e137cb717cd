#!/usr/bin/env python3
"""The program of stage 3 in another language, on poll(2), which is level-triggered: the same tests judge it, through COURSE_BIN."""

import argparse
import errno
import os
import select
import signal
import socket
import sys
import time

MAX_LINE = 64 * 1024
MAX_PENDING = 256 * 1024
ACCEPTS = 64
PAUSE = 0.1
OURS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


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
    listener.setblocking(False)
    return listener


class Client:
    """A client, and what it waits for."""

    def __init__(self, peer):
        peer.setblocking(False)
        self.socket = peer
        self.rest = b""
        self.output = bytearray()
        self.ended = False

    def wishes(self):
        wants = 0
        if not self.ended and len(self.output) < MAX_PENDING:
            wants |= select.POLLIN
        if self.output:
            wants |= select.POLLOUT
        return wants

    def turn(self):
        """Reads once, answers, writes once; says whether the client stays."""
        if not self.ended and len(self.output) < MAX_PENDING:
            try:
                self.answer(self.socket.recv(16 * 1024))
            except BlockingIOError:
                pass
        if self.output:
            try:
                del self.output[:self.socket.send(self.output)]
            except BlockingIOError:
                pass
        return not self.ended or len(self.output) > 0

    def answer(self, piece):
        if not piece:
            self.output += self.rest[::-1]
            self.ended = True
            return
        *lines, self.rest = (self.rest + piece).split(b"\n")
        for line in lines:
            if len(line) > MAX_LINE:
                self.ended = True
                return
            self.output += line[::-1] + b"\n"
        self.ended = len(self.rest) > MAX_LINE


class Loop:
    """One thread, any number of clients."""

    def __init__(self, listener):
        self.listener = listener
        self.clients = {}
        self.poller = select.poll()
        self.poller.register(listener, select.POLLIN)
        self.rests_until = None

    def run(self):
        while True:
            for number, _ in self.poller.poll(None if self.rests_until is None else PAUSE * 1000):
                if number != self.listener.fileno():
                    self.serve(number)
            if self.rests_until is None or time.monotonic() >= self.rests_until:
                self.accept()

    def accept(self):
        if self.rests_until is not None:
            self.rests_until = None
            self.poller.register(self.listener, select.POLLIN)
        for _ in range(ACCEPTS):
            try:
                peer, _ = self.listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in OURS:
                    self.rests_until = time.monotonic() + PAUSE
                    self.poller.unregister(self.listener)
                    return
                continue
            client = Client(peer)
            self.clients[peer.fileno()] = client
            self.poller.register(peer, client.wishes())

    def serve(self, number):
        client = self.clients[number]
        try:
            stays = client.turn()
        except OSError:
            stays = False
        if stays:
            self.poller.modify(number, client.wishes())
        else:
            self.poller.unregister(number)
            del self.clients[number]
            client.socket.close()


def main():
    parser = argparse.ArgumentParser(prog="stage3-epoll")
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
        sys.exit(f"stage3-epoll: cannot listen on {where}: {error.strerror}")
    print(f"listening on {show(listener.getsockname())}", flush=True)
    Loop(listener).run()


main()
