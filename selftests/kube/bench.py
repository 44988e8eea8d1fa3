#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""make bench-k8s: how soon, how large and how steady sluice is with a real API server. BENCH_K8S="apply start
outage rolling" narrows it. Everything runs on this machine, the API server and etcd with it: what is printed is
an upper bound. Nothing is asserted but that no request failed and that every route ends up as it is stored."""
import os
import random
import re
import statistics
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "e2e")]

from kube_site import INGRESSES, Ground, KubeSite  # noqa: E402
from load import Load  # noqa: E402
from test_served import ADDRESS, Living, churn, hosts_served, replace_endpoints  # noqa: E402
from world import poll, sweep  # noqa: E402

CHANGES = 200
SIZES = (10, 1000, 10000)
OUTAGE_SECONDS = 60
TICKS = os.sysconf("SC_CLK_TCK")


def show(what, *facts):
    print(f"  {what:<28} {', '.join(facts)}", flush=True)


def fill(site, count, secrets=0):
    """Ingresses h<n>.example, each with a Service and a slice of its own."""
    site.api.load(count, "-class", "sluice", "-services", "-address", ADDRESS, "-secrets", str(secrets))


def cpu_ms(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / TICKS


def peak_mb(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmHWM"))


def pids(site):
    """(agent, proxy)"""
    found = site.sluice.processes()
    return tuple(next(pid for pid, arguments in found.items() if arguments[1:2] == [name])
                 for name in ("run", "proxy"))


def time_changes(site, count):
    """Milliseconds from the API server's answer to a change until the proxy serves it, sorted."""
    body = [{"op": "replace", "path": "/spec/rules/0/host", "value": None}]
    took = []
    with site.connect() as connection:
        for _ in range(count):
            body[0]["value"] = host = f"change-{random.randrange(10**9)}.example"
            status, answer = site.api.request("PATCH", f"{INGRESSES}/moving", body, "application/json-patch+json")
            began = time.monotonic()
            assert status == 200, answer
            while connection.get(host).status != 200:
                assert time.monotonic() - began < 30, f"{host} is not served"
            took.append((time.monotonic() - began) * 1000)
    return sorted(took)


def compiled_ms(lines):
    return statistics.median(float(found[1]) for found in map(re.compile(r"compiled in ([\d.]+) ms").search, lines)
                             if found)


def bench_apply():
    for size in SIZES:
        site = KubeSite(Ground())
        try:
            site.backend("web", ADDRESS)
            site.ingress("moving", "first.example")
            fill(site, size)
            site.ingress("last", "last.example")
            site.wait_served("last.example", 120)
            agent, _ = pids(site)
            time_changes(site, 20)  # what came with the objects is over
            seen, before = len(site.sluice.log), cpu_ms(agent)
            took = time_changes(site, CHANGES)
            show(f"apply to served, {size}", f"median {statistics.median(took):.1f} ms",
                 f"p99 {took[len(took) * 99 // 100]:.1f} ms", f"worst {took[-1]:.1f} ms",
                 f"compiled in {compiled_ms(site.sluice.log[seen:]):.1f} ms",
                 f"agent CPU {(cpu_ms(agent) - before) / CHANGES:.1f} ms a change")
        finally:
            site.ground.close()


def stamp_of(line):
    """Seconds of the day in a line of the log."""
    hours, minutes, seconds = re.match(r"\S+T(\d+):(\d+):([\d.]+)Z", line).groups()
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def bench_start():
    site = KubeSite(Ground(), start=False)
    try:
        fill(site, 10000, secrets=1000)
        began = time.monotonic()
        site.sluice.start()
        took = time.monotonic() - began
        listed = stamp_of(site.sluice.wait_for("has listed everything"))
        ready = stamp_of(site.sluice.wait_for("generation .* in force"))
        agent, proxy = pids(site)
        with site.connect() as connection:
            assert connection.get("h9999.example").status == 200
        show("10,000 at start", f"ready {ready - listed:.2f} s after the last list ({took:.2f} s in all)",
             f"peak memory agent {peak_mb(agent):.0f} MB, proxy {peak_mb(proxy):.0f} MB")
    finally:
        site.ground.close()


def bench_outage():
    """The way to the API server is gone for a minute while objects change and the server is restarted."""
    site = KubeSite(Ground(), wired=True)
    try:
        site.backend("web", ADDRESS)
        site.ingress("steady", "steady.example")
        fill(site, 1000)
        site.wait_served("steady.example", 60)
        rng, living = random.Random(5), Living()
        with Load(site, ["steady.example"], pause=0.002) as load:
            churn(site, rng, living, 50)
            site.wire.mode = "refuse"
            site.wire.kill()
            until = time.monotonic() + OUTAGE_SECONDS
            churn(site, rng, living, 50)
            site.api.stop()
            site.api.start()
            while time.monotonic() < until:
                churn(site, rng, living, 5)
                time.sleep(1)
            site.wire.port, site.wire.mode = site.api.port, "pass"
            began = time.monotonic()
            stored = [i["spec"]["rules"][0]["host"] for i in site.api.request("GET", INGRESSES)[1]["items"]]
            poll("every route as it is stored",
                 lambda: set(hosts_served(site, stored).values()) == {200}, 120)
            took = time.monotonic() - began
        show(f"API server away {OUTAGE_SECONDS} s", f"{len(stored)} routes as stored after {took:.1f} s",
             f"{load.requests} requests, {len(load.failures)} failed")
        assert not load.failures, load.failures[:5]
    finally:
        site.ground.close()


def bench_rolling():
    site = KubeSite(Ground())
    try:
        took, load = replace_endpoints(site, 20, pause=0.0015)
        show("20 endpoints replaced", f"{load.requests} requests at {load.requests / took:.0f}/s",
             f"{len(load.failures)} failed, longest {load.worst * 1e3:.0f} ms")
        assert not load.failures, load.failures[:5]
    finally:
        site.ground.close()


BENCHES = {"apply": bench_apply, "start": bench_start, "outage": bench_outage, "rolling": bench_rolling}


def main():
    sweep()
    for name in sys.argv[1:] or BENCHES:
        BENCHES[name]()


if __name__ == "__main__":
    sys.exit(main())
