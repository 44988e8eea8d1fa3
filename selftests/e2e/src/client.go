// SPDX-License-Identifier: Apache-2.0

// client asks with Go's net/http for each target in turn, twice on one connection, and prints what
// came back: status, headers by name, body. Without Go the test that runs it is skipped.
//
//	client ADDRESS:PORT http|https HOST TARGET...
package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sort"
)

func main() {
	address, scheme, host := os.Args[1], os.Args[2], os.Args[3]
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
	client := &http.Client{Transport: &http.Transport{
		DialContext:     dial,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: host},
	}}
	for _, target := range os.Args[4:] {
		for turn := 0; turn < 2; turn++ {
			if err := ask(client, scheme+"://"+host+target); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
		}
	}
}

func ask(client *http.Client, url string) error {
	response, err := client.Get(url)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	names := make([]string, 0, len(response.Header))
	for name := range response.Header {
		names = append(names, name)
	}
	sort.Strings(names)
	fmt.Println(response.Proto, response.Status)
	for _, name := range names {
		fmt.Println(name, response.Header[name])
	}
	fmt.Println(string(body))
	return nil
}
