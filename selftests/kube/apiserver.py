# SPDX-License-Identifier: Apache-2.0
"""A real kube-apiserver with etcd and the controllers that matter, in a directory of its own."""
import http.client
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time

import world

TESTAPI = os.path.join(world.BUILD, "kube", "kube-testapi")
KUBECTL = os.path.join(world.BUILD, "kube", "kubectl")


class ApiServer:
    """`namespace`: a world.Namespace to run in; None: where we are. Flags go to kube-apiserver."""

    def __init__(self, *flags, namespace=None, directory=None):
        self._own = None if directory else tempfile.TemporaryDirectory(prefix="sluice-kube-")
        self.dir = directory or self._own.name
        self.flags = flags
        self.namespace = namespace
        self.process = None
        self.url = None
        self._local = threading.local()  # a connection a thread

    @property
    def kubeconfig(self):
        return os.path.join(self.dir, "kubeconfig")

    def _inside(self, *command):
        return self.namespace.command(*command) if self.namespace else list(command)

    def start(self):
        """Returns when it answers; goes on with the data of the last start."""
        command = [TESTAPI, "-dir", self.dir, "-controllers", "default", "-exit-with-parent"]
        with open(os.path.join(self.dir, "log"), "ab") as log:
            self.process = subprocess.Popen(self._inside(*command, "--", *self.flags),
                                            stdout=subprocess.PIPE, stderr=log, text=True,
                                            start_new_session=True)
        line = self.process.stdout.readline()
        found = re.match(r"ready (https://\S+)", line)
        if not found:
            with open(os.path.join(self.dir, "log"), encoding="utf-8", errors="replace") as log:
                raise RuntimeError(f"kube-apiserver did not start: {log.read()[-2000:]}")
        self.url = found.group(1)
        return self

    def stop(self, number=signal.SIGTERM):
        if self.process:
            self.process.send_signal(number)
            self.process.wait(60)
            self.process.stdout.close()
            self.process = None
            self._local = threading.local()

    def close(self):
        self.stop(signal.SIGKILL)
        if self._own:
            self._own.cleanup()

    @property
    def port(self):
        return int(self.url.rsplit(":", 1)[1])

    def read(self, name):
        with open(os.path.join(self.dir, name), encoding="utf-8") as file:
            return file.read()

    def kubectl(self, *arguments, text=None, check=True):
        """What kubectl prints; `text` goes to its standard input."""
        done = subprocess.run(self._inside(KUBECTL, "--kubeconfig", self.kubeconfig, *arguments),
                              input=text, capture_output=True, text=True, timeout=120, check=False)
        if check and done.returncode:
            raise RuntimeError(f"kubectl {' '.join(arguments)}: {done.stderr or done.stdout}")
        return done.stdout if check else done.stdout + done.stderr

    def apply(self, *objects):
        return self.kubectl("apply", "-f", "-", text=json.dumps({"apiVersion": "v1", "kind": "List",
                                                               "items": list(objects)}))

    def get(self, *arguments):
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def load(self, count, *flags):
        """Many objects, fast: see testapi/load.go."""
        return world.run(*self._inside(TESTAPI, "load", "-kubeconfig", self.kubeconfig,
                                       "-n", str(count), *flags))

    def request(self, method, path, body=None, content_type="application/json", token=None):
        """One request past kubectl, which takes 50 ms to start, as the administrator or as who has `token`.
        (status, decoded answer)"""
        headers = {"Authorization": "Bearer " + (token or self._token()), "Content-Type": content_type}
        content = json.dumps(body) if body is not None else None
        kept = getattr(self._local, "connection", None)
        if kept:
            try:
                return self._exchange(kept, method, path, content, headers)
            except (http.client.RemoteDisconnected, ssl.SSLEOFError, BrokenPipeError, ConnectionResetError):
                pass  # the server ends connections that nobody used for a while
        self._local.connection = self._connect()
        return self._exchange(self._local.connection, method, path, content, headers)

    def _exchange(self, connection, method, path, content, headers):
        try:
            connection.request(method, path, content, headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"{}")
        except (OSError, http.client.HTTPException):
            connection.close()
            del self._local.connection
            raise

    def _connect(self):
        context = ssl.create_default_context(cafile=os.path.join(self.dir, "ca.crt"))
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=context, timeout=30)
        sock = self.namespace.socket() if self.namespace else socket.socket()
        sock.connect(("127.0.0.1", self.port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sock = context.wrap_socket(sock, server_hostname="127.0.0.1")
        return connection

    def _token(self):
        return self.read("admin.token").strip()

    def write_kubeconfig(self, name, server=None, user=None, **cluster):
        """A kubeconfig of another way to the server, of somebody else; its path."""
        where = {"server": server or self.url, **cluster}
        if where["server"].startswith("https") and "insecure-skip-tls-verify" not in where:
            where.setdefault("certificate-authority", os.path.join(self.dir, "ca.crt"))
        path = os.path.join(self.dir, name)
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"apiVersion": "v1", "kind": "Config", "current-context": "c",
                       "clusters": [{"name": "k", "cluster": where}],
                       "users": [{"name": "u", "user": user or {"token": self._token()}}],
                       "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}]}, file)
        return path


def ingress(name, host, service="web", namespace="default", **more):
    """An Ingress of class sluice; `annotations`, `tls` (a secret's name), `path`, `ingress_class`."""
    spec = {"ingressClassName": more.get("ingress_class", "sluice"), "rules": [{"host": host, "http": {"paths": [
        {"path": more.get("path", "/"), "pathType": "Prefix",
         "backend": {"service": {"name": service, "port": {"number": 80}}}}]}}]}
    if more.get("tls"):
        spec["tls"] = [{"hosts": [host], "secretName": more["tls"]}]
    return {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "spec": spec,
            "metadata": {"name": name, "namespace": namespace, "annotations": more.get("annotations", {})}}


def service(name, namespace="default", **spec):
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace},
            "spec": {"ports": [{"name": "http", "port": 80}], **spec}}


def endpoint_slice(name, service_name, addresses, port=8080, namespace="default"):
    """`addresses`: texts, or (text, {"ready": False, ...})"""
    endpoints = []
    for address in addresses:
        address, conditions = address if isinstance(address, tuple) else (address, {"ready": True})
        endpoints.append({"addresses": [address], "conditions": conditions})
    return {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": name, "namespace": namespace,
                         "labels": {"kubernetes.io/service-name": service_name}},
            "ports": [{"name": "http", "port": port}], "endpoints": endpoints}


def config_map(name, data, namespace="default"):
    return {"apiVersion": "v1", "kind": "ConfigMap", "data": data,
            "metadata": {"name": name, "namespace": namespace}}


def secret(name, data, kind="Opaque", namespace="default"):
    return {"apiVersion": "v1", "kind": "Secret", "type": kind, "stringData": data,
            "metadata": {"name": name, "namespace": namespace}}


def settle(probe, seconds=10.0):
    """Waits until `probe` gives the same answer for half a second."""
    last, since = probe(), time.monotonic()
    deadline = since + seconds
    while time.monotonic() - since < 0.5 and time.monotonic() < deadline:
        time.sleep(0.05)
        now = probe()
        if now != last:
            last, since = now, time.monotonic()
    return last
