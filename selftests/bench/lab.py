# SPDX-License-Identifier: Apache-2.0
"""The laboratory: three network namespaces, processes pinned in cgroups, CPU time by cgroup.

    client 10.77.1.2 ---- 10.77.1.1 proxy 10.77.2.1 ---- 10.77.2.2 endpoints (and 10.200.0.0/16)

Generator and endpoints run on CPU 0, the proxy on CPU 1, so that a proxy's cost can be read from
its cgroup however busy the rest of the machine is. Everything that is started here is ended here,
by its own process group; nothing outside the three namespaces sees a packet.
"""
import ctypes
import glob
import os
import resource
import shlex
import shutil
import signal
import subprocess
import time

CLIENT, PROXY, ENDPOINTS = (f"sluice-bench-{n}-{os.getpid()}" for n in ("c", "p", "e"))
BPF_ROOT = f"/sys/fs/bpf/sluice-bench-{os.getpid()}"  # and the number of the proxy
PROXY_IP, ENDPOINT_IP = "10.77.1.1", "10.77.2.2"
SOURCES = "10.78.0.0/16"  # clients, too
CLIENT_DEVICE, PROXY_DEVICE = "client0", "proxy0"
CLONE_NEWNET = 0x40000000
FILES_MAX = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
NICE = os.environ.get("BENCH_NICE", "-10")


def run(command, check=True):
    """Runs one shell-free command given as text."""
    return subprocess.run(shlex.split(command), check=check, capture_output=True, text=True)


class Cgroups:
    """CPU time of groups of processes: cpuacct of cgroup v1 where it is mounted, else v2."""

    def __init__(self):
        v1 = "/sys/fs/cgroup/cpuacct"
        self.is_v1 = os.path.isdir(v1)
        mounts = [line.split() for line in open("/proc/self/mounts", encoding="utf-8")]
        v2 = next((m[1] for m in mounts if m[2] == "cgroup2"), None)
        self.root = f"{v1 if self.is_v1 else v2}/sluice-bench-{os.getpid()}"
        self.names = []

    def join_path(self, name):
        """The file that a process writes itself into."""
        path = f"{self.root}/{name}"
        if not os.path.isdir(path):
            os.makedirs(path)
            self.names.append(name)
        return f"{path}/cgroup.procs"

    def cpu_s(self, name):
        if not os.path.isdir(f"{self.root}/{name}"):
            return 0.0
        if self.is_v1:
            return int(open(f"{self.root}/{name}/cpuacct.usage", encoding="utf-8").read()) / 1e9
        for line in open(f"{self.root}/{name}/cpu.stat", encoding="utf-8"):
            if line.startswith("usage_usec"):
                return int(line.split()[1]) / 1e6
        return 0.0

    @staticmethod
    def steering_s():
        """CPU time of the kernel's threads that take what XDP sends to another CPU (cpumap)."""
        total_ns = 0
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/comm", encoding="utf-8") as comm:
                    if comm.read().startswith("cpumap"):
                        with open(f"/proc/{pid}/schedstat", encoding="utf-8") as schedstat:
                            total_ns += int(schedstat.read().split()[0])
            except OSError:
                continue
        return total_ns / 1e9

    def pids(self, name):
        return open(f"{self.root}/{name}/cgroup.procs", encoding="utf-8").read().split()

    def pss_mb(self, name):
        """Memory that would be free without the group, in MB (proportional set size)."""
        total_kb = 0
        for pid in self.pids(name):
            try:
                for line in open(f"/proc/{pid}/smaps_rollup", encoding="utf-8"):
                    if line.startswith("Pss:"):
                        total_kb += int(line.split()[1])
            except OSError:
                continue
        return total_kb / 1024

    def remove(self):
        for name in self.names + [""]:
            for _ in range(50):
                try:
                    os.rmdir(f"{self.root}/{name}".rstrip("/"))
                    break
                except OSError:
                    time.sleep(0.02)


class Lab:
    def __init__(self, build):
        self.build = os.path.abspath(build)
        self.dir = f"{self.build}/bench/run-{os.getpid()}"
        self.processes = []
        self.cgroups = Cgroups()
        os.makedirs(self.dir, exist_ok=True)

    def __enter__(self):
        self._remove_namespaces()
        for name in (CLIENT, PROXY, ENDPOINTS):
            run(f"ip netns add {name}")
            run(f"ip -n {name} link set lo up")
        run(f"ip link add {CLIENT_DEVICE} netns {CLIENT} type veth peer name {PROXY_DEVICE} netns {PROXY}")
        run(f"ip link add ends0 netns {ENDPOINTS} type veth peer name proxy1 netns {PROXY}")
        for name, device, address in ((CLIENT, CLIENT_DEVICE, "10.77.1.2"), (PROXY, PROXY_DEVICE, PROXY_IP),
                                      (PROXY, "proxy1", "10.77.2.1"), (ENDPOINTS, "ends0", ENDPOINT_IP)):
            run(f"ip -n {name} addr add {address}/24 dev {device}")
            run(f"ip -n {name} link set {device} up")
        # XDP passes packets whose checksum is yet to be made; real networks have none, veth does.
        run(f"ip netns exec {CLIENT} ethtool -K {CLIENT_DEVICE} tx off")
        run(f"ip -n {CLIENT} route add local {SOURCES} dev lo")
        run(f"ip -n {PROXY} route add {SOURCES} via 10.77.1.2")
        run(f"ip -n {ENDPOINTS} route add local 10.200.0.0/16 dev lo")
        run(f"ip -n {PROXY} route add 10.200.0.0/16 via {ENDPOINT_IP}")
        for name in (CLIENT, PROXY, ENDPOINTS):
            run(f"ip netns exec {name} sysctl -qw net.ipv4.ip_local_port_range='1024 65535' "
                "net.ipv4.tcp_tw_reuse=1 net.core.somaxconn=65535 net.ipv4.tcp_max_syn_backlog=65535")
        return self

    def __exit__(self, *_):
        self.end_all()
        for pins in glob.glob(f"{BPF_ROOT}-*"):  # they outlive who made them
            shutil.rmtree(pins, ignore_errors=True)
        self._remove_namespaces()
        self.cgroups.remove()

    @staticmethod
    def _remove_namespaces():
        for name in (CLIENT, PROXY, ENDPOINTS):
            run(f"ip netns del {name}", check=False)

    def enter_client(self):
        """Moves this very process into the client's namespace."""
        fd = os.open(f"/run/netns/{CLIENT}", os.O_RDONLY)
        if ctypes.CDLL(None, use_errno=True).setns(fd, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
        os.close(fd)

    def start(self, group, namespace, cpu, command, **options):
        """Starts @command (a list) in its namespace, cgroup and on its CPU (None: any)."""
        pin = ["taskset", "-c", str(cpu)] if cpu is not None else []
        line = shlex.join(["nsenter", f"--net=/run/netns/{namespace}", "nice", "-n", NICE, *pin, *command])
        script = f"ulimit -n {FILES_MAX}; echo $$ > {self.cgroups.join_path(group)}; exec {line}"
        process = subprocess.Popen(["sh", "-c", script], start_new_session=True, **options)
        process.group = group
        self.processes.append(process)
        return process

    def end(self, process):
        """Ends the processes of its group: asks, then insists."""
        for sig, patience_s in ((signal.SIGTERM, 3), (signal.SIGKILL, 5)):
            try:
                os.killpg(process.pid, sig)
                process.wait(patience_s)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                continue
        for pid in self.cgroups.pids(process.group) if os.path.isdir(self.cgroups.root) else []:
            try:
                os.kill(int(pid), signal.SIGKILL)  # children that left the process group
            except ProcessLookupError:
                pass
        if process in self.processes:
            self.processes.remove(process)

    def end_all(self):
        for process in list(self.processes):
            self.end(process)

    def start_endpoints(self, count=1, cpu=0):
        for _ in range(count):
            self.start("endpoints", ENDPOINTS, cpu, [f"{self.build}/bench/endpoint", "0.0.0.0", "9000:128",
                                                     "9001:1048576"])
