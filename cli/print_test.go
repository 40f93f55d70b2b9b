// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/certlink/certlink/cli"
)

// TestWhyACommandFailedDoesNotActOnTheTerminal prints what the name of a file on a medium, or the words of a peer, can bring in.
func TestWhyACommandFailedDoesNotActOnTheTerminal(t *testing.T) {
	for said, want := range map[string]string{
		"plain words\nin two lines":                    "error: plain words\nin two lines\n",
		"x\x1b]0;title\a\x1b[2K\rall is well.certlink": "error: x\ufffd]0;title\ufffd\ufffd[2K\ufffdall is well.certlink\n",
		"a\u202eb\u2066c\u200bd\u0085e\x7ff":           "error: a\ufffdb\ufffdc\ufffdd\ufffde\ufffdf\n",
		"\x9b31m\xff":                                  "error: \ufffd31m\ufffd\n",
	} {
		var out bytes.Buffer
		if cli.Failed(&out, errors.New(said)); out.String() != want {
			t.Errorf("%q is printed as %q, want %q", said, out.String(), want)
		}
	}
}
