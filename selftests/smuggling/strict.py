# SPDX-License-Identifier: Apache-2.0
"""The strictest reader of HTTP/1.1 that can be thought of, for what an endpoint gets.

It takes the bytes of one connection, splits them into messages and complains about everything that
another endpoint could read in another way: line ends, bytes, names, framing, fields that belong to the
connection before. Complaints are texts; a test wants none.
"""
import re

TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
TARGET = re.compile(rb"[!-~]+\Z")
VALUE = re.compile(rb"(?:[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?\Z")
HOST = re.compile(rb"(?:[0-9A-Za-z._~-]*|\[[0-9a-fA-F:.]+\])(?::[0-9]*)?\Z")
PROTOCOL = re.compile(rb"(?!(?:h2c|http|tls)(?:/|\Z))[!#$%&'*+\-.^_`|~0-9a-z]+(?:/[!#$%&'*+\-.^_`|~0-9a-z]+)?\Z", re.I)
CHUNK_SIZE = re.compile(rb"[0-9a-fA-F]{1,16}\Z")

# Of the connection between client and proxy; an endpoint must not see them.
HOP = {b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"upgrade",
       b"http2-settings", b"proxy-authorization", b"proxy-authenticate", b"proxy"}
# The proxy's own word, once each; and those it never says.
OURS = (b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-forwarded-port", b"x-real-ip",
        b"x-request-id")
NOBODYS = {b"forwarded", b"x-forwarded-prefix", b"x-forwarded-scheme", b"x-forwarded-server", b"x-scheme"}


class Bad(Exception):
    """Not a message: what follows cannot be read either."""


class Message:
    def __init__(self, method, target, fields):
        self.method, self.target, self.fields = method, target, fields
        self.body = b""

    def all(self, name):
        return [value for key, value in self.fields if key == name]

    def one(self, name):
        values = self.all(name)
        return values[0] if len(values) == 1 else None


class Reader:
    """Feed it bytes; it fills messages and complaints. What is not complete yet stays in `data`."""

    def __init__(self, client):
        self.client = client.encode()
        self.data = b""
        self.messages = []
        self.complaints = []
        self.is_tunnel = False
        self.is_bad = False
        self._head = None  # the message whose body is awaited

    def feed(self, data):
        """The messages that became complete."""
        self.data += data
        before = len(self.messages)
        while not self.is_bad and not self.is_tunnel and self._step():
            pass
        return self.messages[before:]

    @property
    def has_rest(self):
        """Part of a message has come, and not the end of it."""
        return bool(self.data) or self._head is not None

    def head_waits(self):
        """The message whose head is here and whose body is not."""
        return self._head

    def _step(self):
        try:
            if self._head is None:
                at = self.data.find(b"\r\n\r\n")
                if at < 0:
                    if len(self.data) > 256 * 1024:
                        raise Bad("a head without end")
                    return False
                head, self.data = self.data[:at], self.data[at + 4:]
                self._head = self._read_head(head)
            return self._read_body()
        except Bad as error:
            self.complaints.append(str(error))
            self.is_bad = True
            return False

    # ---- heads ---------------------------------------------------------------------------------

    def _read_head(self, head):
        lines = head.split(b"\r\n")
        if re.search(rb"[\r\n]", head.replace(b"\r\n", b"")):
            raise Bad(f"bare CR or LF in {head!r}")
        parts = lines[0].split(b" ")
        if len(parts) != 3 or not TOKEN.match(parts[0]) or parts[2] != b"HTTP/1.1":
            raise Bad(f"request line {lines[0]!r}")
        message = Message(parts[0], parts[1], [self._read_field(line) for line in lines[1:]])
        if not TARGET.match(parts[1]) or b"#" in parts[1] or not (
                parts[1].startswith(b"/") or parts[1] == b"*" and parts[0] == b"OPTIONS"):
            self._complain(f"target {parts[1]!r}")
        self._judge_host(message)
        self._judge_framing(message)
        self._judge_hop(message)
        self._judge_trust(message)
        return message

    def _read_field(self, line):
        name, colon, value = line.partition(b":")
        if not colon or not TOKEN.match(name):
            raise Bad(f"field line {line!r}")
        value = value.strip(b" \t")
        if not VALUE.match(value):
            raise Bad(f"value in {line!r}")
        if b"_" in name:
            self._complain(f"underscore in a name: {line!r}")
        return name.lower(), value

    def _complain(self, text):
        self.complaints.append(text)

    def _judge_host(self, message):
        hosts = message.all(b"host")
        if len(hosts) != 1:
            self._complain(f"{len(hosts)} Hosts: {hosts}")
        elif not HOST.match(hosts[0]):
            self._complain(f"Host {hosts[0]!r}")

    def _judge_framing(self, message):
        lengths, codings = message.all(b"content-length"), message.all(b"transfer-encoding")
        if len(lengths) + len(codings) > 1:
            raise Bad(f"framing: lengths {lengths}, codings {codings}")
        if lengths and not re.match(rb"[0-9]{1,19}\Z", lengths[0]):
            raise Bad(f"Content-Length {lengths[0]!r}")
        if codings and codings[0] != b"chunked":
            raise Bad(f"Transfer-Encoding {codings[0]!r}")

    def _judge_hop(self, message):
        upgrade = message.all(b"upgrade")
        allowed = set()
        if upgrade:
            allowed = {b"connection", b"upgrade"}
            if message.all(b"connection") != [b"upgrade"] or len(upgrade) != 1 or not PROTOCOL.match(upgrade[0]):
                self._complain(f"upgrade: {upgrade}, connection: {message.all(b'connection')}")
        for name, value in message.fields:
            if name in HOP and name not in allowed:
                self._complain(f"of the connection before: {name!r}: {value!r}")

    def _judge_trust(self, message):
        for name in OURS:
            if len(message.all(name)) != 1:
                self._complain(f"{name.decode()} is there {len(message.all(name))} times")
        for name, value in message.fields:
            if name in NOBODYS:
                self._complain(f"forged: {name!r}: {value!r}")
            if b"forged" in value and name in OURS:
                self._complain(f"forged: {name!r}: {value!r}")
        for name in (b"x-forwarded-for", b"x-real-ip"):
            if message.one(name) not in (None, self.client):
                self._complain(f"{name.decode()} is {message.one(name)!r}")
        if message.one(b"x-forwarded-host") != message.one(b"host"):
            self._complain("x-forwarded-host is not the Host")

    # ---- bodies --------------------------------------------------------------------------------

    def _read_body(self):
        message = self._head
        if message.all(b"transfer-encoding"):
            return self._read_chunks(message)
        length = int(message.one(b"content-length") or 0)
        if len(self.data) < length:
            return False
        message.body, self.data = self.data[:length], self.data[length:]
        return self._finish(message)

    def _line(self, at):
        """(line, where the next one begins), or None when it has not come."""
        end = self.data.find(b"\n", at)
        if end < 0:
            return None
        if self.data[end - 1:end] != b"\r" or b"\r" in self.data[at:end - 1]:
            raise Bad(f"chunk line {self.data[at:end + 1]!r}")
        return self.data[at:end - 1], end + 1

    def _read_chunks(self, message):
        at, parts = 0, []
        while True:
            line = self._line(at)
            if not line:
                return False
            if not CHUNK_SIZE.match(line[0]):
                raise Bad(f"chunk size {line[0]!r}")
            size, at = int(line[0], 16), line[1]
            if size == 0:
                break
            if len(self.data) < at + size + 2:
                return False
            if self.data[at + size:at + size + 2] != b"\r\n":
                raise Bad(f"chunk ends with {self.data[at + size:at + size + 2]!r}")
            parts.append(self.data[at:at + size])
            at += size + 2
        line = self._line(at)
        if not line:
            return False
        if line[0]:
            raise Bad(f"trailer {line[0]!r}")
        message.body, self.data = b"".join(parts), self.data[line[1]:]
        return self._finish(message)

    def _finish(self, message):
        self.messages.append(message)
        self._head = None
        return bool(self.data)
