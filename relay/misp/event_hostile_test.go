// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package misp

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/certlink/certlink/relay/rule"
)

func TestHostileEventsEndInANamedError(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want error
	}{
		"empty":                  {"", ErrFormat},
		"no event":               {"{}", ErrFormat},
		"a list":                 {"[]", ErrFormat},
		"two events":             {`{"Event":{},"Event":{}}`, ErrFormat},
		"a cut one":              {eventWith("")[:60], ErrFormat},
		"no uuid":                {`{"Event":{"timestamp":"1"}}`, ErrFormat},
		"a path for a uuid":      {`{"Event":{"uuid":"../../../../../../../../../../etc/passwd","timestamp":"1"}}`, ErrFormat},
		"something behind it":    {eventWith("") + "{}", ErrFormat},
		"tags twice":             {eventWith(`,"Tag":[{"name":"tlp:red"}],"Tag":[]`), ErrFormat},
		"tags that are too long": {eventWith(`,"Tag":[{"name":"` + strings.Repeat("x", maxMemberBytes) + `"}]`), ErrTooLarge},
		"tags too deep":          {eventWith(`,"Tag":` + strings.Repeat("[", 40) + strings.Repeat("]", 40)), ErrTooLarge},
		"tags that are no list":  {eventWith(`,"Tag":"tlp:red"`), ErrFormat},
		"a bracket too many":     {`{"Event":{"Attribute":[}]}}`, ErrFormat},
		"invalid UTF-8":          {eventWith(`,"Tag":[{"name":"tlp:` + "\xff" + `"}]`), ErrFormat},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := OpenEvent(strings.NewReader(c.text)); !errors.Is(err, c.want) {
				t.Errorf("error %v, want %v", err, c.want)
			}
		})
	}
}

func TestOneHugeAttributeCostsTheOthersNothing(t *testing.T) {
	huge := attributeOf("comment", strings.Repeat("x", maxElementBytes), "")
	list, tally := converted(t, eventWith(attributes(huge, attributeOf("domain", "a.example", `,"to_ids":true`))))
	only(t, list, "indicator")
	if tally.Lost[LostTooLarge] != 1 {
		t.Errorf("tally %+v", tally)
	}
}

func TestAnEventWithoutEndIsGivenUp(t *testing.T) {
	noise := io.MultiReader(strings.NewReader(`{"Event":{"x":"`), endless{})
	if _, err := OpenEvent(noise); !errors.Is(err, ErrTooLarge) {
		t.Errorf("error %v", err)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

func FuzzOpenEvent(f *testing.F) {
	f.Add([]byte(eventWith(attributes(attributeOf("ip-dst", "192.0.2.1", `,"to_ids":true`)) + `,"Tag":[{"name":"tlp:green"}]`)))
	f.Add([]byte(`{"Event":{"Object":[{"name":"file","Attribute":[]}]}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, err := OpenEvent(bytes.NewReader(raw))
		if err != nil {
			return
		}
		n := int64(0)
		for o, err := range e.Objects() {
			if err != nil {
				return
			}
			n++
			// Whatever the input, what an event says at its level binds all its parts.
			if o.Type != "identity" && e.mark.level > 0 && levelOf(t, o) < e.mark.level {
				t.Fatalf("%s is marked %v in an event of %v", o.ID, levelOf(t, o), e.mark.level)
			}
		}
		if tally := e.Tally(); tally.Objects != n {
			t.Fatalf("%d objects, tally %+v", n, tally)
		}
	})
}

// crowd is the text of an event with many attributes, made while it is read.
type crowd struct {
	left int
	buf  []byte
}

func (c *crowd) Read(p []byte) (int, error) {
	if len(c.buf) == 0 {
		if c.left == 0 {
			return 0, io.EOF
		}
		c.left--
		end := ","
		if c.left == 0 {
			end = `],"Tag":[{"name":"tlp:red"}]}}`
		}
		c.buf = fmt.Appendf(c.buf, `{"uuid":"5c0d1e2f-0000-4000-8000-%012x","type":"ip-dst","category":"Network activity","value":"192.0.2.%d","to_ids":true,"timestamp":"1767400000","comment":"%s"}%s`,
			c.left, c.left%256, strings.Repeat("seen by a sensor ", 20), end)
	}
	n := copy(p, c.buf)
	c.buf = c.buf[n:]
	return n, nil
}

func TestAnEventOfManyAttributesNeedsLittleMemory(t *testing.T) {
	const n = 60_000
	begin := strings.TrimSuffix(eventWith(`,"Attribute":[`), "}}")
	e, err := OpenEvent(io.MultiReader(strings.NewReader(begin), &crowd{left: n}))
	if err != nil {
		t.Fatal(err)
	}
	indicators := 0
	var most uint64
	for o, err := range e.Objects() {
		if err != nil {
			t.Fatal(err)
		}
		if o.Type != "indicator" {
			continue
		}
		// The marking stands behind the last attribute, and binds the first.
		if levelOf(t, o) != rule.Red {
			t.Fatalf("%s is %v", o.ID, levelOf(t, o))
		}
		if indicators++; indicators%20_000 == 0 {
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapAlloc)
		}
	}
	if indicators != n || e.Tally().LostTotal() != 0 {
		t.Errorf("%d indicators; %+v", indicators, e.Tally())
	}
	if most > 48<<20 {
		t.Errorf("%d MiB of heap for an event of %d attributes", most>>20, n)
	}
}

// TestAStricterObjectIsANewVersionOfItsAttributes: with the old version the stricter
// marking would be refused as a fork, and the weaker one would stay.
