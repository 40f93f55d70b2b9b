// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"context"
	"fmt"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/message"
	"github.com/certlink/certlink/relay/store"
)

// MayDrill decides whether the client may begin a drill with these messages, all to one
// hotline, which our relay then sends itself and which nobody releases one by one. Where the
// rules would ask for the release of any of them, it takes an officer with the role Release.
// It returns who that is: the identity for the journal, and the name for the messages, which
// officer must not contradict. Errors are a *desk.InvalidError or *desk.ForbiddenError, or
// wrap store.ErrNotFound.
func (e *Engine) MayDrill(ctx context.Context, officer string, messages []desk.SendRequest) (identity, name string, err error) {
	a, err := e.actor(ctx)
	if err != nil {
		return "", "", err
	}
	for _, r := range messages {
		l := e.lineNamed(r.Hotline)
		if l == nil {
			return "", "", fmt.Errorf("beginning an exercise: there is no hotline %q: %w", oneLine(r.Hotline), store.ErrNotFound)
		}
		switch p := (Payload{Precedence: r.Precedence, TLP: r.TLP, Kind: message.Kind(r.Kind)}); {
		case l.rule(&p).Quorum > 0:
			err = a.must(config.ReleaseRole, "beginning an exercise on a hotline that asks for releases")
		case a.officer != nil && !a.officer.May(config.ReleaseRole):
			err = a.must(config.Draft, "beginning an exercise")
		}
		if err != nil {
			return "", "", err
		}
	}
	var f faults
	a.name(&officer, &f)
	f.require(officer != "", "officer", "is required")
	if len(f) > 0 {
		return "", "", &desk.InvalidError{Faults: f}
	}
	return a.identity, officer, nil
}
