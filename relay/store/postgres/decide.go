// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/certlink/certlink/relay/store"
)

// Decide implements store.Views.
//
// One transaction, which holds the clock's row: two replicas that decide about
// the same records do so one after the other, and the second finds what the
// first has decided.
func (s *Store) Decide(ctx context.Context, v store.View, decisions []store.Decision) error {
	const doing = "storing decisions"
	if len(decisions) > store.MaxRecords {
		return fmt.Errorf("%s: %d at once are more than %d", doing, len(decisions), store.MaxRecords)
	}
	for _, d := range decisions {
		if len(d.Evidence) > store.MaxEvidence {
			return fmt.Errorf("%s: evidence of %d bytes is longer than %d", doing, len(d.Evidence), store.MaxEvidence)
		}
	}
	if len(decisions) == 0 {
		return nil
	}
	words, err := s.learn(ctx, doing, wordsOfDecisions(v, decisions)...)
	if err != nil {
		return err
	}
	return s.changeFeeds(ctx, doing, func(ctx context.Context, tx pgx.Tx) error {
		// Each decision takes one position at most: a place in the view, or that of a withdrawal.
		first, err := s.tick(ctx, tx, len(decisions))
		if err != nil {
			return err
		}
		d := &deciding{tx: tx, words: words, next: first, rows: map[int64]*decided{}, change: map[group]int64{}, now: s.now().UnixMicro()}
		if err := d.run(ctx, v, decisions); err != nil {
			return err
		}
		return s.lapseBaseless(ctx, tx, decisions)
	})
}

func wordsOfDecisions(v store.View, decisions []store.Decision) []string {
	words, seen := []string{v.Rule, store.Replacing}, map[string]bool{"": true}
	for _, d := range decisions {
		for _, w := range []string{d.Reason, d.Form} {
			if !seen[w] {
				seen[w] = true
				words = append(words, w)
			}
		}
	}
	return append(words, "")
}

// group is what decisions are counted by.
type group struct {
	collection, rule int32
	share            bool
	reason           int32
}

// decided is what is decided about one record.
type decided struct {
	group
	typ, form    int32
	added, until int64
	// evidence of the decision; hadEvidence tells that some is stored.
	evidence    string
	hadEvidence bool
	// was tells that a decision is stored.
	was bool
}

// withdrawal is a record that a peer must drop, and its position.
type withdrawal struct{ seq, pos int64 }

// deciding is one Decide: it reads once what was decided, and writes once what is.
type deciding struct {
	lens
	tx    pgx.Tx
	words map[string]int32
	// next is the next position, handed that up to which records were handed out,
	// now the time of the decisions.
	next, handed, now int64
	// seqs are the records in the order of their first decision.
	seqs        []int64
	rows        map[int64]*decided
	change      map[group]int64
	withdrawals []withdrawal
	takings     int64
}

func (d *deciding) run(ctx context.Context, v store.View, decisions []store.Decision) error {
	d.rule = d.words[v.Rule]
	var err error
	if d.view, err = viewID(ctx, d.tx, v.Feed, v.Peer); err != nil {
		return err
	}
	// From here on nothing of the view is handed out that this could miss.
	if err := d.tx.QueryRow(ctx, "SELECT handed_to FROM views WHERE id = $1 FOR UPDATE", d.view).Scan(&d.handed); err != nil {
		return err
	}
	if err := d.read(ctx, decisions); err != nil {
		return err
	}
	for _, decision := range decisions {
		if err := d.one(decision); err != nil {
			return err
		}
	}
	for _, write := range []func(context.Context) error{d.copy, d.update, d.writeEvidence, d.withdraw, d.finish} {
		if err := write(ctx); err != nil {
			return err
		}
	}
	return nil
}

// viewID returns the number of a view, and makes one for a new view.
func viewID(ctx context.Context, tx pgx.Tx, feed, peer string) (id int32, err error) {
	const find = "SELECT id FROM views WHERE feed = $1 AND peer = $2"
	if err = tx.QueryRow(ctx, find, feed, peer).Scan(&id); !errors.Is(err, pgx.ErrNoRows) {
		return id, err
	}
	if _, err = tx.Exec(ctx, "INSERT INTO views (feed, peer) VALUES ($1, $2) ON CONFLICT DO NOTHING", feed, peer); err != nil {
		return 0, err
	}
	err = tx.QueryRow(ctx, find, feed, peer).Scan(&id)
	return id, err
}

// read finds the records and what was decided about them.
func (d *deciding) read(ctx context.Context, decisions []store.Decision) error {
	for _, decision := range decisions {
		if d.rows[decision.Seq] == nil {
			d.rows[decision.Seq] = &decided{}
			d.seqs = append(d.seqs, decision.Seq)
		}
	}
	rows, err := d.tx.Query(ctx, `SELECT o.seq, o.collection, o.type, d.view IS NOT NULL, coalesce(d.rule, 0), coalesce(d.share, false),
		coalesce(d.reason, 0), coalesce(d.added, 0), coalesce(d.form, 0), coalesce(d.evidence, false)
		FROM unnest($2::bigint[]) u (seq) JOIN objects o ON o.seq = u.seq LEFT JOIN decisions d ON d.view = $1 AND d.seq = u.seq`, d.view, d.seqs)
	if err != nil {
		return err
	}
	var seq int64
	var r decided
	into := []any{&seq, &r.collection, &r.typ, &r.was, &r.rule, &r.share, &r.reason, &r.added, &r.form, &r.hadEvidence}
	_, err = pgx.ForEachRow(rows, into, func() error {
		*d.rows[seq] = r
		return nil
	})
	return err
}

// lapsedAtOnce is an until that is before every time asked for.
const lapsedAtOnce = 1

func (d *deciding) one(decision store.Decision) error {
	r := d.rows[decision.Seq]
	if r.collection == 0 {
		return fmt.Errorf("record %d: %w", decision.Seq, store.ErrNotFound)
	}
	var form int32
	if decision.Form != "" {
		form = d.words[decision.Form]
	}
	handed := r.share && r.added <= d.handed
	until := micros(decision.Until)
	if decision.Share && handed && form != r.form {
		decision = store.Decision{Seq: decision.Seq, Reason: store.Replacing}
		until = lapsedAtOnce
	}
	is := group{collection: r.collection, rule: d.rule, share: decision.Share, reason: d.words[decision.Reason]}
	if r.share && (!is.share || form != r.form) {
		d.takings++ // also for a form: a page that was just read has the one before
	}
	switch {
	case r.share && !is.share:
		if handed {
			d.withdrawals = append(d.withdrawals, withdrawal{decision.Seq, d.next})
			d.next++
		}
		r.added, form = 0, 0
	case !is.share:
		r.added, form = 0, 0
	case !r.share:
		r.added = d.next
		d.next++
	}
	if r.rule != 0 {
		d.change[r.group]--
	}
	d.change[is]++
	r.group, r.form, r.until, r.evidence = is, form, until, decision.Evidence
	return nil
}

// copy adds the decisions that are the first about their record.
func (d *deciding) copy(ctx context.Context) error {
	next := 0
	const statement = "COPY decisions (seq, added, decided, until, view, rule, reason, collection, type, form, share, evidence) FROM STDIN BINARY"
	return copyIn(ctx, d.tx, statement, func(w *copyWriter) bool {
		for next < len(d.seqs) && d.rows[d.seqs[next]].was {
			next++
		}
		if next == len(d.seqs) {
			return false
		}
		seq := d.seqs[next]
		next++
		r := d.rows[seq]
		w.row(12)
		for _, n := range []int64{seq, r.added, d.now, r.until} {
			w.int64(n)
		}
		for _, n := range []int32{d.view, r.rule, r.reason, r.collection, r.typ, r.form} {
			w.int32(n)
		}
		w.bool(r.share)
		w.bool(r.evidence != "")
		return true
	})
}

// update changes the decisions that are there.
func (d *deciding) update(ctx context.Context) error {
	var seqs, added, until []int64
	var reasons, forms []int32
	var shares, evidence []bool
	for _, seq := range d.seqs {
		if r := d.rows[seq]; r.was {
			seqs, added, until = append(seqs, seq), append(added, r.added), append(until, r.until)
			reasons, forms = append(reasons, r.reason), append(forms, r.form)
			shares, evidence = append(shares, r.share), append(evidence, r.evidence != "")
		}
	}
	if len(seqs) == 0 {
		return nil
	}
	_, err := d.tx.Exec(ctx, `UPDATE decisions d SET rule = $2, decided = $3, added = u.added, until = u.until, reason = u.reason, form = u.form,
			share = u.share, evidence = u.evidence
		FROM unnest($4::bigint[], $5::bigint[], $6::bigint[], $7::int[], $8::int[], $9::bool[], $10::bool[]) u (seq, added, until, reason, form, share, evidence)
		WHERE d.view = $1 AND d.seq = u.seq`, d.view, d.rule, d.now, seqs, added, until, reasons, forms, shares, evidence)
	return err
}

// writeEvidence stores evidence, and deletes that of a decision before.
func (d *deciding) writeEvidence(ctx context.Context) error {
	var seqs, gone []int64
	var evidence [][]byte
	for _, seq := range d.seqs {
		switch r := d.rows[seq]; {
		case r.evidence != "":
			seqs, evidence = append(seqs, seq), append(evidence, []byte(r.evidence))
		case r.hadEvidence:
			gone = append(gone, seq)
		}
	}
	if len(seqs) > 0 {
		if _, err := d.tx.Exec(ctx, `INSERT INTO decision_evidence (view, seq, evidence) SELECT $1, seq, evidence FROM unnest($2::bigint[], $3::bytea[]) u (seq, evidence)
			ON CONFLICT (view, seq) DO UPDATE SET evidence = excluded.evidence`, d.view, seqs, evidence); err != nil {
			return err
		}
	}
	if len(gone) == 0 {
		return nil
	}
	_, err := d.tx.Exec(ctx, "DELETE FROM decision_evidence WHERE view = $1 AND seq = ANY ($2)", d.view, gone)
	return err
}
