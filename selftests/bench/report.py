# SPDX-License-Identifier: Apache-2.0
"""Tables of samples. Ratios are medians of the ratios within a round, never ratios of medians."""
import statistics

FLOOR = "relay"
OURS = ("sluice", "sluice-xdp", "sluice-early")


def table(title, columns, rows):
    """A Markdown table that also reads well in a terminal."""
    cells = [columns] + [[str(c) for c in row] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(columns))]
    lines = ["| " + " | ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths))) + " |"
             for row in cells]
    lines.insert(1, "|" + "|".join("-" * (w + 2) for w in widths) + "|")
    return f"\n### {title}\n\n" + "\n".join(lines) + "\n"


def ratio(samples, a, b):
    """Median over the rounds of cpu(a)/cpu(b), or '' where there is nothing to compare."""
    pairs = [samples[a][r]["cpu_us"] / samples[b][r]["cpu_us"] for r in samples.get(a, {}) if r in samples.get(b, {})]
    return f"{statistics.median(pairs):.2f}" if pairs else ""


def scenario_table(name, what, samples):
    by_proxy = {}
    for s in samples:
        if s["scenario"] == name:
            by_proxy.setdefault(s["proxy"], {})[s["round"]] = s
    if not by_proxy:
        return ""

    def median(proxy, key):
        return statistics.median(s[key] for s in by_proxy[proxy].values())

    cost = {p: median(p, "cpu_us") for p in by_proxy}
    peers = {p: c for p, c in cost.items() if p != FLOOR and p not in OURS}
    best = min(peers, key=peers.get) if peers else None
    rows = []
    for proxy in sorted(cost, key=cost.get):
        values = [s["cpu_us"] for s in by_proxy[proxy].values()]
        bad = sum(s["errors"] + s["resets"] + s["not_200"] for s in by_proxy[proxy].values())
        rows.append([proxy, f"{cost[proxy]:.2f}", f"{min(values):.2f}-{max(values):.2f}", ratio(by_proxy, proxy, FLOOR),
                     ratio(by_proxy, proxy, best) if best else "", f"{median(proxy, 'all_us'):.1f}", f"{median(proxy, 'rps'):.0f}",
                     f"{median(proxy, 'busy'):.2f}", f"{median(proxy, 'p50_us'):.0f}", f"{median(proxy, 'p99_us'):.0f}",
                     bad, f"{median(proxy, 'pss_mb'):.0f}"])
    return table(f"{name}: {what}", ["proxy", "CPU us/request", "min-max", "x floor", "x best peer", "all CPU us", "req/s", "busy",
                                     "p50 us", "p99 us", "bad", "PSS MB"], rows)
