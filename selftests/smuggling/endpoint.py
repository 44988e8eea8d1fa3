# SPDX-License-Identifier: Apache-2.0
"""Endpoints of the tests: each records every byte it gets, has it judged (strict.py) and answers.

An endpoint is a thread a connection in this process, on an address of its own in the endpoints'
namespace. What it does with a message is its `script`, which a test may replace:

    script(exchange) → whether the connection goes on

where exchange has sock, message, connection (its number) and number (of the message on it).
"""
import contextlib
import socket
import struct
import threading

from strict import Reader
from world import CLIENT4

PORT = 8090  # echo.py has 8080 of every address
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Exchange:
    def __init__(self, sock, message, connection, number):
        self.sock, self.message = sock, message
        self.connection, self.number = connection, number

    def send(self, data):
        self.sock.sendall(data)

    def reset(self):
        reset(self.sock)


def reset(sock):
    """Closes with RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def polite(exchange):
    exchange.send(OK if exchange.message.method != b"HEAD" else OK[:-2])
    return True


class Endpoint:
    def __init__(self, world, address):
        self.script = polite
        self.on_accept = None  # on_accept(sock, number) → whether to read on
        self.on_head = None    # on_head(sock, message): its body has not come yet
        self.connections = 0  # accepted so far
        self.readers = []
        self._lock = threading.Lock()
        self._listener = world.ends.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind((address, PORT))
        self._listener.listen(1024)
        threading.Thread(target=self._accept, daemon=True).start()
        world.on_close(self._listener.close)

    def reset(self):
        """As new: recorded nothing, polite. Connections that are open stay."""
        self.script, self.on_accept, self.on_head = polite, None, None
        with self._lock:
            self.readers = [r for r in self.readers if not r.is_over]
            for reader in self.readers:
                reader.messages.clear()
                reader.complaints.clear()

    def hang_up(self):
        """Ends all its connections."""
        with self._lock:
            for reader in self.readers:
                with contextlib.suppress(OSError):
                    reader.sock.shutdown(socket.SHUT_RDWR)

    @property
    def messages(self):
        with self._lock:
            return [m for reader in self.readers for m in reader.messages]

    @property
    def complaints(self):
        with self._lock:
            return [c for reader in self.readers for c in reader.complaints]

    def heads(self):
        """Complete messages and those whose body never came."""
        with self._lock:
            return self._all_heads()

    def _all_heads(self):
        waiting = [reader.head_waits() for reader in self.readers]
        return [m for r in self.readers for m in r.messages] + [m for m in waiting if m]

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                reader = Reader(CLIENT4)
                reader.is_over, reader.sock = False, sock
                with self._lock:
                    self.readers.append(reader)
                    self.connections += 1
                    number = self.connections
                threading.Thread(target=self._serve, args=(sock, reader, number), daemon=True).start()

    def _serve(self, sock, reader, number):
        with contextlib.suppress(OSError), sock:
            self._answer(sock, reader, number)
        reader.is_over = True

    def _answer(self, sock, reader, number):
        if self.on_accept and not self.on_accept(sock, number):
            return
        count = 0
        while data := sock.recv(65536):
            with self._lock:
                fresh = reader.feed(data)
            if self.on_head and reader.head_waits() and not fresh:
                self.on_head(sock, reader.head_waits())
            for message in fresh:
                count += 1
                if not self.script(Exchange(sock, message, number, count)):
                    return
