# SPDX-License-Identifier: Apache-2.0
"""The ways in which a client's packets come to a worker. Every request has to get the same answer in each.

    off       no XDP: the kernel's handshake, sk_select, and hand-off by the worker that accepted
    generic   XDP in the stack, which also answers SYNs: the socket is born from the first payload
    native    XDP in the driver, steering by host; the kernel answers SYNs
    early     native as it comes: XDP answers SYNs, too
    foreign   a program of somebody else is on the interface: XDP is not to be had
    nokfunc   as before kernel 6.9: the kernel answers SYNs, XDP steers by host
    nohost    as before kernel 5.18: XDP can read no payload
    bare      each feature by itself is missing: no XDP, no choice by CPU, no sk_lookup
    nobpf     no BPF at all

E2E_MODES names those that `any_site` goes through, E2E_MODE the one of tests that do not say.
`make check-e2e-matrix` runs everything in each of them.
"""
import collections
import os

# xdp, options: of sluice; wires: what XDP the veth pairs have to bear; found: the mode of XDP that
# `ip link` then shows on the node's interface (1 native, 2 generic); without: features that are taken
# to be missing (SLUICE_WITHOUT).
Mode = collections.namedtuple("Mode", "name xdp options wires found without", defaults=("",))

MODES = {mode.name: mode for mode in (
    Mode("off", "off", (), "off", None),
    Mode("generic", "generic", (), "generic", 2),
    Mode("native", "native", ("--early-dispatch", "off"), "native", 1),
    Mode("early", "native", (), "native", 1),
    Mode("foreign", "auto", (), "native", 1),
    Mode("nokfunc", "native", (), "native", 1, "kfunc"),
    Mode("nohost", "native", (), "native", 1, "xdp_load_bytes"),
    Mode("bare", "auto", (), "native", None,
         "sk_reuseport,cpumap,native_xdp,generic_xdp,xdp_load_bytes,tcx,kfunc,sockmap,sk_lookup"),
    Mode("nobpf", "auto", (), "native", None, "bpf"),
)}

USUAL = MODES[os.environ.get("E2E_MODE") or "off"]
ALL = [MODES[name] for name in (os.environ.get("E2E_MODES") or "off generic native early").split()]
