// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/certlink/certlink/relay/store"
)

// wall keeps the notes that are left, in their order.
type wall struct {
	left []string
	away bool
}

func (w *wall) Note(_ context.Context, _ store.Lease, note []byte) error {
	if w.away {
		return errAway
	}
	w.left = append(w.left, string(note))
	return nil
}

func (w *wall) Notes(context.Context, string) (map[string][]byte, error) {
	return map[string][]byte{"work/a": []byte(w.left[len(w.left)-1]), "work/b": []byte(`"no number"`)}, nil
}

// TestWhatIsToldAgain: only what the others do not have, of which they have nothing after another replica had the lease.
func TestWhatIsToldAgain(t *testing.T) {
	w := &wall{}
	b := NewBoard[int](w, "work/")
	under := func(token int64) context.Context {
		return store.Under(t.Context(), store.Lease{Name: "work/a", Token: token})
	}
	var told Told
	for n, step := range []struct {
		ctx   context.Context
		shown int
		away  bool
		want  []string
	}{
		{t.Context(), 1, false, nil}, // without a lease
		{under(1), 1, true, nil},
		{under(1), 1, false, []string{"1"}},
		{under(1), 1, false, []string{"1"}},
		{under(1), 2, false, []string{"1", "2"}},
		{under(3), 2, false, []string{"1", "2", "2"}}, // another had it in between, and has told something else
		{under(3), 2, false, []string{"1", "2", "2"}},
	} {
		w.away = step.away
		var err error
		if told, err = b.Tell(step.ctx, step.shown, told); errors.Is(err, errAway) != step.away || !slices.Equal(w.left, step.want) {
			t.Errorf("step %d: %q, %v", n, w.left, err)
		}
	}
}

func TestWhatOthersTellIsReadWhenItIsNoted(t *testing.T) {
	w := &wall{left: []string{"7"}}
	b := NewBoard[int](w, "work/")
	ctx, stop := context.WithCancel(t.Context())
	read, ended := make(chan struct{}, 1), make(chan struct{})
	go func() {
		defer close(ended)
		b.Read(ctx, func() { read <- struct{}{} }, func(err error) { t.Error(err) })
	}()
	if _, ok := b.Of("work/a"); ok {
		t.Error("it is known before it was noted")
	}
	b.Noted()
	<-read
	if got, ok := b.Of("work/a"); got != 7 || !ok {
		t.Errorf("%d, %t", got, ok)
	}
	for _, name := range []string{"work/b", "work/c"} {
		if got, ok := b.Of(name); ok {
			t.Errorf("%s: %d", name, got)
		}
	}
	stop()
	<-ended
}
