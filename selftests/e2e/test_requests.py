# SPDX-License-Identifier: Apache-2.0
"""Which endpoint a request gets: the rules of Ingress v1, in every XDP mode, over HTTP and HTTPS.

SCENARIOS are those of the conformance suite for Ingress controllers, TABLE is the path table of the
Kubernetes documentation; both stand in the order of their source. A group of objects is in force for
all of its rows; a certificate covers every host that is asked for, so that HTTPS differs in nothing.
"""
import pytest

from http1 import tls_context
from manifests import ingress, rule
from world import CLIENT6, NODE4, NODE6, wait_sent

SCHEMES = ("http", "https")


def hosts_tls(site, *hosts):
    """The Secret and the tls entry that make every host of a group good for HTTPS."""
    return site.authority.secret("group-tls", *hosts), ("group-tls", *hosts)


def default_backend(site):
    secret, tls = hosts_tls(site, "my-host", "some-host", "load-balancing")
    return [secret, ingress("default-backend", default=("echo-service", 8080), tls=[tls]),
            site.backends.make("echo-service", port=8080)]


def host_rules(site):
    secret, tls = hosts_tls(site, "foo.bar.com", "subdomain.bar.com", "bar.foo.com", "baz.bar.foo.com",
                            "foo.com")
    return [secret, ingress("host-rules", rule("foo.bar.com", ("/", "Prefix", "foo-bar-com", "http")),
                            rule("*.foo.com", ("/", "Prefix", "wildcard-foo-com", 8080)), tls=[tls]),
            site.backends.make("foo-bar-com", port_name="http"),
            site.backends.make("wildcard-foo-com", port=8080)]


def ingress_class(site):
    secret, tls = hosts_tls(site, "unknown-class")
    return [secret, site.backends.make("echo-service", port=8080),
            ingress("unknown-class", rule("unknown-class", ("/", "Prefix", "echo-service", 8080)),
                    class_name="some-other-class", tls=[tls])]


def load_balancing(site):
    secret, tls = hosts_tls(site, "load-balancing")
    return [secret, ingress("load-balancing", default="ten-pods", tls=[tls]),
            site.backends.make("ten-pods", count=10)]


def path_rules(site):
    secret, tls = hosts_tls(site, "exact-path-rules", "prefix-path-rules", "mixed-path-rules",
                            "trailing-slash-path-rules")
    return [secret, site.backends.many("foo-exact", "foo-prefix", "aaa-slash-bbb-prefix", "aaa-prefix",
                                       "foo-slash-exact", "aaa-slash-bbb-slash-prefix"),
            ingress("path-rules",
                    rule("exact-path-rules", ("/foo", "Exact", "foo-exact")),
                    rule("prefix-path-rules", ("/foo", "Prefix", "foo-prefix"),
                         ("/aaa/bbb", "Prefix", "aaa-slash-bbb-prefix"), ("/aaa", "Prefix", "aaa-prefix")),
                    rule("mixed-path-rules", ("/foo", "Prefix", "foo-prefix"),
                         ("/foo", "Exact", "foo-exact")),
                    rule("trailing-slash-path-rules",
                         ("/aaa/bbb/", "Prefix", "aaa-slash-bbb-slash-prefix"),
                         ("/foo/", "Exact", "foo-slash-exact")), tls=[tls])]


ADDRESS = NODE4  # "no host": a client that only has an address sends that

# name, objects, method, host, path, the Service that answers or the status
SCENARIOS = [
    ("default-backend-get", default_backend, "GET", "my-host", "/", "echo-service"),
    ("default-backend-sub-path", default_backend, "GET", "my-host", "/sub-path", "echo-service"),
    ("default-backend-post", default_backend, "POST", "some-host", "/", "echo-service"),
    ("default-backend-put-no-host", default_backend, "PUT", ADDRESS, "/resource", "echo-service"),
    ("default-backend-delete", default_backend, "DELETE", "some-host", "/resource", "echo-service"),
    ("default-backend-patch", default_backend, "PATCH", "my-host", "/resource", "echo-service"),
    ("host-exact", host_rules, "GET", "foo.bar.com", "/", "foo-bar-com"),
    ("host-other-sub-domain", host_rules, "GET", "subdomain.bar.com", "/", 404),
    ("host-wildcard", host_rules, "GET", "bar.foo.com", "/", "wildcard-foo-com"),
    ("host-wildcard-two-labels", host_rules, "GET", "baz.bar.foo.com", "/", 404),
    ("host-wildcard-no-label", host_rules, "GET", "foo.com", "/", 404),
    ("class-unknown-is-not-served", ingress_class, "GET", "unknown-class", "/", 404),
    ("exact-foo", path_rules, "GET", "exact-path-rules", "/foo", "foo-exact"),
    ("exact-foo-slash", path_rules, "GET", "exact-path-rules", "/foo/", 404),
    ("exact-other-case", path_rules, "GET", "exact-path-rules", "/FOO", 404),
    ("exact-bar", path_rules, "GET", "exact-path-rules", "/bar", 404),
    ("prefix-foo", path_rules, "GET", "prefix-path-rules", "/foo", "foo-prefix"),
    ("prefix-foo-slash", path_rules, "GET", "prefix-path-rules", "/foo/", "foo-prefix"),
    ("prefix-other-case", path_rules, "GET", "prefix-path-rules", "/FOO", 404),
    ("prefix-longest", path_rules, "GET", "prefix-path-rules", "/aaa/bbb", "aaa-slash-bbb-prefix"),
    ("prefix-below-longest", path_rules, "GET", "prefix-path-rules", "/aaa/bbb/ccc",
     "aaa-slash-bbb-prefix"),
    ("prefix-shorter", path_rules, "GET", "prefix-path-rules", "/aaa/ccc", "aaa-prefix"),
    ("prefix-not-an-element", path_rules, "GET", "prefix-path-rules", "/aaaccc", 404),
    ("mixed-exact-wins", path_rules, "GET", "mixed-path-rules", "/foo", "foo-exact"),
    ("slash-prefix-without", path_rules, "GET", "trailing-slash-path-rules", "/aaa/bbb",
     "aaa-slash-bbb-slash-prefix"),
    ("slash-prefix-with", path_rules, "GET", "trailing-slash-path-rules", "/aaa/bbb/",
     "aaa-slash-bbb-slash-prefix"),
    ("slash-exact-without", path_rules, "GET", "trailing-slash-path-rules", "/foo", 404),
]


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name,objects,method,host,path,expected", SCENARIOS,
                         ids=[s[0] for s in SCENARIOS])
def test_request_gets_the_service_of_its_rule(any_site, scheme, name, objects, method, host, path,
                                              expected):
    any_site.use((objects.__name__, objects))
    reply = any_site.get(host, path, scheme, method, {"User-Agent": "Go-http-client/1.1"})
    for header in ("Content-Length", "Content-Type", "Date", "Server"):
        assert reply[header], f"no {header}"
    if isinstance(expected, int):
        assert reply.status == expected
        return
    assert any_site.backends.answered(reply) == expected
    said = reply.echo
    assert (said["method"], said["path"], said["proto"], said["host"]) == (method, path, "HTTP/1.1", host)
    assert said["headers"]["user-agent"] == ["Go-http-client/1.1"]


def test_tls_host_has_its_certificate_and_keeps_its_name(any_site):
    any_site.use(("host_rules", host_rules))
    reply = any_site.get("foo.bar.com", scheme="https", ca=any_site.authority.ca)
    assert any_site.backends.answered(reply) == "foo-bar-com"
    assert reply.echo["host"] == "foo.bar.com"


@pytest.mark.parametrize("scheme", SCHEMES)
def test_hundred_requests_reach_all_of_ten_endpoints(any_site, scheme):
    any_site.use(("load_balancing", load_balancing))
    replies = [any_site.get("load-balancing", scheme=scheme) for _ in range(100)]
    assert len({r.echo["address"] for r in replies}) == 10


# rules of one host: (type, path)...; request path; index of the rule that answers, or None
TABLE = [
    ("prefix-root-matches-all", [("Prefix", "/")], "/any/path", 0),
    ("exact-same", [("Exact", "/foo")], "/foo", 0),
    ("exact-other", [("Exact", "/foo")], "/bar", None),
    ("exact-request-slash", [("Exact", "/foo")], "/foo/", None),
    ("exact-rule-slash", [("Exact", "/foo/")], "/foo", None),
    ("prefix-same", [("Prefix", "/foo")], "/foo", 0),
    ("prefix-request-slash", [("Prefix", "/foo")], "/foo/", 0),
    ("prefix-rule-slash", [("Prefix", "/foo/")], "/foo", 0),
    ("prefix-both-slash", [("Prefix", "/foo/")], "/foo/", 0),
    ("prefix-part-of-element", [("Prefix", "/aaa/bb")], "/aaa/bbb", None),
    ("prefix-two-elements", [("Prefix", "/aaa/bbb")], "/aaa/bbb", 0),
    ("prefix-ignores-rule-slash", [("Prefix", "/aaa/bbb/")], "/aaa/bbb", 0),
    ("prefix-ignores-request-slash", [("Prefix", "/aaa/bbb")], "/aaa/bbb/", 0),
    ("prefix-sub-path", [("Prefix", "/aaa/bbb")], "/aaa/bbb/ccc", 0),
    ("prefix-string-only", [("Prefix", "/aaa/bbb")], "/aaa/bbbxyz", None),
    ("prefix-longer-wins", [("Prefix", "/"), ("Prefix", "/aaa")], "/aaa/ccc", 1),
    ("prefix-longest-wins", [("Prefix", "/"), ("Prefix", "/aaa"), ("Prefix", "/aaa/bbb")], "/aaa/bbb", 2),
    ("prefix-root-as-last", [("Prefix", "/"), ("Prefix", "/aaa"), ("Prefix", "/aaa/bbb")], "/ccc", 0),
    ("prefix-none", [("Prefix", "/aaa")], "/ccc", None),
    ("exact-beats-prefix", [("Prefix", "/foo"), ("Exact", "/foo")], "/foo", 1),
    ("exact-leaves-below-to-prefix", [("Prefix", "/foo"), ("Exact", "/foo")], "/foo/x", 0),
    ("specific-is-prefix", [("ImplementationSpecific", "/foo")], "/foo/x", 0),
    # SEMANTICS 1.1, number 5: matching sees a normalised path
    ("encoded-letter", [("Exact", "/foo")], "/f%6Fo", 0),
    ("dot-segments", [("Prefix", "/aaa/bbb")], "/aaa/x/../bbb/./c", 0),
    ("double-slash", [("Prefix", "/aaa/bbb")], "//aaa//bbb", 0),
    ("encoded-slash-does-not-separate", [("Prefix", "/aaa/bbb")], "/aaa%2Fbbb", None),
    ("query-is-no-path", [("Exact", "/foo")], "/foo?bar=/baz", 0),
]


def row_host(number):
    return f"row-{number}.table.test"


def table(site):
    secret, tls = hosts_tls(site, "*.table.test")
    rules = [rule(row_host(n), *((path, kind, f"rule-{at}") for at, (kind, path) in enumerate(paths)))
             for n, (_, paths, _, _) in enumerate(TABLE)]
    return [secret, ingress("table", *rules, tls=[tls]), site.backends.many("rule-0", "rule-1", "rule-2")]


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("number", range(len(TABLE)), ids=[row[0] for row in TABLE])
def test_path_table(any_site, scheme, number):
    _, _, request, expected = TABLE[number]
    any_site.use(("table", table))
    reply = any_site.get(row_host(number), request, scheme)
    if expected is None:
        assert reply.status == 404
    else:
        assert any_site.backends.answered(reply) == f"rule-{expected}"
        assert reply.echo["path"] == request, "the endpoint gets the original bytes"


@pytest.mark.parametrize("path", ["/../x", "/%00", "/a/../../b", "/a%0", "/%zz"])
def test_path_that_means_nothing_is_refused(any_site, path):
    any_site.use(("table", table))
    assert any_site.get(row_host(0), path).status == 400
    assert any_site.saw(f"GET {path} ") == 0


def merged(site):
    return [site.backends.many("old", "new", "other", "left", "host-default", "everything", "second"),
            ingress("b-new", rule("shared.test", ("/same", "Prefix", "new")), created="2026-02-01T00:00:00Z"),
            ingress("a-old", rule("shared.test", ("/same", "Prefix", "old"), ("/one", "Prefix", "left")),
                    created="2026-01-01T00:00:00Z"),
            ingress("c-other", rule("shared.test", ("/two", "Prefix", "other")), default="host-default"),
            ingress("every", rule(None, ("/for-all", "Prefix", "everything"))),
            ingress("wild", rule("*.wild.test", ("/deep", "Prefix", "other")),
                    rule("exact.wild.test", ("/mine", "Prefix", "left"))),
            ingress("case", rule("case.test", ("/", "Prefix", "second")))]


MERGED = [
    ("oldest-wins", "shared.test", "/same", "old"),
    ("paths-of-two-ingresses", "shared.test", "/one", "left"),
    ("paths-of-a-third", "shared.test", "/two", "other"),
    ("default-backend-of-the-host", "shared.test", "/nothing", "host-default"),
    ("rule-without-host", "any.thing.test", "/for-all/x", "everything"),
    ("wildcard-host", "some.wild.test", "/deep", "other"),
    ("exact-host-hides-the-wildcard", "exact.wild.test", "/deep", "host-default"),
    ("exact-host-has-its-own", "exact.wild.test", "/mine", "left"),
    ("host-in-other-case", "CASE.Test", "/", "second"),
    ("host-with-port", "case.test:80", "/", "second"),
]


@pytest.mark.parametrize("host,path,expected", [m[1:] for m in MERGED], ids=[m[0] for m in MERGED])
def test_several_ingresses_make_one_table(any_site, host, path, expected):
    any_site.use(("merged", merged))
    with any_site.connect() as connection:
        assert any_site.backends.answered(connection.get(host, path)) == expected


def test_ipv6_clients_are_served(any_site):
    any_site.use(("host_rules", host_rules))
    for scheme in SCHEMES:
        reply = any_site.get("bar.foo.com", scheme=scheme, address=NODE6)
        assert any_site.backends.answered(reply) == "wildcard-foo-com"
        assert reply.echo["headers"]["x-real-ip"] == [CLIENT6]


def test_one_connection_may_ask_for_many_hosts(any_site):
    """Where a connection lands is a hint: it carries requests for hosts of other workers too."""
    any_site.use(("table", table))
    for scheme in SCHEMES:
        with any_site.connect(scheme, row_host(0)) as connection:
            for number, (_, _, request, expected) in enumerate(TABLE):
                reply = connection.get(row_host(number), request)
                assert reply.status == (404 if expected is None else 200)
                if expected is not None:
                    assert any_site.backends.answered(reply) == f"rule-{expected}"


def test_hello_in_pieces_and_head_in_pieces(any_site):
    """A segment that does not carry the whole name is no reason to fail."""
    any_site.use(("host_rules", host_rules))
    with any_site.connect() as connection:
        for piece in (b"GET / HT", b"TP/1.1\r\nHo", b"st: bar.foo", b".com\r\n", b"\r\n"):
            connection.send(piece)
            # Each piece reaches the node as a segment of its own: it is acknowledged before the next.
            wait_sent(connection.sock)
        assert any_site.backends.answered(connection.reply()) == "wildcard-foo-com"


def test_hello_of_two_segments(any_site):
    """A ClientHello that is larger than a segment: 40 ALPN names of 200 bytes."""
    any_site.use(("host_rules", host_rules))
    names = [f"{n:03}" + "x" * 197 for n in range(40)] + ["http/1.1"]
    with any_site.connect("https", "foo.bar.com", tls=tls_context(any_site.authority.ca, names)) as one:
        assert any_site.backends.answered(one.get("foo.bar.com")) == "foo-bar-com"
