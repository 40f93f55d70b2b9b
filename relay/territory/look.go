// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package territory

import (
	"time"

	"github.com/certlink/certlink/relay/territory/clue"
	"github.com/certlink/certlink/relay/territory/span"
)

// widest are the shortest prefixes that are looked up: a wider network is no evidence
// of anything.
const (
	widest4 = 8
	widest6 = 16
)

// fill looks one value up in everything.
func (a *Atlas) fill(f *finding, t time.Time) {
	if a == nil {
		f.reserved = f.Kind == clue.Address && reserved(f.Prefix.Addr())
		return
	}
	a.warn(f)
	switch f.Kind {
	case clue.Address:
		f.reserved = reserved(f.Prefix.Addr())
	case clue.Network:
		f.reserved = reserved(f.Prefix.Addr()) && reserved(lastOf(f.Prefix))
		if bits := f.Prefix.Bits(); f.Prefix.Addr().Is4() && bits < widest4 || f.Prefix.Addr().Is6() && bits < widest6 {
			f.wide = true
			return
		}
	case clue.Number:
		f.system = f.Number
		a.settle(f, t)
		return
	default:
		return
	}
	a.delegated(f, t)
	a.located(f, t)
	a.announced(f, t)
	if f.system != 0 {
		a.settle(f, t)
	}
}

func (a *Atlas) warn(f *finding) {
	var list int
	var ok bool
	switch f.Kind {
	case clue.Address:
		list, ok = a.warnings.Address(f.Prefix.Addr())
	case clue.Network:
		list, ok = a.warnings.Network(f.Prefix)
	case clue.Number:
		list, ok = a.warnings.Number(f.Number)
	case clue.Domain:
		list, ok = a.warnings.Name(f.Name)
	}
	if ok {
		f.warned = a.lists[list]
	}
}

// delegated takes the first registry's record that there is: each range has one
// registry, and the others' files tell nothing of it.
func (a *Atlas) delegated(f *finding, t time.Time) {
	for _, d := range a.registries {
		s := d.at(t)
		r, ok := ask(s.registry.Table, f)
		if !ok {
			continue
		}
		if f.recorder == nil || !f.record.Country.Names() && r.Country.Names() {
			f.record, f.recorder = r, s
		}
		if r.Country.Names() {
			return
		}
	}
}

func (a *Atlas) located(f *finding, t time.Time) {
	for _, d := range a.places {
		if f.placed == maxPlaces {
			return
		}
		s := d.at(t)
		if p, ok := ask(s.countries.Table, f); ok {
			f.places[f.placed] = located{p, s}
			f.placed++
		}
	}
}

// announced takes the first data set that knows the value's autonomous system. A
// network that several systems announce has none.
func (a *Atlas) announced(f *finding, t time.Time) {
	for _, d := range a.systems {
		s := d.at(t)
		var n uint32
		var ok bool
		if f.Kind == clue.Address {
			n, ok = s.systems.Address(f.Prefix.Addr())
		} else {
			n, ok = s.systems.Whole(f.Prefix)
		}
		if ok {
			f.system, f.announcer = n, s
			return
		}
	}
}

// settle finds where the autonomous system is registered.
func (a *Atlas) settle(f *finding, t time.Time) {
	for _, d := range a.registries {
		s := d.at(t)
		if r, ok := s.registry.Number(f.system); ok {
			f.home = r.Country
			if f.Kind == clue.Number {
				f.record, f.recorder = r, s
			}
			if r.Country.Names() {
				return
			}
		}
	}
}

// answer is a value with a country that can be replaced by another.
type answer[V any] interface {
	comparable
	At() span.Country
	In(c span.Country) V
}

// ask looks up an address, or a whole network: that has a country if all of it has.
func ask[V answer[V]](table *span.Table[V], f *finding) (v V, ok bool) {
	if f.Kind == clue.Address {
		return table.Address(f.Prefix.Addr())
	}
	v, ok, whole := table.Network(f.Prefix, func(a, b V) bool { return a.At() == b.At() })
	if ok && !whole {
		v = v.In(span.Mixed)
	}
	return v, ok
}

// opinions are the countries that the sources name, one for each independent source:
// the registries' delegation of the value, each geolocation, and the registration of
// the autonomous system. Some may be none.
func (f *finding) opinions(room *[maxPlaces + 2]span.Country) []span.Country {
	out := append(room[:0], f.home)
	if f.recorder != nil && f.Kind != clue.Number {
		out = append(out, f.record.Country)
	}
	for i := range f.placed {
		out = append(out, f.places[i].Country)
	}
	return out
}
