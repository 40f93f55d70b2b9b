// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/certlink/certlink/internal/relayclient"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/message"
)

func attachmentCommand(o *options) *cobra.Command {
	return group(&cobra.Command{
		Use:   "attachment",
		Short: "Get the files of messages",
	}, attachmentGetCommand(o))
}

// getFlags are those of hotline attachment get.
type getFlags struct {
	file  string
	force bool
}

func attachmentGetCommand(o *options) *cobra.Command {
	f := &getFlags{}
	cmd := &cobra.Command{
		Use:   "get ID NAME",
		Short: "Get a file of a message, and compare it with its digest",
		Long: `Get a file of a message. NAME is its name or the beginning of its SHA-256, as
kubectl certlink hotline show prints them. The file appears only once all of it
has come and has its digest; an existing one stays unless --force is given.

Nobody has looked into the file: its name and type are what the sender says, and
it may be hostile. Open it where that does no harm.`,
		Example:           `  kubectl certlink hotline attachment get 01J... report.pdf -o /evidence/report.pdf`,
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: o.completeAttachments(),
		RunE: o.atRelay(longTimeout, func(ctx context.Context, relay *relayclient.Client, args []string) error {
			m, err := relay.Find(ctx, "", args[0])
			if err != nil {
				return notFound(err, args[0], "inbox or outbox")
			}
			return o.getAttachment(ctx, relay, m, args[1], f)
		}),
	}
	cmd.Flags().StringVarP(&f.file, "output", "o", "", "where to put it (default: under its name in this directory)")
	cmd.Flags().BoolVar(&f.force, "force", false, "overwrite an existing file")
	return cmd
}

func (o *options) getAttachment(ctx context.Context, relay *relayclient.Client, m desk.Message, name string, f *getFlags) error {
	a, err := attached(m, name)
	if err != nil {
		return err
	}
	target := f.file
	if target == "" {
		target = desk.SafeName(a.Name)
	}
	if _, err := os.Lstat(target); err == nil && !f.force {
		return fmt.Errorf("%s exists: give another place with -o, or --force", target)
	}
	if err := o.fetch(ctx, relay, m, a, target, f.force); err != nil {
		return err
	}
	fmt.Fprintf(o.Out, "%s: %d bytes, sha256 %s\n", target, a.Size, a.SHA256)
	return nil
}

// fetch writes beside the target, compares, syncs, and gives the file its name last: a crash
// before that leaves the target as it was, and a hidden part of a file.
func (o *options) fetch(ctx context.Context, relay *relayclient.Client, m desk.Message, a message.Attachment, target string, force bool) (err error) {
	part, err := os.CreateTemp(filepath.Dir(target), ".certlink-*.part") // for our eyes alone, mode 0600
	if err != nil {
		return fmt.Errorf("writing the attachment: %w", err)
	}
	defer func() {
		_ = part.Close() // closed twice when all went well
		_ = os.Remove(part.Name())
	}()
	progress, done := o.fileBar(a)
	sum := sha256.New()
	count := &counter{told: progress}
	err = relay.Download(ctx, m, a, io.MultiWriter(part, sum, count))
	done()
	if err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != a.SHA256 {
		return fmt.Errorf("attachment %q has the digest %s, not %s as the message says: nothing was written; tell whoever runs the relay", a.Name, got, a.SHA256)
	}
	if err := errors.Join(part.Sync(), part.Close()); err != nil {
		return fmt.Errorf("writing the attachment: %w", err)
	}
	if force {
		err = os.Rename(part.Name(), target)
	} else {
		err = os.Link(part.Name(), target) // fails if somebody else has made it meanwhile
	}
	if err != nil {
		return fmt.Errorf("writing the attachment: %w", err)
	}
	return nil
}

// counter tells how many bytes were written.
type counter struct {
	n    int64
	told func(int64)
}

func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	c.told(c.n)
	return len(p), nil
}
