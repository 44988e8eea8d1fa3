# SPDX-License-Identifier: Apache-2.0
"""A host that costs much gets more workers, and fewer again when it is quiet; nobody notices. Thresholds are as low as
they go, so that any load is much and any pause is long."""
import json

import pytest

import modes
from load import Load
from manifests import ingress, rule
from world import poll, run

HOSTS = [f"h{n:02}.test" for n in range(20)]  # more than eight for each of two workers


@pytest.fixture(params=[mode.name for mode in modes.ALL if mode.without != "bpf"])  # there would be no map
def site(request, start_site):
    return start_site(xdp=request.param, options=("--hot-host-load", "1", "--hot-host-rest", "1"))


def row_of(site, host):
    return next(row for row in site.sluice.json("hosts", "--limit", "1000")["hosts"] if row["host"] == host)


def is_hot(site, host):
    row = row_of(site, host)
    return row["why"] == "hot: more than 1 worker can bear" and row["workers"] == "all"


def spread_in_map(site, host):
    entries = json.loads(run("bpftool", "map", "dump", "pinned", site.sluice.map_path("hosts")))
    return next(entry["value"]["worker_spread"] for entry in entries if entry["value"]["name"] == host)


def test_hot_host_gets_more_workers_and_fewer_again(site):
    site.apply("many.yaml", site.backends.make("web"), *(ingress(host[:3], rule(host, ("/", "Prefix", "web"))) for host in HOSTS))
    assert row_of(site, HOSTS[0])["why"] == "one of many hosts" and row_of(site, HOSTS[0])["workers"] in ("0", "1")
    assert spread_in_map(site, HOSTS[0]) == 1
    with site.connect() as living:
        assert living.get(HOSTS[0]).status == 200
        with Load(site, HOSTS[:1]) as load:
            poll("it is hot", lambda: is_hot(site, HOSTS[0]), 60)
            poll("more workers in the map", lambda: spread_in_map(site, HOSTS[0]) == 2, 60)
            load.wait_for(200)
        assert not load.failures and load.requests > 200
        assert row_of(site, HOSTS[1])["why"] == "one of many hosts", "the others stay where they are"
        assert living.get(HOSTS[0]).status == 200
        poll("it is quiet", lambda: row_of(site, HOSTS[0])["why"] == "one of many hosts", 60)
        poll("one worker in the map", lambda: spread_in_map(site, HOSTS[0]) == 1)
        assert living.get(HOSTS[0]).status == 200, "a living connection stays where it is"
    said = site.sluice.json("hosts")
    assert said["widened"] >= 1 and said["narrowed"] >= 1 and said["hosts_in_all"] == len(HOSTS) + 1
