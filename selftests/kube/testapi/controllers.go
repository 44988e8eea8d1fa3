// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/controller-manager/pkg/informerfactory"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/controller/certificates/rootcacertpublisher"
	"k8s.io/kubernetes/pkg/controller/endpointslice"
	"k8s.io/kubernetes/pkg/controller/garbagecollector"
	"k8s.io/kubernetes/pkg/controller/namespace"
	"k8s.io/kubernetes/pkg/controller/serviceaccount"
)

// runControllers runs some of kube-controller-manager's controllers, as the administrator. The whole
// of it would link half of Kubernetes for nothing that a test needs.
func runControllers(ctx context.Context, kubeconfig, rootCA, list string) error {
	rc, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	rc.QPS, rc.Burst = -1, -1
	cs, err := kubernetes.NewForConfig(rc)
	if err != nil {
		return err
	}
	md, err := metadata.NewForConfig(rc)
	if err != nil {
		return err
	}
	inf := informers.NewSharedInformerFactory(cs, 0)
	minf := metadatainformer.NewSharedInformerFactory(md, 0)
	started := make(chan struct{})
	var run []func()
	for _, name := range strings.Split(list, ",") {
		switch name {
		case "endpointslice":
			c := endpointslice.NewController(ctx, inf.Core().V1().Pods(), inf.Core().V1().Services(),
				inf.Core().V1().Nodes(), inf.Discovery().V1().EndpointSlices(), 100, cs, 0)
			run = append(run, func() { c.Run(ctx, 5) })
		case "serviceaccount":
			c, err := serviceaccount.NewServiceAccountsController(klog.FromContext(ctx), inf.Core().V1().ServiceAccounts(),
				inf.Core().V1().Namespaces(), cs, serviceaccount.DefaultServiceAccountsControllerOptions())
			if err != nil {
				return err
			}
			run = append(run, func() { c.Run(ctx, 1) })
		case "root-ca-cert-publisher":
			ca, err := os.ReadFile(rootCA)
			if err != nil {
				return err
			}
			c, err := rootcacertpublisher.NewPublisher(inf.Core().V1().ConfigMaps(), inf.Core().V1().Namespaces(), cs, ca)
			if err != nil {
				return err
			}
			run = append(run, func() { c.Run(ctx, 1) })
		case "namespace":
			c := namespace.NewNamespaceController(ctx, cs, md, cs.Discovery().ServerPreferredNamespacedResources,
				inf.Core().V1().Namespaces(), 5*time.Minute, corev1.FinalizerKubernetes)
			run = append(run, func() { c.Run(ctx, 5) })
		case "garbagecollector":
			dc := discovery.NewDiscoveryClientForConfigOrDie(rc)
			mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(dc))
			c, err := garbagecollector.NewGarbageCollector(ctx, cs, md, mapper,
				garbagecollector.DefaultIgnoredResources(), informerfactory.NewInformerFactory(inf, minf), started)
			if err != nil {
				return err
			}
			run = append(run, func() { c.Run(ctx, 10, 30*time.Second) }, func() { c.Sync(ctx, dc, 30*time.Second) })
		default:
			return fmt.Errorf("no such controller: %q", name)
		}
	}
	inf.Start(ctx.Done())
	minf.Start(ctx.Done())
	close(started)
	for _, f := range run {
		go f()
	}
	<-ctx.Done()
	return nil
}
