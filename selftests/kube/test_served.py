# SPDX-License-Identifier: Apache-2.0
"""What the API server says is served: soon, whatever happens on the way, without a failed request."""
import random
import statistics
import time

import pytest

from apiserver import endpoint_slice
from kube_site import INGRESSES, KubeSite
from load import Load
from world import poll

ADDRESS = "10.200.7.1"


@pytest.fixture
def start_site():
    made = []

    def start(**options):
        made.append(KubeSite(**options))
        return made[-1]
    yield start
    for one in made:
        one.close()


def time_changes(site, count):
    """Milliseconds from the API server's answer to a change until the proxy serves it."""
    body = [{"op": "replace", "path": "/spec/rules/0/host", "value": None}]
    took = []
    with site.connect() as connection:
        for i in range(count):
            body[0]["value"] = host = f"change-{i}.example"
            status, answer = site.api.request("PATCH", f"{INGRESSES}/moving", body, "application/json-patch+json")
            began = time.monotonic()
            assert status == 200, answer
            while connection.get(host).status != 200:
                assert time.monotonic() - began < 5, f"{host} is not served"
            took.append((time.monotonic() - began) * 1000)
    return sorted(took)


def test_apply_to_served_does_not_grow_with_size(start_site, capsys):
    site = start_site()
    site.backend("web", ADDRESS)
    site.ingress("moving", "first.example")
    site.wait_served("first.example")
    medians, there = [], 0
    for size in (10, 1000, 10000):
        site.api.load(size - there, "-class", "sluice", "-prefix", f"at{size}")
        there = size
        site.ingress(f"last{size}", f"last{size}.example")
        site.wait_served(f"last{size}.example", 30)
        took = time_changes(site, 200)
        medians.append(statistics.median(took))
        with capsys.disabled():
            print(f"\napply to served, {size} Ingresses: median {medians[-1]:.1f} ms, "
                  f"p99 {took[int(len(took) * 0.99)]:.1f} ms, worst {took[-1]:.1f} ms")
    assert medians[0] < 20


def hosts_served(site, hosts):
    """{host: status}"""
    with site.connect() as connection:
        return {host: connection.get(host).status for host in hosts}


def churn(site, rng, living, count):
    """Random creations, renamings and deletions; `living`: name → host"""
    for _ in range(count):
        what, name = rng.random(), f"c{rng.randrange(10**9)}"
        if what < 0.5 or not living:
            living[name] = f"{name}.example"
            site.ingress(name, living[name])
        elif what < 0.8:
            name = rng.choice(sorted(living))
            living[name] = f"{name}-{rng.randrange(10**6)}.example"
            body = [{"op": "replace", "path": "/spec/rules/0/host", "value": living[name]}]
            assert site.api.request("PATCH", f"{INGRESSES}/{name}", body, "application/json-patch+json")[0] == 200
        else:
            name = rng.choice(sorted(living))
            del living[name]
            assert site.api.request("DELETE", f"{INGRESSES}/{name}")[0] == 200


def test_chaos_on_the_way_to_the_api_server(start_site, capsys):
    """Killed, cut, stalled and refused connections, a restarted server, while objects change: what is
    served is what is stored, route by route, and no client notices."""
    site = start_site(wired=True)
    site.backend("web", ADDRESS)
    site.ingress("steady", "steady.example")
    site.wait_served("steady.example")
    rng, living = random.Random(11), {}

    def kill():
        site.wire.kill()

    def cut():
        site.wire.cut_after = rng.randrange(2000, 9000)
        site.wire.kill()

    def refuse():
        site.wire.mode = "refuse"
        site.wire.kill()

    def restart():
        site.wire.mode = "refuse"
        site.wire.kill()
        site.api.stop()
        site.api.start()

    with Load(site, ["steady.example"], pause=0.002) as load:
        for step in (kill, cut, kill, refuse, kill, restart, kill, site.wire.freeze):
            churn(site, rng, living, 15)
            step()
            churn(site, rng, living, 10)
            site.wire.cut_after, site.wire.mode = None, "pass"
        hosts = sorted(living.values())
        began = time.monotonic()
        poll("every route as it is stored", lambda: set(hosts_served(site, hosts).values()) == {200}, 45)
        took = time.monotonic() - began
        stored = {i["spec"]["rules"][0]["host"] for i in site.api.request("GET", INGRESSES)[1]["items"]}
        assert stored == set(hosts) | {"steady.example"}
        ever = {f"{name}.example" for name in living} - stored
        poll("nothing else", lambda: set(hosts_served(site, sorted(ever)).values()) <= {404}, 10)
    with capsys.disabled():
        print(f"\nchaos: {len(hosts)} routes as stored {took:.1f} s after the last fault, "
              f"{load.requests} requests, {len(load.failures)} failed")
    assert not load.failures, load.failures[:5]


def test_api_server_down_while_sluice_serves(start_site):
    site = start_site()
    site.backend("web", ADDRESS)
    site.ingress("web", "web.example")
    site.wait_served("web.example")
    with Load(site, ["web.example"], pause=0.01) as load:
        site.api.stop()
        time.sleep(8)
        site.api.start()
        site.ingress("later", "later.example")
        site.wait_served("later.example", 20)
    assert not load.failures, load.failures[:5]


def test_rolling_deployment(start_site, capsys):
    """20 endpoints are replaced one by one as a Deployment does: added not ready, ready, and the old one
    terminating and gone, under load."""
    site = start_site()
    old = [f"10.200.8.{i}" for i in range(1, 21)]
    new = [f"10.200.9.{i}" for i in range(1, 21)]
    site.backend("web", *old)
    site.ingress("web", "web.example")
    site.wait_served("web.example")
    where = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/web"
    gone = {"ready": False, "serving": True, "terminating": True}

    def write(*endpoints):
        body = {"endpoints": endpoint_slice("web", "web", endpoints)["endpoints"]}
        assert site.api.request("PATCH", where, body, "application/merge-patch+json")[0] == 200
        time.sleep(0.03)

    began = time.monotonic()
    with Load(site, ["web.example"], keepalive=6) as load:
        for i in range(20):
            rest, fresh = old[i + 1:], new[:i]
            write(*rest, old[i], *fresh, (new[i], {"ready": False}))
            write(*rest, old[i], *fresh, new[i])
            write(*rest, (old[i], gone), *fresh, new[i])
            write(*rest, *fresh, new[i])
    with capsys.disabled():
        print(f"\nrolling deployment: {load.requests} requests at {load.requests / (time.monotonic() - began):.0f}/s, {len(load.failures)} failed")
    assert not load.failures, load.failures[:5]
    assert site.get("web.example").echo["address"].split(":")[0] in new


def memory_mb(pid):
    """Peak resident memory."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmHWM"))


def test_start_with_10000(start_site, capsys):
    """10,000 Ingresses, Services and EndpointSlices and 1,000 Secrets with certificates at start."""
    site = start_site(start=False)
    site.api.load(10000, "-class", "sluice", "-services", "-address", ADDRESS, "-secrets", "1000")
    began = time.monotonic()
    site.sluice.start()
    took = time.monotonic() - began
    listed = site.sluice.wait_for("has listed everything").split()[0]
    ready = site.sluice.wait_for("generation .* in force").split()[0]
    with site.connect() as connection:
        assert connection.get("h9999.example").status == 200
    sizes = {(arguments[1] if len(arguments) > 1 else "?"): memory_mb(pid)
             for pid, arguments in site.sluice.processes().items()}
    with capsys.disabled():
        print(f"\n10,000 at start: ready after {took:.2f} s (listed {listed[17:23]}, in force {ready[17:23]}), "
              f"peak MB {sizes}")
    assert max(sizes.values()) < 400
    assert took < 15
