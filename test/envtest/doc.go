// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package envtest holds the tests that need a real kube-apiserver: every rule of
// the resources, their defaults and columns, the samples and the documentation's
// examples, and the controllers.
//
// The tests stand behind the build tag envtest and take etcd, kube-apiserver and
// kubectl from KUBEBUILDER_ASSETS; `make envtest` sets it. There is no
// kube-controller-manager: nothing collects garbage, runs pods or deletes
// namespaces, and no cert-manager: a test plays it.
package envtest
