// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/message"
	"github.com/certlink/certlink/relay/store"
)

// uses are the attachments of a message as the store knows them, each once. The message was
// checked: what is no digest is left out, and never stored complete.
func uses(list []message.Attachment) []store.AttachmentUse {
	var out []store.AttachmentUse
	for _, a := range list {
		u := store.AttachmentUse{Size: a.Size}
		if n, err := hex.Decode(u.SHA256[:], []byte(a.SHA256)[:min(len(a.SHA256), 2*len(u.SHA256))]); err != nil || n != len(u.SHA256) {
			u.SHA256 = store.Hash{}
		}
		if !slices.Contains(out, u) {
			out = append(out, u)
		}
	}
	return out
}

// checkFiles looks at the names of attachments of ours more closely than at those of peers:
// each can be a file at the other end, and is called by its name there.
func checkFiles(list []message.Attachment, f *faults) {
	seen := map[string]bool{}
	for i, a := range list {
		at := fmt.Sprintf("attachments/%d/name", i)
		f.require(a.Name == desk.SafeName(a.Name), at, "must be a file name of at most 255 bytes, without control characters, separators, or a dot or dash in front")
		f.require(!seen[a.Name], at, "is the name of another attachment of the message")
		seen[a.Name] = true
	}
}

// holdFiles keeps the attachments of a draft of that id, and lets go those that it named
// before. After an error of one draft nothing was done.
func holdFiles(tx store.LineTx, id string, list []message.Attachment) error {
	if err := tx.HoldAttachments(store.Out, id, uses(list)); err != nil {
		return ofOne(err, errors.Is(err, store.ErrIncomplete))
	}
	if err := tx.DropAttachments(store.Out, id); err != nil {
		return err
	}
	return tx.HoldAttachments(store.Out, id, uses(list))
}
