# SPDX-License-Identifier: Apache-2.0
"""The datapath while it is changed under a running sluice: peers that stop taking what XDP sends, programs
that are put in each other's place, taken away, or belong to somebody else. Clients go on meanwhile."""
import os
import re

import pytest

from http1 import Connection
from load import Load
from manifests import ingress, rule
from product import ADMIN
from world import BUILD, poll, run

HOSTS = [f"life-{number}.test" for number in range(8)]
PAUSE = 0.004  # of each client: the machine is to be busy, not stuck


def served(site):
    site.apply("hosts.json", site.backends.many("blue"),
               *(ingress(host.split(".")[0], rule(host, ("/", "Prefix", "blue"))) for host in HOSTS))


def interface(site, name="clients"):
    return next(row for row in site.sluice.json("status")["interfaces"] if row["interface"] == name)


def metrics(site):
    with Connection(site.world.node, *ADMIN) as connection:
        return connection.get("admin", "/metrics").body.decode()


def total(site, name):
    """A counter of the datapath."""
    return int(re.search(rf"^sluice_datapath_{name}_total (\d+)$", metrics(site), re.M).group(1))


def set_peer_program(site, is_there):
    """The far end of the node's interface: without a program it throws away what XDP sends."""
    program = ("object", os.path.join(BUILD, "e2e", "xdp_pass.bpf.o"), "section", "xdp") if is_there else ("off",)
    run("ip", "-n", site.world.client.name, "link", "set", "dev", "eth0", "xdpdrv", *program)


def expect_early(site, is_early):
    poll(f"early dispatch {'on' if is_early else 'off'}",
         lambda: interface(site)["early"] == ("on" if is_early else "off"))


# ---- interfaces that swallow answers ---------------------------------------------------------------

@pytest.mark.parametrize("early", ["auto", "on"])
def test_peer_that_swallows_answers_is_found_out_at_start(start_site, early):
    site = start_site(xdp="early", start=False)
    set_peer_program(site, False)
    site.sluice = site.make_sluice("--early-dispatch", early)
    site.sluice.start()
    served(site)
    row = interface(site)
    assert row["xdp"] == "native" and row["early"] == "off" and "no native XDP program" in row["why"]
    assert total(site, "answer_syn") == 0
    assert 'sluice_interface_early_dispatch{interface="clients"} 0\n' in metrics(site)
    assert re.search(r"early_dispatch:clients +no +.*no native XDP program", site.sluice.ctl("features"))
    assert len([line for line in site.sluice.log if "no native XDP program" in line]) == 1, "said once"


def test_answering_follows_the_peer(start_site):
    site = start_site(xdp="early")
    served(site)
    expect_early(site, True)
    assert total(site, "answer_syn") > 0
    assert 'sluice_interface_early_dispatch{interface="clients"} 1\n' in metrics(site)
    with Load(site, HOSTS, pause=PAUSE) as load:
        load.wait_for(100)
        for _ in range(2):
            set_peer_program(site, False)
            expect_early(site, False)
            answered = total(site, "answer_syn")
            load.wait_for(100)
            assert total(site, "answer_syn") == answered
            set_peer_program(site, True)
            expect_early(site, True)
            load.wait_for(100)
            assert total(site, "answer_syn") > answered
    assert not load.failures, load.failures[:5]


def test_early_dispatch_can_be_turned_off(start_site):
    site = start_site(xdp="native")
    served(site)
    assert interface(site)["early"] == "off" and not interface(site)["why"]
    assert site.get(HOSTS[0]).status == 200
    assert total(site, "answer_syn") == 0
