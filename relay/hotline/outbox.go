// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/certlink/certlink/relay/hotline/wire"
	"github.com/certlink/certlink/relay/journal"
	"github.com/certlink/certlink/relay/store"
)

const (
	// attemptTimeout bounds one attempt to deliver a batch.
	attemptTimeout = 20 * time.Second
	// maxTries of one attempt, where the peer answered that it needs another proof, or its
	// answer shows an older state of its journal. One that was overtaken on the way does not
	// count: only the time of the attempt bounds these.
	maxTries = 4
)

// deliver does steps 2 to 4 of stored messages, see the package comment. Every step may be
// repeated: a crash after any of them leaves the messages queued. It returns what is
// wrong with single messages, by id, or with the line.
func (l *line) deliver(ctx context.Context, list []store.Message, precedence string) (failed map[string]error, err error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	failed = map[string]error{}
	list = l.readied(ctx, list, failed)
	if len(list) == 0 && len(failed) > 0 {
		return failed, nil
	}
	l.triedBefore(list)
	for tries := 0; tries < maxTries; {
		asked := l.asking()
		request, err := l.compose(ctx, list)
		if err != nil {
			return failed, &localError{doing: "signing messages", err: err}
		}
		body, err := l.post(over(ctx, precedence), request)
		if err != nil {
			return failed, err
		}
		outcome, err := l.settleAnswer(ctx, asked, body, list, failed)
		if err != nil || outcome == settled {
			return failed, err
		}
		if outcome == retry {
			tries++
		}
	}
	return failed, &receiptError{err: errors.New("our checkpoints and the peer's did not meet; its journal may have been set back")}
}

// readied leaves out messages whose attachments are not at the peer, and what follows them in
// their conversations.
func (l *line) readied(ctx context.Context, list []store.Message, failed map[string]error) []store.Message {
	var out []store.Message
	waits := map[string]bool{}
	for i := range list {
		m := &list[i]
		if waits[m.Conversation] {
			continue
		}
		if err := l.ready(ctx, m); err != nil {
			if len(waits) == 0 {
				out = slices.Clone(list[:i])
			}
			failed[m.ID], waits[m.Conversation] = err, true
		} else if len(waits) > 0 {
			out = append(out, *m)
		}
	}
	if len(waits) == 0 {
		return list // as nearly always
	}
	return out
}

// triedBefore counts messages that were sent since the start, and notes that all are sent now.
func (l *line) triedBefore(list []store.Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range list {
		if l.tried[list[i].ID] {
			l.engine.metrics.redelivered(l.hotline.Name)
		}
		l.tried[list[i].ID] = true
	}
}

// compose makes the batch of messages, which are stored; the peer may hold one of bases.
func (l *line) compose(ctx context.Context, list []store.Message, bases ...int64) ([]byte, error) {
	var covers int64
	for i := range list {
		if list[i].Entry == 0 {
			if err := l.findEntry(ctx, &list[i]); err != nil {
				return nil, err
			}
		}
		covers = max(covers, list[i].Entry)
	}
	b, prover, err := l.begin(ctx, covers, bases...)
	if err != nil {
		return nil, err
	}
	entries := make([]wire.Entry, len(list))
	for i := range list {
		entries[i] = wire.Entry{Index: list[i].Entry - 1, Kind: string(journal.Message), Body: list[i].Payload}
	}
	if err := prover.Add(entries...); err != nil {
		return nil, err
	}
	if err := l.announce(ctx, prover); err != nil {
		return nil, err
	}
	return b.Encode()
}

// findEntry finds the entry of a message that a release stored which did not note its place.
func (l *line) findEntry(ctx context.Context, m *store.Message) error {
	return l.engine.cfg.Store.GlanceLine(ctx, l.trustDomain, func(r store.LineReader) error {
		newest, _, err := r.Journal()
		if err != nil {
			return err
		}
		index, err := find(r, newest.Size, m)
		if err != nil {
			return fmt.Errorf("looking for message %s in the journal: %w", m.ID, err)
		}
		m.Entry = index + 1
		return nil
	})
}

// settleAnswer verifies an answer and stores the receipts in it, in one transaction with the
// peer's checkpoint; asked is what was so when the batch was composed. Unless it is settled, another
// batch may succeed at once.
func (l *line) settleAnswer(ctx context.Context, asked asked, body []byte, list []store.Message, failed map[string]error) (settlement, error) {
	identity := l.engine.cfg.Identity()
	o, err := l.openAnswer(identity, body)
	if err != nil {
		l.engine.metrics.receiptRefused(l.name())
		return retry, &receiptError{err: err}
	}
	if outcome, err := l.heed(ctx, asked, o); outcome != settled || err != nil {
		return outcome, err
	}
	receipts := l.verifyReceipts(identity, o, list, failed)
	state, era, err := l.keep(ctx, asked, o, receipts, len(list) > 0 && list[0].Urgency == 0)
	if err != nil {
		return retry, &localError{doing: "storing receipts", err: err}
	}
	if state == stateLeft {
		return retry, nil
	}
	if state != wire.Continues && state != wire.Forked && l.peerLog.overtook(asked, o) {
		return overtaken, nil
	}
	l.judge(state)
	switch state {
	case wire.Continues:
	case wire.Forked:
		return retry, &receiptError{err: fmt.Errorf("the peer's journal has two histories: %w", journal.ErrForked)}
	default:
		return retry, nil
	}
	l.peerLog.accepted(o, era)
	l.leaving.confirm(o.Held.Tree())
	l.delivered(ctx, list, failed)
	return settled, nil
}

// heed does what the peer says of our journal in place of receipts, and tells whether the
// batch is to be sent again. Neither that nor an error: the answer has receipts.
func (l *line) heed(ctx context.Context, asked asked, o *wire.Opened) (settlement, error) {
	lost, err := l.behind(ctx, o.Held)
	if err != nil {
		return retry, &localError{doing: "comparing our journal with what the peer holds", err: err}
	}
	if lost {
		l.suspect()
		return retry, errRolledBack
	}
	switch o.State {
	case wire.Continues:
		return settled, nil
	case wire.Recovering:
		l.awaitPeer()
		return retry, errPeerRecovers
	}
	told := o.State == wire.Behind || o.State == wire.Unlinked
	left, err := l.isLeft(ctx, o.Held.Tree())
	if left || err != nil || !l.leaving.within(o.Held.Tree()) {
		l.leaving.forget()
	}
	switch {
	case err != nil:
		return retry, &localError{doing: "reading the journal", err: err}
	case told && !left:
		l.leaving.confirm(o.Held.Tree())
		if o.Held.Tree().N > asked.own {
			return overtaken, nil // by another batch of ours
		}
	case !told && !left:
		return retry, &receiptError{err: fmt.Errorf("the peer says that our journal has two histories (%q)", oneLine(o.State))}
	}
	return retry, nil
}

// openAnswer reads an answer and verifies who signed it.
func (l *line) openAnswer(identity Identity, body []byte) (*wire.Opened, error) {
	b, err := wire.Decode(body)
	if err != nil {
		return nil, err
	}
	return l.openPeer(identity, b)
}

// verifyReceipts returns the receipts of an answer that are for messages of the batch, and
// adds to failed what is refused, what is wrong, and what was not answered.
func (l *line) verifyReceipts(identity Identity, o *wire.Opened, list []store.Message, failed map[string]error) []store.Receipt {
	asked := make(map[string]*store.Message, len(list))
	for i := range list {
		asked[list[i].ID] = &list[i]
	}
	of := evidenceOf(o)
	receipts := make([]store.Receipt, 0, len(o.Entries))
	wrong := func(m *store.Message, err error) {
		failed[m.ID] = &receiptError{err: err}
		l.engine.metrics.receiptRefused(l.name())
		delete(asked, m.ID)
	}
	for i := range o.Entries {
		e := &o.Entries[i]
		r, err := readReceipt(e.Body)
		m := asked[r.MessageID]
		if err != nil || m == nil {
			continue // it is for no message of this batch
		}
		if journal.Kind(e.Kind) != journal.Receipt {
			err = errors.New("it is an entry of another kind")
		} else if err = o.Check(e); err == nil {
			err = compareReceipt(r, m, identity.TrustDomain())
		}
		if err != nil {
			wrong(m, err)
			continue
		}
		receipts = append(receipts, store.Receipt{ID: m.ID, Body: e.Body, Proof: store.Proof{Of: of, Index: e.Index, Path: e.Path}, At: r.StoredAt})
		delete(asked, m.ID)
	}
	for _, r := range o.Refusals {
		m := asked[r.ID]
		if at, ok := position(r.ID); m == nil && ok && at < len(list) {
			m = asked[list[at].ID]
		}
		if m != nil {
			failed[m.ID] = &refusedError{status: r.Status, detail: oneLine(r.Detail)}
			delete(asked, m.ID)
		}
	}
	for _, m := range asked {
		wrong(m, errors.New("the answer has neither receipt nor refusal for the message"))
	}
	return receipts
}

// position reads what a refusal says instead of the id of a message that cannot be read.
func position(id string) (int, bool) {
	if len(id) < 2 || id[0] != '#' {
		return 0, false
	}
	at, err := strconv.Atoi(id[1:])
	return at, err == nil && at >= 0
}

// keep does step 4, and says in which era of the peer's journal; what was sent as FLASH is urgent.
func (l *line) keep(ctx context.Context, asked asked, o *wire.Opened, receipts []store.Receipt, urgent bool) (state string, era int, err error) {
	note := noteIn(o)
	w := &waiting{cost: -1, urgent: urgent, do: func(tx store.LineTx) (acts []store.JournalEntry, err error) {
		if l.peerLog.left(asked) {
			state = wire.Behind
			return nil, nil
		}
		acts, state, err = l.followed(tx, o, note, &asked)
		if era = l.peerLog.present(); err != nil || state != wire.Continues {
			return acts, err
		}
		return acts, tx.PutReceipts(receipts...)
	}}
	err = l.commit(ctx, w)
	return state, era, err
}

// noteIn is the note that the peer's journal goes on after its database was set back.
func noteIn(o *wire.Opened) *continuation {
	for i := range o.Entries {
		if e := &o.Entries[i]; journal.Kind(e.Kind) == journal.Note && holds(o.Check(e)) {
			return continuationOf(e.Body)
		}
	}
	return nil
}

// delivered notes the messages of a batch that have a receipt now.
func (l *line) delivered(ctx context.Context, list []store.Message, failed map[string]error) {
	n, now, last, name, precedence := 0, l.engine.cfg.Now(), "", l.name(), ""
	var took prometheus.Observer
	for i := range list {
		m := &list[i]
		if failed[m.ID] != nil {
			continue
		}
		if took == nil || m.Precedence != precedence {
			took, precedence = l.engine.metrics.took(name, m.Precedence), m.Precedence
		}
		n, last = n+1, m.ID
		took.Observe(now.Sub(m.StoredAt).Seconds())
	}
	if n > 0 {
		l.engine.metrics.delivered(name, n)
		l.engine.cfg.Log.InfoContext(ctx, "messages delivered", "peer", l.trustDomain, "messages", n, "message_id", last)
	}
}
