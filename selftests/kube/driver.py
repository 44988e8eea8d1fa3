# SPDX-License-Identifier: Apache-2.0
"""kube_driver, the API client alone: what its store holds, and what it has done."""
import os
import subprocess
import threading
import time

import world

DRIVER = os.path.join(world.BUILD, "kube", "kube_driver")


class Driver:
    def __init__(self, kubeconfig, *arguments):
        self.process = subprocess.Popen([DRIVER, kubeconfig, *arguments], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.log = []
        self.changes = 0
        self._lines = []
        self._said = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()
        threading.Thread(target=lambda: self.log.extend(self.process.stderr), daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            with self._said:
                if line.startswith("change "):
                    self.changes += 1
                else:
                    self._lines.append(line)
                self._said.notify_all()

    def ask(self, what):
        with self._said:
            self._lines.clear()
            self.process.stdin.write(what + "\n")
            self.process.stdin.flush()
            deadline = time.monotonic() + 60
            while ".\n" not in self._lines:
                left = deadline - time.monotonic()
                if left <= 0 or self.process.poll() is not None:
                    raise TimeoutError("driver does not answer:\n" + "".join(self.log[-20:]))
                self._said.wait(min(left, 0.5))
            return "".join(self._lines[:self._lines.index(".\n")])

    def stats(self):
        return {name: int(value) for name, value in
                (line.split() for line in self.ask("stats").splitlines())}

    def dump(self):
        return self.ask("dump")

    def findings(self):
        return self.ask("findings")

    def names(self, kind):
        """{"default/web", ...}"""
        return {line.split()[1] for line in self.dump().splitlines() if line.startswith(kind + " ")}

    def wait_complete(self, seconds=60):
        world.poll("all lists read", lambda: self.stats()["complete"], seconds)
        return self

    def close(self):
        if self.process.poll() is None:
            try:
                self.process.stdin.write("quit\n")
                self.process.stdin.close()
                self.process.wait(5)
            except (OSError, subprocess.TimeoutExpired):
                self.process.kill()
                self.process.wait()
        return self.process.returncode
