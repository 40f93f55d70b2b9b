// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"time"

	"github.com/certlink/certlink/relay/courier"
	"github.com/certlink/certlink/relay/hotline"
)

// buildCourier builds what writes and reads sets that are carried by hand.
func (r *relay) buildCourier() (err error) {
	r.courier, err = courier.New(courier.Config{
		Identity: func() courier.Identity { return r.identity.Current() },
		Keys:     r.keys,
		Lines:    carried{r.hotline},
		Store:    r.store,
		Log:      r.log,
	})
	return err
}

// carried are the hotlines as the courier sees them.
type carried struct{ *hotline.Engine }

// RecordAct implements courier.Lines.
func (c carried) RecordAct(ctx context.Context, trustDomain, name, by string, details map[string]string) error {
	return c.Record(ctx, trustDomain, hotline.Act{Name: name, At: time.Now(), By: by, Details: details})
}
