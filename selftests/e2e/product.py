# SPDX-License-Identifier: Apache-2.0
"""A running sluice: starts build/sluice in the node's namespace, reads what it says, asks it things."""
import json
import os
import re
import signal
import subprocess
import threading
import time

from world import BUILD, PATIENCE, end

SLUICE = os.path.join(BUILD, "sluice")
SLUICECTL = os.path.join(BUILD, "sluicectl")
ADMIN = ("127.0.0.1", 9980)
START_SECONDS = 20


class Sluice:
    """`sluice run` (or another of its commands) with directories of its own inside the world."""

    def __init__(self, world, *options, command="run", xdp="off", run_dir=None, bpf_dir=None, without=""):
        self.world = world
        self.run_dir = run_dir or os.path.join(world.dir, "run")
        self.bpf_dir = bpf_dir or os.path.join(world.bpffs, "sluice")
        self.arguments = [SLUICE, command, "--run-dir", self.run_dir]
        if command != "proxy":
            self.arguments += ["--bpf-dir", self.bpf_dir, "--xdp", xdp, "--interface", "clients"]
        self.arguments += options
        self.environment = {**os.environ, **({"SLUICE_WITHOUT": without} if without else {})}
        self.process = None
        self.log = []
        self._said = threading.Condition()

    def start(self, ready=r"\bready\b"):
        """Returns when the line that matches `ready` was printed; fails with the log when it ends."""
        self.process = self.world.node.popen(*self.arguments, stderr=subprocess.PIPE, text=True,
                                             stdout=subprocess.DEVNULL, errors="replace", env=self.environment)
        self.world.on_close(end, self.process, 2)
        threading.Thread(target=self._read, args=(self.process.stderr,), daemon=True).start()
        if ready:
            self.wait_for(ready, START_SECONDS)
        return self

    def _read(self, stream):
        for line in stream:
            with self._said:
                self.log.append(line.rstrip("\n"))
                self._said.notify_all()
        with self._said:
            self._said.notify_all()

    def wait_for(self, pattern, seconds=PATIENCE, after=0):
        """The first line of the log, from number `after` on, that matches."""
        regex = re.compile(pattern)
        deadline = time.monotonic() + seconds
        with self._said:
            while True:
                for line in self.log[after:]:
                    if regex.search(line):
                        return line
                left = deadline - time.monotonic()
                gone = self.process.poll() is not None
                if left <= 0 or gone:
                    why = f"exited {self.process.returncode} and did" if gone else "did"
                    what = pattern.replace(r"\b", "")
                    raise TimeoutError(f"sluice {why} not say '{what}':\n" + "\n".join(self.log[-40:]))
                self._said.wait(min(left, 0.2))

    def stop(self, number=signal.SIGTERM, seconds=PATIENCE):
        """Sends the signal and returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(seconds)

    def ctl(self, *arguments, check=True):
        """What sluicectl prints."""
        done = subprocess.run(
            self.world.node.command(SLUICECTL, arguments[0], "--run-dir", self.run_dir,
                                    *arguments[1:]),
            capture_output=True, text=True, timeout=PATIENCE, check=False)
        if check and done.returncode:
            raise RuntimeError(f"sluicectl {' '.join(arguments)}: {done.stderr or done.stdout}")
        return done.stdout

    def json(self, *arguments):
        return json.loads(self.ctl(*arguments, "--json"))

    def map_path(self, name):
        """Where a map is pinned: <bpf-dir>/<netns>/v<schema>/<name>."""
        for directory, _, files in os.walk(self.bpf_dir):
            if name in files:
                return os.path.join(directory, name)
        raise FileNotFoundError(f"no map '{name}' below {self.bpf_dir}")

    def processes(self):
        """Every process of this sluice: pid → its arguments, the started one first."""
        found, todo = {}, [self.process.pid]
        while todo:
            pid = todo.pop(0)
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    found[pid] = file.read().decode().split("\0")[:-1]
                for task in os.listdir(f"/proc/{pid}/task"):
                    with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
                        todo += map(int, file.read().split())
            except OSError:
                continue
        return found
