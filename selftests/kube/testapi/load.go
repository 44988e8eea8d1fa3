// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"flag"
	"fmt"
	"math/big"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	netv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// A loader creates many objects through several connections at once.
type loader struct {
	cs                                *kubernetes.Clientset
	namespace, class, prefix, address string
	services                          bool
	secrets                           int
}

// load creates -n Ingresses (one host, one path each): h<i>.example to Service <prefix>-<i>.
func load(args []string) error {
	var l loader
	fs := flag.NewFlagSet("load", flag.ExitOnError)
	kubeconfig := fs.String("kubeconfig", "", "kubeconfig")
	count := fs.Int("n", 10000, "how many Ingresses")
	workers := fs.Int("workers", 16, "how many at once")
	fs.StringVar(&l.namespace, "namespace", "default", "namespace")
	fs.StringVar(&l.class, "class", "", "ingressClassName")
	fs.StringVar(&l.prefix, "prefix", "load", "name prefix")
	fs.BoolVar(&l.services, "services", false, "a Service and an EndpointSlice for each too")
	fs.StringVar(&l.address, "address", "10.200.0.1", "address of all endpoints")
	fs.IntVar(&l.secrets, "secrets", 0, "so many of the Ingresses have TLS, each with a Secret of its own")
	_ = fs.Parse(args)
	rc, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		return err
	}
	rc.QPS, rc.Burst = -1, -1
	rc.ContentType = "application/vnd.kubernetes.protobuf"
	if l.cs, err = kubernetes.NewForConfig(rc); err != nil {
		return err
	}
	return l.run(*count, *workers)
}

func (l *loader) run(count, workers int) error {
	var next, bad atomic.Int64
	var firstErr atomic.Value
	var wg sync.WaitGroup
	begin := time.Now()
	for range workers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := int(next.Add(1) - 1); i < count; i = int(next.Add(1) - 1) {
				if err := l.create(i); err != nil {
					bad.Add(1)
					firstErr.CompareAndSwap(nil, err)
				}
			}
		}()
	}
	wg.Wait()
	took := time.Since(begin).Seconds()
	fmt.Printf("created=%d failed=%d in=%.2fs rate=%.0f/s\n", int64(count)-bad.Load(), bad.Load(), took, float64(count)/took)
	if bad.Load() > 0 {
		return firstErr.Load().(error)
	}
	return nil
}

func (l *loader) create(i int) error {
	ctx, name, host := context.Background(), fmt.Sprintf("%s-%d", l.prefix, i), fmt.Sprintf("h%d.example", i)
	if l.services {
		if _, err := l.cs.CoreV1().Services(l.namespace).Create(ctx, l.service(name), metav1.CreateOptions{}); err != nil {
			return err
		}
		if _, err := l.cs.DiscoveryV1().EndpointSlices(l.namespace).Create(ctx, l.slice(name), metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	if i < l.secrets {
		secret, err := l.secret(name, host)
		if err != nil {
			return err
		}
		if _, err := l.cs.CoreV1().Secrets(l.namespace).Create(ctx, secret, metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	_, err := l.cs.NetworkingV1().Ingresses(l.namespace).Create(ctx, l.ingress(name, host, i < l.secrets), metav1.CreateOptions{})
	return err
}

func (l *loader) meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, Namespace: l.namespace}
}

// service has no selector: its slice is ours to write. And no address, which would take longest.
func (l *loader) service(name string) *corev1.Service {
	return &corev1.Service{ObjectMeta: l.meta(name), Spec: corev1.ServiceSpec{
		ClusterIP: corev1.ClusterIPNone, Ports: []corev1.ServicePort{{Name: "http", Port: 80}}}}
}

func (l *loader) slice(name string) *discoveryv1.EndpointSlice {
	port, portName, ready := int32(8080), "http", true
	slice := &discoveryv1.EndpointSlice{ObjectMeta: l.meta(name), AddressType: discoveryv1.AddressTypeIPv4,
		Ports: []discoveryv1.EndpointPort{{Name: &portName, Port: &port}},
		Endpoints: []discoveryv1.Endpoint{{Addresses: []string{l.address},
			Conditions: discoveryv1.EndpointConditions{Ready: &ready}}}}
	slice.Labels = map[string]string{discoveryv1.LabelServiceName: name}
	return slice
}

func (l *loader) secret(name, host string) (*corev1.Secret, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host},
		DNSNames: []string{host}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0)}
	chain, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return &corev1.Secret{ObjectMeta: l.meta(name), Type: corev1.SecretTypeTLS, Data: map[string][]byte{
		"tls.crt": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: chain}),
		"tls.key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})}}, nil
}

func (l *loader) ingress(name, host string, tls bool) *netv1.Ingress {
	prefix, service := netv1.PathTypePrefix, "web"
	if l.services {
		service = name
	}
	ingress := &netv1.Ingress{ObjectMeta: l.meta(name), Spec: netv1.IngressSpec{
		Rules: []netv1.IngressRule{{Host: host, IngressRuleValue: netv1.IngressRuleValue{
			HTTP: &netv1.HTTPIngressRuleValue{Paths: []netv1.HTTPIngressPath{{Path: "/", PathType: &prefix,
				Backend: netv1.IngressBackend{Service: &netv1.IngressServiceBackend{Name: service,
					Port: netv1.ServiceBackendPort{Number: 80}}}}}}}}}}}
	if l.class != "" {
		ingress.Spec.IngressClassName = &l.class
	}
	if tls {
		ingress.Spec.TLS = []netv1.IngressTLS{{Hosts: []string{host}, SecretName: name}}
	}
	return ingress
}
