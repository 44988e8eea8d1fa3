# SPDX-License-Identifier: Apache-2.0
"""What a person and a monitoring system get to see: sluicectl, bpftool, the admin address, the logs."""
import collections
import json
import re
import subprocess

import pytest

import modes
from http1 import Connection
from manifests import ingress, rule
from product import ADMIN, SLUICE, SLUICECTL
from world import PATIENCE, poll, run

HOST = "operator.test"


def operator(site):
    return [site.backends.make("shop", count=3), site.backends.make("rest"),
            site.authority.secret("operator-tls", HOST),
            ingress("operator", rule(HOST, ("/shop", "Prefix", "shop"), ("/exact", "Exact", "rest")),
                    tls=[("operator-tls", HOST)]),
            ingress("catch-all", default="rest")]


@pytest.fixture
def running(any_site):
    any_site.use(("operator", operator))
    return any_site


def admin(site, path):
    with Connection(site.world.node, *ADMIN) as connection:
        return connection.get("localhost", path)


# ---- sluicectl -------------------------------------------------------------------------------

def test_status_says_what_runs(running):
    text = running.sluice.ctl("status")
    status = running.sluice.json("status")
    assert len(status["workers"]) == 2
    assert running.mode.name == "foreign" or running.xdp in text
    assert "generation" in text


def test_routes_name_their_source(running):
    text = running.sluice.ctl("routes")
    row = next(line for line in text.splitlines() if HOST in line and "/shop" in line)
    assert "shop" in row and "operator" in row
    assert any(HOST in json.dumps(route) for route in routes_of(running))


def routes_of(site):
    said = site.sluice.json("routes")
    return said["routes"] if isinstance(said, dict) else said


@pytest.mark.parametrize("path,who", [("/shop/cart", "shop"), ("/exact", "rest"), ("/nothing", "rest")])
def test_explain_agrees_with_what_happens(running, path, who):
    assert running.backends.answered(running.get(HOST, path)) == who
    text = running.sluice.ctl("explain", f"http://{HOST}{path}")
    assert f"default/{who}" in text or who in text
    assert "operator" in text or "catch-all" in text
    assert who in json.dumps(running.sluice.json("explain", f"http://{HOST}{path}"))


def test_explain_says_when_nobody_serves(site):
    site.use(("nothing", lambda s: []))
    assert site.get("nobody.test").status == 404
    assert "404" in site.sluice.ctl("explain", "http://nobody.test/x", check=False)


def test_endpoints_are_listed_with_their_state(running):
    text = running.sluice.ctl("endpoints")
    for address in running.backends.addresses["default", "shop"]:
        assert address in text
        assert address in json.dumps(running.sluice.json("endpoints"))


def test_maps_are_listed(running):
    text = running.sluice.ctl("maps")
    if running.mode.without == "bpf":
        assert "off: the kernel has no BPF" in text
        return
    for name in ("hosts", "listeners", "flows", "workers", "stats"):
        assert name in text
    assert "hosts" in json.dumps(running.sluice.json("maps"))


@pytest.mark.parametrize("arguments,code", [(["nonsense"], 2), ([], 2), (["explain"], 2), (["--help"], 0)])
def test_sluicectl_usage(arguments, code):
    assert subprocess.run([SLUICECTL, *arguments], capture_output=True, check=False).returncode == code


def test_sluicectl_without_a_running_sluice_says_so(tmp_path):
    done = subprocess.run([SLUICECTL, "status", "--run-dir", str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and str(tmp_path) in done.stderr


# ---- sluice ----------------------------------------------------------------------------------

@pytest.mark.parametrize("arguments,code", [(["--help"], 0), (["--version"], 0), ([], 2), (["fly"], 2),
                                            (["run", "--no-such-option"], 2), (["run", "--xdp", "fast"], 2),
                                            (["run", "--workers", "many"], 2), (["run", "--http", "nowhere"], 2)])
def test_sluice_usage(arguments, code):
    done = subprocess.run([SLUICE, *arguments], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == code, done.stderr
    if code == 2:
        assert done.stderr.strip()


def test_missing_directory_is_an_error(tmp_path):
    done = subprocess.run([SLUICE, "run", "--manifests", str(tmp_path / "absent"), "--run-dir", str(tmp_path / "run"),
                           "--xdp", "off"], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 1 and "absent" in done.stderr


def test_ready_line_has_the_addresses(running):
    line = running.sluice.wait_for(r"\bready\b")
    assert ":80" in line and ":443" in line


def test_address_in_use_is_an_error_that_names_it(site):
    second = site.make_sluice("--admin", "127.0.0.1:8001", run_dir=site.world.dir + "/second",
                              bpf_dir=site.world.bpffs + "/second")
    with pytest.raises(TimeoutError) as error:
        second.start()
    assert "in use" in str(error.value) and ":80" in str(error.value)
    assert second.process.wait(PATIENCE) == 1


def test_second_sluice_in_one_run_dir_is_refused(site):
    second = site.make_sluice("--http", "127.0.0.1:8000", "--https", "none", "--admin", "127.0.0.1:8001")
    with pytest.raises(TimeoutError):
        second.start()
    assert second.process.wait(PATIENCE) == 1
    site.use(("nothing", lambda s: []))


def test_listeners_can_be_chosen(start_site):
    site = start_site(options=("--http", "10.77.1.1:8000", "--http", "127.0.0.1:8000", "--https", "none"))
    site.manifests.write("one.yaml", site.backends.make("one"), ingress("one", rule("one.test", ("/", "Prefix", "one"))))

    def served(space, address):
        with Connection(space, address, 8000) as connection:
            return connection.get("one.test").status == 200

    poll("served", lambda: served(site.world.client, "10.77.1.1"))
    poll("served", lambda: served(site.world.node, "127.0.0.1"))
    listening = site.world.node.run("ss", "-tlnH")
    assert ":443" not in listening and ":80 " not in listening


# ---- admin -----------------------------------------------------------------------------------

def test_health_and_readiness(running):
    assert admin(running, "/healthz").status == 200
    assert admin(running, "/readyz").status == 200
    assert admin(running, "/nothing").status == 404


def test_not_ready_before_the_first_configuration(start_site):
    """An agent whose proxy has not come yet serves nothing."""
    site = start_site(start=False)
    agent = site.make_sluice(command="agent").start(ready=None)

    def answer(path):
        try:
            return admin(site, path).status
        except ConnectionRefusedError:
            return None

    poll("an admin server", lambda: answer("/healthz") == 200)
    assert answer("/readyz") == 503
    type(agent)(site.world, command="proxy").start(ready=None)
    poll("readiness", lambda: answer("/readyz") == 200)


SAMPLE = re.compile(r'[a-zA-Z_:][a-zA-Z0-9_:]*(\{[a-zA-Z_]\w*="(\\.|[^"\\])*"(,[a-zA-Z_]\w*="(\\.|[^"\\])*")*\})? '
                    r'[-+0-9.eE]+(inf|nan)?$', re.I)


def metrics(site):
    reply = admin(site, "/metrics")
    assert reply.status == 200 and reply["Content-Type"].startswith("text/plain")
    return reply.body.decode()


def value_of(text, pattern):
    """The sum of the samples whose name and labels match."""
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines()
               if not line.startswith("#") and re.match(pattern, line))


def test_metrics_are_prometheus_text_and_count(running):
    before = metrics(running)
    for line in before.splitlines():
        assert line.startswith("# HELP ") or line.startswith("# TYPE ") or SAMPLE.match(line), line
    for _ in range(7):
        running.get(HOST, "/shop")
    after = metrics(running)
    assert value_of(after, r"sluice_.*requests.*total") - value_of(before, r"sluice_.*requests.*total") >= 7
    assert len(after.splitlines()) < 2000, "bounded, whatever is served"


def test_admin_address_refuses_what_is_not_asked_nicely(running):
    with Connection(running.world.node, *ADMIN) as connection:
        connection.send(b"\x16\x03\x01 garbage\r\n\r\n")
        assert b" 200 " not in connection.rest()
    assert admin(running, "/healthz").status == 200


# ---- maps ------------------------------------------------------------------------------------

IN_XDP = pytest.mark.parametrize("any_site", [mode.name for mode in modes.ALL if mode.xdp in ("generic", "native") and
                                              "xdp_load_bytes" not in mode.without], indirect=True, scope="session")


def dump(site, name):
    return json.loads(run("bpftool", "-j", "map", "dump", "pinned", site.sluice.map_path(name)))


def formatted(site, name):
    """The entries as bpftool prints them for people: with the names of the fields."""
    return [entry["formatted"] for entry in dump(site, name)]


@IN_XDP
def test_hosts_are_readable_in_the_kernel(running):
    entries = formatted(running, "hosts")
    assert any(entry["value"].get("name") == HOST for entry in entries), entries
    assert all(isinstance(entry["value"], dict) for entry in entries)


@IN_XDP
def test_listeners_and_workers_are_readable_in_the_kernel(running):
    assert {80, 443} <= {entry["key"]["port"] for entry in formatted(running, "listeners")}
    assert formatted(running, "workers")


@IN_XDP
def test_flows_go_through_xdp(running):
    with running.connect() as connection:
        for _ in range(5):
            assert connection.get(HOST, "/shop").status == 200
        port = connection.sock.getsockname()[1]
        poll("the flow in the map", lambda: any(str(port) in json.dumps(entry["key"])
                                                for entry in formatted(running, "flows")))


def many_hosts(site):
    return [site.backends.make("steered"), site.authority.secret("steered-tls", "*.steer.test"),
            ingress("steered", *(rule(host, ("/", "Prefix", "steered")) for host in STEERED),
                    tls=[("steered-tls", *STEERED)])]


STEERED = [f"host-{number}.steer.test" for number in range(40)]


def counted(site):
    """The counters of XDP, summed over the CPUs."""
    sums = collections.Counter()
    for one in formatted(site, "stats")[0]["values"]:
        sums.update(one["value"])
    return sums


@IN_XDP
def test_first_bytes_name_the_host_and_the_connection_follows(any_site):
    """Every connection is found by SNI or Host, and goes on on the CPU of a worker that owns the host."""
    any_site.use(("many_hosts", many_hosts))
    before = counted(any_site)
    for scheme in ("http", "https"):
        for host in STEERED:
            assert any_site.get(host, scheme=scheme).status == 200
    after = counted(any_site)
    seen = {name: after[name] - before[name] for name in after}
    assert seen["host_exact"] == seen["flow_created"] == 2 * len(STEERED)
    assert seen["steer_redirect"] > 0, "some came in on a CPU that is not their worker's"
    assert seen["pass_checksum"] == seen["steer_failed"] == 0


def test_xdp_is_where_it_was_asked_for(running):
    link = json.loads(run("ip", "-n", running.world.node.name, "-j", "link", "show", "dev", "clients"))[0]
    assert link.get("xdp", {}).get("mode") == running.mode.found
    text = running.sluice.ctl("status")
    assert "xdp" in text.lower()


def test_foreign_xdp_program_is_not_displaced_and_requests_are_served(start_site):
    site = start_site(start=False, xdp="foreign")

    def program():
        return json.loads(run("ip", "-n", site.world.node.name, "-j", "link", "show", "dev", "clients"))[0]["xdp"]["prog"]["id"]

    foreign = program()
    site.sluice.start()
    site.apply("one.yaml", site.backends.make("one"), ingress("one", rule("one.test", ("/", "Prefix", "one"))))
    assert site.get("one.test").status == 200
    assert program() == foreign


def test_nothing_stays_attached_after_the_end(start_site):
    site = start_site(xdp="native")
    site.settle()
    site.sluice.stop()
    link = json.loads(run("ip", "-n", site.world.node.name, "-j", "link", "show", "dev", "clients"))[0]
    assert "xdp" not in link


# ---- privileges and logs ---------------------------------------------------------------------

def test_proxy_has_no_privileges(running):
    pids = [p for p, words in running.sluice.processes().items() if "proxy" in words[1:2] or comm_of(p) == "sluice-proxy"]
    assert pids
    for pid in pids:
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
        for name in ("CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb"):
            assert int(status[name], 16) == 0, name
        assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"


def comm_of(pid):
    with open(f"/proc/{pid}/comm", encoding="ascii") as file:
        return file.read().strip()


def test_access_log_is_json_lines(start_site, tmp_path):
    path = tmp_path / "access.log"
    site = start_site(options=("--access-log", str(path)))
    site.apply("one.yaml", site.backends.make("one"), ingress("one", rule("log.test", ("/", "Prefix", "one"))))
    site.get("log.test", "/first?a=b", headers={"User-Agent": 'odd "agent" \\ \x80', "X-Request-ID": "my-id"})
    site.get("nobody.test", "/none")

    def lines():
        found = [json.loads(line) for line in path.read_text(errors="replace").splitlines()]
        return [one for one in found if "log.test" in json.dumps(one) or "/none" in json.dumps(one)]

    # Two workers write theirs as each has the time.
    written = poll("two lines", lambda: len(lines()) >= 2 and lines())
    first = next(line for line in written if "log.test" in line.values() and "/none" not in line.values())
    none = next(line for line in written if "/none" in line.values())
    assert 200 in first.values() and "GET" in first.values()
    assert site.backends.addresses["default", "one"][0] in json.dumps(first)
    assert 404 in none.values()


def test_memory_of_an_idle_sluice_is_small(site):
    for pid in site.sluice.processes():
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            resident = int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1))
        assert resident < 300 * 1024, f"process {pid} has {resident} KiB"
