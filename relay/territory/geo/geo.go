// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package geo

import (
	"time"

	"github.com/certlink/certlink/relay/territory/span"
)

// Place is where a publisher locates a network.
type Place struct {
	// Country in which it is, and Registered in which its holder registered it.
	Country, Registered span.Country
}

// Countries is a database of places.
type Countries struct {
	*span.Table[Place]
	// Build is when the publisher made it.
	Build time.Time
}

// Systems is a database of autonomous systems.
type Systems struct {
	*span.Table[uint32]
	// Build is when the publisher made it.
	Build time.Time
	// Names of the organisations.
	Names map[uint32]string
}
