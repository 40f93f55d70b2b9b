// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/certlink/certlink/api/v1alpha1"
)

// rotateTimeout is how long trust rotate --wait waits, without --timeout.
const rotateTimeout = 30 * time.Minute

// rotatePause is how often trust rotate --wait looks.
const rotatePause = 2 * time.Second

func trustRotateCommand(o *options) *cobra.Command {
	var wait, dryRun bool
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Replace our root by a new one with a new key, step by step, without losing the link",
		Long: `Raise spec.authority.generation of our LocalCERT by one: the operator then makes a CA
with a new key and replaces our root step by step, each when every peer is ready. Nothing
is cut. While a peer is away the rotation waits for it: see spec.authority.leaveBehind.

Where your manifests are applied from a repository, raise the number there instead: what
this command writes would be put back. With --wait it prints each step until the end, and
its exit code is 1 when that does not come within --timeout (default 30m). The rotation
goes on without it.`,
		Example: `  kubectl certlink trust rotate --wait
  kubectl certlink trust rotate --dry-run`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := o.within(cmd, rotateTimeout)
			defer cancel()
			s, err := o.session()
			if err != nil {
				return err
			}
			l, err := s.ours(ctx)
			if err != nil {
				return err
			}
			generation, err := o.rotate(ctx, s.client, l, dryRun)
			if err != nil || dryRun || !wait {
				return err
			}
			return o.followRotation(ctx, s.client, l, generation, time.NewTicker(rotatePause).C)
		},
	}
	cmd.Flags().BoolVar(&wait, "wait", false, "print each step until the rotation has ended")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "say what would be done, and let the API server check it; change nothing")
	return cmd
}

// nextGeneration is the one that asks for another root, or why none can be asked for.
func nextGeneration(l *v1alpha1.LocalCERT) (int32, error) {
	if ref := l.Spec.IssuerRef; ref != nil {
		return 0, fmt.Errorf("LocalCERT %q has an issuer of yours, %s: replace the root there, or name another issuer; the rotation begins by itself", l.Name, ref.Name)
	}
	if r := l.Status.Rotation; r != nil {
		return 0, fmt.Errorf("LocalCERT %q: a rotation is under way since %s, step %s; wait for its end", l.Name, clock(r.StartTime.Time), r.Step)
	}
	next := int32(1)
	if g := l.Spec.Authority.Generation; g != nil {
		next = max(next, *g)
	}
	return max(next, l.Status.Authority.Generation, l.Status.Authority.RequestedGeneration) + 1, nil
}

// rotate asks for another root and returns its generation.
func (o *options) rotate(ctx context.Context, c client.Client, l *v1alpha1.LocalCERT, dryRun bool) (int32, error) {
	next, err := nextGeneration(l)
	if err != nil {
		return 0, err
	}
	before := l.DeepCopy()
	l.Spec.Authority.Generation = &next
	patch := []client.PatchOption{client.FieldOwner("kubectl-certlink")}
	if dryRun {
		patch = append(patch, client.DryRunAll)
	}
	// The version is part of the patch: two people who ask at once ask for one rotation.
	if err := c.Patch(ctx, l, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}), patch...); err != nil {
		return 0, fmt.Errorf("raising spec.authority.generation of LocalCERT %q to %d: %w", l.Name, next, err)
	}
	if dryRun {
		fmt.Fprintf(o.Out, "Would raise spec.authority.generation of LocalCERT %q to %d.\n", l.Name, next)
		return next, nil
	}
	fmt.Fprintf(o.Out, "spec.authority.generation of LocalCERT %q is %d: the operator begins to replace our root.\n", l.Name, next)
	return next, nil
}

// followRotation prints each step until the generation is in use and nothing is left to do.
func (o *options) followRotation(ctx context.Context, c client.Client, l *v1alpha1.LocalCERT, generation int32, again <-chan time.Time) error {
	last := ""
	for {
		if err := c.Get(ctx, client.ObjectKeyFromObject(l), l); err != nil && ctx.Err() == nil {
			return fmt.Errorf("reading LocalCERT %q: %w", l.Name, err)
		}
		line, done := rotationLine(l, generation)
		if line != last {
			fmt.Fprintf(o.Out, "%s  %s\n", clock(o.now()), line)
			last = line
		}
		if done {
			return nil
		}
		select {
		case <-again:
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return fmt.Errorf("%w: the rotation has not ended yet and goes on: see kubectl get lcert %s -o wide", ErrUnwell, l.Name)
			}
			return ctx.Err()
		}
	}
}

// rotationLine says how far a rotation is, and whether it has ended.
func rotationLine(l *v1alpha1.LocalCERT, generation int32) (string, bool) {
	if r := l.Status.Rotation; r != nil {
		line := fmt.Sprintf("%s: %s", r.Step, oneLine(or(r.WaitingFor, "under way")))
		return line, false
	}
	a := l.Status.Authority
	if a.Generation < generation {
		return "waiting for the operator to begin", false
	}
	return fmt.Sprintf("done: our root is %s", digits(oneLine(a.Root))), true
}
