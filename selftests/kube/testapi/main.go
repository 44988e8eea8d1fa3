// SPDX-License-Identifier: Apache-2.0

// kube-testapi runs a real kube-apiserver (RBAC + Node authorization, bound
// ServiceAccount tokens) on a loopback port with an embedded etcd, in one process, for
// tests.  It is not for production: keys lie in plain files and etcd does not fsync.
//
//	kube-testapi [serve] -dir DIR [-port N] [-controllers LIST] [-- kube-apiserver flags]
//	kube-testapi load -kubeconfig F -n N    creates N Ingresses, and more with its flags
//	kubectl ...                             the same file, called through a link of that name
//
// In DIR it writes kubeconfig, ca.crt, admin.crt, admin.key, admin.token, url, and keeps
// pki/ and etcd/ so that a restart on the same DIR resumes the same cluster.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/pflag"
	"go.etcd.io/etcd/server/v3/embed"
	"golang.org/x/sys/unix"

	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/client-go/rest"
	logsapi "k8s.io/component-base/logs/api/v1"
	apiapp "k8s.io/kubernetes/cmd/kube-apiserver/app"
	apioptions "k8s.io/kubernetes/cmd/kube-apiserver/app/options"
)

// Controllers, where -controllers says `default`: those without which no Pod gets into an
// EndpointSlice, no ServiceAccount a token, and nothing deleted ever goes.
const defaultControllers = "endpointslice,serviceaccount,root-ca-cert-publisher,namespace,garbagecollector"

type config struct {
	dir, addr, controllers, sans string
	port                         int
	fsync, pdeath                bool
	timeout, grace               time.Duration
	extra                        []string
}

func main() {
	if filepath.Base(os.Args[0]) == "kubectl" {
		runKubectl()
		return
	}
	args := os.Args[1:]
	if len(args) > 0 && args[0] == "load" {
		if err := load(args[1:]); err != nil {
			fatal("%v", err)
		}
		return
	}
	if len(args) > 0 && args[0] == "serve" {
		args = args[1:]
	}
	var c config
	fs := flag.NewFlagSet("kube-testapi", flag.ExitOnError)
	fs.StringVar(&c.dir, "dir", "", "state directory (created; required)")
	fs.StringVar(&c.addr, "addr", "127.0.0.1", "address to serve the API on")
	fs.IntVar(&c.port, "port", 0, "port to serve the API on (0: the port of the last run in -dir, else a free one)")
	fs.StringVar(&c.sans, "san", "", "further names and addresses for the serving certificate, comma-separated")
	fs.StringVar(&c.controllers, "controllers", "",
		"kube-controller-manager controllers to run in this process, comma-separated ('' for none, 'default' for the test set)")
	fs.BoolVar(&c.fsync, "fsync", false, "let etcd fsync")
	fs.BoolVar(&c.pdeath, "exit-with-parent", false, "end when the parent process ends")
	fs.DurationVar(&c.timeout, "timeout", 120*time.Second, "give up when not ready by then")
	fs.DurationVar(&c.grace, "grace", 3*time.Second, "after SIGTERM, how long to let requests end")
	_ = fs.Parse(args)
	c.extra = fs.Args()
	if c.dir == "" {
		fatal("-dir is required")
	}
	if c.controllers == "default" {
		c.controllers = defaultControllers
	}
	if err := serve(c); err != nil {
		fatal("%v", err)
	}
}

func fatal(f string, a ...any) {
	fmt.Fprintf(os.Stderr, "kube-testapi: "+f+"\n", a...)
	os.Exit(1)
}

func serve(c config) error {
	begin := time.Now()
	if c.pdeath {
		if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(syscall.SIGTERM), 0, 0, 0); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	sig := make(chan os.Signal, 2)
	signal.Notify(sig, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-sig
		cancel()
		<-sig
		os.Exit(1)
	}()

	dir, err := filepath.Abs(c.dir)
	if err != nil {
		return err
	}
	pki := filepath.Join(dir, "pki")
	if err := os.MkdirAll(pki, 0o700); err != nil {
		return err
	}

	// The listener is opened here, so that the port is known and cannot be lost.
	port := c.port
	if port == 0 {
		if b, err := os.ReadFile(filepath.Join(dir, "url")); err == nil {
			if u, err := url.Parse(strings.TrimSpace(string(b))); err == nil {
				port, _ = strconv.Atoi(u.Port())
			}
		}
	}
	ln, err := net.Listen("tcp", net.JoinHostPort(c.addr, strconv.Itoa(port)))
	if err != nil && c.port == 0 && port != 0 {
		ln, err = net.Listen("tcp", net.JoinHostPort(c.addr, "0"))
	}
	if err != nil {
		return err
	}
	port = ln.Addr().(*net.TCPAddr).Port
	base := "https://" + net.JoinHostPort(c.addr, strconv.Itoa(port))

	if err := makePKI(pki, c); err != nil {
		return fmt.Errorf("pki: %w", err)
	}
	p := func(n string) string { return filepath.Join(pki, n) }
	token, err := os.ReadFile(p("admin.token"))
	if err != nil {
		return err
	}
	if err := os.WriteFile(p("tokens.csv"),
		[]byte(string(token)+",admin-token,admin-token,\"system:masters\"\n"), 0o600); err != nil {
		return err
	}

	etcd, err := startEtcd(dir, c.fsync)
	if err != nil {
		return fmt.Errorf("etcd: %w", err)
	}
	defer etcd.Close()

	// What NewAPIServerCommand does, less its signal handler, on our listener.
	s := apioptions.NewServerRunOptions()
	pf := pflag.NewFlagSet("kube-apiserver", pflag.ContinueOnError)
	for _, f := range s.Flags().FlagSets {
		pf.AddFlagSet(f)
	}
	s.SecureServing.Listener = ln
	flags := append([]string{
		"--etcd-servers=http://" + etcd.Clients[0].Addr().String(),
		"--bind-address=" + c.addr,
		"--secure-port=" + strconv.Itoa(port),
		"--advertise-address=" + c.addr,   // else it wants a default route
		"--endpoint-reconciler-type=none", // an Endpoints may not hold 127.0.0.1
		"--authorization-mode=Node,RBAC",
		"--enable-bootstrap-token-auth=false",
		"--service-cluster-ip-range=10.96.0.0/16",
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-signing-key-file=" + p("sa.key"),
		"--service-account-key-file=" + p("sa.pub"),
		"--client-ca-file=" + p("ca.crt"),
		"--tls-cert-file=" + p("server.crt"),
		"--tls-private-key-file=" + p("server.key"),
		"--token-auth-file=" + p("tokens.csv"),
		"--requestheader-client-ca-file=" + p("front-proxy-ca.crt"),
		"--requestheader-allowed-names=front-proxy-client",
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + p("front-proxy-client.crt"),
		"--proxy-client-key-file=" + p("front-proxy-client.key"),
		"--profiling=false",
	}, c.extra...)
	if err := pf.Parse(flags); err != nil {
		return err
	}
	if err := s.GenericServerRunOptions.ComponentGlobalsRegistry.Set(); err != nil {
		return err
	}
	rest.SetDefaultWarningHandler(rest.NoWarnings{})
	if err := logsapi.ValidateAndApply(s.Logs, utilfeature.DefaultFeatureGate); err != nil {
		return err
	}
	done, err := s.Complete(ctx)
	if err != nil {
		return err
	}
	if errs := done.Validate(); len(errs) != 0 {
		return utilerrors.NewAggregate(errs)
	}
	ended := make(chan error, 2)
	go func() { ended <- apiapp.Run(ctx, done) }()

	if err := writeClients(dir, pki, base, string(token)); err != nil {
		return err
	}
	hc, err := adminClient(pki)
	if err != nil {
		return err
	}
	if err := await(ctx, hc, base+"/readyz", c.timeout, ended); err != nil {
		return err
	}
	if c.controllers != "" {
		go func() {
			ended <- fmt.Errorf("controllers ended: %v",
				runControllers(ctx, filepath.Join(dir, "kubeconfig"), p("ca.crt"), c.controllers))
		}()
		for _, x := range strings.Split(c.controllers, ",") {
			if x == "serviceaccount" || x == "*" {
				if err := await(ctx, hc, base+"/api/v1/namespaces/default/serviceaccounts/default", c.timeout, ended); err != nil {
					return err
				}
			}
		}
	}
	fmt.Printf("ready %s pid=%d in=%.2fs\n", base, os.Getpid(), time.Since(begin).Seconds())

	select {
	case err := <-ended:
		if ctx.Err() == nil {
			return fmt.Errorf("ended early: %v", err)
		}
	case <-ctx.Done():
		select {
		case <-ended:
		case <-time.After(c.grace):
		}
		// etcd's own Close waits some 8 s for the API server's streams; it is crash-safe.
		os.Exit(0)
	}
	return nil
}

func startEtcd(dir string, fsync bool) (*embed.Etcd, error) {
	cfg := embed.NewConfig()
	cfg.Dir = filepath.Join(dir, "etcd")
	any0 := url.URL{Scheme: "http", Host: "127.0.0.1:0"}
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{any0}, []url.URL{any0}
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{any0}, []url.URL{any0}
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	cfg.UnsafeNoFsync = !fsync
	cfg.QuotaBackendBytes = 4 << 30
	cfg.LogLevel = "error"
	cfg.LogOutputs = []string{filepath.Join(dir, "etcd.log")}
	e, err := embed.StartEtcd(cfg)
	if err != nil {
		return nil, err
	}
	select {
	case <-e.Server.ReadyNotify():
		return e, nil
	case err := <-e.Err():
		return nil, err
	case <-time.After(30 * time.Second):
		e.Close()
		return nil, fmt.Errorf("not ready in 30 s")
	}
}

func adminClient(pki string) (*http.Client, error) {
	ca, err := os.ReadFile(filepath.Join(pki, "ca.crt"))
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	kp, err := tls.LoadX509KeyPair(filepath.Join(pki, "admin.crt"), filepath.Join(pki, "admin.key"))
	if err != nil {
		return nil, err
	}
	return &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{kp}}}}, nil
}

func await(ctx context.Context, hc *http.Client, u string, limit time.Duration, ended <-chan error) error {
	end, last := time.Now().Add(limit), "no answer"
	for time.Now().Before(end) {
		r, err := hc.Get(u)
		if err == nil {
			b, _ := io.ReadAll(io.LimitReader(r.Body, 4096))
			r.Body.Close()
			if r.StatusCode == 200 {
				return nil
			}
			last = r.Status + " " + string(b)
		} else {
			last = err.Error()
		}
		select {
		case err := <-ended:
			return fmt.Errorf("ended before ready: %v", err)
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	return fmt.Errorf("%s: not ready in %s: %s", u, limit, last)
}
