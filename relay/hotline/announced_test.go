// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/certlink/certlink/relay/hotline/wire"
)

// sparing is a body that comes in small pieces, and notes how much room it was offered ahead of what had come.
type sparing struct {
	content []byte
	came    int
	ahead   int
}

func (s *sparing) Read(p []byte) (int, error) {
	s.ahead = max(s.ahead, len(p)-s.came)
	if s.came == len(s.content) {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), 1000)], s.content[s.came:])
	s.came += n
	return n, nil
}

func TestABodyTakesRoomForWhatHasComeNotForWhatIsAnnounced(t *testing.T) {
	for name, tc := range map[string]struct {
		come      int
		announced int64
		want      error
	}{
		"nothing_of_much":     {0, wire.MaxBytes, io.ErrUnexpectedEOF},
		"a_part_of_much":      {300_000, wire.MaxBytes, io.ErrUnexpectedEOF},
		"all_of_it":           {300_000, 300_000, nil},
		"all_of_a_little":     {300, 300, nil},
		"more_than_announced": {500, 300, nil},
		"not_announced":       {300_000, -1, nil},
	} {
		t.Run(name, func(t *testing.T) {
			body := &sparing{content: bytes.Repeat([]byte("certlink"), tc.come/8+1)[:tc.come]}
			got, err := readAll(body, tc.announced)
			if !errors.Is(err, tc.want) {
				t.Errorf("error is %v, want %v", err, tc.want)
			}
			want := body.content
			if tc.announced > 0 && int(tc.announced) < len(want) {
				want = want[:tc.announced]
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%d bytes were read of %d", len(got), len(want))
			}
			if body.ahead > firstRoom {
				t.Errorf("%d bytes were taken ahead of what had come", body.ahead)
			}
		})
	}
}
