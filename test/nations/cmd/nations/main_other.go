// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

// Command nations raises real Kubernetes clusters for certlink's tests and demo on a Linux machine.
package main

import (
	"fmt"
	"os"
	"runtime"
)

func main() {
	fmt.Fprintf(os.Stderr, "nations: raising nations here is not possible: this is %s, not Linux; run it on Linux as root, "+
		"or use clusters of your own: make demo KUBECONFIGS=a.kubeconfig,b.kubeconfig\n", runtime.GOOS)
	os.Exit(1)
}
