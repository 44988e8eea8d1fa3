# SPDX-License-Identifier: Apache-2.0
"""Kubernetes objects for the tests, and a directory that they are put into as an operator would.

Builders return plain dictionaries. A Directory writes each file whole and renames it into place, so
that sluice never sees half of one.
"""
import itertools
import json
import os
import subprocess

import yaml

CONTROLLER = "sluice.dev/ingress-controller"
PORT = 8080  # of every endpoint, unless a test says otherwise

_addresses = itertools.count(1)


def fresh_address():
    """An address of 10.200.0.0/16 that no other endpoint of this run has."""
    number = next(_addresses)
    assert number < 65000
    return f"10.200.{number >> 8}.{number & 255}"


def meta(name, namespace="default", **more):
    return {"name": name, "namespace": namespace, **more}


def ingress_class(name="sluice", profile=None, controller=CONTROLLER, default=False, **parameters):
    """The class, with a ConfigMap as its parameters when it has a profile; more of them by name."""
    item = {"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass",
            "metadata": {"name": name}, "spec": {"controller": controller}}
    if default:
        item["metadata"]["annotations"] = {"ingressclass.kubernetes.io/is-default-class": "true"}
    if not profile:
        return [item]
    item["spec"]["parameters"] = {"kind": "ConfigMap", "name": f"{name}-parameters",
                                  "namespace": "default", "scope": "Namespace"}
    return [item, {"apiVersion": "v1", "kind": "ConfigMap",
                   "metadata": meta(f"{name}-parameters"), "data": {
                       "profile": profile, **{k.replace("_", "-"): v for k, v in parameters.items()}}}]


def port_of(port):
    return {"name": port} if isinstance(port, str) else {"number": port}


def to_service(name, port=80):
    return {"service": {"name": name, "port": port_of(port)}}


def rule(host, *paths):
    """paths: (path, type, service) or (path, type, service, port)."""
    item = {"host": host} if host else {}
    if paths:
        item["http"] = {"paths": [{"path": path, "pathType": kind, "backend": to_service(*backend)}
                                  for path, kind, *backend in paths]}
    return item


def ingress(name, *rules, namespace="default", class_name="sluice", default=None, tls=(),
            annotations=None, created=None):
    """tls: (secret, host...) each; default: a Service's name or (name, port)."""
    item = {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
            "metadata": meta(name, namespace), "spec": {}}
    spec = item["spec"]
    if class_name:
        spec["ingressClassName"] = class_name
    if annotations:
        item["metadata"]["annotations"] = annotations
    if created:
        item["metadata"]["creationTimestamp"] = created
    if default:
        spec["defaultBackend"] = to_service(*([default] if isinstance(default, str) else default))
    if tls:
        spec["tls"] = [{"hosts": list(hosts), "secretName": secret} for secret, *hosts in tls]
    if rules:
        spec["rules"] = list(rules)
    return item


def service(name, *ports, namespace="default"):
    """ports: (name or None, port); one port 80 when none are given."""
    listed = []
    for port_name, number in ports or ((None, 80),):
        listed.append({"port": number, "targetPort": PORT, **({"name": port_name} if port_name else {})})
    return {"apiVersion": "v1", "kind": "Service", "metadata": meta(name, namespace),
            "spec": {"ports": listed}}


def slice_of(name, addresses, *ports, namespace="default", suffix="1", conditions=None):
    """One EndpointSlice; ports: (Service port's name or None, target port)."""
    return {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": meta(f"{name}-{suffix}", namespace,
                             labels={"kubernetes.io/service-name": name}),
            "addressType": "IPv6" if addresses and ":" in addresses[0] else "IPv4",
            "ports": [{"name": port_name or "", "port": number, "protocol": "TCP"}
                      for port_name, number in ports or ((None, PORT),)],
            "endpoints": [{"addresses": [address], **({"conditions": conditions} if conditions else {})}
                          for address in addresses]}


class Backends:
    """Services with endpoints of their own; knows which Service an address belongs to."""

    def __init__(self):
        self.of_address = {}
        self.addresses = {}

    def make(self, name, count=1, port_name=None, port=80, namespace="default"):
        """A Service and its slice."""
        if (namespace, name) not in self.addresses:
            self.addresses[namespace, name] = [fresh_address() for _ in range(count)]
            self.of_address.update((a, name) for a in self.addresses[namespace, name])
        return [service(name, (port_name, port), namespace=namespace),
                slice_of(name, self.addresses[namespace, name], (port_name, PORT), namespace=namespace)]

    def many(self, *names):
        return [item for name in names for item in self.make(name)]

    def answered(self, reply):
        """The Service whose endpoint answered."""
        return self.of_address[reply.echo["address"]]


class Authority:
    """A throw-away certificate authority; keys live in a directory that goes with the test run."""

    def __init__(self, directory):
        self.directory = directory
        os.makedirs(directory, exist_ok=True)
        self.ca = os.path.join(directory, "ca.crt")
        self._ca_key = os.path.join(directory, "ca.key")
        self._made = {}
        self._openssl("req", "-x509", *self._new_key(self._ca_key), "-days", "2",
                      "-subj", "/CN=sluice test authority",
                      "-addext", "keyUsage=critical,keyCertSign,cRLSign", "-out", self.ca)

    @staticmethod
    def _new_key(path):
        return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", path]

    @staticmethod
    def _openssl(*arguments):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True)

    def pair(self, *names):
        """(certificate, key) as PEM texts for these DNS names."""
        if names not in self._made:
            base = os.path.join(self.directory, f"c{len(self._made)}")
            self._openssl("req", "-new", *self._new_key(base + ".key"), "-subj", f"/CN={names[0]}",
                          "-addext", "subjectAltName=" + ",".join(f"DNS:{n}" for n in names),
                          "-out", base + ".csr")
            self._openssl("x509", "-req", "-in", base + ".csr", "-CA", self.ca,
                          "-CAkey", self._ca_key, "-CAcreateserial", "-days", "2",
                          "-copy_extensions", "copy", "-out", base + ".crt")
            self._made[names] = tuple(open(base + end, encoding="ascii").read()
                                      for end in (".crt", ".key"))
        return self._made[names]

    def secret(self, name, *names, namespace="default", pair=None):
        crt, key = pair or self.pair(*names)
        return {"apiVersion": "v1", "kind": "Secret", "metadata": meta(name, namespace),
                "type": "kubernetes.io/tls", "stringData": {"tls.crt": crt, "tls.key": key}}


class Directory:
    """A directory of manifests. Objects go into files; a file is replaced in one step."""

    def __init__(self, path):
        self.path = path
        self._beside = path + ".new"
        os.makedirs(path, exist_ok=True)
        os.makedirs(self._beside, exist_ok=True)

    def write(self, name, *objects):
        """Objects as YAML documents (a .json name: as JSON documents, which is quicker)."""
        flat = list(flatten(objects))
        if name.endswith(".json"):
            text = "\n".join(map(json.dumps, flat))
        else:
            text = yaml.safe_dump_all(flat, sort_keys=False)
        return self.write_text(name, text)

    def write_text(self, name, text):
        new = os.path.join(self._beside, name)
        with open(new, "w", encoding="utf-8") as file:
            file.write(text)
        os.rename(new, self.file(name))
        return self.file(name)

    def remove(self, name):
        os.unlink(self.file(name))

    def file(self, name):
        return os.path.join(self.path, name)


def flatten(objects):
    for item in objects:
        if isinstance(item, dict):
            yield item
        else:
            yield from flatten(item)
