# SPDX-License-Identifier: Apache-2.0
"""What the API server says is served: soon, whatever happens on the way, without a failed request."""
import statistics
import time

import pytest

from kube_site import INGRESSES, KubeSite
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
