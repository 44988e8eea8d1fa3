# SPDX-License-Identifier: Apache-2.0
"""Nothing is lost while things change: configuration, processes, endpoints. All of it under traffic."""
import os
import signal
import time

import pytest

from http1 import head_of
from load import Load
from manifests import ingress, rule, service, slice_of
from world import PATIENCE, poll

HOSTS = [f"host-{number:04}.many.test" for number in range(1000)]
CHANGES = 200


def thousand_hosts(site):
    """1,000 Ingresses over ten Services."""
    return [site.backends.many(*(f"many-{n}" for n in range(10)))] + [
        ingress(f"many-{number}", rule(host, ("/", "Prefix", f"many-{number % 10}")))
        for number, host in enumerate(HOSTS)]


def show(capsys, text):
    with capsys.disabled():
        print("\n    " + text, end=" ", flush=True)


def milliseconds(times):
    times = sorted(times)
    return (f"median {times[len(times) // 2] * 1e3:.1f} ms, 99th {times[int(len(times) * .99)] * 1e3:.1f} ms, "
            f"worst {times[-1] * 1e3:.1f} ms")


@pytest.mark.parametrize("xdp", ["off", "native", "early"])
def test_two_hundred_changes_at_a_thousand_hosts_lose_no_request(start_site, capsys, xdp):
    """Each change moves one host to another Service; a third of them also moves endpoints."""
    site = start_site(xdp=xdp)
    site.backends.many("blue", "green")
    pools = {name: list(site.backends.addresses["default", name]) for name in ("blue", "green")}
    extra = {name: [site.backends.make(f"{name}-extra"), site.backends.addresses["default", f"{name}-extra"]][1]
             for name in pools}
    site.manifests.write("many.json", thousand_hosts(site))

    def moved(name, number):
        """The moving host, on `name`, whose endpoints change with every third change."""
        pairs = [(one, addresses + (extra[one] if number % 3 == 0 else [])) for one, addresses in pools.items()]
        return [ingress("moving", rule("moving.test", ("/", "Prefix", name))),
                [[service(one), slice_of(one, addresses)] for one, addresses in pairs]]

    site.apply("moving.yaml", moved("blue", 1))
    took = []
    with Load(site, HOSTS + ["moving.test"]) as load, site.connect() as probe:
        load.wait_for(200)
        for number in range(CHANGES):
            name = ("green", "blue")[number % 2]
            wanted = set(pools[name] + extra[name])
            began = time.monotonic()
            site.manifests.write("moving.yaml", moved(name, number))
            poll(f"change {number} in force", lambda: probe.get("moving.test").echo["address"] in wanted, every=0.001)
            took.append(time.monotonic() - began)
        load.wait_for(200)
    show(capsys, f"xdp {xdp}: {CHANGES} changes at {len(HOSTS)} hosts, {load.requests} requests, "
         f"{len(load.failures)} failed; write to effect {milliseconds(took)}; "
         f"longest request {load.worst * 1e3:.0f} ms")
    assert not load.failures, load.failures[:5]
    assert load.requests >= 400


def proxy_pid(sluice):
    """The process that holds client connections: the one that runs `sluice proxy`, or is named so."""
    for pid, words in sluice.processes().items():
        with open(f"/proc/{pid}/comm", encoding="ascii") as file:
            if "proxy" in words[1:2] or "proxy" in file.read():
                return pid
    raise LookupError(f"no proxy among {sluice.processes()}")


def listening_inodes(site):
    """The listening sockets of port 80 and 443, by inode: a new socket has another one."""
    rows = site.world.node.run("ss", "-tlnHe")
    return {word for row in rows.splitlines() if row.split()[3].rsplit(":", 1)[1] in ("80", "443")
            for word in row.split() if word.startswith("ino:")}


@pytest.mark.parametrize("xdp", ["off", "native", "early"])
def test_killed_proxy_is_back_by_itself_and_no_connection_is_refused(start_site, capsys, xdp):
    site = start_site(xdp=xdp)
    site.manifests.write("many.json", thousand_hosts(site))
    site.settle()
    sockets = listening_inodes(site)
    assert sockets
    # What was in the hands of the killed process is lost; nothing else may be.
    cut = ("Closed", "ConnectionResetError", "BrokenPipeError", "Malformed")
    with Load(site, HOSTS, forgive=cut) as load:
        for _ in range(3):
            load.wait_for(200)
            pid = proxy_pid(site.sluice)
            at = time.monotonic()
            os.kill(pid, signal.SIGKILL)
            poll("another proxy", lambda old=pid: is_other_proxy(site.sluice, old))
            assert site.get(HOSTS[0]).status == 200
            show(capsys, f"xdp {xdp}: served again {(time.monotonic() - at) * 1e3:.0f} ms after SIGKILL")
            load.wait_for(200)
    assert listening_inodes(site) == sockets
    assert not load.failures, load.failures[:5]
    assert len(load.forgiven) <= 3 * 5 * 2, "at most what each thread had in flight"


def is_other_proxy(sluice, old):
    try:
        return proxy_pid(sluice) != old
    except (LookupError, OSError):
        return False


def test_proxy_that_is_killed_again_and_again_does_not_end_sluice(start_site):
    site = start_site()
    site.apply("echo.yaml", site.backends.make("echo"), ingress("e", rule("e.test", ("/", "Prefix", "echo"))))
    for _ in range(8):
        pid = poll("a proxy", lambda: next(iter_proxy(site.sluice), None))
        os.kill(pid, signal.SIGKILL)
        poll("another proxy", lambda old=pid: is_other_proxy(site.sluice, old))
    assert site.get("e.test").status == 200
    assert site.sluice.process.poll() is None


def iter_proxy(sluice):
    try:
        yield proxy_pid(sluice)
    except (LookupError, OSError):
        return


def separate(site):
    """`sluice agent` and `sluice proxy`, as two containers of one pod run them."""
    agent = site.make_sluice(command="agent")
    proxy = type(agent)(site.world, command="proxy")
    proxy.start(ready=None)
    agent.start()
    return agent, proxy


def test_killed_agent_leaves_traffic_alone_and_the_next_one_takes_over(start_site, capsys):
    site = start_site(start=False)
    site.manifests.write("many.json", thousand_hosts(site))
    agent, proxy = separate(site)
    site.sluice = agent
    site.settle()
    sockets = listening_inodes(site)
    with Load(site, HOSTS) as load:
        load.wait_for(200)
        agent.process.kill()
        agent.process.wait()
        load.wait_for(400)
        assert proxy.process.poll() is None
        site.sluice = site.make_sluice(command="agent")
        site.sluice.start()
        load.wait_for(200)
        began = time.monotonic()
        site.apply("new.yaml", ingress("new", rule("new.test", ("/", "Prefix", "many-0"))))
        show(capsys, f"the next agent served a change {(time.monotonic() - began) * 1e3:.0f} ms after it")
        assert site.get("new.test").status == 200
        load.wait_for(200)
    assert not load.failures, load.failures[:5]
    assert listening_inodes(site) == sockets


def test_next_sluice_run_takes_over_from_a_killed_one(start_site):
    """The agent's half of `sluice run` is killed; its proxy goes on; another `sluice run` carries on."""
    site = start_site()
    site.apply("many.json", thousand_hosts(site))
    with Load(site, HOSTS) as load:
        load.wait_for(100)
        site.sluice.process.kill()
        site.sluice.process.wait()
        load.wait_for(200)
        site.sluice = site.make_sluice()
        site.sluice.start()
        load.wait_for(200)
        site.apply("new.yaml", ingress("new", rule("new.test", ("/", "Prefix", "many-0"))))
        assert site.get("new.test").status == 200
        load.wait_for(100)
    assert not load.failures, load.failures[:5]


def test_proxy_started_first_waits_for_its_agent(start_site):
    site = start_site(start=False)
    site.manifests.write("one.yaml", site.backends.make("one"),
                         ingress("one", rule("one.test", ("/", "Prefix", "one"))))
    site.sluice, _ = separate(site)
    site.settle()
    assert site.get("one.test").status == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_end_lets_requests_finish_and_exits_with_0(start_site, number):
    site = start_site()
    site.apply("echo.yaml", site.backends.make("echo"), ingress("e", rule("e.test", ("/", "Prefix", "echo"))))
    with site.connect() as connection:
        connection.send(head_of("GET", "/slow?delay=1", "e.test"))
        poll("the request at its endpoint", lambda: site.saw("GET /slow"))
        site.sluice.process.send_signal(number)
        reply = connection.reply()
        assert reply.status == 200
        assert connection.is_closed()
    assert site.sluice.process.wait(PATIENCE) == 0
    assert not listening_inodes(site)


def test_second_signal_exits_at_once(start_site):
    site = start_site()
    site.apply("echo.yaml", site.backends.make("echo"), ingress("e", rule("e.test", ("/", "Prefix", "echo"))))
    with site.connect() as connection:
        connection.send(head_of("GET", "/slow?delay=20", "e.test"))
        poll("the request at its endpoint", lambda: site.saw("GET /slow"))
        site.sluice.process.send_signal(signal.SIGTERM)
        poll("no more accepting", lambda: not accepts(site))
        site.sluice.process.send_signal(signal.SIGTERM)
        assert site.sluice.process.wait(PATIENCE) == 1, "not the 0 of a drain that came to its end"


def accepts(site):
    try:
        site.connect().close()
        return True
    except ConnectionRefusedError:
        return False


def test_keepalive_connections_hear_close_when_sluice_ends(start_site):
    site = start_site()
    site.apply("echo.yaml", site.backends.make("echo"), ingress("e", rule("e.test", ("/", "Prefix", "echo"))))
    idle = [site.connect() for _ in range(10)]
    for connection in idle:
        assert connection.get("e.test").status == 200
    site.sluice.process.send_signal(signal.SIGTERM)
    for connection in idle:
        assert connection.is_closed()
    assert site.sluice.process.wait(PATIENCE) == 0


def test_file_that_appears_changes_and_goes_is_followed(site):
    backends = site.backends.many("red", "blue")

    def answer():
        reply = site.get("file.test")
        return site.backends.answered(reply) if reply.status == 200 else reply.status

    assert answer() == 404
    for name in ("red", "blue"):
        site.apply("file.yaml", backends, ingress("file", rule("file.test", ("/", "Prefix", name))))
        assert answer() == name
    # Written in place, byte by byte as an editor may do it: never half of it for long.
    with open(site.manifests.file("file.yaml"), "w", encoding="utf-8") as file:
        file.write("# nothing any more\n")
    site.settle()
    assert answer() == 404
    site.remove("file.yaml")


def test_other_class_is_left_alone(site):
    site.apply("other.yaml", site.backends.make("red"),
               ingress("other", rule("other.test", ("/", "Prefix", "red")), class_name="nginx"))
    assert site.get("other.test").status == 404
    site.remove("other.yaml")
