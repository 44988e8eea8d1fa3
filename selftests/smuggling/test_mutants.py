# SPDX-License-Identifier: Apache-2.0
"""The probes again, with bytes put in, taken out and changed at random: whatever comes of it, the client
and the endpoint have counted the same exchanges, and the recorder has no complaint.

MUTANTS=100000 SEED=7 make check-smuggling SMUGGLING=-k\\ mutants  goes further.
"""
import os
import random
import re
import threading

from ground import HOST, until_close
from http1 import Closed, Malformed
from probes import PROBES
from test_endpoints_broken import refused, taken
from test_requests_judged import all_replies
from world import PATIENCE

COUNT = int(os.environ.get("MUTANTS", "4800"))
SEED = int(os.environ.get("SEED", "1"))
THREADS = 24
PIECES = [bytes([b]) for b in b"\r\n\0 \t:;,/\\.%0123456789abfx+-_\"'#?&@[]\x0b\x0c\x7f\x80\xff"] + [
    b"\r\n", b"\r\n\r\n", b"\n\n", b"0\r\n\r\n", b"\r\n ", b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n", b"chunked", b"HTTP/1.1",
    b"Host: evil.test\r\n", b"Connection: close\r\n", b"GET /other HTTP/1.1\r\n", b"5\r\nhello\r\n", b"ffffffff", b"X_Forwarded-For: forged\r\n"]
LAST = f"\r\nGET /last HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode()
EVIL = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
SEEDS = [text for _, text, _ in PROBES if len(text) < 2000]


ANSWERS = [data for _, data in refused() if len(data) < 2000] + [t[2].replace(EVIL, b"") for t in taken()]


def mutant(rng, seeds=None):
    data = bytearray(rng.choice(seeds or SEEDS))
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        at, kind = rng.randrange(len(data) + 1), rng.randrange(4)
        if kind == 0:
            data[at:at] = rng.choice(PIECES)
        elif kind == 1:
            del data[at:at + rng.choice((1, 1, 2, 5))]
        elif kind == 2:
            data[at:at + 1] = rng.choice(PIECES)
        else:
            other = rng.choice(seeds or SEEDS)
            cut = rng.randrange(len(other) + 1)
            data[at:at + rng.randrange(9)] = other[cut:cut + rng.randrange(30)]
    return bytes(data)


def answered(ground, data):
    """How many exchanges the client has seen: answers of the endpoint, strictly read."""
    sock = ground.raw(timeout=0.25)
    with sock:
        ground.send_quietly(sock, data + LAST)
        try:
            got, _ = until_close(sock)
        except TimeoutError:  # it waits for the rest of a body
            got = None
        if got is None:
            return None
    replies = all_replies(re.sub(rb"HTTP/1.1 100 Continue\r\n\r\n", b"", got))
    assert [r.status for r in replies if r.status not in (200, 400, 404, 414, 431, 501, 505)] == [], replies
    assert [r.status for r in replies[:-1] if r.status not in (200, 404)] == [], "nothing follows a refusal"
    return sum(r.status == 200 for r in replies)


def in_threads(run):
    threads = [threading.Thread(target=run, args=(n,)) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_mutants(ground):
    failures, counts, waited = [], [0] * THREADS, []

    def run(number):
        rng = random.Random(SEED * 1000 + number)
        for _ in range(COUNT // THREADS):
            data = mutant(rng)
            try:
                count = answered(ground, data)
            except (AssertionError, Malformed, ValueError) as error:
                failures.append((data, error))
                continue
            if count is None:
                waited.append(data)
            else:
                counts[number] += count

    in_threads(run)
    assert failures[:3] == []
    ground.hang_up()
    got = len([m for m in ground.messages() if m.method != b"HEAD"])
    # Those that waited have seen answers that were not counted: at most a handful each.
    assert sum(counts) <= got <= sum(counts) + 3 * len(waited), (sum(counts), got, len(waited))


def test_mutant_answers(ground):
    """The same with answers: whatever an endpoint says, the next request gets its own answer."""
    failures, said = [], {}

    def script(exchange):
        name = exchange.message.target[1:]
        data = said.get(name)
        exchange.send(data if data is not None else b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(name), name))
        return data is None or hash(data) % 3 > 0

    def ask(name, data):
        said[name.encode()] = data
        with ground.connect(timeout=0.25) as connection:
            try:
                connection.get(HOST, "/" + name)
            except (Closed, Malformed, ConnectionError, TimeoutError):
                pass  # refused, cut, or it waits for more
            else:
                connection.sock.settimeout(PATIENCE)
                good = connection.get(HOST, "/good-" + name) if not connection._pending else None
                assert good is None or good.body == b"good-" + name.encode(), good
        with ground.connect() as connection:
            assert connection.get(HOST, "/next-" + name).body == b"next-" + name.encode()

    def run(number):
        rng = random.Random(SEED * 1000 + number)
        for turn in range(COUNT // THREADS // 4):
            data = mutant(rng, ANSWERS) + rng.choice((b"", EVIL))
            try:
                ask(f"{number}-{turn}", data)
            except (AssertionError, Closed, Malformed, OSError) as error:
                failures.append((data, error))

    ground.judged.script = script
    in_threads(run)
    ground.hang_up()
    assert failures[:3] == []
