# SPDX-License-Identifier: Apache-2.0
"""k8s/ applied to a real API server, and Pods of its DaemonSet run with what the manifests give them: the
way in a cluster from the bound token to the address in the status of an Ingress."""
import json
import os

import yaml

import pytest

from apiserver import ingress, service
from kube_site import INGRESSES, K8S, KubeSite
from load import Load
from pod import Pod, make_node
from test_upgrade import HOSTS, Long
from world import NODE4, poll, run

LEASE = "/apis/coordination.k8s.io/v1/namespaces/sluice/leases/sluice"
EXTERNAL4, EXTERNAL6 = "203.0.113.9", "2001:db8::9"


class PodSite(KubeSite):
    def __init__(self, ground, xdp="off"):
        super().__init__(ground, start=False)
        self.options = [f"--xdp={xdp}", "--interface=clients", "--workers=2"]
        make_node(self.api, "node-1", InternalIP=NODE4, ExternalIP=EXTERNAL4)
        self.backend("web", "10.200.7.1")

    def pod(self, name, *options):
        return Pod(self, name, "node-1", *self.options, *options)


@pytest.fixture
def site(ground):
    made = PodSite(ground)
    yield made
    made.close()


def granted():
    """{(group, resource, verb)} of all rules in k8s/."""
    found = set()
    for name in ("rbac.yaml", "rbac-secrets.yaml"):
        with open(os.path.join(K8S, name), encoding="utf-8") as file:
            for item in yaml.safe_load_all(file):
                found |= {(group, resource, verb) for rule in item.get("rules", []) for group in rule["apiGroups"]
                          for resource in rule["resources"] for verb in rule["verbs"]}
    return found


def complaints(pod):
    return [line for one in (pod.agent, pod.proxy) for line in one.log if " warning " in line or " error " in line]


def test_pod_works_with_what_the_manifests_give_it(start_ground):
    """Its capabilities, its token, its rights, its read-only root: nothing is missing, for native XDP neither."""
    site = PodSite(start_ground(xdp="native"), xdp="native")
    pod = site.pod("sluice-a").start()
    site.ingress("web", "web.example")
    site.wait_served("web.example")
    poll("the node's address", lambda: site.addresses("web") == [EXTERNAL4], 30)
    poll("Synced", lambda: "Synced" in site.events("web"), 30)
    assert complaints(pod) == []
    assert "native" in {one["xdp"] for one in pod.agent.json("status")["interfaces"]}


def test_addresses_are_those_of_the_nodes(site):
    """ExternalIP, else InternalIP, of the nodes on which a Pod is ready; of others not."""
    make_node(site.api, "node-2", InternalIP="10.0.0.2")
    pod = site.pod("sluice-a").start()
    site.ingress("web", "web.example")
    poll("the external one", lambda: site.addresses("web") == [EXTERNAL4], 30)
    make_node(site.api, "node-1", InternalIP=NODE4, ExternalIP=EXTERNAL6)
    poll("it changed", lambda: site.addresses("web") == [EXTERNAL6], 30)
    make_node(site.api, "node-1", InternalIP=NODE4, Hostname="node-1")
    poll("none outside", lambda: site.addresses("web") == [NODE4], 30)
    # A Pod that is not ready for a while takes no address away.
    before = site.api.request("GET", f"{INGRESSES}/web")[1]
    pod.report(ready=False)
    site.ingress("later", "later.example")
    poll("the later one too", lambda: site.addresses("later") == [NODE4], 30)
    after = site.api.request("GET", f"{INGRESSES}/web")[1]
    assert before["metadata"]["resourceVersion"] == after["metadata"]["resourceVersion"]


def test_one_namespace_alone_has_addresses_too(site):
    """Our own Pods, or the Service that is named, stand in another namespace than the one that is watched."""
    site.pod("sluice-a", "--watch-namespace=default").start()
    site.ingress("web", "web.example")
    poll("the node's address", lambda: site.addresses("web") == [EXTERNAL4], 30)
    site.api.apply({**service("front", namespace="sluice"), "spec": {"externalIPs": ["203.0.113.77"],
                                                                     "ports": [{"port": 80}]}})
    site.pod("sluice-b", "--watch-namespace=default", "--publish-service=sluice/front").start()
    poll("the Service's", lambda: site.addresses("web") == ["203.0.113.77"], 60)
    site.api.kubectl("delete", "service", "front", "-n", "sluice")


def test_new_pod_takes_over_from_the_old_one(site, capsys):
    """As a DaemonSet with maxSurge replaces them, under keepalive and new connections, tunnels and downloads that
    outlast the change: nothing fails, no address is withdrawn, and the new Pod writes status."""
    old = site.pod("sluice-a").start()
    for number, host in enumerate(HOSTS):
        site.ingress(f"up-{number}", host)
        site.wait_served(host)
    poll("the address", lambda: site.addresses("up-0") == [EXTERNAL4], 30)
    before = site.api.request("GET", f"{INGRESSES}/up-0")[1]["metadata"]["resourceVersion"]
    with Load(site, HOSTS, pause=0.004) as load, Long(site) as long:
        load.wait_for(100)
        new = site.pod("sluice-b").start()
        old.wait_ended()
        old.delete()
        load.wait_for(100)
        site.ingress("later", "later.example")
        site.wait_served("later.example")
        poll("its address", lambda: site.addresses("later") == [EXTERNAL4], 30)
    with capsys.disabled():
        print(f"\n    a new Pod: {load.requests} requests, {long.tunnels} tunnels, {long.downloads} downloads; "
              f"{len(load.failures) + len(long.failures)} failed", end=" ")
    assert not load.failures, load.failures[:5]
    assert not long.failures, long.failures[:5]
    assert long.totals()["sluice_upgrades_total"] == 1
    assert site.api.request("GET", LEASE)[1]["spec"]["holderIdentity"].startswith("sluice-b")
    assert site.api.request("GET", f"{INGRESSES}/up-0")[1]["metadata"]["resourceVersion"] == before
    assert complaints(new) == []


def test_rotated_token_is_read_again(site):
    """The old one is worth nothing any more, as its Pod is gone: the file has another."""
    pod = site.pod("sluice-a")
    other = site.pod("somebody")
    stale = pod.write_token("somebody")
    pod.start()
    poll("the Lease", lambda: site.api.request("GET", LEASE)[0] == 200, 30)
    pod.write_token()
    other.delete()

    def renewed():
        return site.api.request("GET", LEASE)[1]["spec"]["renewTime"]
    poll("the old token refused", lambda: site.api.request("GET", LEASE, token=stale)[0] == 401, 60)
    last = renewed()
    poll("the Lease renewed", lambda: renewed() != last, 30)
    site.ingress("web", "web.example")
    poll("the address", lambda: site.addresses("web") == [EXTERNAL4], 30)


def test_every_right_is_used_and_no_other_is_asked_for(site):
    """A verb too many in k8s/ fails here as well as one too few."""
    audit = site.ground.audit
    site.api.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": "sluice"},
                    "data": {"profile": "sluice"}})
    site.api.kubectl("patch", "ingressclass", "sluice", "--type=merge", "-p", json.dumps({"spec": {"parameters": {
        "kind": "ConfigMap", "name": "settings", "scope": "Namespace", "namespace": "sluice"}}}))
    pod = site.pod("sluice-a").start()
    site.ingress("one", "one.example")
    poll("the address", lambda: site.addresses("one"), 30)
    for host in ("two.example", "three.example"):
        poll("Synced", lambda: "Synced" in site.events("one"), 30)
        site.api.request("PATCH", f"{INGRESSES}/one", [{"op": "replace", "path": "/spec/rules/0/host", "value": host}],
                         "application/json-patch+json")
    poll("a series", lambda: site.events("one").get("Synced", {}).get("series"), 30)
    # `list` is what a server without list streams is asked.
    wanted = {right for right in granted() if right[2] != "list"}
    poll("every verb used", lambda: wanted <= audit.rights(), 30)
    assert audit.rights() <= granted()
    secrets = [e["requestURI"] for e in audit.events() if e.get("objectRef", {}).get("resource") == "secrets"]
    assert secrets and all("fieldSelector=type%3Dkubernetes.io%2Ftls" in uri for uri in secrets), secrets
    assert complaints(pod) == []


def test_hardened_secrets_of_granted_namespaces_alone(start_ground, tmp_path):
    """The component takes Secrets away; what a namespace grants is read, what it does not is told."""
    site = PodSite(start_ground(hardened=True))
    audit = site.ground.audit
    site.api.kubectl("create", "rolebinding", "sluice-secrets", "-n", "default", "--clusterrole=sluice-secrets",
                     "--serviceaccount=sluice:sluice")
    site.api.kubectl("create", "namespace", "closed")
    pod = site.pod("sluice-a").start()
    key, chain = str(tmp_path / "key"), str(tmp_path / "chain")
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key,
        "-out", chain, "-days", "2", "-subj", "/CN=tls.example", "-addext", "subjectAltName=DNS:tls.example")
    site.ingress("tls", "tls.example", tls="pair")
    for namespace in ("default", "closed"):
        site.api.kubectl("create", "secret", "tls", "pair", "-n", namespace, "--cert", chain, "--key", key)
    site.api.apply(ingress("tls", "closed.example", namespace="closed", tls="pair"))

    def shown(name):
        with site.connect("https", name) as connection:
            return b"tls.example" in connection.sock.getpeercert(binary_form=True)
    poll("its certificate", lambda: shown("tls.example"), 40)
    poll("what is closed", lambda: any('"closed"' in line for line in pod.agent.log), 30)
    assert not shown("closed.example")
    read = {e["objectRef"].get("namespace") for e in audit.events()
            if e.get("objectRef", {}).get("resource") == "secrets" and e["responseStatus"]["code"] == 200}
    assert read == {"default"}
    assert audit.rights() <= granted()
