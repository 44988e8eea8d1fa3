#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""CPU per request of sluice beside nginx, HAProxy and Envoy, over the floor of a byte-copying relay.

Rounds are interleaved: each round measures every proxy once, one after the other, so that a
machine whose speed drifts drifts for all. The tables give medians and ratios within a round.
As root, from the top of the tree: `make bench`, or

    selftests/bench/bench.py [--proxies sluice,nginx] [--only keepalive,tls] [--rounds 5] [--seconds 2]
"""
import argparse
import json
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import certificates  # noqa: E402
import changes  # noqa: E402
import idle  # noqa: E402
import proxies  # noqa: E402
import report  # noqa: E402
from lab import CLIENT, Lab  # noqa: E402

CROWD = "10.78.0.1/1024"  # who opens connections: so many addresses
CERTIFICATES = 1000  # hosts with a certificate of their own, of the 10,000

# name: (what it is, setup, kind of target, arguments of loadgen)
SCENARIOS = {
    "keepalive": ("small keepalive requests, HTTP, 64 connections", "small", "http", ["-c", "64"]),
    "tls": ("small keepalive requests, TLS 1.3, 64 connections", "small", "https", ["-c", "64", "-S"]),
    "connect": ("a TCP connection per request", "small", "http-close", ["-c", "64", "-K", "-g", "-s", CROWD]),
    "handshake": ("a TLS connection per request, full handshake", "small", "https-close",
                  ["-c", "32", "-S", "-K", "-g", "-s", CROWD]),
    "resume": ("a TLS connection per request, resumed", "small", "https-close", ["-c", "32", "-S", "-K", "-R", "-g", "-s", CROWD]),
    "bodies": ("1 MiB bodies, HTTP, 8 connections", "small", "http-big", ["-c", "8", "-p", "/big"]),
    "bodies-tls": ("1 MiB bodies, TLS, 8 connections", "small", "https-big", ["-c", "8", "-S", "-p", "/big"]),
    "one-of-10000": ("10,000 hosts are loaded, one is asked", "large", "http",
                     ["-c", "64", "-H", proxies.host_name(5000)]),
    "all-of-10000": ("10,000 hosts are loaded, all are asked", "large", "http", ["-c", "64", "-x", "-f", "{list}"]),
}


def make_setups(lab):
    directory = f"{lab.build}/bench/certificates"
    default = certificates.make(directory, "default", "*.bench.test")
    small = proxies.Setup(proxies.small_hosts(), default_certificate=default)
    pairs = [(h, *certificates.make(directory, h, h)) for h in map(proxies.host_name, range(CERTIFICATES))]
    large = proxies.Setup(proxies.many_hosts(), pairs, default)
    return {"small": small, "large": large}


def write_list(lab, hosts=proxies.SPREAD):
    """Each of that many hosts with one of its paths, three times over."""
    path = f"{lab.dir}/hosts.txt" if hosts == proxies.SPREAD else f"{lab.dir}/hosts-{hosts}.txt"
    with open(path, "w", encoding="utf-8") as file:
        for k in range(3 * hosts):
            file.write(f"{proxies.host_name(k % hosts)} {('/', '/api/v1', '/static/a.js')[k % 3]}\n")
    return path


def spent(lab, proxy):
    """CPU seconds: of the proxy with the kernel's steering threads, and of all that a request takes."""
    own = lab.cgroups.cpu_s(proxy.group) + lab.cgroups.steering_s()
    return own, own + lab.cgroups.cpu_s("loadgen") + lab.cgroups.cpu_s("endpoints")


def measure(lab, proxy, kind, arguments, seconds):
    """One sample: CPU of the proxy's group per request, and what the generator saw."""
    command = [f"{lab.build}/bench/loadgen", "-t", proxy.target(kind), "-d", str(seconds), "-w", "0", *arguments]
    before, began = spent(lab, proxy), time.monotonic()
    process = lab.start("loadgen", CLIENT, 0 if proxy.setup.workers == 1 else None, command, stdout=subprocess.PIPE)
    out, _ = process.communicate(timeout=seconds + 60)
    lab.processes.remove(process)
    wall, after = time.monotonic() - began, spent(lab, proxy)
    own, everybody = after[0] - before[0], after[1] - before[1]
    seen = json.loads(out)
    if not seen["requests"]:
        return None
    return {**seen, "cpu_us": own * 1e6 / seen["requests"], "all_us": everybody * 1e6 / seen["requests"],
            "busy": own / wall, "pss_mb": lab.cgroups.pss_mb(proxy.group)}


def run_setup(lab, setup, names, options, samples):
    """Starts all proxies with one setup and measures its scenarios in interleaved rounds."""
    running = []
    for kind in options.proxies:
        if kind.is_floor and len(setup.hosts) > 100:
            continue
        proxy = kind(lab, proxies.Setup(list(setup.hosts), setup.certificates, setup.default_certificate,
                                        options.workers))
        proxy.start()
        ready_s = proxy.wait_ready()
        if ready_s is None:
            continue
        running.append(proxy)
        print(f"  {proxy.name}: serving {len(setup.hosts):,} hosts after {ready_s:.2f} s", flush=True)
    for name in names:
        _, _, kind, arguments = SCENARIOS[name]
        arguments = [a.format(list=f"{lab.dir}/hosts.txt") for a in arguments]
        print(f"  {name}", end="", flush=True)
        for proxy in running:  # pools filled, code warm
            measure(lab, proxy, kind, arguments, 2 if "10000" in name else 0.5)
        for turn in range(options.rounds):
            for proxy in running:
                sample = measure(lab, proxy, kind, arguments, options.seconds)
                if sample:
                    samples.append({"scenario": name, "proxy": proxy.name, "round": turn, **sample})
            print(".", end="", flush=True)
        print(flush=True)
    for proxy in running:
        proxy.stop()


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default="build")
    parser.add_argument("--proxies", default=",".join(p.name for p in proxies.ALL))
    parser.add_argument("--only", default=",".join([*SCENARIOS, "change", "idle"]), help="scenarios by name")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--workers", type=int, default=1, help="more than 1: on any CPU, and so is the generator")
    options = parser.parse_args()
    wanted = options.proxies.split(",")
    options.proxies = [p for p in proxies.ALL + proxies.ON_DEMAND if p.name in wanted]
    options.only = options.only.split(",")
    return options


def main():
    options = parse_arguments()
    if os.geteuid() != 0:
        sys.exit("bench: root is needed, for network namespaces and cgroups")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    samples = []
    with Lab(options.build) as lab:
        missing = [p.name for p in options.proxies if not p.is_there(lab)]
        options.proxies = [p for p in options.proxies if p.is_there(lab)]
        if missing:
            print(f"  not measured, since not installed (scripts/setup --bench): {', '.join(missing)}")
        lab.enter_client()
        lab.start_endpoints(8)
        setups = make_setups(lab)
        write_list(lab)
        for key, setup in setups.items():
            names = [n for n in options.only if n in SCENARIOS and SCENARIOS[n][1] == key]
            if names:
                run_setup(lab, setup, names, options, samples)
        tables = [report.scenario_table(name, SCENARIOS[name][0], samples) for name in options.only if name in SCENARIOS]
        if "change" in options.only:
            tables.append(changes.run(lab, setups["large"], [p for p in options.proxies if not p.is_floor]))
        if "idle" in options.only:
            tables.append(idle.run(lab, setups["small"], options.proxies))
        with open(f"{lab.build}/bench/samples.json", "w", encoding="utf-8") as file:
            json.dump(samples, file, indent=1)
    text = "\n".join(t for t in tables if t)
    with open(f"{options.build}/bench/report.md", "w", encoding="utf-8") as file:
        file.write(text)
    print("\n" + text)


if __name__ == "__main__":
    main()
