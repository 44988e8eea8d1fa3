# SPDX-License-Identifier: Apache-2.0
"""One route added while 10,000 hosts are loaded: how long until it answers, and what it costs."""
import statistics
import time

import proxies
import report

CHANGES = 12
GUARD_S = 60  # a proxy that takes longer per change gets fewer changes
PATIENCE_S = 30


def wait_in_force(address, host, began):
    """Seconds from @began until the host answers, or None."""
    while time.time() - began < PATIENCE_S:
        if proxies.ask(address, host, "/api"):
            return time.time() - began
        time.sleep(0.001)
    return None


def one_change(lab, proxy, number):
    """(seconds until in force, CPU seconds spent on it without what polling costs)"""
    host = f"added{number:03d}.bench.test"
    routes = [(p, f"10.200.240.{number + 1}", 9000) for p in proxies.PATHS]
    cpu = lab.cgroups.cpu_s(proxy.group)
    began = proxy.add_host(host, routes)
    in_force_s = wait_in_force(proxy.http, host, began)
    time.sleep(0.5)
    return in_force_s, lab.cgroups.cpu_s(proxy.group) - cpu


def run(lab, setup, kinds):
    rows = []
    for kind in kinds:
        proxy = kind(lab, proxies.Setup(list(setup.hosts), setup.certificates, setup.default_certificate))
        proxy.start()
        ready_s = proxy.wait_ready()
        if ready_s is None:
            continue
        time.sleep(1)
        memory_mb, began, effects, costs, failed = lab.cgroups.pss_mb(proxy.group), time.time(), [], [], 0
        for number in range(CHANGES):
            if time.time() - began > GUARD_S:
                break
            in_force_s, cpu_s = one_change(lab, proxy, number)
            costs.append(cpu_s)
            if in_force_s is None:
                failed += 1
            else:
                effects.append(in_force_s)
        if effects:
            rows.append([proxy.name, f"{ready_s:.2f}", f"{memory_mb:.0f}", len(effects),
                         f"{statistics.median(effects) * 1e3:.1f}", f"{max(effects) * 1e3:.1f}",
                         f"{statistics.median(costs) * 1e3:.0f}", failed])
        print(f"  change: {proxy.name}", flush=True)
        proxy.stop()
    return report.table("change: one host added to 10,000, with 1,000 certificates", [
        "proxy", "start s", "PSS MB", "changes", "in force ms", "max ms", "CPU ms", "not in force"], rows)
