// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"errors"
	"strings"

	"github.com/certlink/certlink/relay/taxii"
)

func contains(err error, text string) bool { return strings.Contains(err.Error(), text) }

func statusOf(err error) int {
	if told, ok := errors.AsType[*taxii.ProtocolError](err); ok {
		return told.Status
	}
	return 0
}
