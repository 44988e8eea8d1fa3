#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs a program as a container runtime would, as far as sluice can tell: a root file system of its own,
read-only; what is mounted, and nothing else; root with the capabilities that are listed, and no way to more.

    container.py ROOT [--mount SOURCE:TARGET]... [--capability NUMBER]... -- COMMAND...

It stays in the network namespace that it is started in, and in its parent's process."""
import argparse
import ctypes
import os
import stat
import sys

CLONE_NEWNS = 0x20000
MS_RDONLY, MS_NOSUID, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 2, 32, 4096, 16384, 1 << 18
PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 24, 38
CAPABILITIES = 41  # all that there are: CAP_CHECKPOINT_RESTORE is the last
DEVICES = ("null", "zero", "random", "urandom")

_libc = ctypes.CDLL(None, use_errno=True)


def mount(source, target, kind=None, flags=0, data=None):
    arguments = [text.encode() if text else None for text in (source, target, kind)]
    if _libc.mount(*arguments, ctypes.c_ulong(flags), data.encode() if data else None):
        raise OSError(ctypes.get_errno(), f"mount {source} on {target}")


def prepare(root, mounts):
    """A mount namespace in which `root` is as a runtime makes it."""
    if _libc.unshare(CLONE_NEWNS):
        raise OSError(ctypes.get_errno(), "unshare")
    mount(None, "/", flags=MS_REC | MS_PRIVATE)
    mount(root, root, flags=MS_BIND | MS_REC)
    mount("sysfs", root + "/sys", "sysfs", MS_RDONLY)
    for one in mounts:
        source, target = one.split(":")
        os.makedirs(root + target, exist_ok=True)
        mount(source, root + target, flags=MS_BIND | MS_REC)
    mount("proc", root + "/proc", "proc")
    mount("tmpfs", root + "/dev", "tmpfs", MS_NOSUID)
    for name in DEVICES:
        number = os.stat("/dev/" + name).st_rdev
        os.mknod(f"{root}/dev/{name}", 0o666 | stat.S_IFCHR, number)
    mount(None, root, flags=MS_REMOUNT | MS_BIND | MS_RDONLY)


def confine(capabilities):
    """Root gets at exec what is left in the bounding set (capabilities(7))."""
    for number in range(CAPABILITIES):
        if number not in capabilities:
            _libc.prctl(PR_CAPBSET_DROP, number, 0, 0, 0)
    _libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("root")
    parser.add_argument("--mount", action="append", default=[])
    parser.add_argument("--capability", action="append", type=int, default=[])
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    prepare(options.root, options.mount)
    os.chroot(options.root)
    os.chdir("/")
    confine(set(options.capability))
    os.execv(options.command[0], options.command)


if __name__ == "__main__":
    sys.exit(main())
