# SPDX-License-Identifier: Apache-2.0
"""HTTPS as a client sees it: certificates, versions, redirects from HTTP."""
import socket
import ssl

import pytest

from http1 import Connection, tls_context
from manifests import ingress, ingress_class, rule
from world import NODE4, PATIENCE

PREFIXES = ("nginx.ingress.kubernetes.io", "sluice.dev")


def secure(site):
    keys = site.authority
    site.pairs = {name: keys.pair(*hosts) for name, hosts in (
        ("one", ("one.tls.test",)), ("wild", ("*.wild.tls.test",)), ("exact", ("exact.wild.tls.test",)),
        ("new", ("one.tls.test", "new.tls.test")))}
    return [site.backends.make("tls-service"),
            [keys.secret(f"{name}-tls", pair=site.pairs[name]) for name in ("one", "wild", "exact")],
            ingress("secure", *(rule(host, ("/", "Prefix", "tls-service")) for host in
                                ("one.tls.test", "*.wild.tls.test", "exact.wild.tls.test", "plain.test")),
                    tls=[("one-tls", "one.tls.test"), ("wild-tls", "*.wild.tls.test"),
                         ("exact-tls", "exact.wild.tls.test")])]


@pytest.fixture
def secure_site(any_site):
    any_site.use(("secure", secure))
    return any_site


def shown(site, name):
    """The certificate that is shown for this SNI, as DER."""
    with site.connect("https", name) as connection:
        return connection.sock.getpeercert(binary_form=True)


def der_of(pair):
    return ssl.PEM_cert_to_DER_cert(pair[0])


@pytest.mark.parametrize("name,expected", [
    ("one.tls.test", "one"), ("ONE.tls.test", "one"), ("any.wild.tls.test", "wild"),
    ("exact.wild.tls.test", "exact")])
def test_certificate_is_chosen_by_sni(secure_site, name, expected):
    assert shown(secure_site, name) == der_of(secure_site.pairs[expected])


def test_chosen_certificate_verifies(secure_site):
    for name in ("one.tls.test", "any.wild.tls.test", "exact.wild.tls.test"):
        reply = secure_site.get(name, scheme="https", ca=secure_site.authority.ca)
        assert secure_site.backends.answered(reply) == "tls-service"


def test_unknown_name_and_no_name_get_the_default_certificate(secure_site):
    default = shown(secure_site, None)
    assert default == shown(secure_site, "unknown.test")
    assert default not in map(der_of, secure_site.pairs.values())


def test_host_without_tls_is_answered_on_https_too(secure_site):
    reply = secure_site.get("plain.test", scheme="https")
    assert secure_site.backends.answered(reply) == "tls-service"
    assert reply.echo["headers"]["x-forwarded-proto"] == ["https"]


def test_certificate_that_does_not_cover_the_host_answers_421(secure_site):
    with secure_site.connect("https", "exact.wild.tls.test") as connection:
        assert connection.get("one.tls.test").status == 421
    assert secure_site.get("one.tls.test", scheme="https").status == 200


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_versions(secure_site, version):
    with secure_site.connect("https", "one.tls.test", tls=tls_context(version=version)) as connection:
        assert connection.sock.version() == version.name.replace("_", ".")
        assert connection.sock.selected_alpn_protocol() == "http/1.1"
        assert connection.get("one.tls.test").status == 200


def test_old_tls_is_refused(secure_site):
    context = tls_context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        secure_site.connect("https", "one.tls.test", tls=context)


def test_client_without_alpn_and_with_an_unknown_one(secure_site):
    with secure_site.connect("https", "one.tls.test", tls=tls_context(alpn=())) as connection:
        assert connection.sock.selected_alpn_protocol() is None
        assert connection.get("one.tls.test").status == 200


def test_session_is_resumed_by_any_worker(secure_site):
    """Tickets are sealed under keys that all workers share."""
    context = tls_context(version=ssl.TLSVersion.TLSv1_2)
    with secure_site.connect("https", "one.tls.test", tls=context) as first:
        first.get("one.tls.test")
        session = first.sock.session
    for _ in range(12):
        sock = secure_site.world.client.socket()
        sock.settimeout(PATIENCE)
        sock.connect((NODE4, 443))
        with context.wrap_socket(sock, server_hostname="one.tls.test", session=session) as again:
            assert again.session_reused


def test_plain_http_on_the_https_port_is_closed(secure_site):
    with Connection(secure_site.world.client, NODE4, 443) as connection:
        connection.send(b"GET / HTTP/1.1\r\nHost: one.tls.test\r\n\r\n")
        connection.sock.settimeout(PATIENCE)
        try:
            said = connection.rest()
        except ConnectionResetError:
            said = b""
        assert b"200" not in said
    assert secure_site.get("one.tls.test", scheme="https").status == 200


def test_new_certificate_is_shown_at_once_and_old_connections_stay(site):
    site.use(("secure", secure))
    with site.connect("https", "one.tls.test") as old:
        assert old.get("one.tls.test").status == 200
        objects = [o for o in secure(site) if not isinstance(o, list)]
        renewed = [site.authority.secret("one-tls", pair=site.pairs["new"])] + [
            site.authority.secret(f"{n}-tls", pair=site.pairs[n]) for n in ("wild", "exact")]
        site.apply("group.yaml", site.backends.make("tls-service"), renewed, objects)
        site.group = None
        assert shown(site, "one.tls.test") == der_of(site.pairs["new"])
        assert old.get("one.tls.test").status == 200


# ---- redirects -------------------------------------------------------------------------------

def redirecting(site):
    keys = site.authority
    return [site.backends.make("red"), keys.secret("red-tls", "*.red.test"),
            ingress("with-tls", rule("tls.red.test", ("/", "Prefix", "red")), tls=[("red-tls", "tls.red.test")]),
            ingress("without", rule("plain.red.test", ("/", "Prefix", "red")))] + [
                ingress(f"{name}-{value}-{number}",
                        rule(f"{name}-{value}-{number}.red.test", ("/", "Prefix", "red")),
                        annotations={f"{prefix}/{name}": value},
                        tls=[("red-tls", f"{name}-{value}-{number}.red.test")] if name == "ssl-redirect" else ())
                for number, prefix in enumerate(PREFIXES)
                for name, value in (("ssl-redirect", "true"), ("ssl-redirect", "false"),
                                    ("force-ssl-redirect", "true"))]


# profile, host, redirected?
REDIRECTS = [
    ("sluice", "tls.red.test", True),
    ("sluice", "plain.red.test", False),
    ("ingress-nginx", "tls.red.test", True),
    ("ingress-nginx", "plain.red.test", False),
    ("conformance", "tls.red.test", False),
    ("conformance", "plain.red.test", False),
] + [(profile, f"{name}-{number}.red.test", redirected)
     for profile in ("sluice", "ingress-nginx", "conformance") for number in (0, 1)
     for name, redirected in (("ssl-redirect-true", True), ("ssl-redirect-false", False),
                              ("force-ssl-redirect-true", True))]


@pytest.fixture(scope="module", params=["sluice", "ingress-nginx", "conformance"])
def profile_site(request, site):
    site.use(("redirecting", redirecting))
    site.apply("00-class.yaml", ingress_class(profile=request.param))
    yield request.param, site
    site.apply("00-class.yaml", ingress_class(profile="conformance"))


def test_http_is_redirected_where_the_profile_and_the_annotations_say_so(profile_site):
    profile, site = profile_site
    for which, host, redirected in REDIRECTS:
        if which != profile:
            continue
        reply = site.get(host, "/a/b?c=d")
        assert reply.status == (308 if redirected else 200), (host, reply)
        if redirected:
            assert reply["Location"] == f"https://{host}/a/b?c=d"
            assert reply["Date"] and reply["Server"]
        assert site.get(host, "/a/b?c=d", scheme="https").status == 200


def test_redirect_names_no_port_and_spares_the_acme_challenge(profile_site):
    profile, site = profile_site
    if profile == "conformance":
        return
    with site.connect() as connection:
        reply = connection.get("tls.red.test:80", "/x")
        assert reply["Location"] == "https://tls.red.test/x"
        assert connection.get("tls.red.test", "/.well-known/acme-challenge/abc").status == 200


def test_default_certificate_can_be_given(site):
    """The class names a Secret: its certificate is shown to whoever asks for no known name."""
    pair = site.authority.pair("default.tls.test")
    site.apply("default-tls.yaml", site.authority.secret("default-tls", pair=pair),
               ingress_class(profile="conformance", default_ssl_certificate="default/default-tls"))
    site.manifests.remove("00-class.yaml")
    site.settle()
    assert shown(site, "unknown.test") == shown(site, None) == der_of(pair)
    site.manifests.write("00-class.yaml", ingress_class(profile="conformance"))
    site.remove("default-tls.yaml")
    assert shown(site, "unknown.test") != der_of(pair)


def test_slow_handshake_does_not_hold_others(site):
    """Connections that say nothing or half a ClientHello leave the rest alone."""
    site.use(("secure", secure))
    lazy = [site.world.client.socket() for _ in range(50)]
    for number, sock in enumerate(lazy):
        sock.setblocking(True)
        sock.connect((NODE4, 443))
        if number % 2:
            sock.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
    for _ in range(20):
        assert site.get("one.tls.test", scheme="https").status == 200
    for sock in lazy:
        sock.shutdown(socket.SHUT_RDWR)
        sock.close()
