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
	"mime"
	"os"
	"path/filepath"
	"strings"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/certlink/certlink/internal/relayclient"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/message"
)

// maxAttached is how many files a message may carry.
const maxAttached = 16

// attachFlags are those of hotline send for files.
type attachFlags struct{ files []string }

func (f *attachFlags) addTo(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&f.files, "attach", nil, "file to send with the message, at most 25 MiB; may be repeated, 16 times at most")
}

// look reads what the files are, so that mistakes are told before anything is sent.
func (f *attachFlags) look() ([]message.Attachment, error) {
	if len(f.files) > maxAttached {
		return nil, fmt.Errorf("--attach is given %d times: a message carries at most %d files", len(f.files), maxAttached)
	}
	var list []message.Attachment
	var faults []error
	seen := map[string]string{}
	for _, path := range f.files {
		a, err := describe(path)
		if before := seen[a.Name]; err == nil && before != "" {
			err = fmt.Errorf("--attach %s: a file of that name is attached already, %s: rename one", path, before)
		}
		if err != nil {
			faults = append(faults, err)
			continue
		}
		seen[a.Name] = path
		list = append(list, a)
	}
	return list, errors.Join(faults...)
}

// describe reads a file once, for its digest.
func describe(path string) (message.Attachment, error) {
	file, err := os.Open(path)
	if err != nil {
		return message.Attachment{}, fmt.Errorf("--attach: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	switch {
	case err != nil:
		return message.Attachment{}, fmt.Errorf("--attach: %w", err)
	case !info.Mode().IsRegular():
		return message.Attachment{}, fmt.Errorf("--attach %s: it is no file", path)
	case info.Size() == 0:
		return message.Attachment{}, fmt.Errorf("--attach %s: it is empty", path)
	case info.Size() > message.MaxAttachmentBytes:
		return message.Attachment{}, fmt.Errorf("--attach %s: it has %d bytes, an attachment at most %d: split it, or share it in a feed", path, info.Size(), message.MaxAttachmentBytes)
	}
	sum := sha256.New()
	n, err := io.Copy(sum, io.LimitReader(file, message.MaxAttachmentBytes+1))
	if err != nil {
		return message.Attachment{}, fmt.Errorf("--attach: reading: %w", err)
	}
	if n != info.Size() {
		return message.Attachment{}, fmt.Errorf("--attach %s: it changes while it is read", path)
	}
	return message.Attachment{
		Name: desk.SafeName(filepath.Base(path)), MediaType: mediaType(path), Size: n, SHA256: hex.EncodeToString(sum.Sum(nil)),
	}, nil
}

// mediaType is what the name of a file says; "" if it says nothing.
func mediaType(path string) string {
	kind, _, err := mime.ParseMediaType(mime.TypeByExtension(filepath.Ext(path)))
	if err != nil {
		return ""
	}
	return kind
}

// upload brings the files to our relay.
func (o *options) upload(ctx context.Context, relay *relayclient.Client, hotline string, files []string, list []message.Attachment) error {
	for i, a := range list {
		if err := o.uploadFile(ctx, relay, hotline, files[i], a); err != nil {
			return err
		}
	}
	return nil
}

func (o *options) uploadFile(ctx context.Context, relay *relayclient.Client, hotline, path string, a message.Attachment) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("--attach: %w", err)
	}
	defer file.Close()
	progress, done := o.fileBar(a)
	err = relay.Upload(ctx, hotline, a, file, progress)
	done()
	if err != nil {
		return fmt.Errorf("%w (what was stored stays for a day: run the command again to go on)", err)
	}
	return nil
}

// fileBar draws how far a file has come, if somebody watches.
func (o *options) fileBar(a message.Attachment) (progress func(int64), done func()) {
	if !isTerminal(o.ErrOut) {
		return func(int64) {}, func() {}
	}
	b := progressbar.NewOptions64(a.Size, progressbar.OptionSetWriter(o.ErrOut), progressbar.OptionClearOnFinish(), progressbar.OptionSetWidth(30),
		progressbar.OptionShowBytes(true), progressbar.OptionSetDescription(oneLine(a.Name)))
	// A terminal that is gone has nobody before it.
	return func(n int64) { _ = b.Set64(n) }, func() { _ = b.Finish() }
}

// attachmentRows are the rows of hotline show for files.
func attachmentRows(m desk.Message) [][]string {
	var rows [][]string
	for _, a := range m.Attachments {
		kind := ""
		if a.MediaType != "" {
			kind = ", " + oneLine(a.MediaType)
		}
		rows = append(rows, []string{"Attachment:", fmt.Sprintf("%s (%d bytes%s, sha256 %s)", oneLine(a.Name), a.Size, kind, oneLine(a.SHA256))})
	}
	return rows
}

// attached finds an attachment by its name, or by the beginning of its digest.
func attached(m desk.Message, name string) (message.Attachment, error) {
	var found []message.Attachment
	names := []string{}
	for _, a := range m.Attachments {
		names = append(names, oneLine(a.Name))
		if a.Name == name || len(name) >= 8 && strings.HasPrefix(a.SHA256, name) {
			found = append(found, a)
		}
	}
	switch {
	case len(m.Attachments) == 0:
		return message.Attachment{}, fmt.Errorf("message %s has no attachments", m.ID)
	case len(found) == 0:
		return message.Attachment{}, fmt.Errorf("message %s has no attachment %q; it has: %s", m.ID, name, strings.Join(names, ", "))
	case len(found) > 1:
		return message.Attachment{}, fmt.Errorf("message %s has %d attachments %q: give the beginning of the digest, as kubectl certlink hotline show %s prints it", m.ID, len(found), name, m.ID)
	}
	return found[0], nil
}
