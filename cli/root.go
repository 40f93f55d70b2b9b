// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// defaultTimeout bounds a command that asks and prints; longTimeout one that
// pushes objects or waits for people.
const (
	defaultTimeout = time.Minute
	longTimeout    = 15 * time.Minute
)

// options are what all commands share.
type options struct {
	genericiooptions.IOStreams
	kube      *genericclioptions.ConfigFlags
	localCERT string
	timeout   time.Duration
	desk      deskFlags
	now       func() time.Time
}

// New returns the whole command tree.
func New(streams genericiooptions.IOStreams, version string) *cobra.Command {
	o := &options{
		IOStreams: streams,
		kube:      genericclioptions.NewConfigFlags(true),
		now:       time.Now,
	}
	root := &cobra.Command{
		Use:           "kubectl-certlink",
		Short:         "Links, feeds and hotlines of a CERT",
		Long:          rootLong,
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl certlink"},
	}
	root.SetIn(streams.In)
	root.SetOut(streams.Out)
	root.SetErr(streams.ErrOut)
	flags := root.PersistentFlags()
	o.kube.AddFlags(flags)
	flags.StringVar(&o.localCERT, "local-cert", "", "name of our LocalCERT (default: the one of the namespace)")
	flags.DurationVar(&o.timeout, "timeout", 0, "longest time the command may take (default 1m; 15m where it pushes objects or waits)")
	o.desk.addTo(root)
	root.AddCommand(
		cardCommand(o),
		peerCommand(o),
		statusCommand(o),
		checkCommand(o),
		trustCommand(o),
		hotlineCommand(o),
		glossaryCommand(o),
		journalCommand(o),
		courierCommand(o),
		feedCommand(o),
		territoryCommand(o),
		profileCommand(o),
	)
	o.completeFlags(root)
	tellUsage(root)
	return root
}

const rootLong = `Links, feeds and hotlines of a CERT, through the API server of our own cluster.

card, peer and status read and write custom resources. check, trust, hotline, glossary, journal,
feed and territory talk to our relay with the certificate in the desk's Secret: who may get
that Secret may use the desk; with officers of its own, the desk takes their certificates.`

// group is a command that only holds others. For a name below it that does not exist cobra
// alone prints help and reports success; here it is an error, so that a script sees it.
func group(cmd *cobra.Command, below ...*cobra.Command) *cobra.Command {
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		cmd.SuggestionsMinimumDistance = 2
		hint := "see " + cmd.CommandPath() + " --help"
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			hint = "did you mean " + strings.Join(near, " or ") + "?"
		}
		return fmt.Errorf("unknown command %q for %q: %s", args[0], cmd.CommandPath(), hint)
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	cmd.DisableFlagsInUseLine = true
	cmd.AddCommand(below...)
	return cmd
}

// tellUsage adds to what is wrong with the arguments or flags of a command how it is used.
func tellUsage(cmd *cobra.Command) {
	if check := cmd.Args; check != nil && !cmd.HasSubCommands() {
		cmd.Args = func(cmd *cobra.Command, args []string) error { return withUsage(cmd, check(cmd, args)) }
	}
	cmd.SetFlagErrorFunc(withUsage)
	for _, below := range cmd.Commands() {
		tellUsage(below)
	}
}

func withUsage(cmd *cobra.Command, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w; it is used as: %s (see --help)", err, cmd.UseLine())
}

// within bounds a command by --timeout.
func (o *options) within(cmd *cobra.Command, otherwise time.Duration) (context.Context, context.CancelFunc) {
	o.desk.take(cmd)
	if o.timeout > 0 {
		otherwise = o.timeout
	}
	return context.WithTimeout(cmd.Context(), otherwise)
}
