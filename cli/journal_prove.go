// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/oklog/ulid/v2"
	"github.com/spf13/cobra"

	"github.com/certlink/certlink/internal/relayclient"
	"github.com/certlink/certlink/relay/desk"
)

// proveFlags are those of journal prove.
type proveFlags struct {
	received  bool
	receipt   bool
	directory string
	output    format
}

func journalProveCommand(o *options) *cobra.Command {
	f := &proveFlags{}
	cmd := &cobra.Command{
		Use:   "prove MESSAGE-ID",
		Short: "Write files that prove a message, or the receipt for it, to anybody",
		Long: `Write what proves a message of ours, with --received one of the peer, and with --receipt that it
was received, to somebody who has no certlink:

  MESSAGE-ID.entry        the entry of the journal: message/1, a line feed, the message
  MESSAGE-ID.tlog-proof   leads from it to the checkpoint that was signed (C2SP tlog-proof)
  MESSAGE-ID.chain.pem    the certificate of the signer and what leads to its CA
  MESSAGE-ID.vkey         the key of the checkpoint (signed note)

The files of a receipt begin with MESSAGE-ID.receipt. A message of ours and the receipt that we
gave are in our journal, under its newest checkpoint; what the peer sent, and its receipt,
are in the peer's, under the checkpoint that came with it. docs/journal.md says how they are checked. The entry holds the whole message: mind its TLP.`,
		Example: `  kubectl certlink journal prove 01J0000000000000000000000A --directory proof
  kubectl certlink journal prove 01J0000000000000000000000A --receipt
  kubectl certlink journal prove 01J0000000000000000000000B --received -o json`,
		Args: cobra.ExactArgs(1),
		ValidArgsFunction: func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
			if f.received {
				return o.completeIDs(cmd, args, prefix, relayclient.In)
			}
			return o.completeIDs(cmd, args, prefix, relayclient.Out)
		},
		RunE: o.atRelay(defaultTimeout, func(ctx context.Context, relay *relayclient.Client, args []string) error {
			return o.journalProve(ctx, relay, args[0], f)
		}),
	}
	cmd.Flags().BoolVar(&f.received, "received", false, "prove a message of the peer, not one of ours")
	cmd.Flags().BoolVar(&f.receipt, "receipt", false, "prove the receipt for the message, not the message")
	cmd.Flags().StringVar(&f.directory, "directory", ".", "where the files are written; it is made if need be")
	f.output.addTo(cmd)
	return cmd
}

func (o *options) journalProve(ctx context.Context, relay *relayclient.Client, id string, f *proveFlags) error {
	if _, err := ulid.ParseStrict(id); err != nil {
		return fmt.Errorf("%q is no message id", id)
	}
	direction, where := relayclient.Out, "the outbox"
	if f.received {
		direction, where = relayclient.In, "the inbox"
	}
	message, err := relay.Find(ctx, direction, id)
	if err != nil {
		return notFound(err, id, where)
	}
	proof, err := relay.Prove(ctx, direction, message.Peer, message.ID, f.receipt)
	if relayclient.IsStatus(err, 404) && f.receipt && !f.received {
		return fmt.Errorf("message %s has no receipt that proves anything: it is queued, or older than the journal", id)
	}
	if relayclient.IsStatus(err, 404) {
		return fmt.Errorf("message %s was stored before the journal began: its proof is the signed message of kubectl certlink hotline show %s -o json", id, id)
	}
	if err != nil {
		return err
	}
	if f.output != asTable {
		return f.output.document(o.Out, proof)
	}
	if f.receipt {
		id += ".receipt"
	}
	return o.writeProof(proof, id, f.directory)
}

// writeProof writes files that only their owner can read: they hold the message.
func (o *options) writeProof(p desk.MessageProof, id, directory string) error {
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return fmt.Errorf("making the directory: %w", err)
	}
	for _, file := range []struct {
		suffix  string
		content []byte
	}{
		{".entry", append([]byte(p.Kind+"\n"), p.Body...)},
		{".tlog-proof", []byte(p.Proof)},
		{".chain.pem", []byte(p.Chain)},
		{".vkey", []byte(p.VerifierKey + "\n")},
	} {
		path := filepath.Join(directory, id+file.suffix)
		if err := os.WriteFile(path, file.content, 0o600); err != nil {
			return fmt.Errorf("writing the proof: %w", err)
		}
		fmt.Fprintln(o.Out, path)
	}
	return nil
}
