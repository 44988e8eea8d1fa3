// SPDX-License-Identifier: Apache-2.0

package main

// Certificates, keys, tokens and the files that clients read. All are made once for a directory.

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

type pair struct {
	crt *x509.Certificate
	key *ecdsa.PrivateKey
}

func writePEM(file, kind string, der []byte, mode os.FileMode) error {
	return os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), mode)
}

func issue(file string, by *pair, subj pkix.Name, names []string) (*pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	t := &x509.Certificate{
		SerialNumber: serial, Subject: subj,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(10, 0, 0),
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	signer, parent := key, t
	if by == nil {
		t.IsCA, t.KeyUsage, t.ExtKeyUsage = true, x509.KeyUsageCertSign|x509.KeyUsageDigitalSignature, nil
	} else {
		signer, parent = by.key, by.crt
	}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else if n != "" {
			t.DNSNames = append(t.DNSNames, n)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, t, parent, &key.PublicKey, signer)
	if err != nil {
		return nil, err
	}
	kd, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	if err := writePEM(file+".crt", "CERTIFICATE", der, 0o644); err != nil {
		return nil, err
	}
	if err := writePEM(file+".key", "EC PRIVATE KEY", kd, 0o600); err != nil {
		return nil, err
	}
	crt, err := x509.ParseCertificate(der)
	return &pair{crt, key}, err
}

func makePKI(dir string, c config) error {
	p := func(n string) string { return filepath.Join(dir, n) }
	if _, err := os.Stat(p("complete")); err == nil {
		return nil
	}
	ca, err := issue(p("ca"), nil, pkix.Name{CommonName: "kube-testapi-ca"}, nil)
	if err != nil {
		return err
	}
	fp, err := issue(p("front-proxy-ca"), nil, pkix.Name{CommonName: "front-proxy-ca"}, nil)
	if err != nil {
		return err
	}
	names := append([]string{"127.0.0.1", "::1", "localhost", c.addr, "10.96.0.1", "kubernetes",
		"kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"},
		strings.Split(c.sans, ",")...)
	for _, x := range []struct {
		file  string
		by    *pair
		subj  pkix.Name
		names []string
	}{
		{"server", ca, pkix.Name{CommonName: "kube-apiserver"}, names},
		{"admin", ca, pkix.Name{CommonName: "kubernetes-admin", Organization: []string{"system:masters"}}, nil},
		{"front-proxy-client", fp, pkix.Name{CommonName: "front-proxy-client"}, nil},
	} {
		if _, err := issue(p(x.file), x.by, x.subj, x.names); err != nil {
			return err
		}
	}
	sa, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	kd, err := x509.MarshalECPrivateKey(sa)
	if err != nil {
		return err
	}
	pd, err := x509.MarshalPKIXPublicKey(&sa.PublicKey)
	if err != nil {
		return err
	}
	if err := writePEM(p("sa.key"), "EC PRIVATE KEY", kd, 0o600); err != nil {
		return err
	}
	if err := writePEM(p("sa.pub"), "PUBLIC KEY", pd, 0o644); err != nil {
		return err
	}
	tok := make([]byte, 16)
	if _, err := rand.Read(tok); err != nil {
		return err
	}
	if err := os.WriteFile(p("admin.token"), []byte(hex.EncodeToString(tok)), 0o600); err != nil {
		return err
	}
	return os.WriteFile(p("complete"), nil, 0o644)
}

func kubeconfig(base, pki, user string) []byte {
	return []byte(fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: test
clusters:
- name: test
  cluster: {server: %q, certificate-authority: %q}
users:
- name: %[3]s
  user: {client-certificate: %[4]q, client-key: %[5]q}
contexts:
- name: test
  context: {cluster: test, user: %[3]s}
`, base, filepath.Join(pki, "ca.crt"), user,
		filepath.Join(pki, user+".crt"), filepath.Join(pki, user+".key")))
}

func writeClients(dir, pki, base, token string) error {
	for _, n := range []string{"ca.crt", "admin.crt", "admin.key", "admin.token"} {
		b, err := os.ReadFile(filepath.Join(pki, n))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, n), b, 0o600); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "kubeconfig"), kubeconfig(base, pki, "admin"), 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "url"), []byte(base+"\n"), 0o644)
}
