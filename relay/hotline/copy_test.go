// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/certlink/certlink/internal/testbubble"
)

func TestACopyOfARequestGetsTheAnswerOfTheFirst(t *testing.T) {
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		second string
		first  error
		made   int
		body   string
	}{
		"the same request":                      {"a", nil, 1, "1"},
		"another request":                       {"b", nil, 2, "2"},
		"the same request, the first one broke": {"a", broken, 2, "2"},
	} {
		t.Run(name, func(t *testing.T) {
			testbubble.Run(t, func(t *testing.T) {
				var u underway
				made, hold := 0, make(chan struct{})
				go func() {
					_, _ = u.once(t.Context(), []byte("a"), func() ([]byte, error) {
						made++
						<-hold
						return []byte("1"), c.first
					})
				}()
				synctest.Wait()
				var body []byte
				var err error
				go func() {
					body, err = u.once(t.Context(), []byte(c.second), func() ([]byte, error) {
						made++
						return []byte("2"), nil
					})
				}()
				synctest.Wait()
				close(hold)
				synctest.Wait()
				if err != nil || string(body) != c.body || made != c.made {
					t.Errorf("the second got %q, %v after %d answers were made", body, err, made)
				}
				if len(u.calls) > 0 {
					t.Errorf("%d calls are left", len(u.calls))
				}
			})
		})
	}
}

func TestACopyWhoseConnectionGoesAwayDoesNotWait(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		var u underway
		hold := make(chan struct{})
		go func() {
			_, _ = u.once(t.Context(), []byte("a"), func() ([]byte, error) { <-hold; return nil, nil })
		}()
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := u.once(ctx, []byte("a"), nil); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		close(hold)
	})
}
