// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package relayconfig

import (
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/status"
	"github.com/certlink/certlink/relay/config"
)

// ErrUnfit says that not even the peers and hotlines alone make a configuration that
// the relay would run.
var ErrUnfit = errors.New("writing the relay's configuration")

// Fitted is a configuration, its file, and what the file could not hold.
type Fitted struct {
	Config *config.Config
	File   []byte
	// Left out are SharedFeeds and SharedServices, the youngest first, and territory.
	Left []string
}

// Fit assembles the configuration and writes its file, which is bounded (config.MaxBytes,
// what a ConfigMap holds). What is too much stays out: the youngest SharedFeeds and
// SharedServices, and if that is not enough the data sets. So peers and hotlines stay, a
// revocation still reaches the relay, and what was there first goes on.
func Fit(in Input) (Fitted, error) {
	young := in.youngest()
	without := func(n int) Input {
		out := in
		gone := func(o client.Object) bool { return slices.Contains(young[:n], o) }
		out.Feeds, out.Services = nil, nil
		for i := range in.Feeds {
			if !gone(&in.Feeds[i]) {
				out.Feeds = append(out.Feeds, in.Feeds[i])
			}
		}
		for i := range in.Services {
			if !gone(&in.Services[i]) {
				out.Services = append(out.Services, in.Services[i])
			}
		}
		return out
	}
	try := func(in Input) (f Fitted, err error) {
		f.Config = Assemble(in)
		f.File, err = config.Encode(f.Config)
		return f, err
	}
	f, err := try(in)
	if err == nil {
		return f, nil
	}
	n := sort.Search(len(young), func(n int) bool { _, err := try(without(n)); return err == nil })
	out := without(n)
	for _, o := range young[:n] {
		f.Left = append(f.Left, describe(o))
	}
	left := f.Left
	if f, err = try(out); err != nil {
		out.Local = out.Local.DeepCopy()
		out.Local.Spec.Territory = v1alpha1.TerritorySpec{}
		left = append(left, "spec.territory")
		f, err = try(out)
	}
	if err != nil {
		return Fitted{}, fmt.Errorf("%w: %w", ErrUnfit, err)
	}
	f.Left = left
	return f, nil
}

// LeftOut says what stays out of the configuration for want of room; nil if nothing does.
func (f Fitted) LeftOut() *status.Verdict {
	const most = 5
	names := f.Left
	if len(names) == 0 {
		return nil
	}
	more := ""
	if len(names) > most {
		more = fmt.Sprintf(" and %d more", len(names)-most)
		names = names[:most]
	}
	return stalled(v1alpha1.ReasonConfigTooLarge, "the relay's configuration would not fit into %d bytes, or have too many entries, so the youngest stay out of it: %s%s; delete what is not needed, or make it smaller",
		config.MaxBytes, strings.Join(names, ", "), more)
}

// youngest are the feeds and services of the namespace, the youngest first.
func (in Input) youngest() []client.Object {
	var out []client.Object
	for i := range in.Feeds {
		out = append(out, &in.Feeds[i])
	}
	for i := range in.Services {
		out = append(out, &in.Services[i])
	}
	slices.SortFunc(out, func(a, b client.Object) int {
		switch {
		case Older(a, b):
			return 1
		case Older(b, a):
			return -1
		}
		return strings.Compare(describe(a), describe(b))
	})
	return out
}

func describe(o client.Object) string {
	if _, ok := o.(*v1alpha1.SharedFeed); ok {
		return fmt.Sprintf("SharedFeed %q", o.GetName())
	}
	return fmt.Sprintf("SharedService %q", o.GetName())
}
