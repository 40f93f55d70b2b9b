// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package territory

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"time"
)

// AppendJSON appends what encoding/json makes of the statement, byte for byte, for a
// small part of the time: every decision about a territory is recorded with one. An
// error is that of a time which has no JSON form.
func (s Statement) AppendJSON(to []byte) ([]byte, error) {
	o := object{text: to}
	o.open()
	o.time("observed", s.Observed)
	o.time("as_of", s.AsOf)
	if len(s.Values) > 0 {
		o.name("values")
		for i := range s.Values {
			o.element(i)
			s.Values[i].appendTo(&o)
		}
		o.text = append(o.text, ']')
	}
	if s.Omitted != 0 {
		o.number("omitted", int64(s.Omitted))
	}
	if s.Undecidable {
		o.name("undecidable")
		o.text = append(o.text, "true"...)
	}
	o.close()
	return o.text, o.err
}

// appendTo appends a value, as AppendJSON does.
func (v *Value) appendTo(o *object) {
	o.open()
	o.string("value", v.Value)
	o.string("kind", v.Kind)
	if r := v.RIR; r != nil {
		o.name("rir")
		o.open()
		o.string("registry", r.Registry)
		o.optional("cc", r.CC)
		o.optional("date", r.Date)
		o.string("status", r.Status)
		o.string("dataset", r.Dataset)
		o.close()
	}
	v.appendPlaces(o)
	if len(v.Flags) > 0 {
		o.name("flags")
		for i, f := range v.Flags {
			o.element(i)
			o.quote(f)
		}
		o.text = append(o.text, ']')
	}
	if len(v.Agreement) > 0 {
		o.name("agreement")
		o.open()
		for _, country := range slices.Sorted(maps.Keys(v.Agreement)) {
			o.number(country, int64(v.Agreement[country]))
		}
		o.close()
	}
	o.close()
}

// appendPlaces appends what geolocation says, and the autonomous system.
func (v *Value) appendPlaces(o *object) {
	if len(v.Geo) > 0 {
		o.name("geo")
		for i, l := range v.Geo {
			o.element(i)
			o.open()
			o.optional("cc", l.CC)
			o.optional("registered", l.Registered)
			o.string("dataset", l.Dataset)
			o.close()
		}
		o.text = append(o.text, ']')
	}
	if s := v.ASN; s != nil {
		o.name("asn")
		o.open()
		o.number("n", int64(s.Number))
		o.optional("cc", s.CC)
		o.optional("name", s.Name)
		o.optional("dataset", s.Dataset)
		o.close()
	}
}

// object is JSON that is being written, one object within another.
type object struct {
	text []byte
	err  error
}

func (o *object) open()  { o.text = append(o.text, '{') }
func (o *object) close() { o.text = append(o.text, '}') }

// name begins a member; its value follows.
func (o *object) name(name string) {
	if o.text[len(o.text)-1] != '{' {
		o.text = append(o.text, ',')
	}
	o.quote(name)
	o.text = append(o.text, ':')
}

// element begins the array with its first element, or the next element.
func (o *object) element(i int) {
	if i == 0 {
		o.text = append(o.text, '[')
	} else {
		o.text = append(o.text, ',')
	}
}

func (o *object) string(name, value string) {
	o.name(name)
	o.quote(value)
}

func (o *object) optional(name, value string) {
	if value != "" {
		o.string(name, value)
	}
}

func (o *object) number(name string, value int64) {
	o.name(name)
	o.text = strconv.AppendInt(o.text, value, 10)
}

func (o *object) time(name string, t time.Time) {
	if t.IsZero() {
		return
	}
	o.name(name)
	text, err := t.MarshalJSON()
	if err != nil {
		o.err = err
	}
	o.text = append(o.text, text...)
}

// quote writes a string. What holds anything but plain ASCII, encoding/json writes.
func (o *object) quote(s string) {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			text, err := json.Marshal(s)
			if err != nil {
				o.err = err
			}
			o.text = append(o.text, text...)
			return
		}
	}
	o.text = append(append(append(o.text, '"'), s...), '"')
}
