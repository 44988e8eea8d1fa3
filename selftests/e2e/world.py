# SPDX-License-Identifier: Apache-2.0
"""A small network of namespaces with a client, a node and endpoints.

    client                    node                      endpoints
    eth0 10.77.1.2 ────────── clients 10.77.1.1
                              ends    10.77.2.1 ─────── eth0 10.77.2.2
                                                        10.200.0.0/16 and fd77:200::/64: all local

Every address of 10.200.0.0/16 is an endpoint: one wildcard listener in the endpoints' namespace
(echo.py) answers on all of them. 10.201.0.0/16 is routed there too and silently lost: an endpoint
that does not answer. The host's own network is never touched.

Sockets are made inside a namespace by entering it for the moment of socket(): a socket stays where
it was born, so one Python process can be client, operator and endpoint at once.
"""
import atexit
import contextlib
import ctypes
import fcntl
import glob
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("BUILD") or os.path.join(ROOT, "build")
E2E = os.path.dirname(os.path.abspath(__file__))

NODE4, NODE6 = "10.77.1.1", "fd77:1::1"
CLIENT4, CLIENT4_OTHER, CLIENT6 = "10.77.1.2", "10.77.1.3", "fd77:1::2"
ENDS4 = "10.77.2.2"
CONTROL_PORT = 9000  # of echo.py
SILENT = "10.201.0.1"  # accepts nothing, refuses nothing
PATIENCE = 30.0  # seconds for what takes an instant, on a machine that has much else to do

CLONE_NEWNET = 0x40000000
TCP_CLOSE = 7  # a state of linux/tcp_states.h
_libc = ctypes.CDLL(None, use_errno=True)


def poll(what, probe, seconds=PATIENCE, every=0.02):
    """Asks until the answer is true; fails with `what` when the time is over."""
    deadline = time.monotonic() + seconds
    while True:
        answer = probe()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:g} s: {what}")
        time.sleep(every)


def run(*command, **options):
    """Runs a command and returns what it printed; raises with its error text."""
    done = subprocess.run(command, capture_output=True, text=True, **options)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def end(process, seconds=5):
    """SIGTERM, patience, SIGKILL."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait()


def _end_with_parent():
    _libc.prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def wait_sent(sock):
    """Returns when every byte written so far, and the end if there was one, is in the other side's kernel."""
    def is_acknowledged():
        return int.from_bytes(fcntl.ioctl(sock, termios.TIOCOUTQ, b"\0" * 4), sys.byteorder) == 0

    def is_reset():  # an answer too, though it acknowledges nothing
        return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == TCP_CLOSE

    poll("the bytes acknowledged", lambda: is_acknowledged() or is_reset(), every=0.001)


class Namespace:
    def __init__(self, name):
        self.name = name
        run("ip", "netns", "add", name)
        self.path = f"/var/run/netns/{name}"
        self._fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)

    @contextlib.contextmanager
    def entered(self):
        """This thread is inside for the duration."""
        back = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._set(self._fd)
            yield
        finally:
            self._set(back)
            os.close(back)

    @staticmethod
    def _set(fd):
        if _libc.setns(fd, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")

    def command(self, *command):
        # nsenter changes the network alone; `ip netns exec` would hide /sys/fs/bpf.
        return ["nsenter", f"--net={self.path}", *command]

    def run(self, *command, **options):
        return run(*self.command(*command), **options)

    def popen(self, *command, **options):
        """Starts a command in a session of its own (Ctrl-C is ours to handle) that ends with us."""
        return subprocess.Popen(self.command(*command), start_new_session=True,
                                preexec_fn=_end_with_parent, **options)

    def ip(self, *lines):
        run("ip", "-n", self.name, "-batch", "-", input="\n".join(lines) + "\n")

    def sysctl(self, **values):
        with self.entered():
            for name, value in values.items():
                with open("/proc/sys/net/" + name.replace("__", "/"), "w", encoding="ascii") as file:
                    file.write(str(value))

    def socket(self, family=socket.AF_INET, kind=socket.SOCK_STREAM):
        with self.entered():
            return socket.socket(family, kind)

    def pids(self):
        return [int(pid) for pid in run("ip", "netns", "pids", self.name).split()]

    def close(self):
        """Ends what still runs inside, so that an orphan of a killed parent does not stay."""
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        os.close(self._fd)
        subprocess.run(["ip", "netns", "del", self.name], capture_output=True, check=False)


class World:
    """Three namespaces, their wires, a bpffs and a directory of their own. Close it, always."""

    def __init__(self, xdp="off", prefix=None, directory=None):
        self.prefix = prefix or f"{PREFIX}{os.getpid()}-{World.count}-"
        World.count += 1
        self.dir = directory or tempfile.mkdtemp(prefix=self.prefix)
        self.bpffs = os.path.join(self.dir, "bpf")
        self._closing = contextlib.ExitStack()
        self._closing.callback(shutil.rmtree, self.dir, ignore_errors=True)
        atexit.register(self.close)
        try:
            self._build(xdp)
        except BaseException:
            self.close()
            raise

    def _namespace(self, name):
        space = Namespace(self.prefix + name)
        self._closing.callback(space.close)
        space.ip("link set lo up")
        return space

    def _build(self, xdp):
        os.makedirs(self.bpffs)
        run("mount", "-t", "bpf", "bpf", self.bpffs)
        self._closing.callback(subprocess.run, ["umount", "-l", self.bpffs], check=False)
        self.client = self._namespace("client")
        self.node = self._namespace("node")
        self.ends = self._namespace("endpoints")
        queues = "numtxqueues 2 numrxqueues 2"
        for space, name in ((self.client, "clients"), (self.ends, "ends")):
            run("ip", "-n", space.name, "link", "add", "eth0", *queues.split(), "type", "veth",
                "peer", "name", name, *queues.split(), "netns", self.node.name)
        self.client.sysctl(ipv4__ip_local_port_range="10000 65000")
        self.ends.sysctl(ipv4__ip_forward=0)  # what is not local is lost, without a word
        self.client.ip("addr add 10.77.1.2/24 dev eth0", "addr add 10.77.1.3/24 dev eth0",
                       "addr add fd77:1::2/64 dev eth0 nodad", "link set eth0 up")
        self.node.ip("addr add 10.77.1.1/24 dev clients", "addr add fd77:1::1/64 dev clients nodad",
                     "addr add 10.77.2.1/24 dev ends", "addr add fd77:2::1/64 dev ends nodad",
                     "link set clients up", "link set ends up",
                     "route add 10.200.0.0/15 via 10.77.2.2",
                     "route add fd77:200::/64 via fd77:2::2")
        self.ends.ip("addr add 10.77.2.2/24 dev eth0", "addr add fd77:2::2/64 dev eth0 nodad",
                     "link set eth0 up", "route add local 10.200.0.0/16 dev lo",
                     "route add local fd77:200::/64 dev lo")
        if xdp != "off":
            self.be_like_wires(xdp)

    def be_like_wires(self, xdp):
        """A veth hands over frames whose checksum nobody has made yet, as no wire does: XDP leaves
        those where they are. And its far end takes frames of native XDP only with a program of its own."""
        for space in (self.client, self.ends):
            space.run("ethtool", "-K", "eth0", "tx", "off")
            if xdp == "native":
                self._attach_pass(space, "eth0")

    @staticmethod
    def _attach_pass(space, interface):
        run("ip", "-n", space.name, "link", "set", "dev", interface, "xdpdrv", "object",
            os.path.join(BUILD, "e2e", "xdp_pass.bpf.o"), "section", "xdp")

    def attach_foreign(self):
        """Puts a program of somebody else where sluice would like to have its own."""
        self._attach_pass(self.node, "clients")

    def serve_queues_like_a_card(self):
        """Each queue of the node's interface on a CPU of its own, as a card's interrupts are. Without, veth takes
        packets where their sender happens to run, and those of one connection overtake each other where some are
        sent on to another CPU. To be called when XDP is attached: that makes the threads anew."""
        run("ip", "netns", "exec", self.node.name, "sh", "-c", "echo 1 > /sys/class/net/clients/threaded")
        threads = {}
        for path in glob.glob("/proc/[0-9]*/comm"):
            with contextlib.suppress(OSError), open(path, encoding="ascii") as file:
                name = re.match(r"napi/clients-(\d+)$", file.read())
                if name:
                    threads[int(name[1])] = int(path.split("/")[2])
        for number, napi in enumerate(sorted(threads)):
            os.sched_setaffinity(threads[napi], {number % os.cpu_count()})

    def start_endpoints(self, *options):
        """Starts echo.py on all addresses of the endpoints' namespace; returns when it listens."""
        process = self.ends.popen("/usr/bin/python3", "-B", os.path.join(E2E, "echo.py"), *options,
                                  stdout=subprocess.PIPE, text=True)
        self._closing.callback(end, process, 1)
        if process.stdout.readline() != "ready\n":
            raise RuntimeError("echo.py did not start")
        return process

    def endpoints_saw(self, text):
        """How many requests reached any endpoint whose head contained `text`."""
        with self.ends.socket() as sock:
            sock.settimeout(5)
            sock.connect(("127.0.0.1", CONTROL_PORT))
            sock.sendall(text.encode("latin-1") + b"\n")
            return int(sock.makefile().readline())

    def on_close(self, function, *arguments):
        self._closing.callback(function, *arguments)

    def close(self):
        self._closing.close()
        atexit.unregister(self.close)


World.count = 0
PREFIX = "sluice-e2e-"


def forget(prefix, directories):
    """Removes namespaces and directories that a killed run left behind."""
    for path in directories:
        subprocess.run(["umount", "-l", os.path.join(path, "bpf")], capture_output=True, check=False)
        shutil.rmtree(path, ignore_errors=True)
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=False)
    for name in re.findall(r"^(\S+)", listed.stdout, re.M):
        if name.startswith(prefix):
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def sweep():
    """Removes what killed runs of these tests left behind: only of processes that are gone."""
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=False)
    names = listed.stdout.split() + os.listdir(tempfile.gettempdir())
    for owner in {m.group(1) for m in map(re.compile(PREFIX + r"(\d+)-").match, names) if m}:
        if not os.path.exists(f"/proc/{owner}"):
            prefix = f"{PREFIX}{owner}-"
            forget(prefix, glob.glob(os.path.join(tempfile.gettempdir(), prefix + "*")))
