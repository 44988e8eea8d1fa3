# SPDX-License-Identifier: Apache-2.0
"""Things to put between a client and its API server, to make the way there a bad one.

Wire passes bytes and knows nothing of them (TLS goes through): it kills, stalls, refuses, cuts.
ConnectProxy is what a kubeconfig names as proxy-url.
Front speaks HTTP and answers some requests itself: 429, 500, 410, an old server without list streams.
"""
import http.client
import http.server
import select
import socket
import ssl
import threading
import time
import urllib.parse


class Wire:
    """A TCP relay to 127.0.0.1:`port`. mode: pass, stall (bytes stay), refuse (closed at once)."""

    def __init__(self, port, namespace=None):
        self.port = port
        self.namespace = namespace
        self.mode = "pass"
        self.cut_after = None  # kill a connection after so many bytes of answers
        self._pairs = set()
        self._frozen = set()
        self._lock = threading.Lock()
        self.listener = self._socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(64)
        self.url = f"https://127.0.0.1:{self.listener.getsockname()[1]}"
        self.accepted = 0
        self.is_closed = False
        threading.Thread(target=self._accept, daemon=True).start()

    def _socket(self):
        return self.namespace.socket() if self.namespace else socket.socket()

    def _accept(self):
        while not self.is_closed:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.accepted += 1
            if self.mode == "refuse":
                client.close()
                continue
            threading.Thread(target=self._relay, args=(client,), daemon=True).start()

    def _relay(self, client):
        server = self._socket()
        pair = (client, server)
        with self._lock:
            self._pairs.add(pair)
        try:
            server.connect(("127.0.0.1", self.port))
            self._pump(client, server, pair)
        except OSError:
            pass
        finally:
            with self._lock:
                self._pairs.discard(pair)
                self._frozen.discard(pair)
            client.close()
            server.close()

    def _pump(self, client, server, pair):
        answered = 0
        while not self.is_closed:
            if self.mode == "stall" or pair in self._frozen:
                select.select([], [], [], 0.05)
                continue
            readable, _, _ = select.select([client, server], [], [], 0.05)
            for source in readable:
                data = source.recv(65536)
                if not data or self.mode == "refuse":
                    return
                if source is server:
                    answered += len(data)
                    if self.cut_after is not None and answered > self.cut_after:
                        client.sendall(data[:max(0, len(data) - (answered - self.cut_after))])
                        return
                (server if source is client else client).sendall(data)

    def freeze(self):
        """The connections that are there never move again; new ones pass."""
        with self._lock:
            self._frozen |= self._pairs
        time.sleep(0.2)  # what a relay is waiting for may pass first

    def kill(self):
        """Every connection, with RST."""
        with self._lock:
            pairs = list(self._pairs)
        for pair in pairs:
            for side in pair:
                try:
                    side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                    side.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def close(self):
        self.is_closed = True
        self.listener.close()
        self.kill()


class ConnectProxy:
    """An HTTP proxy that knows CONNECT alone; asked: what for."""

    def __init__(self):
        self.asked = []
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_CONNECT(self):
                proxy.asked.append(self.path)
                host, port = self.path.rsplit(":", 1)
                with socket.create_connection((host, int(port))) as server:
                    self.send_response(200)
                    self.end_headers()
                    proxy._pump(self.connection, server)
                self.close_connection = True

        self._http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    @staticmethod
    def _pump(client, server):
        while True:
            for source in select.select([client, server], [], [])[0]:
                data = source.recv(65536)
                if not data:
                    return
                (server if source is client else client).sendall(data)

    def close(self):
        self._http.shutdown()
        self._http.server_close()


class Front:
    """A server of HTTP/1.1 alone, with or without TLS, in front of `server` (an ApiServer). rules: functions of a request
    (method, path) that return None to pass it on, or (status, headers, body)."""

    def __init__(self, server, tls=True, namespace=None):
        self.server = server
        self.namespace = namespace
        self.rules = []
        self.drop = None  # lines of answers with these bytes in them are not passed on
        self.seen = []  # (method, path)
        front = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def handle_one(self):
                front._handle(self)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_one

        self._http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=False)
        self._http.socket.close()
        self._http.socket = self._socket()
        self._http.server_bind()
        self._http.server_activate()
        self._http.daemon_threads = True
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(server.dir + "/pki/server.crt", server.dir + "/pki/server.key")
            self._http.socket = context.wrap_socket(self._http.socket, server_side=True,
                                                    do_handshake_on_connect=False)
        self.port = self._http.server_address[1]
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.port}"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def _socket(self):
        return self.namespace.socket() if self.namespace else socket.socket()

    def _handle(self, handler):
        length = int(handler.headers.get("Content-Length") or 0)
        body = handler.rfile.read(length) if length else None
        path = handler.path
        self.seen.append((handler.command, path))
        for rule in list(self.rules):
            answer = rule(handler.command, path)
            if isinstance(answer, str):
                path = answer
            elif answer:
                self._answer(handler, *answer)
                return
        self._pass_on(handler, path, body)

    @staticmethod
    def _answer(handler, status, headers, body):
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def _pass_on(self, handler, path, body):
        url = urllib.parse.urlsplit(self.server.url)
        context = ssl.create_default_context(cafile=self.server.dir + "/ca.crt")
        upstream = http.client.HTTPSConnection(url.hostname, url.port, context=context)
        sock = self._socket()
        headers = {name: handler.headers[name] for name in ("Authorization", "Content-Type")
                   if handler.headers[name]}
        try:
            sock.connect((url.hostname, url.port))
            upstream.sock = context.wrap_socket(sock, server_hostname=url.hostname)
            upstream.request(handler.command, path, body, headers)
            answer = upstream.getresponse()
            handler.send_response(answer.status)
            handler.send_header("Content-Type", answer.headers.get("Content-Type", ""))
            handler.send_header("Transfer-Encoding", "chunked")
            handler.end_headers()
            while True:
                data = answer.readline() if self.drop else answer.read1(65536)
                if data and self.drop and self.drop in data:
                    continue
                handler.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
                handler.wfile.flush()
                if not data:
                    return
        except OSError:
            handler.close_connection = True
        finally:
            upstream.close()
            sock.close()

    def close(self):
        self._http.shutdown()
        self._http.server_close()
