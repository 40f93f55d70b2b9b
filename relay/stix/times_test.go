// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package stix

import (
	"testing"
	"time"
)

// FuzzPlainTime: what the short way reads, the general parser reads alike.
func FuzzPlainTime(f *testing.F) {
	for _, text := range []string{
		"", "Z", "2026-01-02T03:04:05Z", "2026-01-02T03:04:05.678Z", "2026-01-02T03:04:05.678901Z", "2026-02-28T23:59:59.999Z", "2026-02-29T00:00:00Z",
		"0000-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "2026-13-01T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:00:60Z", "2026-01-01T00:00:00,678Z",
		"2026-01-01T00:00:00.6x8Z", "2026-01-01t00:00:00Z", "2026-01-01T00:00:00.678z", "+026-01-01T00:00:00Z", "2026-01-00T00:00:00Z",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, ok := plainTime(text)
		if !ok {
			return
		}
		want, err := time.Parse(time.RFC3339Nano, text)
		if err != nil || !want.UTC().Equal(got) || got.Location() != time.UTC {
			t.Fatalf("%q is read as %v, want %v, %v", text, got, want, err)
		}
	})
}

func TestTheUsualTimesAreReadTheShortWay(t *testing.T) {
	for _, text := range []string{"2026-01-02T03:04:05Z", "2026-01-02T03:04:05.678Z", "2026-01-02T03:04:05.678901Z"} {
		if _, ok := plainTime(text); !ok {
			t.Errorf("%s is not", text)
		}
	}
}
