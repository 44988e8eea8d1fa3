# SPDX-License-Identifier: Apache-2.0
"""Whatever stands in the manifests: each problem is named with file, line, object and field, where a
person looks for it, and everything else is served."""
import json
import time

import pytest

from manifests import fresh_address, ingress, rule, service, slice_of
from world import poll

GOOD = "good.bad-input.test"


@pytest.fixture(scope="module")
def served(site):
    """A good Ingress beside every bad one; it must answer all the time."""
    site.apply("good.yaml", site.backends.make("good"),
               ingress("good", rule(GOOD, ("/", "Prefix", "good")), created="2020-01-01T00:00:00Z"))
    yield site
    site.remove("good.yaml")


INGRESS = """\
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: {name}
spec:
  ingressClassName: sluice
"""
RULES = """\
  rules:
    - host: {host}
      http:
        paths:
          - path: /
            pathType: {kind}
            backend:
              service:
                name: {service}
                port:
                  {port}
"""


def manifest(name, host="bad.test", kind="Prefix", service_name="good", port="number: 80", more=""):
    return (INGRESS + more + RULES).format(name=name, host=host, kind=kind, service=service_name, port=port)


def line_with(text, part):
    return next(n for n, line in enumerate(text.split("\n"), 1) if part in line)


LONG = "a" * 60 + ("." + "b" * 60) * 4  # 304 bytes

# name; manifest; the words that its finding has, with {line} for the line where `at` stands
CASES = {
    "broken-yaml": ("apiVersion: v1\nkind: Service\nmetadata:\n  name: [unclosed\n", "unclosed", []),
    "tab-in-yaml": ("apiVersion: v1\nkind: Service\n\tmetadata: {}\n", "metadata", []),
    "not-an-object": ("just some text\n", "just", []),
    "unknown-kind": ("apiVersion: example.org/v1\nkind: Gadget\nmetadata:\n  name: g\n", "apiVersion",
                     ["Gadget"]),
    "no-kind": ("apiVersion: v1\nmetadata:\n  name: nameless\n", "apiVersion", ["kind"]),
    "wrong-type-rules": (INGRESS.format(name="wrong-type") + "  rules: yes please\n", "rules:",
                         ["Ingress", "wrong-type", "spec.rules"]),
    "wrong-type-port": (manifest("wrong-port", port="number: eighty"), "number: eighty",
                        ["Ingress", "wrong-port", "port.number"]),
    "port-out-of-range": (manifest("big-port", port="number: 70000"), "number: 70000",
                          ["Ingress", "big-port", "port"]),
    "wrong-path-type": (manifest("odd-type", kind="Suffix"), "pathType", ["Ingress", "odd-type", "pathType", "Suffix"]),
    "missing-service": (manifest("no-service", service_name="nowhere"), "name: nowhere",
                        ["Ingress", "no-service", "backend.service", "nowhere"]),
    "missing-port": (manifest("no-port", port="number: 8888"), "number: 8888",
                     ["Ingress", "no-port", "port", "8888"]),
    "missing-port-name": (manifest("no-port-name", port="name: htpp"), "name: htpp",
                          ["Ingress", "no-port-name", "port", "htpp"]),
    "missing-secret": (manifest("no-secret", host="no-secret.test",
                                more="  tls:\n    - hosts: [no-secret.test]\n      secretName: absent\n"),
                       "secretName:", ["Ingress", "no-secret", "tls", "absent"]),
    "long-host": (manifest("long-host", host=LONG), "host: ", ["Ingress", "long-host", "spec.rules[0].host"]),
    "bad-host": (manifest("bad-host", host="under_score..test"), "host: ", ["Ingress", "bad-host", "host"]),
    "wildcard-inside": (manifest("odd-star", host="'a.*.test'"), "host: ", ["Ingress", "odd-star", "host"]),
    "relative-path": (manifest("relative").replace("path: /", "path: web"), "path: web",
                      ["Ingress", "relative", "path"]),
    "duplicate-path": (manifest("younger", host=GOOD), "path: /", ["Ingress", "younger", "good"]),
    "bad-annotation": (manifest("odd-value").replace("spec:", "  annotations:\n    sluice.dev/ssl-redirect: maybe\n"
                                                     "spec:", 1), "ssl-redirect",
                       ["Ingress", "odd-value", "ssl-redirect", "maybe"]),
}


def is_named(text, file, line, words):
    """Some line of the log names the file with that line, and all the words."""
    return any(f"{file}:{line}" in one and all(word in one for word in words) for one in text)


@pytest.mark.parametrize("name", CASES)
def test_bad_manifest_is_named_and_the_rest_is_served(served, name):
    text, at, words = CASES[name]
    file = f"case-{name}.yaml"
    before = len(served.sluice.log)
    served.manifests.write_text(file, text)
    served.settle()
    lines = [line_with(text, at)] if words else range(1, text.count("\n") + 2)
    # What was said may still be on its way to us when it is in force.
    poll(f"a line with {file}:{lines} and {words}",
         lambda: any(is_named(served.sluice.log[before:], file, line, words) for line in lines))
    assert served.backends.answered(served.get(GOOD)) == "good"
    # The same is there for who looks later, and goes with its cause.
    assert file in served.sluice.ctl("routes", "--conflicts")
    served.remove(file)
    assert file not in served.sluice.ctl("routes", "--conflicts")


def test_missing_service_is_503_and_other_paths_are_served(served):
    served.apply("partly.yaml", ingress("partly", rule(
        "partly.test", ("/there", "Prefix", "good"), ("/absent", "Prefix", "nowhere"),
        ("/port", "Prefix", "good", 8888))))
    assert served.get("partly.test", "/there").status == 200
    assert served.get("partly.test", "/absent").status == 503
    assert served.get("partly.test", "/port").status == 503
    served.remove("partly.yaml")


def test_one_bad_document_leaves_the_others_of_its_file(served):
    text = manifest("first", host="first.test") + "---\nkind: Ingress\napiVersion: networking.k8s.io/v1\n" \
        "metadata:\n  name: second\nspec: 7\n---\n" + manifest("third", host="third.test")
    served.manifests.write_text("mixed.yaml", text)
    served.settle()
    assert served.get("first.test").status == 200 and served.get("third.test").status == 200
    served.remove("mixed.yaml")


def test_broken_file_keeps_what_it_said_last(served):
    served.apply("break.yaml", ingress("b", rule("break.test", ("/", "Prefix", "good"))))
    served.manifests.write_text("break.yaml", "spec: [\n")
    served.settle()
    assert served.get("break.test").status == 200, "the last good version stays"
    served.apply("break.yaml", ingress("b", rule("mended.test", ("/", "Prefix", "good"))))
    assert served.get("mended.test").status == 200 and served.get("break.test").status == 404
    served.remove("break.yaml")


def test_oldest_wins_a_path_that_two_want(served):
    served.apply("claim.yaml", served.backends.many("older", "younger"),
                 ingress("a-younger", rule("claimed.test", ("/", "Prefix", "younger")), created="2026-03-02T00:00:00Z"),
                 ingress("b-older", rule("claimed.test", ("/", "Prefix", "older")), created="2026-03-01T00:00:00Z"))
    assert served.backends.answered(served.get("claimed.test")) == "older"
    assert "a-younger" in served.sluice.ctl("routes", "--conflicts")
    served.remove("claim.yaml")


def test_certificate_that_does_not_fit_its_key_is_named(served):
    one, two = served.authority.pair("mixed-up.test"), served.authority.pair("another.test")
    before = len(served.sluice.log)
    served.apply("pair.yaml", served.authority.secret("mixed-up", pair=(one[0], two[1])),
                 ingress("mixed-up", rule("mixed-up.test", ("/", "Prefix", "good")),
                         tls=[("mixed-up", "mixed-up.test")]))
    served.sluice.wait_for(r"Secret default/mixed-up .*pair\.yaml.*key", after=before)
    assert served.get("mixed-up.test", scheme="https").status in (200, 421)
    assert served.get(GOOD).status == 200
    served.remove("pair.yaml")


@pytest.mark.parametrize("crt,key", [("", ""), ("nonsense", "nonsense"), (None, "-----BEGIN PRIVATE KEY-----\nAAAA\n")])
def test_certificate_that_is_none_is_named(served, crt, key):
    pair = served.authority.pair("none.test")
    before = len(served.sluice.log)
    served.apply("none.yaml", served.authority.secret("none", pair=(pair[0] if crt is None else crt, key)),
                 ingress("none", rule("none.test", ("/", "Prefix", "good")), tls=[("none", "none.test")]))
    served.sluice.wait_for(r"default/none .*none\.yaml", after=before)
    assert served.get(GOOD).status == 200
    served.remove("none.yaml")


def test_private_keys_are_never_said(served):
    assert "PRIVATE" not in "\n".join(served.sluice.log)


def test_secret_that_comes_later_is_used(served):
    served.apply("late.yaml", ingress("late", rule("late.test", ("/", "Prefix", "good")), tls=[("late", "late.test")]))
    assert served.get("late.test", scheme="https").status in (200, 421)
    served.apply("late-secret.yaml", served.authority.secret("late", "late.test"))
    assert served.get("late.test", scheme="https", ca=served.authority.ca).status == 200
    served.remove("late.yaml")
    served.remove("late-secret.yaml")


def test_five_thousand_paths_are_served(served, capsys):
    paths = [(f"/section-{n % 50}/page-{n}", "Prefix", "good") for n in range(5000)]
    began = time.monotonic()
    served.apply("many-paths.json", ingress("many-paths", rule("many-paths.test", *paths)))
    with capsys.disabled():
        print(f"\n    5,000 paths in force {(time.monotonic() - began) * 1e3:.0f} ms after they were written", end=" ")
    with served.connect() as connection:
        for number in (0, 1, 2500, 4999):
            assert connection.get("many-paths.test", f"/section-{number % 50}/page-{number}/x").status == 200
        assert connection.get("many-paths.test", "/section-1/page-2").status == 404
    served.remove("many-paths.json")


def test_endpoints_that_make_no_sense_are_left_out(served):
    good = fresh_address()
    served.apply("odd.yaml", service("odd"), slice_of("odd", [good]),
                 slice_of("odd", ["not-an-address"], suffix="2"), slice_of("odd", ["10.200.0.300"], suffix="3"),
                 ingress("odd", rule("odd.test", ("/", "Prefix", "odd"))))
    with served.connect() as connection:
        assert {connection.get("odd.test").echo["address"] for _ in range(10)} == {good}
    served.remove("odd.yaml")


def test_list_as_kubectl_writes_it_is_read(served):
    item = ingress("listed", rule("listed.test", ("/", "Prefix", "good")))
    served.manifests.write_text("list.json", json.dumps({"apiVersion": "v1", "kind": "List", "items": [item]}))
    served.settle()
    assert served.get("listed.test").status == 200
    served.remove("list.json")
