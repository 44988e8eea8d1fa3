# SPDX-License-Identifier: Apache-2.0
"""A node with a real API server on its loopback, endpoints, and sluice that serves what the API says.

    client ── node: kube-apiserver 127.0.0.1, sluice ── endpoints 10.200.0.0/16

Ground is what takes long to make: namespaces, the API server, k8s/ applied. A KubeSite stands on it for one
test and leaves it as it was.
"""
import contextlib
import glob
import json
import os
import shutil
import signal

from apiserver import ApiServer, endpoint_slice, ingress, service
from front import Front, Wire
from http1 import Connection, tls_context
from product import Sluice
from world import CONTROL_PORT, NODE4, ROOT, World, poll

K8S = os.path.join(ROOT, "k8s")
INGRESSES = "/apis/networking.k8s.io/v1/namespaces/default/ingresses"
CLASSES = "/apis/networking.k8s.io/v1/ingressclasses"
# All that tests make; of what the API server makes by itself it makes another.
COLLECTIONS = [INGRESSES, CLASSES, "/api/v1/nodes", "/api/v1/namespaces/sluice/pods",
               "/api/v1/namespaces/sluice/configmaps",
               *(f"/apis/coordination.k8s.io/v1/namespaces/{n}/leases" for n in ("default", "sluice")),
               *(f"/api/v1/namespaces/default/{kind}" for kind in ("configmaps", "secrets", "services")),
               "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices",
               "/apis/events.k8s.io/v1/namespaces/default/events"]


class Audit:
    """What the ServiceAccount of k8s/ has asked for, by the API server's own account."""

    def __init__(self, directory):
        self.path = os.path.join(directory, "audit.log")
        self._from = 0
        policy = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"],
                  "rules": [{"level": "Metadata", "users": ["system:serviceaccount:sluice:sluice"]}, {"level": "None"}]}
        with open(self.path + ".policy", "w", encoding="utf-8") as file:
            json.dump(policy, file)
        self.flags = (f"--audit-log-path={self.path}", f"--audit-policy-file={self.path}.policy",
                      "--audit-log-mode=blocking")

    def forget(self):
        self._from = os.path.getsize(self.path) if os.path.exists(self.path) else 0

    def events(self):
        """Since forget()."""
        with open(self.path, encoding="utf-8") as file:
            file.seek(self._from)
            return [json.loads(line) for line in file]

    def rights(self):
        """{(group, resource, verb)}"""
        found = set()
        for event in self.events():
            if "objectRef" in event:
                ref = event["objectRef"]
                resource = ref["resource"] + ("/" + ref["subresource"] if "subresource" in ref else "")
                found.add((ref.get("apiGroup", ""), resource, event["verb"]))
        return found


class Ground:
    """With `hardened` the component of that name is applied, too."""

    def __init__(self, xdp="off", hardened=False):
        self.world = World(xdp=xdp)
        self.world.start_endpoints("--control", str(CONTROL_PORT))
        directory = os.path.join(self.world.dir, "api")
        os.makedirs(directory)
        self.audit = Audit(directory)
        self.api = ApiServer(*self.audit.flags, namespace=self.world.node, directory=directory).start()
        self.world.on_close(self.api.close)
        self.api.kubectl("apply", "-k", self._hardened() if hardened else K8S)

    def _hardened(self):
        """A kustomization as k8s/hardened tells to write it."""
        folder = os.path.join(self.world.dir, "hardened")
        os.makedirs(folder)
        relative = os.path.relpath(K8S, folder)
        with open(os.path.join(folder, "kustomization.yaml"), "w", encoding="utf-8") as file:
            json.dump({"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization",
                       "resources": [relative], "components": [relative + "/hardened"]}, file)
        return folder

    def clean(self):
        """As it was: nothing runs but the API server, and it has nothing but k8s/."""
        for pid in self.world.node.pids():
            if not self.api.process or pid != self.api.process.pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        if not self.api.process:
            self.api.start()
        for path in glob.glob(self.world.dir + "/run*") + [self.world.dir + "/pods"] + glob.glob(self.world.bpffs + "/*"):
            shutil.rmtree(path, ignore_errors=True)
        for path in COLLECTIONS:
            self.api.request("DELETE", path + "?gracePeriodSeconds=0")
        self.api.kubectl("apply", "-f", os.path.join(K8S, "ingressclass.yaml"))
        self.audit.forget()

    def close(self):
        self.world.close()


class KubeSite:
    """`options` go to `sluice run`; with `wired` sluice reaches the API server through a Wire, with `fronted`
    through a Wire and a Front."""

    def __init__(self, ground, options=(), wired=False, fronted=False, start=True):
        self.ground, self.world, self.api = ground, ground.world, ground.api
        self.wire = self.front = None
        self.kubeconfig = self.api.kubeconfig
        if fronted:
            self.front = Front(self.api, namespace=self.world.node)
        if wired or fronted:
            self.wire = Wire(self.front.port if fronted else self.api.port, self.world.node)
            self.kubeconfig = self.api.write_kubeconfig("wired", self.wire.url)
        self.sluice = self.make_sluice(*options)
        if start:
            self.sluice.start()

    def make_sluice(self, *options, kubeconfig=None, **more):
        return Sluice(self.world, "--kubeconfig", kubeconfig or self.kubeconfig, "--workers", "2",
                      "--access-log", "off", *options, **more)

    def close(self):
        for one in (self.wire, self.front):
            if one:
                one.close()
        self.ground.clean()

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

    def wait_served(self, host, seconds=30):
        poll(f"{host} served", lambda: self.get(host).status == 200, seconds)
