#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The endpoints of the demo and of the end-to-end tests: one HTTP/1.1 server for every local address.

It answers with JSON that says who answered and what arrived: pod, service, namespace, address,
method, path, host, headers, and the body's length and SHA-256. With --manifests it takes the names of
pods and Services from the EndpointSlices there.

A query string makes it behave in other ways:

    status=204      this status                 bytes=1000000   a body of that size
    chunk=1000      chunked, in such pieces     trailer=1       and a trailer after it
    delay=0.5       seconds before the answer   stall=0.5       seconds in the middle of the body
    hints=2         so many 103 before it       until-close=1   no length: the body ends with close
    close=1         Connection: close           pause=0.5       seconds before it reads the body
    header=5000     a header of that size       location=/x     a Location header
    drop=now        closes without an answer    drop=head       in the middle of the head
    drop=body       in the middle of the body   raw=NAME        one of the BROKEN answers below
    unnumbered=1    not the connection's number

`Upgrade: NAME` is answered with 101; then every byte comes back. On the control port a line of text
is answered with the number of request heads that contained it.
"""
import argparse
import asyncio
import base64
import glob
import hashlib
import json
import os
import socket
import sys
from urllib.parse import parse_qs

KEEP_HEADS = 20000  # for the control port
HIGH_WATER = 256 * 1024

BROKEN = {
    "two-lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "length-and-chunked": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "no-status": b"HTTP/1.1 \r\n\r\n",
    "not-http": b"hello there\r\n\r\n",
    "bad-chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n",
    "nul-in-header": b"HTTP/1.1 200 OK\r\nX-A: a\0b\r\nContent-Length: 0\r\n\r\n",
}
PATTERN = bytes(range(97, 123)) * 2521  # 64 KiB of letters, roughly


class Pods:
    """Address → names, from the EndpointSlices of a directory; read again when it changed."""

    def __init__(self, directory):
        self.directory = directory
        self.stamp = None
        self.names = {}

    def of(self, address):
        if self.directory and self._stamp() != self.stamp:
            self._read()
        return self.names.get(address, {})

    def _files(self):
        return sorted(glob.glob(os.path.join(self.directory, "*.yaml")))

    def _stamp(self):
        return [(f, os.stat(f).st_mtime_ns) for f in self._files()]

    def _read(self):
        import yaml  # only where it is wanted
        self.stamp = self._stamp()
        self.names = {}
        for path in self._files():
            with open(path, encoding="utf-8") as file:
                for document in yaml.safe_load_all(file):
                    if document and document.get("kind") == "EndpointSlice":
                        self._take(document)

    def _take(self, piece):
        meta = piece["metadata"]
        service = meta.get("labels", {}).get("kubernetes.io/service-name", "")
        for endpoint in piece.get("endpoints") or []:
            pod = endpoint.get("targetRef", {}).get("name", "")
            for address in endpoint["addresses"]:
                self.names[address] = {"pod": pod, "service": service,
                                       "namespace": meta.get("namespace", "default")}


class Request:
    def __init__(self, method, target, version, headers):
        self.method, self.target, self.version, self.headers = method, target, version, headers
        self.path, _, query = target.partition("?")
        self.wants = {k: v[0] for k, v in parse_qs(query).items()}
        self.length = 0
        self.digest = hashlib.sha256()

    def header(self, name):
        return next((v for k, v in self.headers if k.lower() == name), None)


class Server:
    """What all connections share."""

    def __init__(self, pods):
        self.pods = pods
        self.heads = []
        self.connections = 0

    def remember(self, head):
        self.heads.append(head)
        if len(self.heads) > 2 * KEEP_HEADS:
            del self.heads[:KEEP_HEADS]

    async def serve(self, reader, writer):
        # asyncio does so for sockets that it made itself; a head and a body are two writes.
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connections += 1
        number = self.connections
        try:
            while await self.exchange(reader, writer, number):
                pass
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError, ValueError):
            pass
        finally:
            writer.close()

    async def exchange(self, reader, writer, number):
        """One request and its answer; true when the connection lives on."""
        raw = await reader.readuntil(b"\r\n\r\n")
        self.remember(raw)
        lines = raw.decode("latin-1").split("\r\n")[:-2]
        method, target, version = lines[0].split(" ")
        headers = [(k, v.strip()) for k, _, v in (line.partition(":") for line in lines[1:])]
        request = Request(method, target, version, headers)
        if request.header("upgrade"):
            await self.upgrade(request, reader, writer)
            return False
        if (request.header("expect") or "").lower() == "100-continue":
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if "pause" in request.wants:
            await asyncio.sleep(float(request.wants["pause"]))
        await self.read_body(request, reader)
        return await self.answer(request, writer, number)

    async def upgrade(self, request, reader, writer):
        key = request.header("sec-websocket-key") or ""
        accept = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
        writer.write((f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: {request.header('upgrade')}\r\n"
                      f"Connection: Upgrade\r\nSec-WebSocket-Accept: {base64.b64encode(accept).decode()}"
                      "\r\n\r\n").encode())
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()

    async def read_body(self, request, reader):
        if (request.header("transfer-encoding") or "").lower() == "chunked":
            while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
                await self.take(request, reader, size)
                await reader.readexactly(2)
            while await reader.readuntil(b"\r\n") != b"\r\n":
                pass
        else:
            await self.take(request, reader, int(request.header("content-length") or 0))

    @staticmethod
    async def take(request, reader, size):
        request.length += size
        while size:
            data = await reader.read(min(size, HIGH_WATER))
            if not data:
                raise asyncio.IncompleteReadError(b"", size)
            request.digest.update(data)
            size -= len(data)

    def describe(self, request, writer, number):
        address, port = writer.get_extra_info("sockname")[:2]
        address = address.removeprefix("::ffff:")
        said = {"pod": "", "namespace": "", "service": "", "address": address, "port": port}
        said.update(self.pods.of(address))
        headers = {}
        for name, value in request.headers:
            headers.setdefault(name.lower(), []).append(value)
        said.update(method=request.method, path=request.target, host=request.header("host"),
                    proto=request.version, headers=headers, names=[k for k, _ in request.headers],
                    body_bytes=request.length, body_sha256=request.digest.hexdigest(),
                    connection=0 if "unnumbered" in request.wants else number)
        return json.dumps(said).encode() + b"\n"

    async def answer(self, request, writer, number):
        wants = request.wants
        if "delay" in wants:
            await asyncio.sleep(float(wants["delay"]))
        if wants.get("drop") == "now":
            return False
        if "raw" in wants:
            writer.write(BROKEN[wants["raw"]])
            await writer.drain()
            return False
        writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n" * int(wants.get("hints", 0)))
        status = int(wants.get("status", 200))
        body = self.body(request, writer, number)
        head = [f"HTTP/1.1 {status} Answer", "Content-Type: application/json", "Endpoint: echo"]
        bare = request.method == "HEAD" or status in (204, 304)
        if "chunk" in wants:
            head.append("Transfer-Encoding: chunked")
        elif "until-close" not in wants and status != 204:
            head.append(f"Content-Length: {len(body)}")
        last = wants.keys() & {"close", "until-close"} or request.header("connection") == "close"
        if last:
            head.append("Connection: close")
        if "location" in wants:
            head.append(f"Location: {wants['location']}")
        if "header" in wants:
            head.append("X-Large: " + "x" * int(wants["header"]))
        text = ("\r\n".join(head) + "\r\n\r\n").encode()
        if wants.get("drop") == "head":
            writer.write(text[:len(text) // 2])
            await writer.drain()
            return False
        writer.write(text)
        if not bare and not await self.send_body(body, wants, writer):
            return False
        await writer.drain()
        return not last

    def body(self, request, writer, number):
        if "bytes" in request.wants:
            size = int(request.wants["bytes"])
            return (PATTERN * (size // len(PATTERN) + 1))[:size]
        return self.describe(request, writer, number)

    @staticmethod
    async def send_body(body, wants, writer):
        middle = len(body) // 2
        piece = int(wants.get("chunk", HIGH_WATER))
        for at in range(0, len(body), piece):
            if at <= middle < at + piece:
                if "stall" in wants:
                    await writer.drain()
                    await asyncio.sleep(float(wants["stall"]))
                if wants.get("drop") == "body":
                    writer.write(body[at:middle])
                    await writer.drain()
                    return False
            data = body[at:at + piece]
            writer.write(b"%x\r\n%b\r\n" % (len(data), data) if "chunk" in wants else data)
            await writer.drain()
        if "chunk" in wants:
            writer.write(b"0\r\n" + (b"X-Sum: abc\r\n" if "trailer" in wants else b"") + b"\r\n")
        return True

    async def control(self, reader, writer):
        while line := await reader.readline():
            text = line.rstrip(b"\n")
            writer.write(b"%d\n" % sum(text in head for head in self.heads))
        writer.close()


def listener(family, address, port):
    sock = socket.socket(family)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    sock.bind((address, port))
    sock.listen(1024)
    return sock


async def main():
    parser = argparse.ArgumentParser(description="endpoints that answer with what they got")
    parser.add_argument("--ports", default="8080,8081", help="listens on these, on every address")
    parser.add_argument("--manifests", help="names pods after the EndpointSlices in this directory")
    parser.add_argument("--control", type=int, help="port on 127.0.0.1 that counts requests")
    options = parser.parse_args()
    server = Server(Pods(options.manifests))
    for port in map(int, options.ports.split(",")):
        for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
            await asyncio.start_server(server.serve, sock=listener(family, address, port),
                                       limit=HIGH_WATER)
    if options.control:
        await asyncio.start_server(server.control, "127.0.0.1", options.control)
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        sys.exit(0)
