# SPDX-License-Identifier: Apache-2.0
"""A TLS client that can be stopped, cut and made to say what Python's own never would.

OpenSSL's client runs between two memory BIOs, so that every byte on the wire passes through here.
Key updates and renegotiation are not in Python's module: those two functions are called in libssl by
way of the SSL pointer that Python's object holds.
"""
import contextlib
import ctypes
import socket
import ssl
import struct

from world import PATIENCE, wait_sent

_libssl = ctypes.CDLL("libssl.so.3")
for _name in ("SSL_key_update", "SSL_renegotiate", "SSL_do_handshake"):
    getattr(_libssl, _name).argtypes = [ctypes.c_void_p] + ([ctypes.c_int] if _name == "SSL_key_update" else [])


def _ssl_pointer(ssl_object):
    """SSL * of a Python object: PySSLSocket is object head, Socket reference, SSL pointer."""
    base = id(ssl_object._sslobj) + object.__basicsize__
    return ctypes.c_void_p.from_address(base + ctypes.sizeof(ctypes.c_void_p)).value


class Session:
    def __init__(self, sock, name, version=None, pieces=None):
        self.sock, self.pieces = sock, pieces
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["http/1.1"])
        if version:
            context.minimum_version = context.maximum_version = version
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        try:
            self.tls = context.wrap_bio(self._in, self._out, server_hostname=name)
        except (ValueError, UnicodeError):
            self.tls = None  # a name that OpenSSL's client cannot be made to say

    def close(self):
        self.sock.close()

    def abandon(self, is_reset):
        if is_reset:
            with contextlib.suppress(OSError):
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def flush(self):
        data = self._out.read()
        if not self.pieces:
            self.sock.sendall(data)
            return
        for at in range(0, len(data), self.pieces):
            self.sock.sendall(data[at:at + self.pieces])
            if at < 700:
                wait_sent(self.sock)

    def _receive(self):
        data = self.sock.recv(65536)
        if not data:
            self._in.write_eof()
        self._in.write(data)
        return bool(data)

    def connect(self):
        """Whether the handshake came to its end."""
        if not self.tls:
            return False
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            while True:
                try:
                    self.tls.do_handshake()
                    self.flush()
                    return True
                except ssl.SSLWantReadError:
                    self.flush()
                    if not self._receive():
                        return False
                except ssl.SSLError:
                    return False
        return False

    def steps(self, count):
        """So many flights of the handshake."""
        for _ in range(count):
            try:
                self.tls.do_handshake()
                self.flush()
                return
            except ssl.SSLWantReadError:
                self.flush()
                if not self._receive():
                    return

    def write(self, data, cut=0, flip=False):
        self.tls.write(data)
        cipher = self._out.read()
        if flip:
            cipher = cipher[:-1] + bytes([cipher[-1] ^ 1])
        self.sock.sendall(cipher[:len(cipher) - cut])

    def read(self):
        """Plain bytes, once some have come; b"" at the end."""
        while True:
            try:
                return self.tls.read(65536)
            except ssl.SSLWantReadError:
                self.flush()
                try:
                    if not self._receive():
                        return b""
                except ConnectionResetError:
                    return b""
            except ssl.SSLError:
                return b""

    def _update(self, count):
        """OpenSSL makes one key update at a time: the next one after the first is written."""
        pointer = _ssl_pointer(self.tls)
        for _ in range(count):
            if _libssl.SSL_key_update(pointer, 1) != 1:
                return
            _libssl.SSL_do_handshake(pointer)

    def prepare_updates(self, count):
        self._update(count)
        return self._out.read()

    def update_keys(self, count):
        """Sends so many, each asking for the other side's, and takes what comes back."""
        self.sock.sendall(self.prepare_updates(count))
        self.sock.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            if not self._receive():
                raise ConnectionResetError
        self.sock.settimeout(PATIENCE)
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.read(1)

    def renegotiate(self):
        """Whether the connection goes on after the other side's answer, a no_renegotiation warning."""
        pointer = _ssl_pointer(self.tls)
        if _libssl.SSL_renegotiate(pointer) != 1:
            return False
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            self.flush()
            if not self._receive():
                return False
            with contextlib.suppress(ssl.SSLWantReadError):
                try:
                    self.tls.read(1)
                except ssl.SSLWantReadError:
                    raise
                except ssl.SSLError:
                    return False
        except ssl.SSLError:
            return False
        return True
