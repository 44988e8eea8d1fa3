# SPDX-License-Identifier: Apache-2.0
"""The API client alone: what it reads, and that nothing which happens on the way loses anything."""
import base64
import json
import os
import random
import threading
import time

import pytest

from apiserver import config_map, endpoint_slice, ingress, secret, service
from front import ConnectProxy, Front, Wire
from world import poll

INGRESSES = "/apis/networking.k8s.io/v1/namespaces/default/ingresses"
PEM = {"tls.crt": "a", "tls.key": "b"}


def stored(api):
    return {f"default/{item['metadata']['name']}" for item in api.request("GET", INGRESSES)[1]["items"]}


def hosts(driver):
    """host of every rule, by Ingress, as the store has it"""
    found, name = {}, None
    for line in driver.dump().splitlines():
        words = line.split()
        if line.startswith("Ingress "):
            name = words[1]
        elif not line.startswith(" "):
            name = None
        elif name and " host " in line:
            found[name] = line.split(" host ")[1].split("'")[1]
    return found


def stored_hosts(api):
    return {f"default/{item['metadata']['name']}": item["spec"]["rules"][0]["host"]
            for item in api.request("GET", INGRESSES)[1]["items"]}


def create(api, name, host):
    status, answer = api.request("POST", INGRESSES, ingress(name, host))
    assert status == 201, answer


def change(api, name, host):
    body = [{"op": "replace", "path": "/spec/rules/0/host", "value": host}]
    status, answer = api.request("PATCH", f"{INGRESSES}/{name}", body, "application/json-patch+json")
    assert status == 200, answer


def delete(api, name):
    assert api.request("DELETE", f"{INGRESSES}/{name}")[0] == 200


def churn(api, count, rng, names):
    """Random creations, changes and deletions."""
    for i in range(count):
        what = rng.random()
        if what < 0.4 or not names:
            name = f"churn-{rng.randrange(10**9)}"
            create(api, name, f"{name}.example")
            names.append(name)
        elif what < 0.8:
            change(api, rng.choice(names), f"c{i}-{rng.randrange(10**6)}.example")
        else:
            delete(api, names.pop(rng.randrange(len(names))))


def assert_converges(api, driver, seconds=60):
    poll("the store as the server has it", lambda: hosts(driver) == stored_hosts(api), seconds)


def test_reads_and_follows_what_matters(api, start_driver):
    api.apply(service("web"), endpoint_slice("web-1", "web", ["10.200.0.1"]), ingress("one", "one.example"),
              secret("pair", PEM, "kubernetes.io/tls"), secret("password", {"a": "b"}),
              config_map("other", {"a": "b"}))
    driver = start_driver(api.kubeconfig).wait_complete()
    assert driver.names("Ingress") == {"default/one"}
    assert "default/web" in driver.names("Service")
    assert driver.names("EndpointSlice") == {"default/web-1"}
    assert driver.names("Secret") == {"default/pair"}
    assert driver.names("ConfigMap") == set()
    api.apply(ingress("two", "two.example"))
    change(api, "one", "changed.example")
    poll("both", lambda: hosts(driver) == {"default/one": "changed.example", "default/two": "two.example"}, 30)
    delete(api, "one")
    poll("one is gone", lambda: driver.names("Ingress") == {"default/two"}, 30)
    assert driver.stats()["lists"] == 5


def test_follows_what_is_named_and_nothing_else(api, start_driver):
    api.apply(secret("users", {"auth": "x"}), secret("password", {"a": "b"}), config_map("settings", {"a": "b"}),
              config_map("other", {"a": "b"}),
              ingress("one", "one.example", annotations={"nginx.ingress.kubernetes.io/auth-secret": "users"}))
    driver = start_driver(api.kubeconfig).wait_complete()
    assert driver.names("Secret") == {"default/users"}
    api.apply({"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": "sluice"},
               "spec": {"controller": "sluice.dev/ingress-controller", "parameters": {
                   "kind": "ConfigMap", "name": "settings", "namespace": "default", "scope": "Namespace"}}})
    poll("the parameters", lambda: driver.names("ConfigMap") == {"default/settings"}, 30)
    api.kubectl("annotate", "ingress", "one", "nginx.ingress.kubernetes.io/auth-secret-")
    poll("nobody names it", lambda: driver.names("Secret") == set(), 30)
    api.kubectl("delete", "ingressclass", "sluice")
    poll("no parameters", lambda: driver.names("ConfigMap") == set(), 30)
    assert driver.stats()["watches"] == 5


def test_status_changes_nothing(api, start_driver):
    api.apply(ingress("one", "one.example"))
    driver = start_driver(api.kubeconfig).wait_complete()
    changes = driver.changes
    for last in range(5):
        body = {"status": {"loadBalancer": {"ingress": [{"ip": f"192.0.2.{last}"}]}}}
        api.request("PATCH", f"{INGRESSES}/one/status", body, "application/merge-patch+json")
    poll("five events", lambda: driver.stats()["unchanged"] == 5, 30)
    assert driver.changes == changes


def test_connections_killed_while_objects_change(api, start_driver):
    wire = Wire(api.port)
    driver = start_driver(api.write_kubeconfig("wire", wire.url)).wait_complete()
    rng, names = random.Random(5), []
    for _ in range(8):
        churn(api, 15, rng, names)
        wire.kill()
        churn(api, 5, rng, names)
    assert_converges(api, driver)
    stats = driver.stats()
    assert stats["lists"] == 5, "a broken connection is no reason to list again"
    assert stats["resumes"] >= 8
    wire.close()


def test_streams_cut_in_the_middle(api, start_driver):
    wire = Wire(api.port)
    driver = start_driver(api.write_kubeconfig("wire", wire.url)).wait_complete()
    rng, names = random.Random(6), []
    for cut in (3000, 3100, 3333, 4000, 4501, 6007, 9001):
        wire.cut_after = cut
        wire.kill()
        churn(api, 12, rng, names)
        time.sleep(0.3)
    wire.cut_after = None
    wire.kill()
    assert_converges(api, driver)
    wire.close()


def test_first_lists_through_a_connection_that_breaks(api, start_driver):
    for i in range(40):
        create(api, f"n{i}", f"n{i}.example")
    wire = Wire(api.port)
    wire.cut_after = 12000
    driver = start_driver(api.write_kubeconfig("wire", wire.url))
    time.sleep(1.5)
    assert driver.changes == 0, "half of a list is nobody's business"
    wire.cut_after = None
    driver.wait_complete()
    assert_converges(api, driver)
    wire.close()


def test_half_open_connection_is_found(api, start_driver):
    """It is silence that tells: a probe is not answered, and everything begins anew, once."""
    wire = Wire(api.port)
    driver = start_driver(api.write_kubeconfig("wire", wire.url)).wait_complete()
    wire.freeze()
    create(api, "one", "one.example")
    assert_converges(api, driver)
    stats = driver.stats()
    assert (stats["lists"], stats["resumes"], stats["resets"]) == (5, 5, 1)
    wire.close()


def test_server_restarted_while_objects_change(start_api, start_driver):
    """After a restart the server knows no resourceVersion of before: 410, and lists are compared."""
    api = start_api()
    wire = Wire(api.port)
    for i in range(20):
        create(api, f"n{i}", f"n{i}.example")
    driver = start_driver(api.write_kubeconfig("wire", wire.url)).wait_complete()
    wire.mode = "refuse"
    wire.kill()
    rng, names = random.Random(7), [f"n{i}" for i in range(20)]
    churn(api, 40, rng, names)
    api.stop()
    api.start()
    churn(api, 20, rng, names)
    assert len(hosts(driver)) == 20, "what was good stays meanwhile"
    wire.mode = "pass"
    wire.port = api.port
    assert_converges(api, driver)
    wire.close()


@pytest.fixture
def front(api):
    made = Front(api)
    yield made
    made.close()


def gone_once(front):
    told = set()

    def rule(_, path):
        kind = path.split("?")[0]
        if "resourceVersion=" in path and kind not in told:
            told.add(kind)
            return 410, {}, json.dumps({"kind": "Status", "code": 410, "reason": "Expired"}).encode()
        return None
    front.rules.append(rule)


def test_410_lists_again_and_compares(api, front, start_driver):
    for i in range(10):
        create(api, f"n{i}", f"n{i}.example")
    wire = Wire(front.port)
    driver = start_driver(api.write_kubeconfig("front", wire.url)).wait_complete()
    gone_once(front)
    unchanged_names = {f"n{i}" for i in range(5, 10)}
    wire.mode = "refuse"
    wire.kill()
    for i in range(5):
        delete(api, f"n{i}")
    change(api, "n5", "changed.example")
    wire.mode = "pass"
    assert_converges(api, driver)
    poll("every list again", lambda: driver.stats()["lists"] == 10, 30)
    assert hosts(driver) == {f"default/{n}": "changed.example" if n == "n5" else f"{n}.example"
                             for n in unchanged_names}
    wire.close()


def test_http_without_tls(api, start_driver):
    plain = Front(api, tls=False)
    create(api, "one", "one.example")
    driver = start_driver(api.write_kubeconfig("plain", plain.url)).wait_complete()
    assert hosts(driver) == {"default/one": "one.example"}
    plain.close()


def test_429_is_obeyed_and_500_backs_off(api, front, start_driver):
    asked = []

    def busy(_, path):
        if path.startswith("/apis/networking.k8s.io/v1/ingresses") and len(asked) < 3:
            asked.append(time.monotonic())
            if len(asked) < 3:
                return 429, {"Retry-After": "1"}, b"{}"
            return 500, {}, b"oops"
        return None
    front.rules.append(busy)
    create(api, "one", "one.example")
    driver = start_driver(api.write_kubeconfig("front", front.url)).wait_complete()
    assert hosts(driver) == {"default/one": "one.example"}
    assert asked[1] - asked[0] >= 1 and asked[2] - asked[1] >= 1


def in_pages(_, path):
    if "sendInitialEvents" in path:
        body = {"kind": "Status", "code": 422, "reason": "Invalid",
                "message": "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled"}
        return 422, {}, json.dumps(body).encode()
    return path.replace("limit=500", "limit=3")


def test_a_server_without_list_streams_is_read_in_pages(api, front, start_driver):
    for i in range(10):
        create(api, f"n{i}", f"n{i}.example")
    front.rules.append(in_pages)
    driver = start_driver(api.write_kubeconfig("front", front.url)).wait_complete()
    assert_converges(api, driver)
    assert sum("continue=" in path for _, path in front.seen) >= 3
    create(api, "new", "new.example")
    change(api, "n1", "changed.example")
    assert_converges(api, driver)


def test_a_server_that_ignores_list_streams_is_read_in_pages(api, front, start_driver):
    create(api, "one", "one.example")
    front.drop = b"initial-events-end"
    driver = start_driver(api.write_kubeconfig("front", front.url)).wait_complete()
    assert_converges(api, driver)


def token_of(api, name, *rules):
    """A bound token of a ServiceAccount that may do `rules`: (groups, resources, verbs)."""
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": name},
            "rules": [{"apiGroups": g, "resources": r, "verbs": v} for g, r, v in rules]}
    binding = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": name},
               "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
               "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": "default"}]}
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": "default"}}
    api.apply(account, role, binding)
    return api.kubectl("create", "token", name, "--duration=600s").strip()


BUT_SECRETS = [([""], ["services"], ["list", "watch"]),
               (["networking.k8s.io"], ["ingresses", "ingressclasses"], ["list", "watch"]),
               (["discovery.k8s.io"], ["endpointslices"], ["list", "watch"])]


def test_what_may_not_be_read_is_told_and_the_rest_is_read(api, start_driver):
    api.apply(ingress("one", "one.example"), secret("pair", PEM, "kubernetes.io/tls"))
    token = token_of(api, "no-secrets", *BUT_SECRETS)
    driver = start_driver(api.write_kubeconfig("nobody", user={"token": token})).wait_complete()
    assert hosts(driver) == {"default/one": "one.example"}
    assert "cannot watch resource" in driver.findings() and "secrets" in driver.findings()
    assert driver.names("Secret") == set()


def test_secrets_granted_namespace_by_namespace(api, start_driver):
    api.kubectl("create", "namespace", "granted")
    api.kubectl("create", "namespace", "closed")
    token = token_of(api, "some-secrets", *BUT_SECRETS)
    for kind, name in (("Role", "secrets"), ("RoleBinding", "secrets")):
        body = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind,
                "metadata": {"name": name, "namespace": "granted"}}
        if kind == "Role":
            body["rules"] = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["list", "watch"]}]
        else:
            body.update(roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "secrets"},
                        subjects=[{"kind": "ServiceAccount", "name": "some-secrets", "namespace": "default"}])
        api.apply(body)
    for namespace in ("granted", "closed"):
        api.apply(secret("pair", PEM, "kubernetes.io/tls", namespace=namespace),
                  ingress("web", f"{namespace}.example", namespace=namespace, tls="pair"))
    driver = start_driver(api.write_kubeconfig("some", user={"token": token})).wait_complete()
    poll("the granted Secret", lambda: driver.names("Secret") == {"granted/pair"}, 30)
    poll("what is closed", lambda: 'in the namespace "closed"' in driver.findings(), 30)
    driver.close()
    api.kubectl("delete", "namespace", "granted", "closed")


def test_a_token_file_is_read_again(api, start_driver, tmp_path):
    path = tmp_path / "token"
    path.write_text("not-a-token\n", encoding="ascii")
    create(api, "one", "one.example")
    driver = start_driver(api.write_kubeconfig("file", user={"tokenFile": str(path)}))
    time.sleep(1)
    assert not driver.stats()["complete"]
    path.write_text(api.read("admin.token"), encoding="ascii")
    driver.wait_complete()
    assert hosts(driver) == {"default/one": "one.example"}


def test_client_certificates_and_data_in_the_file(api, start_driver):
    def data(name):
        return base64.b64encode(api.read(name).encode()).decode()
    user = {"client-certificate-data": data("admin.crt"), "client-key-data": data("admin.key")}
    config = api.write_kubeconfig("data", user=user, **{"certificate-authority-data": data("ca.crt"),
                                                        "tls-server-name": "kubernetes.default.svc"})
    start_driver(config).wait_complete()


def test_through_a_proxy(api, start_driver):
    proxy = ConnectProxy()
    create(api, "one", "one.example")
    driver = start_driver(api.write_kubeconfig("proxy", **{"proxy-url": proxy.url})).wait_complete()
    create(api, "two", "two.example")
    assert_converges(api, driver)
    assert set(proxy.asked) == {f"127.0.0.1:{api.port}"}
    proxy.close()


def test_a_server_with_another_ca_is_not_believed(api, start_driver, tmp_path):
    other = tmp_path / "ca.crt"
    os.system(f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /dev/null "
              f"-subj /CN=other -days 1 -out {other} 2>/dev/null")
    driver = start_driver(api.write_kubeconfig("other", **{"certificate-authority": str(other)}))
    poll("the reason", lambda: any("certificate" in line for line in driver.log), 30)
    assert not driver.stats()["complete"]


def test_one_namespace_alone(api, start_driver):
    api.kubectl("create", "namespace", "alone")
    api.apply(ingress("in", "in.example", namespace="alone"), ingress("out", "out.example"))
    driver = start_driver(api.kubeconfig, "alone").wait_complete()
    assert driver.names("Ingress") == {"alone/in"}
    api.kubectl("delete", "namespace", "alone")


def test_changes_in_a_storm_all_arrive(api, start_driver):
    driver = start_driver(api.kubeconfig).wait_complete()
    threads = [threading.Thread(target=churn, args=(api, 60, random.Random(seed), [])) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert_converges(api, driver)
    assert driver.stats()["lists"] == 5
