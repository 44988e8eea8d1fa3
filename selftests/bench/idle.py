# SPDX-License-Identifier: Apache-2.0
"""Idle TLS connections: memory for each, and what holding them costs."""
import json
import subprocess
import time

import proxies
import report
from lab import CLIENT, FILES_MAX

CONNECTIONS = min(9000, FILES_MAX // 2 - 500)


def run(lab, setup, kinds):
    rows = []
    for kind in kinds:
        proxy = kind(lab, proxies.Setup(list(setup.hosts), [], setup.default_certificate))
        proxy.start()
        if not kind.is_floor and proxy.wait_ready() is None:
            continue
        time.sleep(1)
        before_mb = lab.cgroups.pss_mb(proxy.group)
        holder = lab.start("loadgen", CLIENT, 0, [
            f"{lab.build}/bench/loadgen", "-t", proxy.target("https"), "-c", str(CONNECTIONS), "-S", "-I", "-d", "25",
            "-w", "0"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        seen = json.loads(holder.stdout.readline())
        time.sleep(0.5)
        after_mb, cpu_s = lab.cgroups.pss_mb(proxy.group), lab.cgroups.cpu_s(proxy.group)
        time.sleep(2)
        cpu_s = lab.cgroups.cpu_s(proxy.group) - cpu_s
        holder.stdin.close()
        lab.end(holder)
        if seen["alive"]:
            rows.append([proxy.name, seen["alive"], f"{(after_mb - before_mb) * 1024 / seen['alive']:.1f}",
                         f"{before_mb:.0f}", f"{after_mb:.0f}", f"{cpu_s / 2 * 100:.2f}", seen["errors"] + seen["resets"]])
        print(f"  idle: {proxy.name}", flush=True)
        proxy.stop()
    return report.table("idle: TLS connections held open", [
        "proxy", "connections", "PSS kB each", "before MB", "after MB", "CPU %", "bad"], rows)
