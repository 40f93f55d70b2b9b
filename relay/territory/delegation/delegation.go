// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package delegation

import (
	"time"

	"github.com/certlink/certlink/relay/territory/span"
)

// Record is what a registry says of a range.
type Record struct {
	Country  span.Country
	Registry Registry
	Status   Status
	// Date of the delegation as yyyymmdd; zero when it is not known.
	Date uint32
}

// Registry is one of the registries.
type Registry uint8

// Status of a range.
type Status uint8

// Set is one file.
type Set struct {
	*span.Table[Record]
	// Date of the file, as its version line says.
	Date time.Time
}
