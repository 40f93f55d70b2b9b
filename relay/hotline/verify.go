// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/journal"
	"github.com/certlink/certlink/relay/receipt"
	"github.com/certlink/certlink/relay/store"
)

// batchesAtOnce is the number of batches that are read at once: each has at most 256
// entries, with their payloads.
const batchesAtOnce = 8

// JournalHead returns the newest checkpoint of our journal of a hotline, given by its
// name. The error wraps store.ErrNotFound if there is no such hotline.
func (e *Engine) JournalHead(ctx context.Context, hotline string) (desk.Journal, error) {
	l := e.lineNamed(hotline)
	if l == nil {
		return desk.Journal{}, fmt.Errorf("reading the journal: there is no hotline %q: %w", oneLine(hotline), store.ErrNotFound)
	}
	return l.head(ctx)
}

func (l *line) head(ctx context.Context) (desk.Journal, error) {
	newest, err := l.newest(ctx)
	if err != nil {
		return desk.Journal{}, fmt.Errorf("reading the journal: %w", err)
	}
	j := desk.Journal{
		Hotline: l.name(), Peer: l.trustDomain, Origin: l.origin(l.engine.cfg.Identity()),
		Size: newest.Size, At: newest.At, Checkpoint: string(newest.Signed),
	}
	if newest.Size > 0 {
		j.Root = newest.Root[:]
	}
	return j, nil
}

func (l *line) origin(identity Identity) string {
	return journal.Origin(identity.TrustDomain(), l.trustDomain)
}

func (l *line) newest(ctx context.Context) (newest store.Checkpoint, err error) {
	err = l.engine.cfg.Store.ReadLine(ctx, l.trustDomain, func(r store.LineReader) (err error) {
		newest, _, err = r.Journal()
		return err
	})
	return newest, err
}

// VerifyJournal reads our journal of a hotline, given by its name, from the first entry,
// and compares it with every checkpoint that we signed, with the hashes and with the
// messages in the store. Damage is told in the result and from then on in the report; an
// error means that the journal could not be read, or wraps store.ErrNotFound or
// desk.ErrBusy. Memory does not grow with the journal; messages go on meanwhile.
func (e *Engine) VerifyJournal(ctx context.Context, hotline string) (desk.JournalCheck, error) {
	l := e.lineNamed(hotline)
	if l == nil {
		return desk.JournalCheck{}, fmt.Errorf("verifying the journal: there is no hotline %q: %w", oneLine(hotline), store.ErrNotFound)
	}
	if !l.verifying.TryLock() {
		return desk.JournalCheck{}, fmt.Errorf("verifying the journal of %q: it is being verified: %w", oneLine(hotline), desk.ErrBusy)
	}
	defer l.verifying.Unlock()
	check, err := l.verifyAll(ctx, 0)
	if err != nil {
		return desk.JournalCheck{}, fmt.Errorf("verifying the journal of %q: %w", oneLine(hotline), err)
	}
	return check, nil
}

// verifyAll verifies what is here, compares it with what the peer shows, and tells it. After
// each part of the work it rests so many times as long as that took.
func (l *line) verifyAll(ctx context.Context, rest int) (desk.JournalCheck, error) {
	check, err := l.verify(ctx, rest)
	if err != nil {
		return check, err
	}
	check.Witness = l.witness(ctx)
	if check.Witness.State == desk.PeerDiffers && check.State != desk.JournalDamaged {
		check.State = desk.JournalDiffers
	}
	l.verified(ctx, check)
	return check, ctx.Err()
}

// verify reads messages before the head, so that each of them has its entry below it.
func (l *line) verify(ctx context.Context, rest int) (desk.JournalCheck, error) {
	out, in := l.messages(store.Out), l.messages(store.In)
	for _, side := range []*side{out, in} {
		if err := side.begin(ctx); err != nil {
			return desk.JournalCheck{}, err
		}
	}
	head, err := l.head(ctx)
	if err != nil {
		return desk.JournalCheck{}, err
	}
	identity := l.engine.cfg.Identity()
	v := &verification{line: l, rest: rest, check: desk.JournalCheck{Journal: head}, signers: newSigners(identity, head.Origin, l.engine.cfg.Now())}
	damage, err := v.entries(ctx)
	if err == nil && damage == nil {
		damage, err = v.messages(ctx, out, in)
	}
	if err != nil {
		return desk.JournalCheck{}, err
	}
	c := &v.check
	c.ExpiredSigners, c.UnknownSigners, c.Proven = v.signers.expired, v.signers.unknown, v.signers.proven
	switch c.Damage = damage; {
	case damage != nil:
		c.State = desk.JournalDamaged
	case c.Proven < c.Size:
		c.State = desk.JournalUnproven
	default:
		c.State = desk.JournalWhole
	}
	return *c, nil
}

// verified tells what a verification found.
func (l *line) verified(ctx context.Context, c desk.JournalCheck) {
	e, text := l.engine, ""
	switch c.State {
	case desk.JournalDamaged:
		text = oneLine(fmt.Sprintf("our journal is damaged: %s; see kubectl certlink journal verify %s", c.Damage, c.Hotline))
	case desk.JournalDiffers:
		text = oneLine(fmt.Sprintf("our journal is not what the peer holds of it: %s; see kubectl certlink journal verify %s", c.Witness.Reason, c.Hotline))
	case desk.JournalUnproven:
		text = oneLine(fmt.Sprintf("our journal is signed last by a certificate that our CA does not vouch for; see kubectl certlink journal verify %s", c.Hotline))
	}
	l.mu.Lock()
	before := l.damage
	l.damage, l.verifiedAt = text, e.cfg.Now().UTC()
	l.mu.Unlock()
	l.settleOwed(e.cfg.Now().UTC())
	e.metrics.journal(l.name(), c.State == desk.JournalWhole)
	e.metrics.verified.WithLabelValues(l.name()).Set(float64(e.cfg.Now().Unix()))
	if text != "" {
		e.cfg.Log.ErrorContext(ctx, "journal is not whole", "peer", l.trustDomain, "error", text)
	}
	if before != text {
		e.changed()
	}
}

// verification is one run.
type verification struct {
	line    *line
	check   desk.JournalCheck
	signers *signers
	auditor journal.Auditor
	// rest after each part of the work, so many times as long as it took.
	rest int
}

// pause rests after a part of the work that began then.
func (v *verification) pause(ctx context.Context, began time.Time) error {
	if v.rest == 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(min(time.Since(began), longestPart) * time.Duration(v.rest))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
	return ctx.Err()
}

// longestPart bounds a rest where the clock jumps.
const longestPart = 10 * time.Second

// entries walks from the first entry to the head.
func (v *verification) entries(ctx context.Context) (*desk.JournalDamage, error) {
	for v.auditor.Size() < v.check.Size {
		began := time.Now()
		batches, err := v.line.batches(ctx, v.auditor.Size(), batchesAtOnce)
		if err != nil {
			return nil, err
		}
		if len(batches) == 0 {
			return v.damage(store.JournalEntry{}, fmt.Sprintf("entries are missing: %d were signed, %d are there", v.check.Size, v.auditor.Size())), nil
		}
		for i := range batches {
			if damage, err := v.batch(ctx, &batches[i]); damage != nil || err != nil {
				return damage, err
			}
			if v.auditor.Size() >= v.check.Size {
				break
			}
		}
		if err := v.pause(ctx, began); err != nil {
			return nil, err
		}
	}
	if root := v.signers.last; v.auditor.Size() != v.check.Size || string(root[:]) != string(v.check.Root) && v.check.Size > 0 {
		return v.damage(store.JournalEntry{}, "the newest checkpoint is not the one at the end of the entries"), nil
	}
	return nil, nil
}

// batches reads a part of the journal.
func (l *line) batches(ctx context.Context, from int64, limit int) (batches []store.JournalBatch, err error) {
	err = l.engine.cfg.Store.ReadLine(ctx, l.trustDomain, func(r store.LineReader) (err error) {
		batches, err = r.JournalBatches(from, limit)
		return err
	})
	return batches, err
}

// batch compares one batch with its hashes, its checkpoint and the messages.
func (v *verification) batch(ctx context.Context, b *store.JournalBatch) (*desk.JournalDamage, error) {
	if b.First != v.auditor.Size() {
		return v.damage(store.JournalEntry{}, fmt.Sprintf("entries are missing: the next that is there is entry %d", b.First)), nil
	}
	for _, entry := range b.Entries {
		if reason := v.auditor.Add(journal.Entry{Kind: journal.Kind(entry.Kind), Body: entry.Body}, batchHashes{b}); reason != nil {
			return v.damage(entry, v.why(entry, reason)), nil
		}
		reason, err := v.entry(ctx, entry)
		if err != nil {
			return nil, err
		}
		if reason != "" {
			damage := v.damage(entry, reason)
			damage.Index--
			return damage, nil
		}
	}
	v.check.Checkpoints++
	tree := journal.Checkpoint{Origin: v.check.Origin, Tree: treeOf(b.Checkpoint)}
	if !holds(v.auditor.Compare(tree)) {
		return v.damage(store.JournalEntry{}, "the entries up to here are not those that were signed"), nil
	}
	if reason := v.signers.open(b.Checkpoint); reason != "" {
		return v.damage(store.JournalEntry{}, reason), nil
	}
	return nil, nil
}

// holds tells whether a check found nothing. What it found is damage to be named, no
// fault of the verification.
func holds(err error) bool { return err == nil }

// why explains an entry that does not have its hash.
func (v *verification) why(entry store.JournalEntry, err error) string {
	switch {
	case entry.Message != "" && len(entry.Body) == 0:
		return "the message of this entry is not in the store"
	case entry.Message != "":
		return "the message of this entry is not what was signed"
	default:
		return oneLine(err.Error())
	}
}

// entry compares an entry with the message that it is about, and counts it.
func (v *verification) entry(ctx context.Context, entry store.JournalEntry) (string, error) {
	switch journal.Kind(entry.Kind) {
	case journal.Message:
		v.check.Messages++
		if p, err := decodeStored(entry.Body); !holds(err) || p.ID != entry.Message {
			return "the entry stands for another message than it holds", nil
		}
	case journal.Receipt:
		v.check.Receipts++
		return v.receipt(ctx, entry)
	}
	return "", nil
}

// receipt compares a receipt of ours with the message that it is for.
func (v *verification) receipt(ctx context.Context, entry store.JournalEntry) (string, error) {
	id := entryMessage(entry)
	m, err := v.line.engine.cfg.Store.GetMessage(ctx, store.In, v.line.trustDomain, id)
	if errors.Is(err, store.ErrNotFound) {
		return "the received message of this receipt is not in the store", nil
	}
	if err != nil {
		return "", err
	}
	r, err := readReceipt(entry.Body)
	if err == nil {
		err = compareReceipt(r, &m, v.line.engine.cfg.Identity().TrustDomain())
	}
	if !holds(err) {
		return "the received message is not the one that was receipted", nil
	}
	if content := receiptBody(m.Receipt); string(content) != string(entry.Body) {
		return "the receipt beside the message is not the one that was entered", nil
	}
	return "", nil
}

// damage names the next entry.
func (v *verification) damage(entry store.JournalEntry, reason string) *desk.JournalDamage {
	d := &desk.JournalDamage{Index: v.auditor.Size(), Kind: entry.Kind, Message: entryMessage(entry), Reason: reason}
	switch {
	case d.Message == "":
	case journal.Kind(entry.Kind) == journal.Receipt:
		d.Direction = string(store.In)
	default:
		d.Direction = string(store.Out)
	}
	return d
}

// batchHashes reads the hashes of a batch.
type batchHashes struct{ *store.JournalBatch }

// ReadHashes implements tlog.HashReader.
func (b batchHashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		at := index - b.FirstHash
		if at < 0 || at >= int64(len(b.Hashes)) {
			return nil, fmt.Errorf("hash %d: %w", index, store.ErrNotFound)
		}
		out[i] = tlog.Hash(b.Hashes[at])
	}
	return out, nil
}

// receiptBody is the body of a receipt as it is stored; releases before stored a JWS.
func receiptBody(stored []byte) []byte {
	if len(stored) > 0 && stored[0] == '{' {
		return stored
	}
	content, err := receipt.Content(stored)
	if err != nil {
		return nil
	}
	return content
}
