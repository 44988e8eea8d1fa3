# SPDX-License-Identifier: Apache-2.0
"""Steady traffic in the background: threads that keep their connection and threads that open a new one
for each request. Each answer is checked; what failed is kept with its time and its reason."""
import collections
import random
import threading
import time

from http1 import Closed, Malformed, tls_context

Failure = collections.namedtuple("Failure", "at kind host text")


class Load:
    """with Load(site, hosts) as load: ...; then load.failures, load.requests, load.worst."""

    def __init__(self, site, hosts, keepalive=3, fresh=2, scheme="http", check=None, forgive=(),
                 pause=0.0):
        self.site, self.hosts, self.scheme = site, hosts, scheme
        self.check = check or (lambda host, reply: reply.status == 200)
        self.forgive = forgive
        self.pause = pause  # of each thread between two requests
        self.failures, self.forgiven = [], []
        self.requests, self.worst = 0, 0.0
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._context = tls_context()
        self._threads = [threading.Thread(target=self._run, args=(kept,), daemon=True)
                         for kept in [True] * keepalive + [False] * fresh]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self._ended.set()
        for thread in self._threads:
            thread.join(60)

    def wait_for(self, count, seconds=60):
        """Returns when that many more requests were answered."""
        goal, deadline = self.requests + count, time.monotonic() + seconds
        while self.requests < goal:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{count} requests not within {seconds} s; {self.failures[-3:]}")
            time.sleep(0.01)

    def _run(self, kept):
        connection, dice = None, random.Random(id(self) ^ threading.get_ident())
        while not self._ended.is_set():
            host = dice.choice(self.hosts)
            began = time.monotonic()
            try:
                if connection is None:
                    connection = self.site.connect(self.scheme, host, tls=self._context) \
                        if self.scheme == "https" else self.site.connect()
                reply = connection.get(host)
                self._count(began, host, reply)
                time.sleep(self.pause)
                if kept and (reply["Connection"] or "").lower() != "close":
                    continue
            except (OSError, Closed, Malformed, AssertionError) as error:
                self._fail(began, host, type(error).__name__, str(error))
            if connection:
                connection.close()
                connection = None

    def _count(self, began, host, reply):
        seconds = time.monotonic() - began
        with self._lock:
            self.requests += 1
            self.worst = max(self.worst, seconds)
        if not self.check(host, reply):
            self._fail(began, host, f"status {reply.status}", str(reply)[:200])

    def _fail(self, began, host, kind, text):
        with self._lock:
            (self.forgiven if kind in self.forgive else self.failures).append(
                Failure(began, kind, host, text))
