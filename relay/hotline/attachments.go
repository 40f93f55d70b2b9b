// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"context"
	"net/http"

	"github.com/certlink/certlink/relay/message"
	"github.com/certlink/certlink/relay/store"
)

// Attachments knows where the files of messages are. Both methods are safe concurrently.
type Attachments interface {
	// Ready tells whether all attachments of an outgoing message are stored at the peer.
	// While they are not, the message and its conversation wait: until Engine.Stored of
	// the peer, or for a bounded pause.
	Ready(ctx context.Context, trustDomain string, list []message.Attachment) (bool, error)
	// Complete tells whether all attachments of an incoming message are stored here and
	// have the digest that it names. While they are not, the message is refused for now.
	Complete(ctx context.Context, trustDomain string, list []message.Attachment) (bool, error)
}

// statusIncomplete refuses a message for now: what it needs is not here yet (RFC 4918, section 11.4).
const statusIncomplete = http.StatusFailedDependency

// ready tells whether a message of ours may leave.
func (l *line) ready(ctx context.Context, m *store.Message) error {
	list, err := attachmentsOf(m.Payload)
	if err != nil || len(list) == 0 {
		return err
	}
	if l.engine.cfg.Attachments == nil {
		return errNotReady
	}
	switch ok, err := l.engine.cfg.Attachments.Ready(ctx, l.trustDomain, list); {
	case err != nil:
		return &localError{doing: "looking for attachments", err: err}
	case !ok:
		return errNotReady
	}
	return nil
}

// complete refuses a message of the peer whose attachments are not here.
func (l *line) complete(ctx context.Context, list []message.Attachment) error {
	if len(list) == 0 {
		return nil
	}
	if l.engine.cfg.Attachments == nil {
		return refuse(http.StatusUnprocessableEntity, "attachments: this relay takes none")
	}
	switch ok, err := l.engine.cfg.Attachments.Complete(ctx, l.trustDomain, list); {
	case err != nil:
		return err
	case !ok:
		return refuse(statusIncomplete, "attachments: not all of them are stored here yet; send them first")
	}
	return nil
}
