# SPDX-License-Identifier: Apache-2.0
"""The proxies that are measured: how each is configured and started from one description.

A Setup says what to serve, in no proxy's words. Each proxy class turns it into its own
configuration: all set X-Forwarded-For and -Proto, keep upstream connections, and speak the same
TLS (1.3, P-256 certificate, X25519, AES-128-GCM). None logs requests.
"""
import dataclasses
import glob
import json
import os
import shutil
import signal
import socket
import time

from lab import BPF_ROOT, CLIENT, CLIENT_DEVICE, ENDPOINT_IP, PROXY, PROXY_DEVICE, PROXY_IP, run

PATHS = ("/", "/api", "/static")
SPREAD = 10000  # hosts


@dataclasses.dataclass
class Setup:
    """hosts: [(host, [(path prefix, ip, port)])]; certificates: [(host, crt file, key file)]."""
    hosts: list
    certificates: list = dataclasses.field(default_factory=list)
    default_certificate: tuple = ()
    workers: int = 1


def small_hosts():
    return [("h00000.bench.test", [("/", ENDPOINT_IP, 9000), ("/big", ENDPOINT_IP, 9001)])]


def host_name(i):
    return f"h{i:05d}.bench.test"


def endpoint_ip(i):
    return f"10.200.{i >> 8}.{i & 255}"


def many_hosts(count=SPREAD):
    return [(host_name(i), [(p, endpoint_ip(i), 9000) for p in PATHS]) for i in range(count)]


class Proxy:
    """One proxy in the lab. Subclasses write the configuration and say the command."""
    name = ""
    port_base = 0
    is_floor = False

    def __init__(self, lab, setup):
        self.lab, self.setup = lab, setup
        self.group = f"proxy-{self.name}"
        self.dir = f"{lab.dir}/{self.name}"
        self.http = f"{PROXY_IP}:{self.port_base}"
        self.https = f"{PROXY_IP}:{self.port_base + 1}"
        self.process = None

    @classmethod
    def is_there(cls, lab):
        return True

    def target(self, kind):
        """The address for a scenario: 'http', 'https', and the same for 'big' and 'close'."""
        return self.https if kind.startswith("https") else self.http

    def write(self, name, text):
        path = f"{self.dir}/{name}"
        with open(path + ".new", "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(path + ".new", path)
        return path

    def configure(self):
        raise NotImplementedError

    def command(self):
        raise NotImplementedError

    def start(self):
        shutil.rmtree(self.dir, ignore_errors=True)
        os.makedirs(self.dir)
        self.configure()
        log = open(f"{self.dir}/out.log", "w", encoding="utf-8")
        cpu = 1 if self.setup.workers == 1 else None
        self.process = self.lab.start(self.group, PROXY, cpu, self.command(), stdout=log, stderr=log)

    def wait_ready(self, host=None, path="/", patience_s=120):
        """Seconds until the host is served, or None."""
        began = time.monotonic()
        while time.monotonic() - began < patience_s and self.process.poll() is None:
            if ask(self.http, host or self.setup.hosts[0][0], path):
                return time.monotonic() - began
            time.sleep(0.005)
        with open(f"{self.dir}/out.log", encoding="utf-8") as log:
            print(f"  {self.name} is not ready:\n{log.read()[-1500:]}")
        return None

    def add_host(self, host, routes):
        """Puts one more host into force; returns the moment at which the change was handed over."""
        raise NotImplementedError

    def stop(self):
        if self.process:
            self.lab.end(self.process)
            self.process = None


def ask(address, host, path):
    """True when GET is answered with 200."""
    ip, port = address.split(":")
    try:
        with socket.create_connection((ip, int(port)), 2) as s:
            s.settimeout(5)
            s.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            return s.recv(64).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


class Relay(Proxy):
    """Copies bytes: what the kernel and OpenSSL cost. One process a kind of traffic."""
    name, port_base, is_floor = "relay", 8000, True
    KINDS = {"http": (0, 9000, ""), "https": (1, 9000, "t"), "http-close": (2, 9000, "1"), "https-close": (3, 9000, "1t"),
             "http-big": (4, 9001, ""), "https-big": (5, 9001, "t")}

    def configure(self):
        pass

    def target(self, kind):
        return f"{PROXY_IP}:{self.port_base + self.KINDS[kind][0]}"

    def command(self):
        certificate, key = self.setup.default_certificate
        lines = []
        for offset, port, flags in self.KINDS.values():
            options = (" -1" if "1" in flags else "") + (f" -t {certificate} {key}" if "t" in flags else "")
            lines.append(f"{self.lab.build}/bench/relay {PROXY_IP}:{self.port_base + offset} {ENDPOINT_IP}:{port}{options} &")
        return ["sh", "-c", " ".join(lines) + " wait"]


class Sluice(Proxy):
    name, port_base, xdp, early = "sluice", 8010, "off", "off"

    def configure(self):
        os.makedirs(f"{self.dir}/manifests")
        certificate, key = self.setup.default_certificate
        self.manifest("class.yaml", [
            {"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": "sluice"},
             "spec": {"controller": "sluice.dev/ingress-controller",
                      "parameters": {"apiGroup": "", "kind": "ConfigMap", "name": "sluice", "namespace": "default",
                                     "scope": "Namespace"}}},
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "sluice", "namespace": "default"},
             "data": {"profile": "conformance", "default-ssl-certificate": "default/default"}},
            secret("default", certificate, key)])
        step = 100
        for first in range(0, len(self.setup.hosts), step):
            part = self.setup.hosts[first:first + step]
            self.manifest(f"hosts-{first:05d}.yaml", [o for h in part for o in self.objects(*h)])
        for host, crt, key_file in self.setup.certificates:
            self.manifest(f"cert-{host}.yaml", [secret(host, crt, key_file)])

    def objects(self, host, routes):
        """Ingress, and a Service with its slice for each endpoint of the host."""
        name = host.replace(".", "-")
        services = {}
        for _, ip, port in routes:
            services.setdefault((ip, port), f"{name}-{len(services)}")
        paths = [{"path": p, "pathType": "Prefix",
                  "backend": {"service": {"name": services[ip, port], "port": {"number": 80}}}} for p, ip, port in routes]
        has_certificate = any(host == c[0] for c in self.setup.certificates)
        tls = [{"hosts": [host], **({"secretName": host} if has_certificate else {})}]
        yield {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": name, "namespace": "default"},
               "spec": {"ingressClassName": "sluice", "rules": [{"host": host, "http": {"paths": paths}}], "tls": tls}}
        for (ip, port), service in services.items():
            yield {"apiVersion": "v1", "kind": "Service", "metadata": {"name": service, "namespace": "default"},
                   "spec": {"ports": [{"port": 80, "targetPort": port}]}}
            yield {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
                   "metadata": {"name": service, "namespace": "default", "labels": {"kubernetes.io/service-name": service}},
                   "ports": [{"port": port, "protocol": "TCP"}],
                   "endpoints": [{"addresses": [ip], "conditions": {"ready": True}}]}

    def manifest(self, name, objects):
        # JSON is YAML; a document an object, as kubectl would take it.
        return self.write(f"manifests/{name}", "".join(f"---\n{json.dumps(o)}\n" for o in objects))

    def write(self, name, text):
        # Staged outside of the watched directory: what is watched sees one rename.
        staged = f"{self.dir}/staged"
        with open(staged, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(staged, f"{self.dir}/{name}")
        return f"{self.dir}/{name}"

    def command(self):
        return [f"{self.lab.build}/sluice", "run", "--manifests", f"{self.dir}/manifests", "--http", self.http,
                "--https", self.https, "--admin", f"127.0.0.1:{self.port_base + 5}", "--run-dir", f"{self.dir}/run",
                "--bpf-dir", self.bpf_dir(), "--xdp", self.xdp, "--early-dispatch", self.early,
                "--interface", PROXY_DEVICE,
                "--workers", str(self.setup.workers), "--access-log", "off", "--log-level", "warning"]

    def bpf_dir(self):
        """Two that share one would write into each other's maps."""
        return f"{BPF_ROOT}-{self.port_base}"

    def add_host(self, host, routes):
        text = list(self.objects(host, routes))
        began = time.time()
        self.manifest(f"added-{host}.yaml", text)
        return began

    def stop(self):
        super().stop()
        shutil.rmtree(self.bpf_dir(), ignore_errors=True)  # pins outlive who made them


class SluiceXdp(Sluice):
    name, port_base, xdp = "sluice-xdp", 8020, "native"


class SluiceEarly(Sluice):
    """XDP answers SYNs: that reaches the client's side of a veth only where that has a program, too, which then
    costs each of the proxies that run beside this one."""
    name, port_base, xdp, early = "sluice-early", 8025, "native", "on"

    def start(self):
        run(f"ip -n {CLIENT} link set {CLIENT_DEVICE} xdpdrv object {self.lab.build}/e2e/xdp_pass.bpf.o section xdp")
        super().start()

    def stop(self):
        super().stop()
        run(f"ip -n {CLIENT} link set {CLIENT_DEVICE} xdpdrv off", check=False)


def secret(name, certificate, key):
    data = {"tls.crt": open(certificate, encoding="utf-8").read(), "tls.key": open(key, encoding="utf-8").read()}
    return {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
            "metadata": {"name": name, "namespace": "default"}, "stringData": data}


class Nginx(Proxy):
    name, port_base = "nginx", 8030

    @classmethod
    def is_there(cls, lab):
        return shutil.which("nginx") is not None

    def configure(self):
        default, certificates = self.setup.default_certificate, {h: (c, k) for h, c, k in self.setup.certificates}
        is_big = len(self.setup.hosts) > 100
        upstreams = {(ip, port) for _, routes in self.setup.hosts for _, ip, port in routes}
        temp = " ".join(f"{kind}_temp_path {self.dir}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        lines = [f"""user root; worker_processes {self.setup.workers}; pid {self.dir}/pid; error_log {self.dir}/error.log crit;
daemon off; worker_shutdown_timeout 60s; events {{ worker_connections 16384; }}
http {{ server_tokens off; access_log off; keepalive_timeout 300s; keepalive_requests 100000000; {temp}
server_names_hash_max_size 65536; server_names_hash_bucket_size 128; variables_hash_max_size 2048;
map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
proxy_http_version 1.1; proxy_set_header Host $host; proxy_set_header Upgrade $http_upgrade;
proxy_set_header Connection $connection_upgrade; proxy_set_header X-Forwarded-For $remote_addr;
proxy_set_header X-Forwarded-Proto $scheme; proxy_buffers 8 16k; proxy_buffer_size 8k; proxy_max_temp_file_size 0;
ssl_protocols TLSv1.3; ssl_ecdh_curve X25519:prime256v1; ssl_session_cache off;
server {{ listen {self.http} default_server backlog=65535 reuseport; listen {self.https} ssl default_server backlog=65535 reuseport;
  ssl_certificate {default[0]}; ssl_certificate_key {default[1]}; return 404; }}"""]
        for ip, port in sorted(upstreams):
            lines.append(f"upstream u_{ip}_{port} {{ server {ip}:{port}; keepalive {16 if is_big else 256}; "
                         "keepalive_requests 100000000; keepalive_timeout 300s; }")
        for host, routes in self.setup.hosts:
            pair = certificates.get(host, None if is_big else default)
            tls = f"listen {self.https} ssl; ssl_certificate {pair[0]}; ssl_certificate_key {pair[1]};" if pair else ""
            locations = " ".join(f"location {p} {{ proxy_pass http://u_{ip}_{port}; }}" for p, ip, port in routes)
            lines.append(f"server {{ listen {self.http}; {tls} server_name {host}; {locations} }}")
        self.write("nginx.conf", "\n".join(lines) + "\n}\n")

    def command(self):
        return ["nginx", "-c", f"{self.dir}/nginx.conf", "-p", self.dir]

    def add_host(self, host, routes):
        self.setup.hosts.append((host, routes))
        self.configure()
        began = time.time()
        os.kill(int(open(f"{self.dir}/pid", encoding="utf-8").read()), signal.SIGHUP)
        return began


class Haproxy(Proxy):
    name, port_base = "haproxy", 8040

    @classmethod
    def is_there(cls, lab):
        return shutil.which("haproxy") is not None

    def configure(self):
        upstreams = {(ip, port) for _, routes in self.setup.hosts for _, ip, port in routes}
        pairs = [("default", *self.setup.default_certificate), *self.setup.certificates]
        crt_list = []
        for host, certificate, key in pairs:
            text = open(certificate, encoding="utf-8").read() + open(key, encoding="utf-8").read()
            crt_list.append(self.write(f"{host}.pem", text) + ("" if host == "default" else f" {host}"))
        self.write("crt.list", "\n".join(crt_list) + "\n")
        self.write("routes.map", "".join(f"{h}{p} u_{ip}_{port}\n" for h, routes in self.setup.hosts for p, ip, port in routes))
        lines = [f"""global
  nbthread {self.setup.workers}
  maxconn 14000
  no strict-limits
  ssl-default-bind-options ssl-min-ver TLSv1.3
  ssl-default-bind-curves X25519:P-256
  tune.ssl.cachesize 0
  tune.pool-low-fd-ratio 80
  tune.pool-high-fd-ratio 90
  tune.idle-pool.shared on
  hard-stop-after 60s
defaults
  mode http
  option forwardfor
  http-reuse aggressive
  timeout connect 5s
  timeout client 300s
  timeout server 300s
  timeout tunnel 1h
  timeout http-keep-alive 300s
frontend f
  bind {self.http} backlog 65535
  bind {self.https} ssl crt-list {self.dir}/crt.list backlog 65535
  http-request set-header X-Forwarded-Proto https if {{ ssl_fc }}
  use_backend %[base,map_beg({self.dir}/routes.map,none)]
backend none
  http-request return status 404"""]
        for ip, port in sorted(upstreams):
            lines.append(f"backend u_{ip}_{port}\n  server s {ip}:{port} pool-purge-delay 300s")
        self.write("haproxy.cfg", "\n".join(lines) + "\n")

    def command(self):
        return ["haproxy", "-W", "-f", f"{self.dir}/haproxy.cfg"]

    def add_host(self, host, routes):
        self.setup.hosts.append((host, routes))
        self.configure()
        began = time.time()
        os.kill(self.process.pid, signal.SIGUSR2)
        return began


class Envoy(Proxy):
    name, port_base = "envoy", 8050
    V3 = "type.googleapis.com/envoy"

    @staticmethod
    def binary(lab):
        found = glob.glob(f"{lab.build}/venv/lib/python3*/site-packages/envoy/_bin/envoy")
        return found[0] if found else None

    @classmethod
    def is_there(cls, lab):
        return cls.binary(lab) is not None

    def cluster(self, ip, port):
        address = {"socket_address": {"address": ip, "port_value": port}}
        limit = {"max_connections": 100000, "max_pending_requests": 100000, "max_requests": 100000}
        return {"name": f"u_{ip}_{port}", "type": "STATIC", "connect_timeout": "5s",
                "circuit_breakers": {"thresholds": [limit]},
                "load_assignment": {"cluster_name": f"u_{ip}_{port}",
                                    "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}]}}

    def listener(self, name, address, is_tls):
        ip, port = address.split(":")
        manager = {"@type": f"{self.V3}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                   "stat_prefix": "b", "generate_request_id": False, "use_remote_address": True,
                   "upgrade_configs": [{"upgrade_type": "websocket"}], "stream_idle_timeout": "0s",
                   "rds": {"route_config_name": "r", "config_source": {
                       "path_config_source": {"path": f"{self.dir}/rds.json"}, "resource_api_version": "V3"}},
                   "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {
                       "@type": f"{self.V3}.extensions.filters.http.router.v3.Router", "suppress_envoy_headers": True}}]}
        chain = {"filters": [{"name": "h", "typed_config": manager}]}
        listener = {"name": name, "address": {"socket_address": {"address": ip, "port_value": int(port)}},
                    "enable_reuse_port": True, "tcp_backlog_size": 65535, "filter_chains": [chain]}
        if is_tls:
            pairs = [self.setup.default_certificate, *[(c, k) for _, c, k in self.setup.certificates]]
            chain["transport_socket"] = {"name": "tls", "typed_config": {
                "@type": f"{self.V3}.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
                "common_tls_context": {"alpn_protocols": ["http/1.1"],
                                       "tls_params": {"tls_minimum_protocol_version": "TLSv1_3"},
                                       "tls_certificates": [{"certificate_chain": {"filename": c},
                                                             "private_key": {"filename": k}} for c, k in pairs]}}}
            listener["listener_filters"] = [{"name": "i", "typed_config": {
                "@type": f"{self.V3}.extensions.filters.listener.tls_inspector.v3.TlsInspector"}}]
        return listener

    def write_routes(self):
        """Clusters, then routes: Envoy watches both files for a rename."""
        hosts = [{"name": h, "domains": [h, h + ":*"], "routes": [
            {"match": {"prefix": p}, "route": {"cluster": f"u_{ip}_{port}", "timeout": "0s"}}
            for p, ip, port in sorted(routes, key=lambda r: -len(r[0]))]} for h, routes in self.setup.hosts]
        upstreams = {(ip, port) for _, routes in self.setup.hosts for _, ip, port in routes}
        clusters = [{"@type": f"{self.V3}.config.cluster.v3.Cluster", **self.cluster(*u)} for u in sorted(upstreams)]
        routes = {"@type": f"{self.V3}.config.route.v3.RouteConfiguration", "name": "r", "virtual_hosts": hosts}
        texts = [(n, json.dumps({"version_info": str(time.time()), "resources": r}))
                 for n, r in (("cds.json", clusters), ("rds.json", [routes]))]
        began = time.time()
        for name, text in texts:
            self.write(name, text)
        return began

    def configure(self):
        self.write_routes()
        self.write("envoy.json", json.dumps({
            "node": {"id": "n", "cluster": "c"},
            "static_resources": {"listeners": [self.listener("h", self.http, False), self.listener("s", self.https, True)]},
            "dynamic_resources": {"cds_config": {"path_config_source": {"path": f"{self.dir}/cds.json"},
                                                 "resource_api_version": "V3"}},
            "layered_runtime": {"layers": [{"name": "s", "static_layer": {
                "overload.global_downstream_max_connections": 100000}}]}}))

    def command(self):
        return [self.binary(self.lab), "-c", f"{self.dir}/envoy.json", "--concurrency", str(self.setup.workers),
                "--disable-hot-restart", "-l", "error"]

    def add_host(self, host, routes):
        self.setup.hosts.append((host, routes))
        return self.write_routes()


ALL = (Relay, Sluice, SluiceXdp, Nginx, Haproxy, Envoy)
ON_DEMAND = (SluiceEarly,)
