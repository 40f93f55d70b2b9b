// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/certlink/certlink/test/scenario"
)

// quickStart is the page, quickStartNamespace where it makes its CERTs, and quickStartTime what a
// reader has.
const (
	quickStart          = "docs/quickstart.md"
	quickStartNamespace = "cert"
	quickStartTime      = 10 * time.Minute
)

var (
	// shellBlock is a block of commands of the page that says at which side it is run.
	shellBlock  = regexp.MustCompile("(?ms)^```sh\n# at (alfa|bravo|both)\n(.*?)^```$")
	fingerprint = regexp.MustCompile(`Fingerprint: ([0-9a-f-]+)`)
	storedID    = regexp.MustCompile(`(?m)^([0-9A-Z]{26}) stored on`)
)

// reader is who follows the page, at both sides, in one directory.
type reader struct {
	directory string
	sides     map[string]*scenario.Party
	// fingerprints are what each side read to the other, message is the id of the first one.
	fingerprints map[string]string
	message      string
}

// TestTheQuickStartHolds runs the commands of docs/quickstart.md word for word, with CERTs of
// their own in the clusters of the other tests.
func TestTheQuickStartHolds(t *testing.T) {
	if !needsHarness(t, "addresses for Services of type LoadBalancer") {
		return
	}
	start := time.Now()
	root, err := scenario.Repository()
	must(t, err)
	page, err := os.ReadFile(filepath.Join(root, quickStart))
	must(t, err)
	r := &reader{directory: t.TempDir(), sides: map[string]*scenario.Party{"alfa": alfa, "bravo": bravo}, fingerprints: map[string]string{}}
	must(t, r.settle(t.Context(), root))
	leave := func(ctx context.Context) error {
		return both(ctx, func(ctx context.Context, p, _ *scenario.Party) error {
			return scenario.NewParty(p.Cluster, quickStartNamespace, programs).Remove(ctx)
		})
	}
	ctx := within(t, quickStartTime)
	must(t, leave(ctx))
	cleanup(t, leave)
	blocks := shellBlock.FindAllStringSubmatch(string(page), -1)
	for _, block := range blocks {
		sides := []string{block[1]}
		if block[1] == "both" {
			sides = []string{"alfa", "bravo"}
		}
		for _, side := range sides {
			if err := r.run(ctx, side, block[2]); err != nil {
				t.Fatalf("at %s, %v", side, err)
			}
		}
	}
	if len(blocks) < 10 || r.message == "" {
		t.Errorf("the page has %d blocks of commands, and the message %q: it no longer shows the way to one", len(blocks), r.message)
	}
	t.Logf("from the chart to an answered message in %.1fs", time.Since(start).Seconds())
}

// settle gives the reader the tree's chart, the commands, and a kubeconfig of each side to change.
func (r *reader) settle(ctx context.Context, root string) error {
	bin := filepath.Join(r.directory, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		return fmt.Errorf("making a place for the commands: %w", err)
	}
	links := map[string]string{filepath.Join(r.directory, "charts"): filepath.Join(root, "charts"), filepath.Join(bin, "kubectl-certlink"): programs.CLI}
	for _, name := range []string{"kubectl", "helm"} {
		path, err := scenario.Tool(ctx, name)
		if err != nil {
			return err
		}
		links[filepath.Join(bin, name)] = path
	}
	for link, target := range links {
		if err := os.Symlink(target, link); err != nil {
			return fmt.Errorf("linking to %q: %w", target, err)
		}
	}
	for side, p := range r.sides {
		kubeconfig, err := os.ReadFile(p.Kubeconfig)
		if err != nil {
			return fmt.Errorf("reading the kubeconfig of %s: %w", side, err)
		}
		if err := os.WriteFile(r.kubeconfig(side), kubeconfig, 0o600); err != nil {
			return fmt.Errorf("copying the kubeconfig of %s: %w", side, err)
		}
	}
	return nil
}

func (r *reader) kubeconfig(side string) string {
	return filepath.Join(r.directory, side+".kubeconfig")
}

// run runs a block as it stands on the page, with what the other side has said in the place of
// FINGERPRINT and ID.
func (r *reader) run(ctx context.Context, side, block string) error {
	other := map[string]string{"alfa": "bravo", "bravo": "alfa"}[side]
	block = strings.ReplaceAll(block, "FINGERPRINT", r.fingerprints[other])
	block = regexp.MustCompile(`\bID\b`).ReplaceAllString(block, r.message)
	repository, tag, _ := strings.Cut(r.sides[side].Image, ":") // localhost/certlink:TAG, without a port
	shell := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", block)
	shell.Dir = r.directory
	shell.Env = append(os.Environ(), "KUBECONFIG="+r.kubeconfig(side), "REPOSITORY="+repository, "TAG="+tag,
		"PATH="+filepath.Join(r.directory, "bin")+string(filepath.ListSeparator)+os.Getenv("PATH"))
	var said bytes.Buffer
	shell.Stdout, shell.Stderr = &said, &said
	if err := shell.Run(); err != nil {
		return fmt.Errorf("running %w:\n%s\nit said:\n%s", err, block, said.String())
	}
	if match := fingerprint.FindStringSubmatch(said.String()); match != nil && strings.Contains(block, "certlink card") {
		r.fingerprints[side] = match[1]
	}
	if match := storedID.FindStringSubmatch(said.String()); match != nil && r.message == "" {
		r.message = match[1]
	}
	return nil
}
