#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""10,000 hosts of 3 paths each: load time, memory, and requests spread over all hosts against one.

`make bench-routes`. The ratio is requests per second of proxy CPU, all hosts against one host, with
both measured in turns in one run.
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


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default="build")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    options = parser.parse_args()
    with Lab(options.build) as lab:
        lab.enter_client()
        lab.start_endpoints(4)
        listed = bench.write_list(lab)
        default = certificates.make(f"{lab.build}/bench/certificates", "default", "*.bench.test")
        proxy = proxies.Sluice(lab, proxies.Setup(proxies.many_hosts(), [], default))
        proxy.start()
        ready_s = proxy.wait_ready(proxies.host_name(proxies.SPREAD - 1), "/static/x")
        if ready_s is None:
            sys.exit("bench-routes: sluice did not get ready")
        load_cpu_s = lab.cgroups.cpu_s(proxy.group)
        costs = {"one host": [], "all hosts": []}
        same = ["-c", "64", "-H", proxies.host_name(5000)]
        spread = ["-c", "64", "-x", "-f", listed]
        for turn in range(options.rounds + 1):
            for name, arguments in (("one host", same), ("all hosts", spread)):
                sample = bench.measure(lab, proxy, "http", arguments, options.seconds)
                if turn and sample:  # the first turn fills pools and caches
                    costs[name].append(sample)
        memory_mb = lab.cgroups.pss_mb(proxy.group)
    ratios = [a["cpu_us"] / b["cpu_us"] for a, b in zip(costs["one host"], costs["all hosts"])]
    rows = [[n, f"{statistics.median(s['cpu_us'] for s in v):.2f}", f"{statistics.median(s['rps'] for s in v):.0f}",
             sum(s["errors"] + s["resets"] + s["not_200"] for s in v)] for n, v in costs.items()]
    print(f"\n{proxies.SPREAD:,} hosts x {len(proxies.PATHS)} paths: serving after {ready_s:.2f} s "
          f"({load_cpu_s:.2f} s of CPU), {memory_mb:.0f} MB in all (agent and proxy)")
    print(report.table("routes", ["asked", "CPU us/request", "req/s", "bad"], rows))
    print(f"requests per CPU second, all hosts : one host = {statistics.median(ratios):.2f} "
          f"({min(ratios):.2f}-{max(ratios):.2f})")


if __name__ == "__main__":
    main()
