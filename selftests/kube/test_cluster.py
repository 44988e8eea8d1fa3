# SPDX-License-Identifier: Apache-2.0
"""What sluice writes into the cluster, and what it may do there: k8s/ as it is, a bound token of its
ServiceAccount, kube-apiserver's own RBAC."""
import json
import os
import signal

import pytest

from apiserver import ingress
from kube_site import INGRESSES, KubeSite
from world import ROOT, poll

K8S = os.path.join(ROOT, "k8s")
LEASES = "/apis/coordination.k8s.io/v1/namespaces/sluice/leases"


class Cluster(KubeSite):
    """A site whose sluice is nobody but the ServiceAccount of k8s/."""

    def __init__(self, *options, secrets=True, **more):
        super().__init__(start=False, **more)
        self.api.kubectl("apply", "-k", K8S)
        if not secrets:
            self.api.kubectl("delete", "clusterrolebinding", "sluice-secrets")
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

    def addresses(self, name):
        status = self.api.request("GET", f"{INGRESSES}/{name}")[1]["status"]["loadBalancer"]
        return [a.get("ip") or a.get("hostname") for a in status.get("ingress", [])]

    def events(self, name):
        """{reason: Event} about an Ingress"""
        listed = self.api.request("GET", "/apis/events.k8s.io/v1/namespaces/default/events")[1]["items"]
        return {e["reason"]: e for e in listed if e["regarding"]["name"] == name}


@pytest.fixture
def start_cluster():
    made = []

    def start(*options, **more):
        made.append(Cluster(*options, **more))
        return made[-1]
    yield start
    for one in made:
        one.close()


def test_serves_with_the_rights_of_k8s_alone(start_cluster):
    site = start_cluster("--publish-address", "192.0.2.7")
    site.backend("web", "10.200.7.1")
    site.ingress("web", "web.example")
    site.wait_served("web.example")
    poll("the address", lambda: site.addresses("web") == ["192.0.2.7"], 15)
    poll("Synced", lambda: "Synced" in site.events("web"), 5)
    site.ingress("broken", "broken.example", "nobody", tls="missing")
    poll("its Events", lambda: "MissingSecret" in site.events("broken"), 5)
    event = site.events("broken")["MissingSecret"]
    assert event["type"] == "Warning" and "missing" in event["note"] and "spec.tls[0]" in event["note"]
    assert not [line for line in site.agents[0].log if "forbidden" in line.lower()]


def test_only_ours_and_given_up_ones_are_touched(start_cluster):
    site = start_cluster("--publish-address", "192.0.2.7,2001:db8::7")
    site.ingress("ours", "ours.example")
    site.ingress("other", "other.example", ingress_class="nginx")
    poll("the addresses", lambda: site.addresses("ours") == ["192.0.2.7", "2001:db8::7"], 15)
    assert site.addresses("other") == []
    before = site.api.request("GET", f"{INGRESSES}/ours")[1]["metadata"]
    managers = [m for m in before["managedFields"] if m.get("subresource") == "status"]
    assert [m["manager"] for m in managers] == ["sluice"] and managers[0]["operation"] == "Apply"
    site.api.request("PATCH", f"{INGRESSES}/ours", [{"op": "replace", "path": "/spec/ingressClassName", "value": "x"}],
                     "application/json-patch+json")
    poll("given up", lambda: site.addresses("ours") == [], 20)


def test_two_agents_one_lease(start_cluster):
    site = start_cluster("--publish-address", "192.0.2.7")
    poll("a holder", site.lease_holder, 10)
    first = site.lease_holder()
    second = site.start_agent()
    site.ingress("one", "one.example")
    poll("written", lambda: site.addresses("one"), 10)
    assert site.lease_holder() == first
    site.agents[0].process.send_signal(signal.SIGKILL)
    poll("another holder", lambda: site.lease_holder() not in ("", first), 30)
    site.ingress("two", "two.example")
    poll("written by the other", lambda: site.addresses("two") == ["192.0.2.7"], 10)
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
    poll("the balancer's address", lambda: site.addresses("one") == ["203.0.113.5"], 15)
    balance()
    balance("203.0.113.6")
    poll("the new one", lambda: site.addresses("one") == ["203.0.113.6"], 25)


def test_secrets_by_namespace(start_cluster):
    """The hardened component: what is not granted is told, what is granted is read."""
    site = start_cluster(secrets=False)
    site.api.kubectl("create", "rolebinding", "sluice-secrets", "-n", "default", "--clusterrole=sluice-secrets",
                     "--serviceaccount=sluice:sluice")
    site.api.kubectl("create", "namespace", "closed")
    site.backend("web", "10.200.7.1")
    site.world.node.run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-keyout", site.world.dir + "/k", "-out", site.world.dir + "/c", "-days", "2",
                        "-subj", "/CN=tls.example", "-addext", "subjectAltName=DNS:tls.example")
    site.api.kubectl("create", "secret", "tls", "pair", "--cert", site.world.dir + "/c", "--key", site.world.dir + "/k")
    site.ingress("tls", "tls.example", tls="pair")
    site.api.apply({**site.api.get("ingress", "tls"), "metadata": {"name": "tls", "namespace": "closed"}})

    def shown():
        with site.connect("https", "tls.example") as connection:
            der = connection.sock.getpeercert(binary_form=True)
            return b"tls.example" in der
    poll("its certificate", shown, 40)
    poll("what is closed", lambda: any('"closed"' in line for line in site.agents[0].log), 10)


def test_no_verb_is_too_many(start_cluster):
    """Every rule of the ClusterRole and the Role is needed: each is asked for in the server's audit log."""
    rules = []
    for name in ("rbac.yaml", "rbac-secrets.yaml"):
        listed = json.loads(read_manifests(os.path.join(K8S, name)))
        for item in listed if isinstance(listed, list) else [listed]:
            rules += [(g, r, v) for rule in item.get("rules", []) for g in rule["apiGroups"]
                      for r in rule["resources"] for v in rule["verbs"]]
    policy = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["ResponseStarted", "ResponseComplete"],
              "rules": [{"level": "Metadata", "users": ["system:serviceaccount:sluice:sluice"]}, {"level": "None"}]}
    path = f"/tmp/sluice-kube-audit-{os.getpid()}"
    with open(path + ".policy", "w", encoding="utf-8") as file:
        json.dump(policy, file)
    site = start_cluster("--publish-address", "192.0.2.7", flags=(
        f"--audit-log-path={path}.log", f"--audit-policy-file={path}.policy", "--audit-log-mode=blocking"))
    site.api.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": "sluice"},
                    "data": {"profile": "sluice"}})
    site.api.kubectl("patch", "ingressclass", "sluice", "--type=merge", "-p", json.dumps({"spec": {"parameters": {
        "kind": "ConfigMap", "name": "settings", "scope": "Namespace", "namespace": "sluice"}}}))
    site.backend("web", "10.200.7.1")
    site.ingress("one", "one.example")
    poll("the address", lambda: site.addresses("one"), 15)
    for host in ("two.example", "three.example"):
        poll("Synced", lambda: "Synced" in site.events("one"), 5)
        site.api.request("PATCH", f"{INGRESSES}/one", [{"op": "replace", "path": "/spec/rules/0/host", "value": host}],
                         "application/json-patch+json")
    poll("a series", lambda: site.events("one").get("Synced", {}).get("series"), 10)
    asked = set()

    def all_used():
        with open(path + ".log", encoding="utf-8") as file:
            for line in file:
                event = json.loads(line)
                ref = event.get("objectRef") or {}
                resource = ref.get("resource", "") + ("/" + ref["subresource"] if "subresource" in ref else "")
                asked.add((ref.get("apiGroup", ""), resource, event["verb"]))
        # `list` is what a server without list streams is asked.
        return not {r for r in rules if r[2] != "list"} - asked
    poll("every verb used", all_used, 15)
    extra = {a for a in asked if a not in rules and a[1]}
    assert not extra, f"asked for without a rule: {extra}"
    for suffix in (".log", ".policy"):
        os.unlink(path + suffix)


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
        poll("refused", lambda: why in api.request("POST", create, body)[1].get("message", ""), 15)
        body["spec"]["ingressClassName"] = "other"
    status, answer = api.request("POST", create, body)
    assert status == 201, (what, answer)


def read_manifests(path):
    """A file of manifests as one JSON list."""
    import yaml
    with open(path, encoding="utf-8") as file:
        return json.dumps(list(yaml.safe_load_all(file)))
