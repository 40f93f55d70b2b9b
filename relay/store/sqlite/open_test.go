// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"testing"
	"time"

	"github.com/certlink/certlink/internal/testbubble"
)

// slowStep is how long a step of the schema takes on a large database.
const slowStep = 10 * busyTimeout

// TestAStepOfTheSchemaTakesTheTimeThatItTakes: only the wait for other processes has an end.
// A database that is too large for it could never be upgraded.
func TestAStepOfTheSchemaTakesTheTimeThatItTakes(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		var deadline time.Time
		var ends bool
		err := patiently(t.Context(), func(ctx context.Context) error {
			deadline, ends = ctx.Deadline()
			<-time.After(slowStep)
			return ctx.Err()
		})
		if err != nil {
			t.Errorf("a step of %s ends with %v", slowStep, err)
		}
		if ends {
			t.Errorf("an attempt must end by %s", deadline)
		}
	})
}
