#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""10,000 hosts of 3 paths each: load time, memory, and requests spread over all hosts against one.

`make bench-routes`. Two proxies are measured in turns: one whose hosts share 16 endpoints, which
shows what looking up a host and a path costs, and one in which each host has an endpoint of its own,
where the kernel keeps 10,000 upstream sockets and finds each of them cold in its caches. The ratio
is requests per second of proxy CPU, all hosts against one host. Beside it stands the ratio of 16
hosts, whose routes are warm: what these lose is lost to the connections of more than one endpoint.
"""
import argparse
import os
import statistics
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import bench  # noqa: E402
import certificates  # noqa: E402
import proxies  # noqa: E402
import report  # noqa: E402
from lab import Lab  # noqa: E402

FEW_ENDPOINTS = 16


class Shared(proxies.Sluice):
    name, port_base, what = "sluice-shared", 8060, f"{FEW_ENDPOINTS} endpoints in all"

    @staticmethod
    def hosts():
        return [(proxies.host_name(i), [(p, proxies.endpoint_ip(i % FEW_ENDPOINTS), 9000) for p in proxies.PATHS])
                for i in range(proxies.SPREAD)]


class Own(proxies.Sluice):
    name, port_base, what = "sluice-own", 8070, "an endpoint a host"

    @staticmethod
    def hosts():
        return proxies.many_hosts()


def load(lab, kind, certificate):
    """Starts one and says what loading cost."""
    proxy = kind(lab, proxies.Setup(kind.hosts(), [], certificate))
    proxy.start()
    ready_s = proxy.wait_ready(proxies.host_name(proxies.SPREAD - 1), "/static/x")
    if ready_s is None:
        sys.exit(f"bench-routes: {proxy.name} did not get ready")
    print(f"{proxies.SPREAD:,} hosts x {len(proxies.PATHS)} paths, {kind.what}: serving after {ready_s:.2f} s "
          f"({lab.cgroups.cpu_s(proxy.group):.2f} s of CPU), {lab.cgroups.pss_mb(proxy.group):.0f} MB "
          "(agent and proxy)", flush=True)
    return proxy


def ratio(one, many):
    """Median, least and greatest of the ratios within a round."""
    ratios = [a["cpu_us"] / b["cpu_us"] for a, b in zip(one, many)]
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default="build")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    options = parser.parse_args()
    rows = []
    with Lab(options.build) as lab:
        lab.enter_client()
        lab.start_endpoints(4)
        asked = {"one host": ["-c", "64", "-H", proxies.host_name(5000)],
                 "few hosts": ["-c", "64", "-x", "-f", bench.write_list(lab, FEW_ENDPOINTS)],
                 "all hosts": ["-c", "64", "-x", "-f", bench.write_list(lab)]}
        certificate = certificates.make(f"{lab.build}/bench/certificates", "default", "*.bench.test")
        running = [load(lab, kind, certificate) for kind in (Shared, Own)]
        samples = {(p.name, a): [] for p in running for a in asked}
        for turn in range(options.rounds + 1):
            for proxy in running:
                for name, arguments in asked.items():
                    sample = bench.measure(lab, proxy, "http", arguments, options.seconds)
                    if turn:  # the first turn fills pools and caches
                        samples[proxy.name, name].append(sample)
        for proxy in running:
            one, few, all_of_them = (samples[proxy.name, name] for name in asked)
            rows.append([proxy.what,
                         *(f"{statistics.median(s['cpu_us'] for s in v):.2f}" for v in (one, few, all_of_them)),
                         *(f"{statistics.median(s['rps'] for s in v):.0f}" for v in (one, all_of_them)),
                         ratio(one, few), ratio(one, all_of_them),
                         sum(s["errors"] + s["resets"] + s["not_200"] for s in one + few + all_of_them)])
    print(report.table("routes: requests spread over all hosts against one host", [
        "endpoints", "one: CPU us", f"{FEW_ENDPOINTS}: CPU us", "all: CPU us", "one: req/s", "all: req/s",
        f"{FEW_ENDPOINTS} / one, per CPU", "all / one, per CPU", "bad"], rows))


if __name__ == "__main__":
    main()
