// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Command lint is golangci-lint with the Kubernetes API linter compiled in.
//
// It stands in for a downloaded release and for "golangci-lint custom": both
// versions are pinned by this module's go.sum, the build needs nothing but the
// Go module proxy, and it shares the Go build cache. It takes the arguments of
// golangci-lint.
package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"

	"github.com/golangci/golangci-lint/v2/pkg/commands"

	// Registers the kubeapilinter plugin that .golangci-kal.yml turns on.
	_ "sigs.k8s.io/kube-api-linter"
)

const module = "github.com/golangci/golangci-lint/v2"

func main() {
	info := commands.BuildInfo{
		GoVersion: runtime.Version(),
		Version:   pinned(),
		Commit:    "unknown",
		Date:      "unknown",
	}
	if err := commands.Execute(info); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// pinned returns the version of golangci-lint that this binary was built from.
func pinned() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, dep := range info.Deps {
		if dep.Path == module {
			return dep.Version
		}
	}
	return "unknown"
}
