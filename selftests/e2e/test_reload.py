# SPDX-License-Identifier: Apache-2.0
"""What changes without a restart: --config after SIGHUP, whose word about a client is believed, sluicectl drain."""
import os
import signal
import time

import pytest

from http1 import head_of
from manifests import ingress, rule
from world import CLIENT4, CLIENT4_OTHER, PATIENCE, poll

FORWARDED = {"X-Forwarded-For": "198.51.100.7, 10.9.9.9", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "www.shop.test",
             "X-Forwarded-Port": "443"}


def start_with(start_site, *lines, options=()):
    """A sluice with a --config of its own; site.configure(lines) writes another one and sends SIGHUP."""
    site = start_site(start=False, profile=None)
    path = os.path.join(site.world.dir, "config.yaml")

    def write(*texts):
        with open(path, "w", encoding="utf-8") as file:
            file.write("\n".join(texts) + "\n")

    def configure(*texts):
        write(*texts)
        seen = len(site.sluice.log)
        site.sluice.process.send_signal(signal.SIGHUP)
        return site.sluice.wait_for("SIGHUP", after=seen), seen

    site.configure = configure
    write(*lines)
    site.manifests.write("shop.yaml", site.backends.make("shop"), site.authority.secret("shop-tls", "shop.test"),
                         ingress("shop", rule("shop.test", ("/", "Prefix", "shop")), tls=[("shop-tls", "shop.test")]))
    site.sluice = site.make_sluice("--config", path, "--grace", "3", *options)
    site.sluice.start()
    return site


def headers_of(reply):
    return {name.lower(): value for name, value in reply.echo["headers"]} \
        if isinstance(reply.echo["headers"], list) else {k.lower(): v for k, v in reply.echo["headers"].items()}


def one(value):
    return value[0] if isinstance(value, list) else value


def test_networks_that_are_trusted_say_who_the_client_is(start_site):
    site = start_with(start_site, f"trusted-proxies: [{CLIENT4}/32, 10.9.0.0/16]")
    reply = site.get("shop.test", headers=FORWARDED, source=CLIENT4)
    assert reply.status == 200, "the proxy in front has ended TLS: no redirect to where the client is"
    got = headers_of(reply)
    assert one(got["x-forwarded-for"]) == f"198.51.100.7, 10.9.9.9, {CLIENT4}"
    assert one(got["x-real-ip"]) == "198.51.100.7", "the rightmost that is no proxy of ours"
    assert one(got["x-forwarded-proto"]) == "https" and one(got["x-forwarded-host"]) == "www.shop.test"
    assert one(got["x-forwarded-port"]) == "443"
    # Somebody else who says the same is not believed.
    reply = site.get("shop.test", headers=FORWARDED, source=CLIENT4_OTHER)
    assert reply.status == 308 and reply["Location"] == "https://shop.test/"
    reply = site.get("shop.test", "/", "https", headers=FORWARDED, source=CLIENT4_OTHER)
    got = headers_of(reply)
    assert one(got["x-forwarded-for"]) == CLIENT4_OTHER == one(got["x-real-ip"])
    assert one(got["x-forwarded-host"]) == "shop.test"


def test_hops_that_are_trusted_and_none(start_site):
    site = start_with(start_site, "trusted-hops: 1")
    reply = site.get("shop.test", headers=FORWARDED)
    assert one(headers_of(reply)["x-real-ip"]) == "10.9.9.9"
    assert one(headers_of(reply)["x-forwarded-for"]) == f"198.51.100.7, 10.9.9.9, {CLIENT4}"
    site.configure("trusted-hops: 0")
    poll("nobody trusted", lambda: site.get("shop.test", headers=FORWARDED).status == 308)


def test_sighup_changes_what_may_change_and_names_what_may_not(start_site):
    site = start_with(start_site, "log-level: info")
    assert site.get("shop.test").status == 308
    with site.connect() as kept:
        assert kept.get("shop.test").status == 308
        line, seen = site.configure("log-level: debug", 'ssl-redirect: "false"', "keepalive-timeout: 1",
                                    "watch-namespace: other", 'https: ["0.0.0.0:8443"]')
        assert "read again" in line
        site.sluice.wait_for(r"SIGHUP: stays as it is until a restart or SIGUSR2: https, watch-namespace", after=seen)
        poll("no redirect any more", lambda: site.get("shop.test").status == 200)
        began = time.monotonic()
        assert kept.get("shop.test").status == 200, "the same connection, by the new rules"
        assert kept.is_closed() and time.monotonic() - began > 0.5
    # A mistake changes nothing, and says where it stands.
    line, _ = site.configure("log-level: debug", "keepalive-timeout: soon")
    assert "nothing is changed" in line and "keepalive-timeout" in line
    assert site.get("shop.test").status == 200
    site.configure("log-level: info")
    poll("the redirect back", lambda: site.get("shop.test").status == 308)


def test_drain_by_sluicectl_is_the_end_of_sluice_run(start_site):
    site = start_with(start_site, "trusted-hops: 0")
    with site.connect("https", "shop.test") as connection:
        connection.send(head_of("GET", "/slow?delay=1", "shop.test"))
        poll("the request at its endpoint", lambda: site.saw("GET /slow"))
        assert "draining" in site.sluice.ctl("drain")
        assert connection.reply().status == 200
        assert connection.is_closed()
    assert site.sluice.process.wait(PATIENCE) == 0


def test_drain_of_an_agent_leaves_the_agent(start_site):
    site = start_site(start=False)
    site.sluice = agent = site.make_sluice("--grace", "3", command="agent")
    proxy = type(agent)(site.world, command="proxy").start(ready=None)
    agent.start()
    agent.ctl("drain")
    assert proxy.process.wait(PATIENCE) == 0
    assert agent.json("status")["state"] == "draining"
    with pytest.raises(ConnectionRefusedError):
        site.connect()
    assert agent.stop() == 0


def test_drain_is_not_to_be_had_over_the_network(start_site):
    site = start_with(start_site, "trusted-hops: 0")
    from http1 import Connection
    from product import ADMIN
    for method, status in (("POST", 403), ("GET", 405)):
        with Connection(site.world.node, *ADMIN) as connection:
            assert connection.get("admin", "/api/v1/drain", method).status == status
    assert site.get("shop.test").status == 308


def test_second_signal_to_a_drain_exits_with_1(start_site):
    site = start_with(start_site, "trusted-hops: 0")
    with site.connect("https", "shop.test") as connection:
        connection.send(head_of("GET", "/slow?delay=20", "shop.test"))
        poll("the request at its endpoint", lambda: site.saw("GET /slow"))
        site.sluice.process.send_signal(signal.SIGTERM)
        site.sluice.wait_for("draining")
        site.sluice.process.send_signal(signal.SIGTERM)
        assert site.sluice.process.wait(PATIENCE) == 1
