// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/remote"
	"github.com/certlink/certlink/relay/stix"
)

// maxBundleBytes is the longest bundle, after decompression. Its length costs time,
// no memory.
const maxBundleBytes = 64 << 30

// stixOrigin is a STIX bundle behind a URL. It is read whole each time that it has
// changed; a bundle that was cut is read again from its beginning, and what is stored
// already is a duplicate. What has vanished from it stays: a server that answers
// half of a bundle must not take the other half back.
type stixOrigin struct {
	conf  config.Remote
	opts  remote.Options
	known remote.Validators
}

func (o *stixOrigin) from() string { return hostOf(o.conf) }

func (o *stixOrigin) of() string { return "stix " + o.conf.URL }

func (o *stixOrigin) resume(state string) {
	o.known = remote.Validators{}
	if text := unmark(o.of(), state); text != "" {
		_ = json.Unmarshal([]byte(text), &o.known) // what cannot be read is not known
	}
}

// pull reads the bundle if it has changed. What the server says of its state is stored
// with the last objects, so that a bundle which did not come whole is asked for again.
func (o *stixOrigin) pull(ctx context.Context, in *intake) error {
	client, err := remote.New(o.conf, o.opts)
	if err != nil {
		return err
	}
	defer client.Close()
	resp, err := client.Get(ctx, "", maxBundleBytes, o.known)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.NotModified() {
		return nil
	}
	bundle := stix.NewReader(resp.Body)
	read := func() (stix.Object, error) {
		in.reached(resp.Received(), resp.Total)
		return bundle.Read()
	}
	if _, err := in.readAll(ctx, read); err != nil {
		// What came is kept. It is there already when the bundle is read again.
		if errors.Is(err, errQuota) {
			return err
		}
		return errors.Join(err, in.finish(ctx, ""))
	}
	known := remote.ValidatorsOf(resp)
	text, err := json.Marshal(known)
	if err != nil {
		return err
	}
	if err := in.finish(ctx, marked(o.of(), string(text))); err != nil {
		return err
	}
	o.known = known
	return nil
}
