# SPDX-License-Identifier: Apache-2.0
"""Early dispatch while what stands behind it is restarted: 50 clients that open connection after connection see none of
it. Each restart of the agent puts programs that were loaded anew into the links of the old ones."""
import os
import signal

import pytest

from crowd import Crowd, add_sources, many_hosts, totals
from manifests import ingress, rule
from product import Sluice
from test_changes import proxy_pid
from test_lifecycle import detach, xdp_program
from test_upgrade import agent_pid, upgrade
from world import poll

pytestmark = pytest.mark.mode("early")

CLIENTS = 50


def show(capsys, text):
    with capsys.disabled():
        print("\n    " + text, end=" ", flush=True)


def crowd_of(site):
    return Crowd(site, 4, add_sources(site)[4], at_once=CLIENTS, requests=3, until_eof=True)


def await_answered(site, before):
    """More connections were made since, through XDP."""
    poll("more connections", lambda: totals(site)["admit_socket"] > before + CLIENTS, 30)


def judge(capsys, what, crowd, forgiven=()):
    failed = {kind: count for kind, count in crowd.failed.items() if kind not in forgiven}
    show(capsys, f"{what}: {crowd.answers} requests on {crowd.connections} connections, {sum(crowd.failed.values())} failed "
         f"{crowd.failed or ''}, longest {crowd.worst_ms} ms")
    assert not failed and crowd.answers > CLIENTS


def test_upgrades(start_site, capsys):
    """SIGUSR2: other agent, other proxy, other programs; the maps and the links are the same."""
    site = start_site(xdp="early")
    site.apply("crowd.json", many_hosts(site))
    programs = [xdp_program(site)]
    with crowd_of(site) as crowd:
        for _ in range(2):
            upgrade(site)
            programs.append(xdp_program(site))
            await_answered(site, totals(site)["admit_socket"])
    judge(capsys, "2 upgrades", crowd)
    assert len(set(programs)) == 3, "each agent loads programs of its own"


def test_agent_is_killed_and_the_next_one_takes_over(start_site, capsys):
    site = start_site(xdp="early", start=False)
    site.manifests.write("crowd.json", many_hosts(site))
    site.sluice = site.make_sluice(command="agent")
    proxy = Sluice(site.world, command="proxy").start(ready=None)
    site.sluice.start()
    site.settle()
    with crowd_of(site) as crowd:
        site.sluice.process.send_signal(signal.SIGKILL)
        site.sluice.process.wait()
        assert xdp_program(site), "XDP goes on without it"
        site.sluice = site.make_sluice(command="agent").start()
        await_answered(site, totals(site)["admit_socket"])
        site.apply("new.yaml", ingress("new", rule("new.test", ("/", "Prefix", "crowd"))))
        assert site.get("new.test").status == 200
    judge(capsys, "the agent killed, and another", crowd)
    assert proxy.process.poll() is None


def test_proxy_is_killed_and_the_next_one_takes_over(start_site, capsys):
    """What it had in its hands is cut, and no more than that: nobody is refused, and nobody waits in vain."""
    site = start_site(xdp="early")
    site.apply("crowd.json", many_hosts(site))
    with crowd_of(site) as crowd:
        old, before = proxy_pid(site.sluice), totals(site)["admit_socket"]
        os.kill(old, signal.SIGKILL)
        poll("another proxy", lambda: is_other(site, old), 20)
        await_answered(site, before)
    judge(capsys, "the proxy killed", crowd, forgiven=("reset", "closed"))
    assert sum(crowd.failed.values()) <= CLIENTS


def is_other(site, old):
    try:
        return proxy_pid(site.sluice) != old
    except (LookupError, OSError):
        return False


def test_detach_and_the_next_agent(start_site, capsys):
    site = start_site(xdp="early")
    site.apply("crowd.json", many_hosts(site))
    with crowd_of(site) as crowd:
        assert detach(site)[0] == 0
        assert xdp_program(site) is None
        before = agent_pid(site)
        upgrade(site)
        assert agent_pid(site) != before and xdp_program(site)
        await_answered(site, totals(site)["admit_socket"])
    judge(capsys, "taken away, and put back by an upgrade", crowd)
