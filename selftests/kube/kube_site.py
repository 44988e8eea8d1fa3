# SPDX-License-Identifier: Apache-2.0
"""A node with a real API server on its loopback, endpoints, and sluice that serves what the API says.

    client ── node: kube-apiserver 127.0.0.1, sluice ── endpoints 10.200.0.0/16
"""
import os

from apiserver import ApiServer, endpoint_slice, ingress, service
from front import Wire
from http1 import Connection, tls_context
from product import Sluice
from world import CONTROL_PORT, NODE4, World, poll

CLASS = {"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": "sluice"},
         "spec": {"controller": "sluice.dev/ingress-controller"}}
INGRESSES = "/apis/networking.k8s.io/v1/namespaces/default/ingresses"


class KubeSite:
    """`options` go to `sluice run`; with `wired` sluice reaches the API server through a Wire."""

    def __init__(self, options=(), flags=(), wired=False, start=True, user=None, xdp="off"):
        self.world = World(xdp=xdp)
        self.world.start_endpoints("--control", str(CONTROL_PORT))
        directory = os.path.join(self.world.dir, "api")
        os.makedirs(directory)
        self.api = ApiServer(*flags, namespace=self.world.node, directory=directory).start()
        self.world.on_close(self.api.close)
        self.api.apply(CLASS)
        self.wire = None
        self.kubeconfig = self.api.kubeconfig
        if wired:
            self.wire = Wire(self.api.port, self.world.node)
            self.world.on_close(self.wire.close)
            self.kubeconfig = self.api.write_kubeconfig("wired", self.wire.url, user=user)
        elif user:
            self.kubeconfig = self.api.write_kubeconfig("user", user=user)
        self.sluice = self.make_sluice(*options)
        if start:
            self.sluice.start()

    def make_sluice(self, *options, kubeconfig=None, **more):
        return Sluice(self.world, "--kubeconfig", kubeconfig or self.kubeconfig, "--workers", "2",
                      "--access-log", "off", *options, **more)

    def close(self):
        self.world.close()

    # ---- objects -----------------------------------------------------------------------------

    def create(self, collection, body):
        status, answer = self.api.request("POST", collection, body)
        assert status == 201, answer
        return answer

    def backend(self, name, *addresses):
        """A Service without selector and its slice: what a controller would have written."""
        self.create("/api/v1/namespaces/default/services", service(name))
        self.create("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices",
                    endpoint_slice(name, name, addresses))

    def ingress(self, name, host, backend="web", **more):
        return self.create(INGRESSES, ingress(name, host, backend, **more))

    def addresses(self, name):
        """What stands in the status of an Ingress."""
        status = self.api.request("GET", f"{INGRESSES}/{name}")[1]["status"]["loadBalancer"]
        return [a.get("ip") or a.get("hostname") for a in status.get("ingress", [])]

    def events(self, name):
        """{reason: Event} about an Ingress"""
        listed = self.api.request("GET", "/apis/events.k8s.io/v1/namespaces/default/events")[1]["items"]
        return {e["reason"]: e for e in listed if e["regarding"]["name"] == name}

    # ---- traffic -----------------------------------------------------------------------------

    def connect(self, scheme="http", name=None, **options):
        if scheme == "http":
            return Connection(self.world.client, NODE4, 80, **options)
        return Connection(self.world.client, NODE4, 443, tls=options.pop("tls", None) or tls_context(),
                          server_name=name, **options)

    def get(self, host, target="/"):
        with self.connect() as connection:
            return connection.get(host, target)

    def wait_served(self, host, seconds=10):
        poll(f"{host} served", lambda: self.get(host).status == 200, seconds)
