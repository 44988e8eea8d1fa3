// SPDX-License-Identifier: Apache-2.0
/* Manifests to objects: what is refused and how that is said. What is kept: see the golden files.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buf.h"
#include "kube/decode.h"

struct case_of_decode {
	const char *name;
	const char *text;
	size_t objects;
	size_t refused;
	bool is_broken;
	const char *findings; /* each with a line feed */
};

static bool check_case(const struct case_of_decode *c)
{
	struct str text = str_from_c(c->text);
	struct decoded decoded;
	struct buf out;
	bool is_same;

	buf_init(&out, 0);
	decoded_init(&decoded);
	decode_text(STR("f.yaml"), text, node_format_of(STR("f.yaml"), text), &decoded);
	for (size_t i = 0; i < decoded.findings.list.len; i++) {
		finding_format(&decoded.findings.list.at[i], &out);
		buf_add_char(&out, '\n');
	}
	is_same = str_eq_c(buf_str(&out), c->findings) && decoded.objects.len == c->objects &&
		  decoded.refused.len == c->refused && decoded.is_broken == c->is_broken;
	if (!is_same)
		print_error("%s: got %zu objects, %zu refused, broken %d, findings\n%.*s"
			    "wanted %zu, %zu, %d,\n%s\n",
			    c->name, decoded.objects.len, decoded.refused.len, decoded.is_broken,
			    (int)out.len, out.at ? out.at : "", c->objects, c->refused,
			    c->is_broken, c->findings);
	decoded_release(&decoded);
	buf_release(&out);
	return is_same;
}

static void check_cases(const struct case_of_decode *cases, size_t count)
{
	size_t failures = 0;

	for (size_t i = 0; i < count; i++)
		failures += !check_case(&cases[i]);
	assert_int_equal(failures, 0);
}

#define CHECK(cases) check_cases(cases, sizeof(cases) / sizeof((cases)[0]))

/* ------------------------------------------------------ documents and kinds */

static void test_kinds(void **state)
{
	static const struct case_of_decode cases[] = {
		{ .name = "another kind",
		  .text = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n",
		  .findings = "notice f.yaml:1: kind 'Deployment' of 'apps/v1' is none of ours, "
			      "'web' is "
			      "ignored\n" },
		{ .name = "another group's Service",
		  .text = "apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {name: "
			  "web}\n",
		  .findings =
			  "notice f.yaml:1: kind 'Service' of 'serving.knative.dev/v1' is none of "
			  "ours, 'web' is ignored\n" },
		{ .name = "an old version",
		  .text = "apiVersion: extensions/v1beta1\nkind: Ingress\nmetadata: {name: web}\n",
		  .refused = 1,
		  .findings =
			  "error Ingress default/web (f.yaml:1) apiVersion: 'extensions/v1beta1' "
			  "is "
			  "not understood, 'networking.k8s.io/v1' is, the object is left out\n" },
		{ .name = "no kind",
		  .text = "apiVersion: v1\nmetadata: {name: web}\n",
		  .is_broken = true,
		  .findings = "error f.yaml:1: object without a kind\n" },
		{ .name = "no apiVersion",
		  .text = "\nkind: Service\nmetadata: {name: web}\n",
		  .is_broken = true,
		  .findings = "error f.yaml:2: object without an apiVersion\n" },
		{ .name = "no object",
		  .text = "- 1\n",
		  .is_broken = true,
		  .findings = "error f.yaml:1: document is no object\n" },
		{ .name = "no YAML, and one that is",
		  .text = "a: [\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n",
		  .objects = 1,
		  .is_broken = true,
		  .findings =
			  "error f.yaml:2 a[0]: not YAML: did not find expected node content\n" },
		{ .name = "a field twice",
		  .text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  a: x\n  "
			  "a: y\n",
		  .refused = 1,
		  .findings =
			  "error ConfigMap default/c (f.yaml:6) data.a: field 'a' stands twice in "
			  "one map, the object is left out\n" },
		{ .name = "a list",
		  .text = "apiVersion: v1\nkind: List\nitems:\n"
			  "- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n"
			  "- {apiVersion: v1, kind: Pod, metadata: {name: b}}\n"
			  "- {kind: ConfigMap, metadata: {name: c}}\n"
			  "- 7\n",
		  .objects = 1,
		  .is_broken = true,
		  .findings =
			  "notice f.yaml:5: kind 'Pod' of 'v1' is none of ours, 'b' is ignored\n"
			  "error f.yaml:6: object without an apiVersion\n"
			  "error f.yaml:7: document is no object\n" },
		{ .name = "a list of one kind",
		  .text = "{\"apiVersion\":\"v1\",\"kind\":\"ServiceList\",\"items\":[\n"
			  "{\"metadata\":{\"name\":\"a\"},\"spec\":{}},\n"
			  "{\"metadata\":{\"name\":\"b\"}}]}",
		  .objects = 1,
		  .refused = 1,
		  .findings =
			  "error Service default/b (f.yaml:3) spec: required field is missing, the "
			  "object is left out\n" },
		{ .name = "items of a list that are none",
		  .text = "apiVersion: v1\nkind: List\nitems: {}\n",
		  .is_broken = true,
		  .findings = "error f.yaml:1: items are no list\n" },
		{ .name = "an empty list",
		  .text = "apiVersion: v1\nkind: List\nitems:\n",
		  .findings = "" },
		{ .name = "control characters",
		  .text = "apiVersion: v1\nkind: \"a\\e[1mb\\n\"\nmetadata: {name: \"x\\ny\"}\n",
		  .findings = "notice f.yaml:1: kind 'a?[1mb?' of 'v1' is none of ours, 'x?y' is "
			      "ignored\n" },
	};

	(void)state;
	CHECK(cases);
}

/* ----------------------------------------------------------------- metadata */

#define CONFIG_MAP "apiVersion: v1\nkind: ConfigMap\n"

static void test_metadata(void **state)
{
	static const struct case_of_decode cases[] = {
		{ .name = "none",
		  .text = CONFIG_MAP,
		  .is_broken = true,
		  .findings = "error ConfigMap default/ (f.yaml:1) metadata: required field is "
			      "missing, "
			      "the object is left out\n" },
		{ .name = "no name",
		  .text = CONFIG_MAP "metadata: {generateName: a-}\n",
		  .is_broken = true,
		  .findings =
			  "error ConfigMap default/ (f.yaml:3) metadata.name: required field is "
			  "missing, the object is left out\n" },
		{ .name = "a name that is none",
		  .text = CONFIG_MAP "metadata: {name: \"A\\nb\"}\n",
		  .is_broken = true,
		  .findings = "error ConfigMap default/ (f.yaml:3) metadata.name: 'A?b' is no name "
			      "of an "
			      "object, the object is left out\n" },
		{ .name = "a name that is a number",
		  .text = CONFIG_MAP "metadata: {name: 7}\n",
		  .is_broken = true,
		  .findings =
			  "error ConfigMap default/ (f.yaml:3) metadata.name: number where text is "
			  "wanted (put it in quotes), the object is left out\n" },
		{ .name = "a namespace that is none",
		  .text = CONFIG_MAP "metadata: {name: a, namespace: b.c}\n",
		  .refused = 1,
		  .findings = "error ConfigMap default/a (f.yaml:3) metadata.namespace: 'b.c' is "
			      "no name "
			      "of a namespace, the object is left out\n" },
		{ .name = "an annotation that is no text",
		  .text = CONFIG_MAP
		  "metadata:\n  name: a\n  annotations:\n    sluice.dev/x: true\n",
		  .refused = 1,
		  .findings = "error ConfigMap default/a (f.yaml:6) "
			      "metadata.annotations[sluice.dev/x]: "
			      "boolean where text is wanted (put it in quotes), the object is left "
			      "out\n" },
		{ .name = "labels that are a list",
		  .text = CONFIG_MAP "metadata: {name: a, labels: [b]}\n",
		  .refused = 1,
		  .findings =
			  "error ConfigMap default/a (f.yaml:3) metadata.labels: list where map is "
			  "wanted, the object is left out\n" },
		{ .name = "a time that is none",
		  .text = CONFIG_MAP "metadata: {name: a, creationTimestamp: yesterday}\n",
		  .refused = 1,
		  .findings = "error ConfigMap default/a (f.yaml:3) metadata.creationTimestamp: "
			      "'yesterday' is no time as in RFC 3339, the object is left out\n" },
		{ .name = "null is as left out",
		  .text = CONFIG_MAP "metadata: {name: a, creationTimestamp: null, labels: ~}\n",
		  .objects = 1,
		  .findings = "" },
		{ .name = "a misspelt field",
		  .text = CONFIG_MAP "metadata: {name: a, annotation: {}}\n",
		  .objects = 1,
		  .findings = "warning ConfigMap default/a (f.yaml:3) metadata.annotation: unknown "
			      "field, "
			      "ignored\n" },
	};

	(void)state;
	CHECK(cases);
}

static void test_time(void **state)
{
	static const struct {
		const char *text;
		int rc;
		int64_t seconds;
	} cases[] = {
		{ "1970-01-01T00:00:00Z", 0, 0 },
		{ "2026-01-02T03:04:05Z", 0, 1767323045 },
		{ "2026-01-02t03:04:05z", 0, 1767323045 },
		{ "2026-01-02T03:04:05.678901Z", 0, 1767323045 },
		{ "2026-01-02T05:04:05+02:00", 0, 1767323045 },
		{ "2026-01-01T22:34:05-04:30", 0, 1767323045 },
		{ "2000-02-29T12:00:00Z", 0, 951825600 },
		{ "1900-03-01T00:00:00Z", 0, -2203891200 },
		{ "0001-01-01T00:00:00Z", 0, -62135596800 },
		{ "9999-12-31T23:59:59Z", 0, 253402300799 },
		{ "1900-02-29T00:00:00Z", -1, 0 },
		{ "2026-02-29T00:00:00Z", -1, 0 },
		{ "2026-13-01T00:00:00Z", -1, 0 },
		{ "2026-00-01T00:00:00Z", -1, 0 },
		{ "2026-01-00T00:00:00Z", -1, 0 },
		{ "2026-01-01T24:00:00Z", -1, 0 },
		{ "2026-01-01T00:60:00Z", -1, 0 },
		{ "2026-01-01T00:00:00", -1, 0 },
		{ "2026-01-01T00:00:00.Z", -1, 0 },
		{ "2026-01-01T00:00:00Z ", -1, 0 },
		{ "2026-01-01T00:00:00+0200", -1, 0 },
		{ "2026-01-01", -1, 0 },
		{ "0000-01-01T00:00:00Z", -1, 0 },
		{ "", -1, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t seconds = 0;
		int rc = decode_time(str_from_c(cases[i].text), &seconds);

		if ((rc < 0) != (cases[i].rc < 0) || (rc == 0 && seconds != cases[i].seconds))
			fail_msg("'%s': got %d, %lld", cases[i].text, rc, (long long)seconds);
	}
}

/* ------------------------------------------------------------------ Ingress */

#define INGRESS "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: i}\nspec:\n"
#define RULE    INGRESS "  rules:\n  - http:\n      paths:\n"
#define GOOD_PATH                                                                                  \
	"      - {path: /, pathType: Prefix, backend: {service: {name: s, port: {number: 1}}}}\n"
#define AT "error Ingress default/i (f.yaml:8) spec.rules[0].http.paths[0]"

static void test_ingress_paths(void **state)
{
	static const struct case_of_decode cases[] = {
		{ .name = "good", .text = RULE GOOD_PATH, .objects = 1, .findings = "" },
		{ .name = "port as text",
		  .text = RULE
		  "      - {path: /, pathType: Exact, backend: {service: {name: s, port: "
		  "{number: \"80\"}}}}\n" GOOD_PATH,
		  .objects = 1,
		  .findings = AT
		  ".backend.service.port.number: text where a port number is wanted, the "
		  "path is left out\n" },
		{ .name = "port out of range",
		  .text = RULE
		  "      - {pathType: Exact, backend: {service: {name: s, port: {number: "
		  "65536}}}}\n",
		  .objects = 1,
		  .findings = AT
		  ".backend.service.port.number: port 65536 is not in 1 to 65535, the path "
		  "is left out\n" },
		{ .name = "port 0",
		  .text = RULE
		  "      - {pathType: Exact, backend: {service: {name: s, port: {number: "
		  "0}}}}\n",
		  .objects = 1,
		  .findings = AT
		  ".backend.service.port.number: port 0 is not in 1 to 65535, the path is "
		  "left out\n" },
		{ .name = "port with name and number",
		  .text = RULE
		  "      - {pathType: Exact, backend: {service: {name: s, port: {number: 1, "
		  "name: x}}}}\n",
		  .objects = 1,
		  .findings = AT
		  ".backend.service.port: port has a name and a number, the path is left "
		  "out\n" },
		{ .name = "port with neither",
		  .text = RULE
		  "      - {pathType: Exact, backend: {service: {name: s, port: {}}}}\n",
		  .objects = 1,
		  .findings = AT
		  ".backend.service.port: port has neither a name nor a number, the path "
		  "is left out\n" },
		{ .name = "no pathType and no backend",
		  .text = RULE "      - {path: /}\n" GOOD_PATH,
		  .objects = 1,
		  .findings = AT ".pathType: required field is missing, the path is left out\n" AT
				 ".backend: required field is missing, the path is left out\n" },
		{ .name = "the old form of a backend",
		  .text = RULE
		  "      - {pathType: Exact, backend: {serviceName: s, servicePort: 80}}\n",
		  .objects = 1,
		  .findings = "warning Ingress default/i (f.yaml:8) "
			      "spec.rules[0].http.paths[0].backend.serviceName: unknown field, "
			      "ignored\n"
			      "warning Ingress default/i (f.yaml:8) "
			      "spec.rules[0].http.paths[0].backend.servicePort: unknown field, "
			      "ignored\n" AT ".backend: backend has neither a service nor a "
			      "resource, the path is left "
			      "out\n" },
		{ .name = "a path that is a text",
		  .text = RULE "      - /\n" GOOD_PATH,
		  .objects = 1,
		  .findings = AT ": text where map is wanted, the path is left out\n" },
		{ .name = "an unknown pathType is for compile",
		  .text = RULE
		  "      - {path: /, pathType: Regex, backend: {service: {name: s, port: "
		  "{number: 1}}}}\n",
		  .objects = 1,
		  .findings = "" },
		{ .name = "a resource without a name",
		  .text = RULE
		  "      - {pathType: Exact, backend: {resource: {kind: ConfigMap}}}\n",
		  .objects = 1,
		  .findings =
			  AT ".backend.resource.name: required field is missing, the path is left "
			     "out\n" },
	};

	(void)state;
	CHECK(cases);
}

static void test_ingress(void **state)
{
	static const struct case_of_decode cases[] = {
		{ .name = "no spec",
		  .text = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: i}\n",
		  .refused = 1,
		  .findings =
			  "error Ingress default/i (f.yaml:1) spec: required field is missing, the "
			  "object is left out\n" },
		{ .name = "spec is a list",
		  .text = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: "
			  "i}\nspec: []\n",
		  .refused = 1,
		  .findings =
			  "error Ingress default/i (f.yaml:4) spec: list where map is wanted, the "
			  "object is left out\n" },
		{ .name = "class is a number: whose it is, nobody knows",
		  .text = INGRESS "  ingressClassName: 1\n",
		  .refused = 1,
		  .findings =
			  "error Ingress default/i (f.yaml:5) spec.ingressClassName: number where "
			  "text is wanted (put it in quotes), the object is left out\n" },
		{ .name = "rules are a map",
		  .text = INGRESS "  rules: {}\n",
		  .refused = 1,
		  .findings = "error Ingress default/i (f.yaml:5) spec.rules: map where list is "
			      "wanted, "
			      "the object is left out\n" },
		{ .name = "host is a number",
		  .text = INGRESS "  rules:\n  - host: 123\n  - host: b\n",
		  .objects = 1,
		  .findings = "error Ingress default/i (f.yaml:6) spec.rules[0].host: number where "
			      "text "
			      "is wanted (put it in quotes), the rule is left out\n" },
		{ .name = "http without paths",
		  .text = INGRESS
		  "  rules:\n  - host: a\n    http: {}\n  - host: b\n    http: {paths: []}\n",
		  .objects = 1,
		  .findings = "error Ingress default/i (f.yaml:7) spec.rules[0].http.paths: "
			      "required field "
			      "is missing, the rule is left out\n"
			      "error Ingress default/i (f.yaml:9) spec.rules[1].http.paths: list "
			      "of paths "
			      "is empty, the rule is left out\n" },
		{ .name = "default backend",
		  .text = INGRESS "  defaultBackend: {service: {name: s, port: {number: -1}}}\n",
		  .objects = 1,
		  .findings = "error Ingress default/i (f.yaml:5) "
			      "spec.defaultBackend.service.port.number: "
			      "port -1 is not in 1 to 65535, the default backend is left out\n" },
		{ .name = "TLS",
		  .text = INGRESS "  tls:\n  - {hosts: a}\n  - {secretName: s}\n  - {hosts: [1]}\n",
		  .objects = 1,
		  .findings = "error Ingress default/i (f.yaml:6) spec.tls[0].hosts: text where "
			      "list is "
			      "wanted, the TLS entry is left out\n"
			      "error Ingress default/i (f.yaml:8) spec.tls[2].hosts[0]: number "
			      "where text "
			      "is wanted (put it in quotes), the TLS entry is left out\n" },
		{ .name = "unknown fields",
		  .text = INGRESS "  ingressClass: x\n  rules:\n  - hostname: b\nextra: 1\n",
		  .objects = 1,
		  .findings =
			  "warning Ingress default/i (f.yaml:5) spec.ingressClass: unknown field, "
			  "ignored\n"
			  "warning Ingress default/i (f.yaml:7) spec.rules[0].hostname: unknown "
			  "field, "
			  "ignored\n"
			  "warning Ingress default/i (f.yaml:8) extra: unknown field, ignored\n" },
		{ .name = "IngressClass",
		  .text = "apiVersion: networking.k8s.io/v1\nkind: IngressClass\nmetadata: {name: "
			  "c}\n"
			  "spec: {parameters: {kind: ConfigMap}}\n",
		  .refused = 1,
		  .findings =
			  "error IngressClass c (f.yaml:4) spec.controller: required field is "
			  "missing, "
			  "the object is left out\n"
			  "error IngressClass c (f.yaml:4) spec.parameters.name: required field is "
			  "missing, the object is left out\n" },
	};

	(void)state;
	CHECK(cases);
}

/* ------------------------------------------------- Service and EndpointSlice */

#define SERVICE "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec:\n"
#define SLICE   "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: e}\n"

static void test_services(void **state)
{
	static const struct case_of_decode cases[] = {
		{ .name = "bad ports are left out",
		  .text = SERVICE "  ports:\n  - {port: 80}\n  - {port: http}\n  - {name: a}\n"
				  "  - {port: 1, protocol: tcp}\n  - {port: 1, targetPort: 0}\n",
		  .objects = 1,
		  .findings = "error Service default/s (f.yaml:7) spec.ports[1].port: text where a "
			      "port number "
			      "is wanted, the port is left out\n"
			      "error Service default/s (f.yaml:8) spec.ports[2].port: required "
			      "field is missing, "
			      "the port is left out\n"
			      "error Service default/s (f.yaml:9) spec.ports[3].protocol: 'tcp' is "
			      "none of TCP, "
			      "UDP, SCTP, the port is left out\n"
			      "error Service default/s (f.yaml:10) spec.ports[4].targetPort: port "
			      "0 is not in 1 "
			      "to 65535, the port is left out\n" },
		{ .name = "type",
		  .text = SERVICE "  type: Magic\n",
		  .refused = 1,
		  .findings = "error Service default/s (f.yaml:5) spec.type: 'Magic' is none of "
			      "ClusterIP, "
			      "NodePort, LoadBalancer, ExternalName, the object is left out\n" },
		{ .name = "ExternalName without one",
		  .text = SERVICE "  type: ExternalName\n",
		  .refused = 1,
		  .findings =
			  "error Service default/s (f.yaml:5) spec.externalName: required field is "
			  "missing, the object is left out\n" },
		{ .name = "fields for others",
		  .text = SERVICE "  selector: {app: web}\n  sessionAffinity: None\n  ports:\n"
				  "  - {port: 80, nodePort: 30000}\n",
		  .objects = 1,
		  .findings = "" },
		{ .name = "slice",
		  .text = SLICE "addressType: IPv5\n",
		  .refused = 1,
		  .findings =
			  "error EndpointSlice default/e (f.yaml:4) addressType: 'IPv5' is none of "
			  "IPv4, IPv6, FQDN, the object is left out\n" },
		{ .name = "endpoints",
		  .text = SLICE
		  "addressType: IPv4\nendpoints:\n- {addresses: [a]}\n- {}\n"
		  "- {addresses: [b], conditions: {ready: \"true\"}}\n- {addresses: [1.2]}\n"
		  "port: []\n",
		  .objects = 1,
		  .findings = "error EndpointSlice default/e (f.yaml:7) endpoints[1].addresses: "
			      "required field "
			      "is missing, the endpoint is left out\n"
			      "error EndpointSlice default/e (f.yaml:8) "
			      "endpoints[2].conditions.ready: text "
			      "where true or false is wanted, the endpoint is left out\n"
			      "error EndpointSlice default/e (f.yaml:9) endpoints[3].addresses[0]: "
			      "number where "
			      "text is wanted (put it in quotes), the endpoint is left out\n"
			      "warning EndpointSlice default/e (f.yaml:10) port: unknown field, "
			      "ignored\n" },
	};

	(void)state;
	CHECK(cases);
}

/* ------------------------------------------------------ Secret and ConfigMap */

#define SECRET "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n"

static void test_secrets_are_not_told(void **state)
{
	static const struct case_of_decode cases[] = {
		{ .name = "no base64",
		  .text = SECRET "data:\n  a: hunter2!\n",
		  .refused = 1,
		  .findings = "error Secret default/s (f.yaml:5) data.a: value is not base64, the "
			      "object is "
			      "left out\n" },
		{ .name = "a number",
		  .text = SECRET "stringData: {pin: 1234}\n",
		  .refused = 1,
		  .findings =
			  "error Secret default/s (f.yaml:4) stringData.pin: number where text is "
			  "wanted (put it in quotes), the object is left out\n" },
		{ .name = "data is a text",
		  .text = SECRET "data: hunter2\n",
		  .refused = 1,
		  .findings = "error Secret default/s (f.yaml:4) data: text where map is wanted, "
			      "the object "
			      "is left out\n" },
		{ .name = "a value that looks like a tag",
		  .text = SECRET "stringData:\n  a: !hunter2\n",
		  .is_broken = true,
		  .findings = "error f.yaml:5 stringData.a: unknown tag\n" },
		{ .name = "a value that looks like an alias",
		  .text = SECRET "stringData:\n  a: *hunter2\n",
		  .is_broken = true,
		  .findings = "error f.yaml:5 stringData.a: alias of no anchor that stands before "
			      "it\n" },
		{ .name = "a value with a colon",
		  .text = SECRET "stringData:\n  a: hunter2: x\n",
		  .is_broken = true,
		  .findings = "error f.yaml:5 stringData: not YAML: mapping values are not "
			      "allowed in "
			      "this context\n" },
		{ .name = "JSON that is cut",
		  .text = "{\"kind\":\"Secret\",\"data\":{\"a\":\"hunter2}}",
		  .is_broken = true,
		  .findings = "error f.yaml:1: not JSON: ends too early\n" },
		{ .name = "a key that is none",
		  .text = SECRET "data: {\"a b\": \"\"}\n",
		  .refused = 1,
		  .findings = "error Secret default/s (f.yaml:4) data[a b]: key is not made of "
			      "letters, "
			      "digits, '-', '_' and '.', the object is left out\n" },
		{ .name = "ConfigMap with a key in both",
		  .text = CONFIG_MAP "metadata: {name: c}\ndata: {a: x}\nbinaryData: {a: eA==}\n",
		  .refused = 1,
		  .findings =
			  "error ConfigMap default/c (f.yaml:1): data and binaryData have keys in "
			  "common, the object is left out\n" },
	};

	(void)state;
	CHECK(cases);
}

/* The value of key a in @text's Secret. */
static void assert_secret(const char *text, const char *value, size_t len)
{
	const struct object *object;
	struct decoded decoded;
	struct str got;

	decoded_init(&decoded);
	decode_text(STR("f"), str_from_c(text), NODE_FORMAT_YAML, &decoded);
	if (decoded.objects.len != 1)
		fail_msg("no object: %s", text);
	object = decoded.objects.at[0].object;
	got = object_pairs_find(object->secret.data, STR("a"));
	if (!str_eq(got, str_of(value, len)))
		fail_msg("%s: got '%.*s'", text, STR_ARG(got));
	decoded_release(&decoded);
}

static void test_secret_values(void **state)
{
	(void)state;
	assert_secret(SECRET "data: {a: \"\"}", "", 0);
	assert_secret(SECRET "data: {a: Zg==}", "f", 1);
	assert_secret(SECRET "data: {a: Zm8=}", "fo", 2);
	assert_secret(SECRET "data: {a: Zm9v}", "foo", 3);
	assert_secret(SECRET "data: {a: Zm9vYg==}", "foob", 4);
	assert_secret(SECRET "data: {a: \"+/8A\"}", "\xfb\xff\0", 3);
	assert_secret(SECRET "data:\n  a: |\n    Zm9v\n    YmFy\n", "foobar", 6);
	assert_secret(SECRET "data: {a: Zm9v, b: \"\"}\nstringData: {a: wins}", "wins", 4);
	assert_secret(SECRET "stringData: {a: wins}\ndata: {a: Zm9v}", "wins", 4);
	assert_secret(SECRET "stringData: {a: }", "", 0);
}

static void test_bad_base64(void **state)
{
	static const char *const values[] = {
		"Z",    "Zg",    "Zg=",    "Zg===", "Z===",  "=",
		"====", "Zm9v=", "Zg==Zg", "Zm-_",  "Zm9 v", "Zm9v\\0"
	};

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		struct decoded decoded;
		struct buf text;

		buf_init(&text, 0);
		buf_printf(&text, SECRET "data: {a: \"%s\"}", values[i]);
		decoded_init(&decoded);
		decode_text(STR("f"), buf_str(&text), NODE_FORMAT_YAML, &decoded);
		if (decoded.objects.len != 0)
			fail_msg("'%s' was taken", values[i]);
		decoded_release(&decoded);
		buf_release(&text);
	}
}

static void test_last_applied_is_dropped(void **state)
{
	struct decoded decoded;

	(void)state;
	decoded_init(&decoded);
	decode_text(
		STR("f"),
		STR("apiVersion: v1\nkind: Secret\nmetadata:\n  name: s\n  annotations:\n"
		    "    kubectl.kubernetes.io/last-applied-configuration: hunter2\n    b: c\n"),
		NODE_FORMAT_YAML, &decoded);
	assert_int_equal(decoded.objects.len, 1);
	assert_int_equal(decoded.objects.at[0].object->annotations.count, 1);
	assert_true(str_eq_c(decoded.objects.at[0].object->annotations.at[0].key, "b"));
	decoded_release(&decoded);
}

/* An API server's object: no file, no lines of a file, newer fields are none of our business. */
static void test_without_origin(void **state)
{
	struct node_document document;
	struct node_reader reader;
	struct decoded decoded;
	struct buf out;

	(void)state;
	buf_init(&out, 0);
	decoded_init(&decoded);
	node_reader_init(&reader,
			 STR("{\"apiVersion\":\"networking.k8s.io/v1\",\"kind\":\"IngressList\","
			     "\"items\":[{\"metadata\":{\"name\":\"a\",\"newer\":1},"
			     "\"spec\":{\"newest\":2,\"rules\":[{\"host\":1}]}}]}"),
			 NODE_FORMAT_JSON);
	assert_true(node_reader_next(&reader, &document));
	decode_node(str_of(NULL, 0), &document.root, 0, &decoded);
	node_reader_release(&reader);
	assert_int_equal(decoded.objects.len, 1);
	assert_null(decoded.objects.at[0].object->file.at);
	assert_int_equal(decoded.objects.at[0].object->line, 0);
	assert_int_equal(decoded.objects.at[0].fingerprint, 0);
	assert_int_equal(decoded.findings.list.len, 1);
	finding_format(&decoded.findings.list.at[0], &out);
	assert_true(
		str_eq_c(buf_str(&out),
			 "error Ingress default/a spec.rules[0].host: number where text is wanted "
			 "(put it in quotes), the rule is left out"));
	decoded_release(&decoded);
	buf_release(&out);
}

static void test_findings_are_bounded(void **state)
{
	const struct finding *last;
	struct decoded decoded;
	struct buf text;

	(void)state;
	buf_init(&text, 0);
	buf_add_c(&text, INGRESS "  rules:\n");
	for (int i = 0; i < 1000; i++)
		buf_add_c(&text, "  - 1\n");
	decoded_init(&decoded);
	decode_text(STR("f"), buf_str(&text), NODE_FORMAT_YAML, &decoded);
	assert_int_equal(decoded.findings.list.len, 65);
	last = &decoded.findings.list.at[64];
	assert_true(str_eq_c(last->text, "more is wrong with it than is told here"));
	decoded_release(&decoded);
	buf_release(&text);
}

static void test_findings_of_an_origin_are_bounded(void **state)
{
	enum { DOCUMENTS = 70000, TOLD = 1 << 16 };
	struct decoded decoded;
	struct buf text;

	(void)state;
	buf_init(&text, 0);
	for (int i = 0; i < DOCUMENTS; i++)
		buf_add_c(&text, "a: 1\n---\n");
	buf_add_c(&text, CONFIG_MAP "metadata: {name: last}\n");
	decoded_init(&decoded);
	decode_text(STR("f"), buf_str(&text), NODE_FORMAT_YAML, &decoded);
	assert_int_equal(decoded.objects.len, 1);
	assert_int_equal(decoded.findings.list.len, TOLD + 1);
	assert_true(str_eq_c(decoded.findings.list.at[TOLD].text,
			     "more is wrong from here on than is told"));
	decoded_release(&decoded);
	buf_release(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_metadata),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_ingress_paths),
		cmocka_unit_test(test_ingress),
		cmocka_unit_test(test_services),
		cmocka_unit_test(test_secrets_are_not_told),
		cmocka_unit_test(test_secret_values),
		cmocka_unit_test(test_bad_base64),
		cmocka_unit_test(test_last_applied_is_dropped),
		cmocka_unit_test(test_without_origin),
		cmocka_unit_test(test_findings_are_bounded),
		cmocka_unit_test(test_findings_of_an_origin_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
