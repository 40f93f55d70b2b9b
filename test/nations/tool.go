// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nations

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/certlink/certlink/test/nations/internal/binaries"
	"github.com/certlink/certlink/test/nations/internal/layout"
)

// Build makes all programs that nations need, unless they are there. Progress goes to out.
func Build(ctx context.Context, out io.Writer) error {
	_, err := binaries.Ensure(ctx, out)
	return err
}

// Tool returns the path of a pinned program, building it on first use: kubectl or helm, or alertmanager, the web
// application that nations share in tests and in the demo.
func Tool(ctx context.Context, name string) (string, error) {
	switch name {
	case "kubectl":
		set, err := binaries.Ensure(ctx, os.Stderr)
		return filepath.Join(set.Dir, name), err
	case "helm", "alertmanager":
		return scriptedTool(ctx, name)
	default:
		return "", fmt.Errorf("no tool %q: there are kubectl, helm and alertmanager", name)
	}
}

// EnvtestAssets returns a directory with kube-apiserver, etcd and kubectl, for KUBEBUILDER_ASSETS. It needs no root.
func EnvtestAssets(ctx context.Context) (string, error) {
	set, err := binaries.Ensure(ctx, os.Stderr)
	return set.Dir, err
}

// scriptedTool asks the script that the Makefile uses too, so that a tool is built and kept once.
func scriptedTool(ctx context.Context, name string) (string, error) {
	root, err := layout.Repository()
	if err != nil {
		return "", err
	}
	command := exec.CommandContext(ctx, filepath.Join(root, "hack", "tool.sh"), name)
	command.Stderr = os.Stderr
	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("building tool %q: %w", name, err)
	}
	return strings.TrimSpace(string(out)), nil
}
