# SPDX-License-Identifier: Apache-2.0
"""What sluice writes into the cluster, and what it may do there: k8s/ as it is, a bound token of its
ServiceAccount, kube-apiserver's own RBAC."""
import json
import os
import signal

import pytest

from apiserver import ingress
from kube_site import INGRESSES, K8S, KubeSite
from world import poll

LEASES = "/apis/coordination.k8s.io/v1/namespaces/sluice/leases"


class Cluster(KubeSite):
    """A site whose sluice is nobody but the ServiceAccount of k8s/."""

    def __init__(self, ground, *options):
        super().__init__(ground, start=False)
        self.agents = []
        self.options = options
        self.start_agent()

    def token(self):
        return self.api.kubectl("create", "token", "sluice", "-n", "sluice", "--duration=3600s").strip()

    def start_agent(self):
        """Another agent with a token of its own, on ports of its own."""
        number = len(self.agents)
        config = self.api.write_kubeconfig(f"agent{number}", user={"token": self.token()})
        # The namespace of the context is where the Lease stands.
        with open(config, encoding="utf-8") as file:
            content = json.load(file)
        content["contexts"][0]["context"]["namespace"] = "sluice"
        with open(config, "w", encoding="utf-8") as file:
            json.dump(content, file)
        more = {} if number == 0 else {"run_dir": os.path.join(self.world.dir, f"run{number}"),
                                       "bpf_dir": os.path.join(self.world.bpffs, f"sluice{number}")}
        ports = [] if number == 0 else ["--http", f"0.0.0.0:{8000 + number}", "--https", "none",
                                        "--admin", f"127.0.0.1:{9000 + number}"]
        agent = self.make_sluice(*self.options, *ports, kubeconfig=config, **more)
        self.agents.append(agent.start())
        return agent

    def lease_holder(self):
        return self.api.request("GET", f"{LEASES}/sluice")[1].get("spec", {}).get("holderIdentity")


@pytest.fixture
def start_cluster(ground):
    made = []

    def start(*options):
        made.append(Cluster(ground, *options))
        return made[-1]
    yield start
    for one in made:
        one.close()


def test_serves_with_the_rights_of_k8s_alone(start_cluster):
    site = start_cluster("--publish-address", "192.0.2.7")
    site.backend("web", "10.200.7.1")
    site.ingress("web", "web.example")
    site.wait_served("web.example")
    poll("the address", lambda: site.addresses("web") == ["192.0.2.7"], 30)
    poll("Synced", lambda: "Synced" in site.events("web"), 30)
    site.ingress("broken", "broken.example", "nobody", tls="missing")
    poll("its Events", lambda: "MissingSecret" in site.events("broken"), 30)
    event = site.events("broken")["MissingSecret"]
    assert event["type"] == "Warning" and "missing" in event["note"] and "spec.tls[0]" in event["note"]
    assert not [line for line in site.agents[0].log if "forbidden" in line.lower()]


def test_events_say_what_became_of_an_ingress(start_cluster):
    """Synced, a conflict that was lost, a Secret that is missing, a protection that is not there: object, field, why."""
    site = start_cluster()
    poll("a holder", site.lease_holder, 30)
    site.backend("web", "10.200.7.1")
    site.ingress("first", "shared.example")
    site.ingress("second", "shared.example")
    site.ingress("guarded", "guarded.example", annotations={"nginx.ingress.kubernetes.io/auth-url": "http://auth.example"})
    site.ingress("bare", "bare.example", tls="missing")
    wanted = {"second": ("Conflict", "Normal", "spec.rules[0].http.paths[0].path", "default/first"),
              "guarded": ("ProtectionMissing", "Warning", "metadata.annotations", "503"),
              "bare": ("MissingSecret", "Warning", "spec.tls[0]", "missing")}
    for name, (reason, level, field, text) in wanted.items():
        poll(f"{reason} about {name}", lambda name=name, reason=reason: reason in site.events(name), 30)
        event = site.events(name)[reason]
        assert event["type"] == level and field in event["note"] and text in event["note"], event
        assert event["reportingController"] == "sluice.dev/ingress-controller"
    poll("Synced", lambda: "Synced" in site.events("first"), 30)
    assert list(site.events("first")) == ["Synced"]


def test_only_ours_and_given_up_ones_are_touched(start_cluster):
    site = start_cluster("--publish-address", "192.0.2.7,2001:db8::7")
    site.ingress("ours", "ours.example")
    site.ingress("other", "other.example", ingress_class="nginx")
    poll("the addresses", lambda: site.addresses("ours") == ["192.0.2.7", "2001:db8::7"], 30)
    assert site.addresses("other") == []
    before = site.api.request("GET", f"{INGRESSES}/ours")[1]["metadata"]
    managers = [m for m in before["managedFields"] if m.get("subresource") == "status"]
    assert [m["manager"] for m in managers] == ["sluice"] and managers[0]["operation"] == "Apply"
    site.api.request("PATCH", f"{INGRESSES}/ours", [{"op": "replace", "path": "/spec/ingressClassName", "value": "x"}],
                     "application/json-patch+json")
    poll("given up", lambda: site.addresses("ours") == [], 30)


def test_taken_over_and_nameless_ones_have_addresses_too(start_cluster):
    """What is served and whose status is written follow from the same rules."""
    site = start_cluster("--publish-address", "192.0.2.7", "--take-over-class", "nginx", "--watch-ingress-without-class")
    site.api.apply({"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": "nginx"},
                    "spec": {"controller": "k8s.io/ingress-nginx"}})
    site.backend("web", "10.200.7.1")
    classes = {"taken-over": "nginx", "nameless": None, "other": "other"}
    for name, ingress_class in classes.items():
        site.ingress(name, f"{name}.example", ingress_class=ingress_class)
    for name in ("taken-over", "nameless"):
        site.wait_served(f"{name}.example")
        poll("the address", lambda name=name: site.addresses(name) == ["192.0.2.7"], 30)
    assert site.get("other.example").status == 404
    assert site.addresses("other") == []


def test_two_agents_one_lease(start_cluster):
    site = start_cluster("--publish-address", "192.0.2.7")
    poll("a holder", site.lease_holder, 30)
    first = site.lease_holder()
    second = site.start_agent()
    site.ingress("one", "one.example")
    poll("written", lambda: site.addresses("one"), 30)
    assert site.lease_holder() == first
    site.agents[0].process.send_signal(signal.SIGKILL)
    poll("another holder", lambda: site.lease_holder() not in ("", first), 30)
    site.ingress("two", "two.example")
    poll("written by the other", lambda: site.addresses("two") == ["192.0.2.7"], 30)
    assert any("writes status" in line for line in second.log)
    holder = site.lease_holder()
    second.stop()
    assert site.lease_holder() != holder, "given back at the end"


def test_publish_service(start_cluster):
    site = start_cluster("--publish-service", "default/front")
    site.api.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "front", "namespace": "default"},
                    "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]}})
    site.ingress("one", "one.example")
    where = "/api/v1/namespaces/default/services/front/status"

    def balance(*addresses):
        body = {"status": {"loadBalancer": {"ingress": [{"ip": a} for a in addresses]}}}
        assert site.api.request("PATCH", where, body, "application/merge-patch+json")[0] == 200
    balance("203.0.113.5")
    poll("the balancer's address", lambda: site.addresses("one") == ["203.0.113.5"], 30)
    balance()
    balance("203.0.113.6")
    poll("the new one", lambda: site.addresses("one") == ["203.0.113.6"], 30)


def test_examples_are_taken(api):
    """By the API server's own validation; k8s/ itself is applied in every other test."""
    said = api.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", os.path.join(K8S, "examples"))
    assert all(line.endswith("(server dry run)") for line in said.splitlines()), said


@pytest.mark.parametrize("what, change, why", [
    ("plain", {}, None),
    ("snippet", {"nginx.ingress.kubernetes.io/configuration-snippet": "return 200;"}, "snippets"),
    ("boolean", {"sluice.dev/ssl-redirect": "maybe"}, "true"),
    ("good boolean", {"sluice.dev/ssl-redirect": "false"}, None),
    ("timeout", {"nginx.ingress.kubernetes.io/proxy-read-timeout": "soon"}, "number of seconds"),
    ("good timeout", {"nginx.ingress.kubernetes.io/proxy-read-timeout": "30"}, None),
    ("static content", {"kind": "ConfigMap", "name": "a"}, None),
    ("other resource", {"kind": "Bucket", "apiGroup": "storage.example", "name": "a"}, "ConfigMap"),
])
def test_admission_policies(api, what, change, why):
    """What sluice would refuse is refused when it is applied; of our class only."""
    api.kubectl("apply", "-f", os.path.join(K8S, "policy.yaml"))
    body = ingress("policy", "policy.example")
    if "kind" in change:
        body["spec"] = {"ingressClassName": "sluice", "defaultBackend": {"resource": change}}
    else:
        body["metadata"]["annotations"] = change
    create = INGRESSES + "?dryRun=All"
    if why:
        poll("refused", lambda: why in api.request("POST", create, body)[1].get("message", ""), 30)
        body["spec"]["ingressClassName"] = "other"
    status, answer = api.request("POST", create, body)
    assert status == 201, (what, answer)
