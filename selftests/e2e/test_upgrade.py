# SPDX-License-Identifier: Apache-2.0
"""One sluice follows the other: SIGUSR2, a second pod on the same run dir, and the way back from a version
that does not come up. Under keepalive and new connections, tunnels and downloads that outlast the change;
what counts as failed is whatever a client sees as refused, cut, wrong or missing."""
import os
import re
import shutil
import signal
import socket
import threading
import time

import pytest

from http1 import Connection, head_of
from load import Load
from manifests import ingress, rule
from product import ADMIN, SLUICE
from world import CLIENT4, CLIENT4_OTHER, CLIENT6, NODE4, PATIENCE, poll

HOSTS = [f"up-{number}.test" for number in range(8)]
GRACE = 10
PAUSE = 0.004  # of each client: the machine is to be busy, not stuck
LONG = 0.8  # seconds that tunnels and downloads last: shorter than the grace, longer than a change


class Long:
    """Tunnels and downloads, one after the other, each of them longer than an upgrade takes."""

    def __init__(self, site):
        self.site, self.failures, self.ended = site, [], threading.Event()
        self.tunnels = self.downloads = self.scrapes = 0
        self.seen = {}
        self.threads = [threading.Thread(target=self._again, args=(what,), daemon=True)
                        for what in (self._tunnel, self._tunnel, self._download, self._download, self._scrape)]

    def __enter__(self):
        for number, thread in enumerate(self.threads):
            thread.start()
            time.sleep(0.1 * (number % 2))
        return self

    def __exit__(self, *_):
        self.ended.set()
        for thread in self.threads:
            thread.join(60)

    def _again(self, what):
        while not self.ended.is_set():
            try:
                what()
            except Exception as error:  # whatever it is, a client saw it
                self.failures.append(f"{what.__name__}: {type(error).__name__}: {error}")

    def _tunnel(self):
        with self.site.connect() as connection:
            connection.send(head_of("GET", "/socket", HOSTS[0], {
                "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
                "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}))
            assert b" 101 " in connection.until(b"\r\n\r\n")
            until, number = time.monotonic() + LONG, 0
            while time.monotonic() < until:
                text = b"message %d;" % number
                connection.send(text)
                assert connection.exactly(len(text)) == text
                number += 1
                time.sleep(0.02)
        self.tunnels += 1

    def _download(self):
        size, step = 4_000_000, 20
        with self.site.connect(receive_buffer=65536) as connection:
            connection.send(head_of("GET", f"/download?bytes={size}", HOSTS[1]))
            head = connection.until(b"\r\n\r\n")
            assert b" 200 " in head.split(b"\r\n")[0] and b"content-length: %d" % size in head.lower()
            for _ in range(step):
                connection.exactly(size // step)
                time.sleep(LONG / step)
        self.downloads += 1

    def totals(self):
        """The totals as they are now."""
        self._scrape()
        return self.seen

    def _scrape(self):
        """No total may ever go back, and somebody always answers."""
        with Connection(self.site.world.node, *ADMIN) as connection:
            reply = connection.get("admin", "/metrics")
        for name, value in re.findall(r"^(sluice_\w+_total|sluice_\w+_count) (\d+)$", reply.body.decode(), re.M):
            assert int(value) >= self.seen.get(name, 0), f"{name} went from {self.seen[name]} to {value}"
            self.seen[name] = int(value)
        assert self.seen["sluice_requests_total"] >= 0
        self.scrapes += 1
        time.sleep(0.02)


def agent_pid(site):
    with open(os.path.join(site.sluice.run_dir, "agent.pid"), encoding="ascii") as file:
        return int(file.read())


def served(site):
    site.manifests.write("hosts.json", site.backends.many("blue", "green"),
                         *(ingress(host.split(".")[0], rule(host, ("/", "Prefix", "blue"))) for host in HOSTS))


def start_copy(start_site, xdp="off", options=()):
    """A sluice from a file of its own, which a test may replace."""
    site = start_site(xdp=xdp, start=False)
    served(site)
    site.sluice = site.make_sluice("--grace", str(GRACE), *options)
    site.sluice.arguments[0] = os.path.join(site.world.dir, "sluice")
    shutil.copy(SLUICE, site.sluice.arguments[0])
    site.sluice.start()
    site.settle()
    return site


def upgrade(site):
    """SIGUSR2; returns how long it took until another agent is in charge."""
    before, began = agent_pid(site), time.monotonic()
    site.sluice.process.send_signal(signal.SIGUSR2)
    try:
        poll("another agent in charge", lambda: agent_pid(site) != before, 60, 0.005)
    except TimeoutError as error:
        raise TimeoutError("\n".join([str(error), *site.sluice.log[-30:]])) from error
    return time.monotonic() - began


def show(capsys, text):
    with capsys.disabled():
        print("\n    " + text, end=" ", flush=True)


def report(capsys, what, load, long):
    show(capsys, f"{what}: {load.requests} requests, {long.tunnels} tunnels, {long.downloads} downloads, "
         f"{long.scrapes} scrapes; {len(load.failures) + len(long.failures)} failed; "
         f"longest request {load.worst * 1e3:.0f} ms")
    assert not load.failures, load.failures[:5]
    assert not long.failures, long.failures[:5]
    assert long.tunnels and long.downloads and long.scrapes


@pytest.mark.parametrize("xdp, count", [("off", 10), ("native", 4), ("early", 2)])  # loading BPF takes its second
def test_upgrades_in_place_lose_nothing(start_site, capsys, xdp, count):
    site = start_copy(start_site, xdp)
    first, took = site.sluice.process.pid, []
    with Load(site, HOSTS, pause=PAUSE) as load, Long(site) as long:
        load.wait_for(100)
        for _ in range(count):
            took.append(upgrade(site))
            load.wait_for(50)
        # The last one is no worse than the first: a change still arrives, whatever pid it is.
        site.apply("new.yaml", ingress("new", rule("new.test", ("/", "Prefix", "green"))))
        assert site.backends.answered(site.get("new.test")) == "green"
        load.wait_for(100)
    assert agent_pid(site) != first
    report(capsys, f"xdp {xdp}, {count} upgrades of {min(took):.2f} to {max(took):.2f} s", load, long)
    totals = long.totals()
    assert totals["sluice_upgrades_total"] == count
    assert totals["sluice_requests_total"] >= load.requests
    assert totals["sluice_responses_5xx_total"] == 0
    poll("all but two sluices and a proxy gone", lambda: len(site.sluice.processes()) == 3, GRACE + PATIENCE)
    # The pid that others know passes signals on, and ends when all ended.
    assert site.sluice.stop(seconds=GRACE + PATIENCE) == 0
    assert not site.world.node.pids()


@pytest.mark.parametrize("xdp, count", [("off", 3), ("native", 1), ("early", 2)])
def test_second_pod_takes_over_from_the_first(start_site, capsys, xdp, count):
    """Agent and proxy beside agent and proxy, on one run dir, as a surging DaemonSet has them."""
    site = start_site(xdp=xdp, start=False)
    served(site)

    def pod():
        """The proxy comes first: it must not push the one aside that works."""
        agent = site.make_sluice("--grace", str(GRACE), command="agent")
        proxy = type(agent)(site.world, command="proxy")
        proxy.start(ready=None)
        return agent.start(), proxy

    old = pod()
    site.sluice = old[0]
    site.settle()
    with Load(site, HOSTS, pause=PAUSE) as load, Long(site) as long:
        for _ in range(count):
            load.wait_for(100)
            new = pod()
            site.sluice = new[0]
            for one in old:
                assert one.process.wait(GRACE + PATIENCE) == 0, one.log[-10:]
            load.wait_for(100)
            old = new
        site.apply("new.yaml", ingress("new", rule("new.test", ("/", "Prefix", "green"))))
        assert site.backends.answered(site.get("new.test")) == "green"
        load.wait_for(100)
    report(capsys, f"xdp {xdp}, {count} pods after the first", load, long)
    totals = long.totals()
    assert totals["sluice_upgrades_total"] == count
    assert totals["sluice_requests_total"] >= load.requests


def test_pod_that_was_superseded_does_not_come_back_until_it_is_needed(start_site):
    """Containers that exit are started again, in the old pod too, until it is deleted."""
    site = start_site(start=False)
    served(site)

    def pod(name):
        agent = site.make_sluice("--grace", "1", command="agent")
        agent.arguments = ["/usr/bin/env", f"POD_NAME={name}", *agent.arguments]
        return agent, type(agent)(site.world, command="proxy").start(ready=None)

    old, old_proxy = pod("old")
    old.start()
    new, new_proxy = pod("new")
    new.start()
    site.sluice = new
    for one in (old, old_proxy):
        assert one.process.wait(PATIENCE) == 0
    again, again_proxy = pod("old")
    again.start(ready="waiting for the run dir .* 'old' was superseded")
    site.settle()
    assert new.json("status")["proxy_pid"] == new_proxy.process.pid
    assert again_proxy.process.poll() is None, "it stands by"
    third, third_proxy = pod("old")
    third.start(ready="waiting for the run dir")
    assert third.stop() == 0, "the end of an agent that waits"
    # Now the new pod breaks down, and the old one is there.
    new.process.kill()
    new_proxy.process.kill()
    again.wait_for(r"\bready\b")
    site.sluice = again
    site.settle()
    assert again.json("status")["proxy_pid"] in (again_proxy.process.pid, third_proxy.process.pid)


def script(text):
    return "#!/bin/sh\n" + text + "\n"


BROKEN = {
    "no program": ("nothing that runs", r"did not come up \(it exited with 127\)"),
    "exits": (script("exit 3"), r"did not come up \(it exited with 3\)"),
    "refuses": (script(f'exec {SLUICE} "$@" --no-such-option'), r"did not come up \(it exited with 2\)"),
    "cannot listen": (script(f'exec {SLUICE} "$@" --http 203.0.113.1:81'), r"did not come up \("),
    "killed": (script("kill -9 $$"), r"did not come up \(it was ended by signal 9\)"),
    "hangs": (script("exec sleep 30"), r"did not come up \(it does not connect within 5 s\)"),
}


def test_version_that_does_not_come_up_changes_nothing(start_site, capsys):
    site = start_copy(start_site)
    with Load(site, HOSTS, pause=PAUSE) as load, Long(site) as long:
        for name, (text, said) in BROKEN.items():
            before, lines = agent_pid(site), len(site.sluice.log)
            fresh = site.sluice.arguments[0] + ".new"
            with open(fresh, "w", encoding="ascii") as file:
                file.write(text)
            os.chmod(fresh, 0o755)
            os.rename(fresh, site.sluice.arguments[0])
            site.sluice.process.send_signal(signal.SIGUSR2)
            site.sluice.wait_for(said, after=lines)
            assert agent_pid(site) == before, name
            site.apply("new.yaml", ingress("new", rule(f"{name.replace(' ', '-')}.test", ("/", "Prefix", "green"))))
            assert site.sluice.json("status")["agent_pid"] == before
        shutil.copy(SLUICE, fresh)
        os.rename(fresh, site.sluice.arguments[0])
        upgrade(site)
        load.wait_for(50)
    report(capsys, f"{len(BROKEN)} versions that do not come up, and one that does", load, long)


FAILS_LATE = {
    "cannot listen": f'exec {SLUICE} "$@" --http 203.0.113.1:81',
    "wrote its own lists": f'exec {SLUICE} "$@" --denylist {CLIENT4} --source-rate 1 --manifests /nowhere',
}


def test_lists_and_samples_outlast_a_version_that_does_not_come_up(start_site):
    """What the next one had begun to write into the maps is as the agent in charge has it, in XDP."""
    site = start_copy(start_site, "native", ("--denylist", CLIENT4_OTHER, "--allow-sources", f"https={CLIENT6}"))

    def xdp_drops(reason):
        with Connection(site.world.node, *ADMIN) as connection:
            body = connection.get("admin", "/metrics").body.decode()
        return int(re.search(rf"^sluice_datapath_drop_{reason}_total (\d+)$", body, re.M).group(1))

    def attempt(port, source):
        """A connection that XDP is to drop; the source's port, by which its sample is known."""
        with site.world.client.socket(socket.AF_INET) as client:
            client.settimeout(0.3)
            client.bind((source, 0))
            client.connect_ex((NODE4, port))
            return f"{source}:{client.getsockname()[1]}"

    def is_sampled():
        source = attempt(80, CLIENT4_OTHER)
        return any(row["source"] == source for row in site.sluice.json("drops")["samples"])

    for name, text in FAILS_LATE.items():
        lines, fresh = len(site.sluice.log), site.sluice.arguments[0] + ".new"
        with open(fresh, "w", encoding="ascii") as file:
            file.write(script(text))
        os.chmod(fresh, 0o755)
        os.rename(fresh, site.sluice.arguments[0])
        site.sluice.process.send_signal(signal.SIGUSR2)
        site.sluice.wait_for("did not come up", after=lines)
        assert site.get(HOSTS[0], source=CLIENT4).status == 200, name
        denied, not_allowed = xdp_drops("denied"), xdp_drops("not_allowed")
        attempt(80, CLIENT4_OTHER)
        attempt(443, CLIENT4)
        poll(f"{name}: denied in XDP", lambda: xdp_drops("denied") > denied)
        poll(f"{name}: not allowed in XDP", lambda: xdp_drops("not_allowed") > not_allowed)
        poll(f"{name}: a sample of it", is_sampled, 30)


def test_agent_alone_is_upgraded_and_its_proxy_stays(start_site, capsys):
    """In a pod of two containers SIGUSR2 goes to the agent; the proxy is another container's."""
    site = start_site(start=False)
    served(site)
    site.sluice = agent = site.make_sluice("--grace", str(GRACE), command="agent")
    proxy = type(agent)(site.world, command="proxy").start(ready=None)
    agent.start()
    site.settle()
    with Load(site, HOSTS, pause=PAUSE) as load, Long(site) as long:
        for _ in range(2):
            upgrade(site)
            load.wait_for(100)
            site.settle()
        assert proxy.process.poll() is None and agent.process.poll() is None
    report(capsys, "2 upgrades of an agent alone", load, long)
    assert agent.stop() == 0


def test_who_has_asked_the_agent_before_gets_its_answer(start_site):
    """A scraper whose connection the agent took on its last moment, and whose request comes later."""
    site = start_site(start=False)
    served(site)
    agent = site.make_sluice("--grace", str(GRACE), command="agent")
    proxy = type(agent)(site.world, command="proxy").start(ready=None)
    site.sluice = agent.start()
    site.settle()
    with Connection(site.world.node, *ADMIN) as slow:
        slow.send(b"GET /metrics HTTP/1.1\r\n")
        with Connection(site.world.node, *ADMIN) as later:
            assert later.get("admin", "/metrics").status == 200  # so the one before it was taken, too
        upgrade(site)
        slow.send(b"Host: admin\r\n\r\n")
        assert b" 200 " in slow.until(b"\r\n\r\n").split(b"\r\n")[0]
    assert proxy.process.poll() is None


def test_proxy_that_is_told_to_end_waits_for_the_one_beside_it(start_site, capsys):
    site = start_site(start=False)
    served(site)
    site.sluice = agent = site.make_sluice("--grace", str(GRACE), command="agent")
    first = type(agent)(site.world, command="proxy").start(ready=None)
    agent.start()
    site.settle()
    second = type(agent)(site.world, command="proxy").start(ready=None)
    with Load(site, HOSTS, pause=PAUSE) as load, Long(site) as long:
        load.wait_for(100)
        assert agent.json("status")["proxy_pid"] == first.process.pid
        assert first.stop(seconds=GRACE + PATIENCE) == 0
        assert agent.json("status")["proxy_pid"] == second.process.pid
        load.wait_for(200)
        time.sleep(LONG)
    report(capsys, "a proxy beside another one", load, long)


def test_second_sluice_run_by_hand_is_a_mistake(start_site):
    site = start_copy(start_site)
    other = site.make_sluice()
    with pytest.raises(TimeoutError, match="another agent uses the run dir"):
        other.start()
    assert other.process.wait(PATIENCE) == 1
    assert site.get(HOSTS[0]).status == 200
