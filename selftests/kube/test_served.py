# SPDX-License-Identifier: Apache-2.0
"""What the API server says is served: soon, whatever happens on the way, without a failed request."""
import json
import os
import random
import signal
import time

from apiserver import endpoint_slice, ingress
from kube_site import INGRESSES
from load import Load
from world import poll

ADDRESS = "10.200.7.1"


def test_what_kubectl_says_is_served(start_site):
    """apply, patch and delete, as a person would."""
    site = start_site()
    site.backend("web", ADDRESS)
    site.api.apply(ingress("web", "one.example"))
    site.wait_served("one.example")
    site.api.kubectl("patch", "ingress", "web", "--type=json", "-p",
                     '[{"op": "replace", "path": "/spec/rules/0/host", "value": "two.example"}]')
    site.wait_served("two.example")
    assert site.get("one.example").status == 404
    site.api.kubectl("delete", "ingress", "web")
    poll("gone", lambda: site.get("two.example").status == 404, 30)


def hosts_served(site, hosts):
    """{host: status}"""
    with site.connect() as connection:
        return {host: connection.get(host).status for host in hosts}


class Living(dict):
    """name → host of what churn has made; `ever`: every host that any had."""

    def __init__(self):
        super().__init__()
        self.ever = set()

    def __setitem__(self, name, host):
        self.ever.add(host)
        super().__setitem__(name, host)


def churn(site, rng, living, count):
    """Random creations, renamings and deletions."""
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


def wait_as_stored(site, living):
    """Every route is served as it is stored, and of what was churned nothing else."""
    hosts = sorted(living.values())
    poll("every route as it is stored", lambda: set(hosts_served(site, hosts).values()) <= {200}, 90)
    stored = {i["spec"]["rules"][0]["host"] for i in site.api.request("GET", INGRESSES)[1]["items"]}
    assert stored == set(hosts) | {"steady.example"}
    # What an Ingress was called before, and those that were deleted.
    ever = sorted(living.ever - stored)
    poll("nothing else", lambda: set(hosts_served(site, ever).values()) <= {404}, 30)


def test_chaos_on_the_way_to_the_api_server(start_site, capsys):
    """Killed, cut, stalled and refused connections, a restarted server, while objects change: what is
    served is what is stored, route by route, and no client notices."""
    site = start_site(wired=True)
    site.backend("web", ADDRESS)
    site.ingress("steady", "steady.example")
    site.wait_served("steady.example")
    rng, living = random.Random(11), Living()

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
        wait_as_stored(site, living)
    with capsys.disabled():
        print(f"\n    chaos on the wire: {len(living)} routes as stored, {load.requests} requests, "
              f"{len(load.failures)} failed", end=" ")
    assert not load.failures, load.failures[:5]


def test_chaos_of_answers(start_site, capsys):
    """429 with Retry-After, 500 and 410 to whatever is asked, in the middle of lists and watches: the same."""
    site = start_site(fronted=True)
    site.backend("web", ADDRESS)
    site.ingress("steady", "steady.example")
    site.wait_served("steady.example")
    rng, living = random.Random(12), Living()
    answers = {429: {"Retry-After": "1"}, 500: {}, 410: {}}

    def rule(status):
        body = json.dumps({"kind": "Status", "code": status, "reason": "Chaos", "message": "chaos"}).encode()
        return lambda *_: (status, {"Content-Type": "application/json", **answers[status]}, body) \
            if rng.random() < 0.7 else None

    with Load(site, ["steady.example"], pause=0.002) as load:
        for status in (429, 500, 410, 500, 410, 429):
            churn(site, rng, living, 10)
            asked = len(site.front.seen)
            site.front.rules.append(rule(status))
            site.wire.kill()
            churn(site, rng, living, 10)
            poll("some were answered so", lambda asked=asked: len(site.front.seen) >= asked + 5, 30)
            site.front.rules.clear()
        wait_as_stored(site, living)
    with capsys.disabled():
        print(f"\n    chaos of answers: {len(living)} routes as stored, {load.requests} requests, "
              f"{len(load.failures)} failed", end=" ")
    assert not load.failures, load.failures[:5]


def test_api_server_away_while_objects_are_served(start_site):
    """Also by a proxy that is started while there is no API server; what is made later is served then."""
    site = start_site()
    site.backend("web", ADDRESS)
    site.ingress("web", "web.example")
    site.wait_served("web.example")
    with Load(site, ["web.example"], pause=0.005) as load:
        site.api.stop()
        load.wait_for(200)
    assert not load.failures, load.failures[:5]
    proxy = site.sluice.json("status")["proxy_pid"]
    os.kill(proxy, signal.SIGKILL)
    poll("another proxy", lambda: site.sluice.json("status")["proxy_pid"] not in (0, proxy), 30)
    with Load(site, ["web.example"], pause=0.005) as load:
        load.wait_for(200)
        site.api.start()
        site.ingress("later", "later.example")
        site.wait_served("later.example", 60)
    assert not load.failures, load.failures[:5]


def replace_endpoints(site, count, pause=0.0):
    """`count` endpoints are replaced one by one as a Deployment does it, under load: added not ready, ready, and
    the old one terminating and gone. Returns how long it took and what the load has seen."""
    old = [f"10.200.8.{i + 1}" for i in range(count)]
    new = [f"10.200.9.{i + 1}" for i in range(count)]
    site.backend("web", *old)
    site.ingress("web", "web.example")
    site.wait_served("web.example")
    where = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/web"
    gone = {"ready": False, "serving": True, "terminating": True}

    def write(*endpoints):
        body = {"endpoints": endpoint_slice("web", "web", endpoints)["endpoints"]}
        assert site.api.request("PATCH", where, body, "application/merge-patch+json")[0] == 200
        load.wait_for(60)

    began = time.monotonic()
    with Load(site, ["web.example"], keepalive=4, fresh=2, pause=pause) as load:
        for i in range(count):
            rest, fresh = old[i + 1:], new[:i]
            write(*rest, old[i], *fresh, (new[i], {"ready": False}))
            write(*rest, old[i], *fresh, new[i])
            write(*rest, (old[i], gone), *fresh, new[i])
            write(*rest, *fresh, new[i])
    took = time.monotonic() - began
    poll("new ones alone", lambda: site.get("web.example").echo["address"].split(":")[0] in new, 30)
    return took, load


def test_rolling_deployment(start_site, capsys):
    took, load = replace_endpoints(start_site(), 20)
    with capsys.disabled():
        print(f"\n    rolling deployment: {load.requests} requests at {load.requests / took:.0f}/s, "
              f"{len(load.failures)} failed", end=" ")
    assert not load.failures, load.failures[:5]
