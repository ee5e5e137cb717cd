"""Help for the script of a bug hunt: starts the program, talks to it, and says what was seen.

A hunt's script is any executable. It finds the program under test by the variable COURSE_BIN and ends with
    0   if the program is right,
    1   if it exposes the fault; an uncaught exception of Python is a 1, too,
and with anything else if it could not tell. Use of this file is free: grading puts it beside the script.
"""

import os
import re
import resource
import select
import socket
import struct
import subprocess
import sys
import time

# A busy machine takes longer for everything.
LOAD = min(max(os.getloadavg()[0] / os.cpu_count(), 1.0), 8.0)
SCALE = float(os.environ.get("COURSE_TIME_SCALE", "1")) * LOAD
# How long to wait for something that a right program does at once.
PATIENCE = 5.0 * SCALE


def exposed(why):
    """Ends the script: the program has the fault."""
    print(f"exposed: {why}", flush=True)
    sys.exit(1)


def expect(condition, why):
    """Goes on if the condition is true; otherwise the program has the fault."""
    if not condition:
        exposed(why)


class Program:
    """The program under test, started with some arguments; it ends with the `with` block."""

    def __init__(self, *arguments, stdin=subprocess.DEVNULL, descriptors=None):
        def limit():
            if descriptors is not None:
                resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))

        self.process = subprocess.Popen(
            [os.environ["COURSE_BIN"], *arguments],
            stdin=stdin,
            stdout=subprocess.PIPE,
            preexec_fn=limit,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def ended(self, patience=PATIENCE):
        """Waits for the program's end; returns its exit status, or None if it still runs."""
        try:
            return self.process.wait(patience)
        except subprocess.TimeoutExpired:
            return None

    def first_line(self):
        """Reads the first line of output, in which a server announces its address; empty if there is none."""
        output, line = self.process.stdout.fileno(), b""
        deadline = time.monotonic() + PATIENCE
        while not line.endswith(b"\n") and time.monotonic() < deadline:
            if select.select([output], [], [], 0.1)[0]:
                piece = os.read(output, 1)
                if not piece:
                    break
                line += piece
        return line.decode(errors="replace").strip()

    def cpu_seconds(self):
        """Returns the processor time that the program has used so far."""
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as file:
            words = file.read().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self):
        """Returns the bytes of memory that the program uses now."""
        with open(f"/proc/{self.process.pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Server(Program):
    """A program that listens. `address` is what it has announced."""

    def __init__(self, *arguments, listen="127.0.0.1:0", **options):
        super().__init__(*arguments, "--listen", listen, **options)
        line = self.first_line()
        found = re.fullmatch(r"listening on (\S+):(\d+)", line)
        if not found:
            self.__exit__()
            exposed(f"the server does not come up: its first line is {line!r}")
        self.address = (found[1].strip("[]"), int(found[2]))

    def connect(self, receive_buffer=None):
        """Connects; every call of the socket has a deadline."""
        client = socket.socket(socket.AF_INET6 if ":" in self.address[0] else socket.AF_INET)
        client.settimeout(PATIENCE)
        if receive_buffer is not None:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        client.connect(self.address)
        return client


def upstream():
    """Returns a listening socket for the other side of a proxy, and its address as text."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    listener.settimeout(PATIENCE)
    return listener, "127.0.0.1:%d" % listener.getsockname()[1]


def accept(listener):
    """Accepts a connection; every call of the socket has a deadline."""
    connection, _ = listener.accept()
    connection.settimeout(PATIENCE)
    return connection


def receive(connection, count):
    """Receives exactly `count` bytes, or fewer if the other side ends."""
    data = b""
    while len(data) < count:
        piece = connection.recv(min(count - len(data), 65536))
        if not piece:
            break
        data += piece
    return data


def receive_until(connection, end):
    """Receives up to and with `end`, byte by byte, or less if the other side ends."""
    data = b""
    while not data.endswith(end):
        piece = connection.recv(1)
        if not piece:
            break
        data += piece
    return data


def receive_all(connection):
    """Receives until the other side ends."""
    pieces = []
    while piece := connection.recv(65536):
        pieces.append(piece)
    return b"".join(pieces)


def is_silent(connection, seconds):
    """Returns whether neither a byte nor an end arrives for so long."""
    return not select.select([connection], [], [], seconds * SCALE)[0]


def reset(connection):
    """Closes a connection with a reset in place of a FIN."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
