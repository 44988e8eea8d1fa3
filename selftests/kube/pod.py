# SPDX-License-Identifier: Apache-2.0
"""A Pod of k8s/daemonset.yaml, run by hand: what the manifest says of arguments, environment, volumes and
capabilities is what its two containers get, inside the image's root file system, with a token that the API
server bound to the Pod. There is no kubelet: what it would do is done here, and its reports are written here."""
import json
import os
import sys
import tarfile
import tempfile

from product import Sluice
from world import BUILD, NODE4, ROOT, poll, run

HERE = os.path.dirname(os.path.abspath(__file__))
IMAGE = os.path.join(BUILD, "kube", "image.tar")
# linux/capability.h
CAPABILITIES = {"NET_BIND_SERVICE": 10, "NET_ADMIN": 12, "SYS_RESOURCE": 24, "PERFMON": 38, "BPF": 39}
NAMESPACE, ACCOUNT = "sluice", "sluice"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
NODES = "/api/v1/nodes"


def unpack_image(directory):
    """The layers of the image's manifest, as a runtime would."""
    run(sys.executable, "-B", os.path.join(ROOT, "scripts", "image"), "--output", IMAGE)
    with tarfile.open(IMAGE) as image:
        for name in json.load(image.extractfile("manifest.json"))[0]["Layers"]:
            with tarfile.open(fileobj=image.extractfile(name), mode="r:gz") as layer:
                layer.extractall(directory)


_unpacked = []  # the directory, once


def image_root():
    """The unpacked image, shared by all: nobody writes into it."""
    if not _unpacked:
        _unpacked.append(tempfile.TemporaryDirectory(prefix="sluice-kube-root-"))
        unpack_image(_unpacked[0].name)
    return _unpacked[0].name


def make_node(api, name, **addresses):
    """A Node; addresses: InternalIP=..., ExternalIP=..."""
    api.request("POST", NODES, {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}})
    body = {"status": {"addresses": [{"type": kind, "address": ip} for kind, ip in addresses.items()]}}
    status, answer = api.request("PATCH", f"{NODES}/{name}/status", body, "application/merge-patch+json")
    assert status == 200, answer


class Container(Sluice):
    """One container of a Pod. Says nothing by itself: whoever starts it knows what to wait for."""

    def __init__(self, pod, spec, options):
        super().__init__(pod.site.world, command=spec["args"][0])
        mounts = [f"{pod.volume(m['name'])}:{m['mountPath']}" for m in spec["volumeMounts"]]
        added = spec["securityContext"]["capabilities"].get("add", [])
        self.arguments = ["/usr/bin/env", "-i", *pod.environment(spec), sys.executable, "-B",
                          os.path.join(HERE, "container.py"), image_root()]
        for one in mounts:
            self.arguments += ["--mount", one]
        for one in added:
            self.arguments += ["--capability", str(CAPABILITIES[one])]
        self.arguments += ["--", "/usr/local/sbin/sluice", *spec["args"], *options]


class Pod:
    def __init__(self, site, name, node, *options):
        self.site, self.name = site, name
        self.directory = os.path.join(site.world.dir, "pods", name)
        template = site.api.get("daemonset", "sluice", "-n", NAMESPACE)["spec"]["template"]
        self._create(template, node)
        self.write_token()
        agent, proxy = template["spec"]["containers"]
        self.agent = Container(self, agent, options)
        self.proxy = Container(self, proxy, ())

    def _create(self, template, node):
        spec = {**template["spec"], "nodeName": node}
        meta = {"name": self.name, "namespace": NAMESPACE, "labels": template["metadata"]["labels"]}
        status, answer = self.site.api.request("POST", PODS, {"apiVersion": "v1", "kind": "Pod", "metadata": meta,
                                                             "spec": spec})
        assert status == 201, answer

    def volume(self, name):
        """Where a volume of the manifest lies on this machine."""
        world = self.site.world
        path = {"run": os.path.join(world.dir, "run"), "bpffs": world.bpffs}.get(name)
        path = path or os.path.join(self.directory, name)
        os.makedirs(path, exist_ok=True)
        return path

    def environment(self, spec):
        fields = {"metadata.name": self.name, "metadata.namespace": NAMESPACE}
        said = {e["name"]: fields[e["valueFrom"]["fieldRef"]["fieldPath"]] for e in spec.get("env", [])}
        said.update(KUBERNETES_SERVICE_HOST="127.0.0.1", KUBERNETES_SERVICE_PORT=str(self.site.api.port))
        return [f"{name}={value}" for name, value in said.items()]

    def write_token(self, pod=None):
        """The projected volume `token`; bound to this Pod, or to another one."""
        folder = self.volume("token")
        token = self.site.api.kubectl("create", "token", ACCOUNT, "-n", NAMESPACE, "--bound-object-kind=Pod",
                                      f"--bound-object-name={pod or self.name}").strip()
        for name, text in (("ca.crt", self.site.api.read("ca.crt")), ("namespace", NAMESPACE), ("token", token)):
            path = os.path.join(folder, name)
            with open(path + ".new", "w", encoding="ascii") as file:
                file.write(text)
            os.rename(path + ".new", path)  # as the kubelet does it: never half a token
        return token

    def start(self):
        """Returns when it is ready, and the API server knows."""
        self.proxy.start(ready=None)
        self.agent.start()
        return self.report(ready=True)

    def report(self, ready):
        """What the kubelet would write."""
        body = {"status": {"phase": "Running", "podIP": NODE4, "podIPs": [{"ip": NODE4}], "hostIP": NODE4,
                           "conditions": [{"type": "Ready", "status": str(ready)}]}}
        where = f"{PODS}/{self.name}/status"
        assert self.site.api.request("PATCH", where, body, "application/strategic-merge-patch+json")[0] == 200
        return self

    def wait_ended(self, seconds=60):
        """Both containers, with 0."""
        for one in (self.agent, self.proxy):
            assert one.process.wait(seconds) == 0, one.log[-20:]

    def delete(self):
        self.site.api.request("DELETE", f"{PODS}/{self.name}?gracePeriodSeconds=0")
        poll("the Pod gone", lambda: self.site.api.request("GET", f"{PODS}/{self.name}")[0] == 404, 20)
