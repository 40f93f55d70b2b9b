// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/certlink/certlink/test/nations"
)

// relayAddresses of each nation's relay: two, so that every link of the harness has a path to spare.
const (
	relayAddresses      = 2
	addressesAnnotation = nations.AddressesAnnotation
)

// Nations raises clusters of the harness and puts the images into each. What runs
// already stays.
func Nations(ctx context.Context, n int, programs Programs, out io.Writer) ([]*Cluster, error) {
	raised, err := nations.Up(ctx, nations.Options{N: n, Output: out})
	if err != nil {
		return nil, err
	}
	images, err := programs.images()
	if err != nil {
		return nil, err
	}
	clusters := make([]*Cluster, len(raised))
	group, ctx := errgroup.WithContext(ctx)
	for i, nation := range raised {
		c := &Cluster{Name: nation.Name, Kubeconfig: nation.Kubeconfig(), Image: images[0].Ref, Tools: images[1].Ref, Harness: nation}
		clusters[i] = c
		group.Go(func() error {
			for _, image := range images {
				if err := nation.InstallImage(ctx, image); err != nil {
					return fmt.Errorf("installing image %q in %s: %w", image.Ref, nation.Name, err)
				}
			}
			return c.connect()
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return clusters, nil
}

// images of certlink, and of what its people have at hand. Their names follow
// their content, so that a changed one is rolled out.
func (p Programs) images() ([]nations.Image, error) {
	product, err := tag(p.Operator, p.Relay)
	if err != nil {
		return nil, err
	}
	tools, err := tag(p.Echo)
	if err != nil {
		return nil, err
	}
	return []nations.Image{
		{
			Ref:        "localhost/certlink:" + product,
			Files:      map[string]string{p.Operator: "/certlink-operator", p.Relay: "/certlink-relay"},
			Entrypoint: []string{"/certlink-operator"},
			User:       nonRoot,
		},
		{Ref: "localhost/certlink-tools:" + tools, Files: map[string]string{p.Echo: "/echo"}, Entrypoint: []string{"/echo"}, User: nonRoot},
	}, nil
}

const nonRoot = "65532:65532"

// webAppImage builds the web application on first use and puts it into the
// cluster.
func webAppImage(ctx context.Context, c *Cluster) (ref string, err error) {
	nation, ok := c.Harness.(*nations.Nation)
	if !ok {
		return "", errors.New("only a nation of the harness can be given a web application")
	}
	program, err := Tool(ctx, "alertmanager")
	if err != nil {
		return "", err
	}
	content, err := tag(program)
	if err != nil {
		return "", err
	}
	image := nations.Image{
		Ref: "localhost/alertmanager:" + content, Files: map[string]string{program: "/alertmanager"}, Entrypoint: []string{"/alertmanager"}, User: nonRoot,
	}
	if err := nation.InstallImage(ctx, image); err != nil {
		return "", fmt.Errorf("installing image %q in %s: %w", image.Ref, nation.Name, err)
	}
	return image.Ref, nil
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

// CutPath drops everything on the path from one nation to one address of
// another, HOST:PORT or HOST, in both directions.
func CutPath(ctx context.Context, from, to *Cluster, address string) error {
	direction, err := pathTo(from, to, address)
	if err != nil {
		return err
	}
	return nations.Cut(ctx, nations.Around(direction))
}

// CutPathOneWay drops what goes from one nation to one address of another.
func CutPathOneWay(ctx context.Context, from, to *Cluster, address string) error {
	direction, err := pathTo(from, to, address)
	if err != nil {
		return err
	}
	return nations.Cut(ctx, []nations.Direction{direction})
}

func pathTo(from, to *Cluster, address string) (nations.Direction, error) {
	if host, _, err := net.SplitHostPort(address); err == nil {
		address = host
	}
	parsed, err := netip.ParseAddr(address)
	if err != nil {
		return nations.Direction{}, fmt.Errorf("naming a path: %w", err)
	}
	return nations.Direction{From: from.Name, To: to.Name, ToAddress: parsed}, nil
}

// Worsen adds a delay to each direction between two nations, and loses a share
// of the packets in each, in percent.
func Worsen(ctx context.Context, a, b *Cluster, delay time.Duration, percent float64) error {
	both := nations.Both(a.Name, b.Name)
	return errors.Join(nations.Delay(ctx, delay, both), nations.Loss(ctx, percent, both))
}

// Restore heals every path between the nations.
func Restore(ctx context.Context) error { return nations.Restore(ctx, nil) }

// Tool returns the path of helm, kubectl or alertmanager.
func Tool(ctx context.Context, name string) (string, error) { return nations.Tool(ctx, name) }
