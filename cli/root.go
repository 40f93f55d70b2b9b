// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
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
	_ = root.RegisterFlagCompletionFunc("namespace", o.completeNamespaces)
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
	return root
}

const rootLong = `Links, feeds and hotlines of a CERT, through the API server of our own cluster.

card, peer and status read and write custom resources. check, trust, hotline, glossary, journal,
feed and territory talk to our relay with the certificate in the desk's Secret: who may get
that Secret may use the desk; with officers of its own, the desk takes their certificates.`

// within bounds a command by --timeout.
func (o *options) within(cmd *cobra.Command, otherwise time.Duration) (context.Context, context.CancelFunc) {
	o.desk.take(cmd)
	if o.timeout > 0 {
		otherwise = o.timeout
	}
	return context.WithTimeout(cmd.Context(), otherwise)
}
