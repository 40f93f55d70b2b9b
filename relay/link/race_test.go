// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package link

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/certlink/certlink/internal/testbubble"
)

func TestARequestWhoseContextHasEndedWaitsForNoPath(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		begun := time.Now()
		r := &race{attempts: []attempt{{}, {after: time.Hour}}, outcomes: make(chan outcome, 2)}
		resp, err := r.run(ctx)
		if err == nil {
			resp.Body.Close()
		}
		if waited := time.Since(begun); !errors.Is(err, context.Canceled) || waited != 0 {
			t.Errorf("after %s: %v", waited, err)
		}
	})
}
