// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package scenario

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"time"
)

var errNoHarness = errors.New("raising nations needs Linux: use clusters of your own with make demo KUBECONFIGS=a.kubeconfig,b.kubeconfig")

// Nations says that there can be none here.
func Nations(context.Context, int, Programs, io.Writer) ([]*Cluster, error) { return nil, errNoHarness }

// Preflight says in one line what keeps the harness from working here.
func Preflight() error { return errNoHarness }

// Cut says that there is no path to cut here.
func Cut(context.Context, *Cluster, *Cluster) error { return errNoHarness }

// CutOneWay says that there is no path to cut here.
func CutOneWay(context.Context, *Cluster, *Cluster) error { return errNoHarness }

// CutPath says that there is no path to cut here.
func CutPath(context.Context, *Cluster, *Cluster, string) error { return errNoHarness }

// CutPathOneWay says that there is no path to cut here.
func CutPathOneWay(context.Context, *Cluster, *Cluster, string) error { return errNoHarness }

// Worsen says that there is no path to worsen here.
func Worsen(context.Context, *Cluster, *Cluster, time.Duration, float64) error { return errNoHarness }

// Restore says that there is no path to heal here.
func Restore(context.Context) error { return errNoHarness }

const (
	relayAddresses      = 1
	addressesAnnotation = ""
)

func webAppImage(context.Context, *Cluster) (string, error) { return "", errNoHarness }

// Tool returns the path of helm or kubectl.
func Tool(_ context.Context, name string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("looking for %s, which must be installed: %w", name, err)
	}
	return path, nil
}
