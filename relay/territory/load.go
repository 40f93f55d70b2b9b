// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package territory

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/territory/delegation"
	"github.com/certlink/certlink/relay/territory/geo"
	"github.com/certlink/certlink/relay/territory/warninglist"
)

// loadTimeout bounds the reading of one data set. A hostile one could be made to take
// long.
const loadTimeout = time.Minute

// content is a data set or a warning list as read from its bytes.
type content struct {
	snapshot *snapshot // nil for a warning list
	list     *warninglist.List
	sum      string
}

// load reads the bytes of a file, packed or not, completely.
func load(ctx context.Context, conf config.Dataset, packed []byte) (content, error) {
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	digest := sha256.Sum256(packed)
	c := content{sum: hex.EncodeToString(digest[:])}
	raw, err := unpack(packed, maxFile)
	if err != nil {
		return content{}, err
	}
	if conf.Format == config.MISPWarningList {
		c.list, err = warninglist.Parse(raw)
		return c, err
	}
	s := &snapshot{sum: c.sum}
	switch conf.Format {
	case config.RIRDelegation:
		if s.registry, err = delegation.Parse(bytes.NewReader(raw)); err == nil {
			s.date = s.registry.Date
		}
	case config.MaxMindCountry:
		if s.countries, err = geo.ReadCountries(ctx, raw); err == nil {
			s.date = s.countries.Build
		}
	case config.MaxMindASN:
		if s.systems, err = geo.ReadSystems(ctx, raw); err == nil {
			s.date = s.systems.Build
		}
	default:
		err = fmt.Errorf("is of the format %q, which is not known", conf.Format)
	}
	if err != nil {
		return content{}, err
	}
	s.cite = conf.Name + "@" + s.date.Format(time.DateOnly)
	c.snapshot = s
	return c, nil
}

// entries is the number of ranges of a snapshot.
func (s *snapshot) entries() int {
	switch {
	case s.registry != nil:
		return s.registry.Len()
	case s.countries != nil:
		return s.countries.Len()
	}
	return s.systems.Len()
}

// bytes is the memory that a snapshot takes, about.
func (s *snapshot) bytes() int {
	switch {
	case s.registry != nil:
		return s.registry.Bytes()
	case s.countries != nil:
		return s.countries.Bytes()
	}
	const name = 80 // of an organisation, in a map
	return s.systems.Bytes() + name*len(s.systems.Names)
}
