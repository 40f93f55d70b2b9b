// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/remote"
	"github.com/certlink/certlink/relay/taxii"
)

// taxiiOrigin is a collection of a TAXII 2.1 server of anybody's.
type taxiiOrigin struct {
	conf   config.TAXIISource
	opts   remote.Options
	stored string
	client *remote.Client
	walk   walk
}

func (o *taxiiOrigin) from() string { return hostOf(o.conf.Remote) }

func (o *taxiiOrigin) resume(state string) {
	o.walk = walk{server: o.conf.Remote.URL, collection: o.conf.Collection}
	o.walk.resume(state)
}

// pull reads the collection from where the last pull has ended to its end.
func (o *taxiiOrigin) pull(ctx context.Context, in *intake) error {
	if o.client == nil {
		client, err := remote.New(o.conf.Remote, o.opts)
		if err != nil {
			return err
		}
		o.client = client
	}
	defer o.client.Close()
	client, err := taxii.NewClient(taxii.ClientConfig{
		HTTP: o.client.HTTP(), Server: o.client.Server() + o.client.Path(), Logger: o.opts.Log,
	})
	if err != nil {
		return err
	}
	return o.walk.pull(ctx, client, in)
}
