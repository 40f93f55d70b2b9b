// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"context"
	"fmt"
	"io"

	"golang.org/x/sync/errgroup"

	"github.com/certlink/certlink/test/nations"
)

// Nations raises clusters of the harness and puts the image into each. What runs
// already stays.
func Nations(ctx context.Context, n int, programs Programs, out io.Writer) ([]*Cluster, error) {
	raised, err := nations.Up(ctx, nations.Options{N: n, Output: out})
	if err != nil {
		return nil, err
	}
	tag, err := programs.tag()
	if err != nil {
		return nil, err
	}
	image := nations.Image{
		Ref: "localhost/certlink:" + tag,
		Files: map[string]string{
			programs.Operator: "/certlink-operator",
			programs.Relay:    "/certlink-relay",
		},
		Entrypoint: []string{"/certlink-operator"},
		User:       "65532:65532",
	}
	clusters := make([]*Cluster, len(raised))
	group, ctx := errgroup.WithContext(ctx)
	for i, nation := range raised {
		c := &Cluster{Name: nation.Name, Kubeconfig: nation.Kubeconfig(), Image: image.Ref, Harness: nation}
		clusters[i] = c
		group.Go(func() error {
			if err := nation.InstallImage(ctx, image); err != nil {
				return fmt.Errorf("installing the image in %s: %w", nation.Name, err)
			}
			return c.connect()
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return clusters, nil
}

// Preflight says in one line what keeps the harness from working here.
func Preflight() error { return nations.Preflight() }

// Cut drops everything between two nations; Restore ends that.
func Cut(ctx context.Context, a, b *Cluster) error {
	return nations.Cut(ctx, nations.Both(a.Name, b.Name))
}

// CutOneWay drops what goes from one nation to another.
func CutOneWay(ctx context.Context, from, to *Cluster) error {
	return nations.Cut(ctx, nations.OneWay(from.Name, to.Name))
}

// Restore heals every path between the nations.
func Restore(ctx context.Context) error { return nations.Restore(ctx, nil) }

// tool returns the path of helm or kubectl.
func tool(ctx context.Context, name string) (string, error) { return nations.Tool(ctx, name) }
