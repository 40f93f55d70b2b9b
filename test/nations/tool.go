// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nations

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/certlink/certlink/test/nations/internal/binaries"
)

// Build makes all programs that nations need, unless they are there. Progress goes to out.
func Build(ctx context.Context, out io.Writer) error {
	_, err := binaries.Ensure(ctx, out)
	return err
}

// Tool returns the path of a pinned tool, building it on first use: kubectl or helm.
func Tool(ctx context.Context, name string) (string, error) {
	switch name {
	case "kubectl":
		set, err := binaries.Ensure(ctx, os.Stderr)
		return filepath.Join(set.Dir, name), err
	case "helm":
		return binaries.Tool(ctx, os.Stderr, name, "helm.sh/helm/v4/cmd/helm")
	default:
		return "", fmt.Errorf("no tool %q: there are kubectl and helm", name)
	}
}

// EnvtestAssets returns a directory with kube-apiserver, etcd and kubectl, for KUBEBUILDER_ASSETS. It needs no root.
func EnvtestAssets(ctx context.Context) (string, error) {
	set, err := binaries.Ensure(ctx, os.Stderr)
	return set.Dir, err
}
