// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package taxii

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/certlink/certlink/internal/testbubble"
)

// dripping gives some bytes, for ever, each time after a while.
type dripping struct {
	bytes int
	after time.Duration
}

func (d dripping) Read(p []byte) (int, error) {
	<-time.After(d.after)
	return copy(p, bytes.Repeat([]byte(" "), d.bytes)), nil
}

func TestAPageThatDripsIsGivenUp(t *testing.T) {
	for name, tt := range map[string]struct {
		source      dripping
		least, most time.Duration
		want        error
	}{
		"a_byte_at_a_time":            {dripping{1, 20 * time.Second}, time.Minute, 2 * time.Minute, ErrTooSlow},
		"half_of_what_it_must":        {dripping{512, time.Second}, 2 * time.Minute, 3 * time.Minute, ErrTooSlow},
		"fast_enough_but_without_end": {dripping{16 << 10, time.Second}, time.Hour, 40 * time.Hour, ErrTooLong},
		"silence_is_something_else":   {dripping{1, time.Hour}, 0, 2 * time.Hour, nil},
	} {
		t.Run(name, func(t *testing.T) {
			testbubble.Run(t, func(t *testing.T) {
				begun := time.Now()
				ctx, w := watch(t.Context(), DefaultStall)
				defer w.stop()
				body := w.body(ctx, tt.source)
				if tt.want == nil {
					_, _ = body.Read(make([]byte, 1))
					if !errors.Is(w.cause(ctx, nil), ErrStalled) {
						t.Error("the watcher did not end the request")
					}
					return
				}
				_, err := io.Copy(io.Discard, body)
				if took := time.Since(begun); !errors.Is(err, tt.want) || took < tt.least || took > tt.most {
					t.Errorf("%v after %v", err, took)
				}
			})
		})
	}
}
