# SPDX-License-Identifier: Apache-2.0
"""Who may connect: deny lists, allow lists of listeners, hosts that nobody serves. The same with and without XDP, which
only makes it cheaper: there a packet is dropped, else the worker closes what it accepts."""
import os
import re
import signal

import pytest

import modes
from http1 import Closed, Connection
from manifests import ingress, rule
from product import ADMIN
from world import CLIENT4, CLIENT4_OTHER, CLIENT6, NODE4, NODE6, poll

PATIENCE = 1.5  # how long a client that is to get nothing waits for it


def is_served(site, host="shop.test", scheme="http", source=CLIENT4, address=NODE4, patience=PATIENCE):
    """True where an answer comes, False where the connection ends without one, or nothing comes."""
    try:
        return site.get(host, scheme=scheme, source=source, address=address, timeout=patience).status > 0
    except (Closed, OSError):
        return False


def serves(site, *arguments, **options):
    """The same for a client that is to get an answer: however busy the machine is."""
    return is_served(site, *arguments, patience=30, **options)


def metric(site, name):
    with Connection(site.world.node, *ADMIN) as connection:
        found = re.search(rf"^{name} (\d+)$", connection.get("localhost", "/metrics").body.decode(), re.M)
    return int(found.group(1)) if found else 0


def dropped(site, reason):
    """By XDP and by workers."""
    return metric(site, f"sluice_datapath_drop_{reason}_total") + metric(site, f"sluice_drop_{reason}_total")


def write(path, *lines):
    """As an editor does it: beside, and renamed."""
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write("".join(line + "\n" for line in lines))
    os.rename(path + ".new", path)


@pytest.fixture(params=[mode.name for mode in modes.ALL])
def start_shop(request, start_site):
    """start_shop(options...) → a site that serves shop.test over both protocols; site.list is a file for sources."""
    def start(*options, objects=(), lines=()):
        site = start_site(xdp=request.param, start=False)
        site.list = os.path.join(site.world.dir, "sources")
        write(site.list, *lines)
        site.manifests.write("shop.yaml", site.backends.make("shop"), site.authority.secret("shop-tls", "shop.test"),
                             ingress("shop", rule("shop.test", ("/", "Prefix", "shop")), tls=[("shop-tls", "shop.test")]),
                             *objects)
        site.sluice = site.make_sluice(*(o.replace("LIST", site.list) for o in options))
        site.sluice.start()
        return site
    return start


def test_deny_list_follows_its_file(start_shop):
    site = start_shop("--denylist", "LIST", lines=(f"{CLIENT4_OTHER}/32 # not this one", "fd77:ffff::/32"))
    assert serves(site) and serves(site, scheme="https") and serves(site, source=CLIENT6, address=NODE6)
    assert not is_served(site, source=CLIENT4_OTHER)
    assert not is_served(site, scheme="https", source=CLIENT4_OTHER)
    assert dropped(site, "denied") >= 2
    said = next(row for row in site.sluice.json("drops")["reasons"] if row["reason"] == "denied")
    assert (said["xdp"] or 0) + said["workers"] >= 2 and "deny list" in said["meaning"]
    assert "2 networks, 0 lines left out" in site.sluice.ctl("status")
    assert (metric(site, "sluice_datapath_drop_denied_total") > 0) == (site.mode.xdp in ("generic", "native"))
    with site.connect(source=CLIENT4) as living, site.connect(source=CLIENT6, address=NODE6) as other:
        assert living.get("shop.test").status == 200 and other.get("shop.test").status == 200
        write(site.list, "10.77.1.2")
        poll("the other one served", lambda: is_served(site, source=CLIENT4_OTHER), 30)
        # One worker may have taken the list up before the other.
        poll("this one denied", lambda: not is_served(site), 30)
        poll("what was there of a denied source ends, too", lambda: not gets_answer(living), 30)
        assert other.get("shop.test").status == 200, "and nothing else"
    write(site.list)
    poll("an empty list denies nobody", lambda: is_served(site), 30)


def test_samples_of_drops_name_the_rule(start_shop):
    site = start_shop("--denylist", "LIST", "--unknown-hosts", "drop", lines=("# the one below", f"{CLIENT4_OTHER}/31"))
    if site.mode.name not in ("generic", "native", "early"):
        pytest.skip("XDP takes samples, and is not there")

    def sample(reason):
        return next((row for row in site.sluice.json("drops")["samples"] if row["reason"] == reason), None)

    def denied():
        assert not is_served(site, source=CLIENT4_OTHER)
        return sample("denied")

    def unknown():
        assert not is_served(site, "nobody.test")
        return sample("host_unknown")

    row = poll("a sample of a denied source", denied, 30)
    assert row["source"].startswith(CLIENT4_OTHER + ":") and row["local"] == f"{NODE4}:80"
    assert row["rule"] == f"10.77.1.2/31, {site.list}:2"
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$", row["time"])
    write(site.list)
    row = poll("a sample of an unknown host", unknown, 30)
    assert row["rule"] == "unknown-hosts: drop" and row["source"].startswith(CLIENT4 + ":")
    assert row["host"] == "nobody.test"
    text = site.sluice.ctl("drops", "--limit", "1")
    assert "nobody serves that host" in text and text.count("host_unknown") == 2, "its counter and one sample"


def gets_answer(connection):
    connection.sock.settimeout(PATIENCE)
    try:
        return connection.get("shop.test").status > 0
    except (Closed, OSError):
        return False


def test_bad_line_is_named_and_left_out_alone(start_shop):
    site = start_shop("--denylist", "LIST", lines=("10.77.1.0/33", f"{CLIENT4_OTHER}", "somewhere"))
    assert any(f"{site.list}:1: '10.77.1.0/33' is no network" in line for line in site.sluice.log)
    assert any(f"{site.list}:3: 'somewhere' is no network" in line for line in site.sluice.log)
    assert serves(site) and not is_served(site, source=CLIENT4_OTHER)
    seen = len(site.sluice.log)
    os.remove(site.list)
    site.sluice.process.send_signal(signal.SIGHUP)
    site.sluice.wait_for(rf"that list stays as it was: .*cannot read '{site.list}'", after=seen)
    assert serves(site) and not is_served(site, source=CLIENT4_OTHER)


def test_allow_list_is_of_one_listener(start_shop):
    site = start_shop("--allow-sources", f"https={CLIENT4}/32,LIST", lines=(CLIENT6,))
    assert serves(site, scheme="https")
    assert serves(site, scheme="https", source=CLIENT6, address=NODE6)
    assert not is_served(site, scheme="https", source=CLIENT4_OTHER)
    assert serves(site, source=CLIENT4_OTHER), "http is for everybody"
    assert dropped(site, "not_allowed") >= 1


def test_unknown_hosts_are_dropped(start_shop):
    wild = ingress("wild", rule("*.wild.test", ("/", "Prefix", "shop")))
    site = start_shop("--unknown-hosts", "drop", objects=(wild,))
    assert serves(site) and serves(site, "SHOP.test.") and serves(site, scheme="https")
    assert serves(site, "a.wild.test") and not is_served(site, "a.b.wild.test")
    assert not is_served(site, "nobody.test") and not is_served(site, "nobody.test", "https")
    assert dropped(site, "host_unknown") >= 3
    with site.connect(source=CLIENT4) as connection:
        assert connection.get("shop.test").status == 200
        assert connection.get("nobody.test").status == 404, "a later request does not end what others use"
    site.manifests.write("later.yaml", ingress("later", rule("nobody.test", ("/", "Prefix", "shop"))))
    poll("somebody now", lambda: is_served(site, "nobody.test"), 30)


def test_default_backend_knows_every_host(start_shop):
    site = start_shop("--unknown-hosts", "drop")
    assert not is_served(site, "nobody.test")
    site.manifests.write("default.yaml", ingress("rest", default="shop"))
    poll("everybody now", lambda: is_served(site, "nobody.test"), 30)
    poll("by every worker", lambda: is_served(site, "nobody.test", "https"), 30)
    site.manifests.remove("default.yaml")
    poll("nobody again", lambda: not is_served(site, "nobody.test"))


def test_lists_of_the_config_follow_sighup(start_site):
    site = start_site(start=False)
    path = os.path.join(site.world.dir, "config.yaml")
    site.manifests.write("shop.yaml", site.backends.make("shop"), ingress("shop", rule("shop.test", ("/", "Prefix", "shop"))))
    write(path, "source-rate: 1000/2000")
    site.sluice = site.make_sluice("--config", path).start()
    status = site.sluice.json("status")
    assert status["source_rate_per_s"] == 1000
    if not status["rates_in_force"]:
        assert any("source-rate is not in force" in line for line in site.sluice.log)
    assert serves(site)
    for lines, wanted in (((f"denylist: [{CLIENT4}]",), False), (("log-level: info",), True),
                          (("allow-sources: http=192.0.2.0/24",), False), (("source-rate: off",), True)):
        seen = len(site.sluice.log)
        write(path, *lines)
        site.sluice.process.send_signal(signal.SIGHUP)
        site.sluice.wait_for("SIGHUP: the configuration is read again", after=seen)
        poll(f"{lines} in force", lambda wanted=wanted: is_served(site) == wanted, 30)
    seen = len(site.sluice.log)
    write(path, "denylist: 10.0.0.0/40")
    site.sluice.process.send_signal(signal.SIGHUP)
    site.sluice.wait_for("SIGHUP: nothing is changed: .*denylist: '10.0.0.0/40' is neither a network", after=seen)
    poll("as before", lambda: is_served(site), 30)


def test_list_that_is_not_there_is_no_start(start_site):
    site = start_site(start=False)
    site.sluice = site.make_sluice("--denylist", "/nonexistent/deny").start(ready=None)
    assert site.sluice.process.wait(20) == 1
    assert any("denylist: cannot read '/nonexistent/deny'" in line for line in site.sluice.log)


def test_a_new_proxy_has_the_lists_before_it_accepts(start_site):
    site = start_site(options=("--denylist", CLIENT4_OTHER))
    assert site.get("nobody.test").status == 404
    assert not is_served(site, source=CLIENT4_OTHER)
    before = site.sluice.json("status")["proxy_pid"]
    os.kill(before, signal.SIGKILL)
    poll("another proxy", lambda: site.sluice.json("status")["proxy_pid"] not in (0, before))
    poll("it serves", lambda: is_served(site, "nobody.test"), 30)
    assert not is_served(site, source=CLIENT4_OTHER)


XDP_MODES = [mode.name for mode in modes.ALL if mode.name in ("generic", "native", "early")]


@pytest.mark.parametrize("xdp", XDP_MODES)
def test_rate_of_a_host_is_seen(start_site, xdp):
    """Each connection beyond the rate loses its first payload for a while; sluicectl says of which host."""
    site = start_site(xdp=xdp, start=False)
    site.manifests.write("shop.yaml", site.backends.make("shop"),
                         ingress("shop", rule("shop.test", ("/", "Prefix", "shop")), annotations={"sluice.dev/connection-rate": "1/2"}),
                         ingress("free", rule("free.test", ("/", "Prefix", "shop"))))
    site.sluice = site.make_sluice().start()

    def shop():
        return next(row for row in site.sluice.json("hosts")["hosts"] if row["host"] == "shop.test")

    def limited():
        is_served(site)
        return shop()["limited"] > 0

    poll("a connection over the rate", limited, 60)
    assert shop()["rate"] == "1/s, burst 2" and shop()["dispatched"] > 0
    assert dropped(site, "host_rate") > 0
    assert all(serves(site, "free.test") for _ in range(10)), "another host has no rate"


@pytest.mark.parametrize("xdp", XDP_MODES)
def test_rate_of_a_source_is_seen(start_site, xdp):
    site = start_site(xdp=xdp, options=("--source-rate", "1/2", "--source-prefix", "32,64"))

    def limited():
        is_served(site, "nobody.test", source=CLIENT4_OTHER)
        return dropped(site, "source_rate") > 0

    poll("a connection over the rate", limited, 60)
    assert serves(site, "nobody.test"), "another source has a rate of its own"
    assert "source rate" in site.sluice.ctl("status") and "1 connections a second, burst 2" in site.sluice.ctl("status")
