# SPDX-License-Identifier: Apache-2.0
"""Clients of other people get byte for byte the same over early dispatch as with XDP off, but for what differs from
one request to the next: the date and the request's id.

curl, OpenSSL and Python are always tried; `make check-interop` also tries wrk, h2load, Go and Chromium, each where
it is installed."""
import os
import re
import shutil
import subprocess
import sys

import pytest

from crowd import Change, totals
from http1 import head_of
from manifests import ingress, rule, service, slice_of
from site_of_test import Site
from world import E2E, NODE4, NODE6, run

pytestmark = pytest.mark.mode("early")

HOST = "interop.test"
ENDPOINT = "10.200.255.1"  # the same for both
WHO = "/?unnumbered=1"  # says who answered, and what arrived
TARGETS = [WHO, "/?bytes=100000", "/?bytes=70000&chunk=1000&trailer=1", "/?status=404&unnumbered=1", "/?status=204"]

DIFFERS = [(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT", "(date)"),
           (r'("x-request-id": \[)"[^"]*"', r"\1(id)")]


@pytest.fixture(scope="module")
def both():
    """The same objects served with XDP off, and over early dispatch."""
    sites = [Site(xdp=mode) for mode in ("off", "early")]
    pair = sites[0].authority.pair(HOST)
    for site in sites:
        site.apply("interop.yaml", service("echo"), slice_of("echo", [ENDPOINT]),
                   site.authority.secret("interop-tls", HOST, pair=pair),
                   ingress("interop", rule(HOST, ("/", "Prefix", "echo")), tls=[("interop-tls", HOST)]))
    yield sites
    for site in sites:
        site.close()


def plain(text):
    for pattern, instead in DIFFERS:
        text = re.sub(pattern, instead, text)
    return text


def same_of_both(both, ask, early=1):
    """What ask(site) prints, having checked that it is the same for both; at least `early` sockets came from payloads."""
    off, counted = plain(ask(both[0])), Change(totals, both[1])
    on = plain(ask(both[1]))
    assert on == off
    assert counted.end()["admit_socket"] >= early, "XDP answered, and tc_admit made the socket"
    return on


# ---- curl --------------------------------------------------------------------------------------

def curl(site, *arguments, address=NODE4, **options):
    where = f"[{address}]" if ":" in address else address
    return site.world.client.run("curl", "-sS", "--raw", "-k", "--max-time", "20", "-A", "curl",
                                 "--resolve", f"{HOST}:80:{where}", "--resolve", f"{HOST}:443:{where}", *arguments, **options)


@pytest.mark.parametrize("address", [NODE4, NODE6])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_curl(both, scheme, address):
    said = same_of_both(both, lambda site: curl(site, "-i", *(f"{scheme}://{HOST}{target}" for target in TARGETS), address=address))
    assert said.count("HTTP/1.1 200") == 3 and said.count("HTTP/1.1 404") == said.count("HTTP/1.1 204") == 1


@pytest.mark.parametrize("options", [["-I"], ["-X", "DELETE"], ["--tls-max", "1.2"],
                                     ["-d", "x" * 100000, "-H", "Expect: 100-continue"],
                                     ["-d", "x" * 100000, "-H", "Transfer-Encoding: chunked"]],
                         ids=["HEAD", "DELETE", "TLS-1.2", "POST-and-wait", "POST-in-chunks"])
def test_curl_in_other_ways(both, options):
    said = same_of_both(both, lambda site: curl(site, "-i", *options, f"https://{HOST}{WHO}"))
    assert " 200 " in said.split("\n")[0] or "100-continue" in options[-1]


def test_curl_with_http_1_0(both):
    said = same_of_both(both, lambda site: curl(site, "-i", "--http1.0", f"http://{HOST}{WHO}", f"http://{HOST}/?bytes=5000&chunk=100"))
    assert said.count(" 200 ") == 2


# ---- OpenSSL -----------------------------------------------------------------------------------

@pytest.mark.parametrize("options", [["-tls1_3"], ["-tls1_2"], ["-tls1_3", "-groups", "X25519:P-256"], ["-tls1_3", "-no_ticket"]],
                         ids=lambda options: " ".join(options).replace("-", "").replace(" ", "-"))
def test_openssl(both, options):
    request = head_of("GET", WHO, HOST, {"Connection": "close"}).decode()
    said = same_of_both(both, lambda site: site.world.client.run(
        "openssl", "s_client", "-connect", f"{NODE4}:443", "-servername", HOST, "-quiet", *options, input=request, timeout=20))
    assert said.startswith("HTTP/1.1 200") and f'"address": "{ENDPOINT}"' in said


# ---- Python ------------------------------------------------------------------------------------

PYTHON = """
import http.client, ssl, sys
address, scheme, targets = sys.argv[1], sys.argv[2], sys.argv[3:]
context = ssl._create_unverified_context()
class Named(http.client.HTTPSConnection):
    def connect(self):
        http.client.HTTPConnection.connect(self)
        self.sock = context.wrap_socket(self.sock, server_hostname="interop.test")
connection = http.client.HTTPConnection(address, 80) if scheme == "http" else Named(address, 443)
for target in targets:
    connection.request("GET", target, headers={"Host": "interop.test"})
    reply = connection.getresponse()
    print(reply.status, reply.getheaders(), reply.read())
"""


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_python(both, scheme):
    """All on one connection."""
    said = same_of_both(both, lambda site: site.world.client.run(sys.executable, "-c", PYTHON, NODE4, scheme, *TARGETS, timeout=20))
    assert said.count("200 [") == 3


# ---- only for check-interop ---------------------------------------------------------------------

def optional(tool):
    why = "make check-interop tries it" if not os.environ.get("E2E_INTEROP") else f"'{tool}' is not installed"
    return pytest.mark.skipif(not (os.environ.get("E2E_INTEROP") and shutil.which(tool)), reason=why)


@optional("wrk")
def test_wrk(both):
    """How many requests it makes depends on the day; that each is answered does not. Not over TLS: there it names no server."""
    for site in both:
        said = site.world.client.run("wrk", "-t2", "-c20", "-d1s", "-H", f"Host: {HOST}", f"http://{NODE4}/?bytes=1000", timeout=30)
        assert "Non-2xx" not in said and "Socket errors" not in said, said
        assert int(re.search(r"(\d+) requests in", said).group(1)) > 20


@optional("h2load")
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_h2load(both, scheme):
    """400 requests on 20 connections, by HTTP/1.1: the same number of bytes."""
    def ask(site):
        said = site.world.client.run("h2load", "--h1", "-n400", "-c20", "-t1", f"--connect-to={NODE4}:{80 if scheme == 'http' else 443}",
                                     f"{scheme}://{HOST}/?bytes=1000", timeout=30)
        return "".join(line + "\n" for line in said.splitlines() if line.startswith(("requests:", "status codes:", "traffic:")))
    said = same_of_both(both, ask, early=20)
    assert "400 succeeded, 0 failed, 0 errored, 0 timeout" in said and "400 2xx" in said


@pytest.fixture(scope="module")
def go_client(tmp_path_factory):
    path = tmp_path_factory.mktemp("go")
    run("go", "build", "-o", str(path / "client"), os.path.join(E2E, "src", "client.go"), cwd=path, env={**os.environ, "GOFLAGS": "-mod=mod"})
    return str(path / "client")


@optional("go")
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_go(both, go_client, scheme):
    said = same_of_both(both, lambda site: site.world.client.run(
        go_client, f"{NODE4}:{80 if scheme == 'http' else 443}", scheme, HOST, *TARGETS, timeout=30))
    assert said.count("HTTP/1.1 200") == 6


CHROMIUM = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
            "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--ignore-certificate-errors",
            f"--host-resolver-rules=MAP {HOST} {NODE4}"]


@optional("chromium")
@pytest.mark.parametrize("target", [WHO, "/?bytes=200000"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_chromium(both, tmp_path, scheme, target):
    """Its ClientHello takes two segments, with a key share for the years after quantum computers."""
    def ask(site):
        profile = tmp_path / site.mode.name
        return site.world.client.run("chromium", *CHROMIUM, f"--user-data-dir={profile}", "--dump-dom", f"{scheme}://{HOST}{target}",
                                     timeout=60, stdin=subprocess.DEVNULL)
    said = same_of_both(both, ask)
    assert ENDPOINT in said or "abcdefghijklmnop" in said
