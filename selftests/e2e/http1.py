# SPDX-License-Identifier: Apache-2.0
"""An HTTP/1.1 client that says exactly what it is told and believes nothing it is not shown.

Requests are bytes or are put together from parts; answers are parsed strictly, so that a wrong
length, a stray byte or a missing header is an error of the test and not smoothed over.
"""
import json
import socket
import ssl

from world import PATIENCE

LINE_LIMIT = 64 * 1024


class Closed(Exception):
    """The other side ended the connection where an answer should begin."""


class Malformed(Exception):
    """The answer is not HTTP/1.1."""


class Reply:
    def __init__(self, status, headers):
        self.status, self.headers = status, headers
        self.body, self.hints, self.trailers = b"", [], []
        self.chunked = False

    def all(self, name):
        return [v for k, v in self.headers if k.lower() == name.lower()]

    def __getitem__(self, name):
        values = self.all(name)
        assert len(values) <= 1, f"{name} is there {len(values)} times"
        return values[0] if values else None

    @property
    def echo(self):
        """What an endpoint said it got."""
        assert self.status == 200, f"status {self.status}: {self.body[:200]!r}"
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {self.headers} {self.body[:200]!r}>"


def head_of(method, target, host, headers=()):
    lines = [f"{method} {target} HTTP/1.1"]
    if host is not None:
        lines.append(f"Host: {host}")
    lines += [f"{k}: {v}" for k, v in (headers.items() if isinstance(headers, dict) else headers)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def chunks_of(body, size):
    pieces = [body[at:at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n"


def tls_context(ca=None, alpn=("http/1.1",), version=None):
    """A client's context that verifies against `ca`, or verifies nothing without one."""
    context = ssl.create_default_context(cafile=ca) if ca else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if not ca:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(list(alpn))
    if version:
        context.minimum_version = context.maximum_version = version
    return context


class Connection:
    def __init__(self, space, address, port, tls=None, server_name=None, timeout=PATIENCE, source=None,
                 receive_buffer=None):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.sock = space.socket(family)
        self.sock.settimeout(timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        try:
            if source:
                self.sock.bind((source, 0))
            self.sock.connect((address, port))
            if tls:
                self.sock = tls.wrap_socket(self.sock, server_hostname=server_name)
        except BaseException:
            self.sock.close()
            raise
        self._pending = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    def get(self, host, target="/", method="GET", headers=(), body=None):
        """One request, one answer."""
        extra = list(headers.items() if isinstance(headers, dict) else headers)
        if body is not None:
            extra.append(("Content-Length", len(body)))
        self.send(head_of(method, target, host, extra) + (body or b""))
        return self.reply(method)

    def receive(self, most=65536):
        if self._pending:
            data, self._pending = self._pending[:most], self._pending[most:]
            return data
        return self.sock.recv(most)

    def exactly(self, count):
        parts = []
        while count:
            data = self.receive(min(count, 1 << 20))
            if not data:
                raise Malformed(f"closed with {count} bytes still to come")
            parts.append(data)
            count -= len(data)
        return b"".join(parts)

    def until(self, mark):
        data = b""
        while mark not in data:
            more = self.receive()
            if not more:
                if data:
                    raise Malformed(f"closed in the middle of {data!r}")
                raise Closed()
            data += more
            if len(data) > LINE_LIMIT:
                raise Malformed("head too long")
        at = data.index(mark) + len(mark)
        self._pending = data[at:] + self._pending
        return data[:at]

    def rest(self):
        """All that comes until the other side closes."""
        parts = []
        while data := self.receive():
            parts.append(data)
        return b"".join(parts)

    def is_closed(self, seconds=PATIENCE):
        """The other side has closed, or closes within that time; bytes before it are an error."""
        self.sock.settimeout(seconds)
        try:
            data = self.receive()
        except (ConnectionResetError, BrokenPipeError):
            return True
        except TimeoutError:
            return False
        assert not data, f"bytes that nobody asked for: {data[:100]!r}"
        return True

    def head(self):
        raw = self.until(b"\r\n\r\n")
        lines = raw[:-4].decode("latin-1").split("\r\n")
        version, _, rest = lines[0].partition(" ")
        status = rest.split(" ")[0]
        if version != "HTTP/1.1" or not status.isdigit() or len(status) != 3:
            raise Malformed(f"status line {lines[0]!r}")
        headers = []
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            if not colon or not name or name != name.strip():
                raise Malformed(f"header {line!r}")
            headers.append((name, value.strip(" \t")))
        return Reply(int(status), headers)

    def reply(self, method="GET"):
        """The next final answer with its body; 1xx before it are kept in hints."""
        hints = []
        while True:
            reply = self.head()
            if reply.status >= 200 or reply.status == 101:
                break
            hints.append(reply)
        reply.hints = hints
        if reply.status == 101 or method == "HEAD" or reply.status in (204, 304):
            return reply
        coding = reply["Transfer-Encoding"]
        if coding:
            if coding.lower() != "chunked" or reply["Content-Length"] is not None:
                raise Malformed(f"framing {reply.headers}")
            reply.chunked = True
            reply.body = self._chunks(reply)
        elif reply["Content-Length"] is not None:
            reply.body = self.exactly(int(reply["Content-Length"]))
        else:
            if (reply["Connection"] or "").lower() != "close":
                raise Malformed("no length and no close")
            reply.body = self.rest()
        return reply

    def _chunks(self, reply):
        parts = []
        while size := int(self.until(b"\r\n")[:-2].split(b";")[0], 16):
            parts.append(self.exactly(size))
            if self.exactly(2) != b"\r\n":
                raise Malformed("a chunk that is longer than it says")
        while (line := self.until(b"\r\n")) != b"\r\n":
            name, _, value = line.decode("latin-1").partition(":")
            reply.trailers.append((name, value.strip()))
        return b"".join(parts)
