// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package misp

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/certlink/certlink/relay/remote"
	"github.com/certlink/certlink/relay/rule"
	"github.com/certlink/certlink/relay/stix"
)

// files are a feed's directory; a missing one is a 404.
type files map[string]string

func (f files) feed() Feed {
	return Feed{Get: func(_ context.Context, name string, _ int64) (io.ReadCloser, error) {
		text, ok := f[name]
		if !ok {
			return nil, &remote.StatusError{Status: http.StatusNotFound}
		}
		if text == "cut" {
			return nil, io.ErrUnexpectedEOF
		}
		return io.NopCloser(strings.NewReader(text)), nil
	}}
}

func uuidOf(n int) string { return fmt.Sprintf("5c0d1e2f-0000-4000-8000-1%011d", n) }

// reading is what was read of a feed.
type reading struct {
	*Changes
	attributes, lost int64
}

// pulled reads what has changed; it returns the objects by event, and the last cursor.
func pulled(t *testing.T, f Feed, cursor string) (map[string][]stix.Object, string, reading) {
	t.Helper()
	c, err := f.Changed(t.Context(), cursor)
	if err != nil {
		t.Fatal(err)
	}
	got, read := map[string][]stix.Object{}, reading{Changes: c}
	for {
		e, err := c.Next(t.Context())
		if errors.Is(err, io.EOF) {
			return got, cursor, read
		}
		if refused, ok := errors.AsType[*EventError](err); ok {
			got[refused.UUID] = nil
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		for o, err := range e.Objects() {
			if err != nil {
				t.Fatal(err)
			}
			got[e.UUID] = append(got[e.UUID], o)
		}
		read.attributes += e.Tally().Attributes
		read.lost += e.Tally().LostTotal()
		if text := c.Cursor(); text != "" {
			cursor = text
		}
	}
}

func manifestOf(entries ...string) string { return "{" + strings.Join(entries, ",") + "}" }

func entryText(n, at int, more string) string {
	return fmt.Sprintf(`"%s":{"timestamp":"%d","info":"x"%s}`, uuidOf(n), at, more)
}

func eventText(n, at int, members string) string {
	return strings.NewReplacer(eventUUID, uuidOf(n), `"timestamp":"1767400000"`, fmt.Sprintf(`"timestamp":"%d"`, at),
		attrUUID, uuidOf(1000+n)).Replace(eventWith(members))
}

var plain = attributes(attributeOf("ip-dst", "192.0.2.1", `,"to_ids":true`))

func TestAFeedIsReadByWhatHasChanged(t *testing.T) {
	f := files{
		"manifest.json":     manifestOf(entryText(1, 1767400010, ""), entryText(2, 1767400020, "")),
		uuidOf(1) + ".json": eventText(1, 1767400010, plain), uuidOf(2) + ".json": eventText(2, 1767400020, plain),
	}
	got, cursor, c := pulled(t, f.feed(), "")
	if len(got) != 2 || c.Total() != 2 || c.Left() != 0 || c.attributes != 2 {
		t.Fatalf("%d events; %d attributes", len(got), c.attributes)
	}
	got, same, _ := pulled(t, f.feed(), cursor)
	if len(got) != 0 || same != cursor {
		t.Fatalf("%d events again", len(got))
	}
	f["manifest.json"] = manifestOf(entryText(1, 1767400010, ""), entryText(2, 1767400030, ""))
	f[uuidOf(2)+".json"] = eventText(2, 1767400030, plain)
	got, _, _ = pulled(t, f.feed(), cursor)
	if _, ok := got[uuidOf(2)]; !ok || len(got) != 1 {
		t.Fatalf("changed: %v", got)
	}
}

// version of the indicator among objects.
func indicatorIn(t *testing.T, list []stix.Object) stix.Object {
	t.Helper()
	for _, o := range list {
		if o.Type == "indicator" {
			return o
		}
	}
	t.Fatal("no indicator")
	return stix.Object{}
}

func TestAChangedMarkingOfAnEventIsANewVersionOfItsParts(t *testing.T) {
	f := files{"manifest.json": manifestOf(entryText(1, 1767400010, "")), uuidOf(1) + ".json": eventText(1, 1767400010, plain+`,"Tag":[{"name":"tlp:green"}]`)}
	got, cursor, _ := pulled(t, f.feed(), "")
	green := indicatorIn(t, got[uuidOf(1)])

	// A change elsewhere in the event: the indicator is what it was, byte for byte.
	f["manifest.json"], f[uuidOf(1)+".json"] = manifestOf(entryText(1, 1767400020, "")), eventText(1, 1767400020, plain+`,"Tag":[{"name":"tlp:green"},{"name":"x"}]`)
	got, cursor, _ = pulled(t, f.feed(), cursor)
	if diff := cmp.Diff(green, indicatorIn(t, got[uuidOf(1)])); diff != "" {
		t.Error(diff)
	}
	// The event's marking changes, and the attribute's timestamp does not.
	for at, tag := range []string{"tlp:red", "tlp:clear"} {
		when := 1767400030 + at
		f["manifest.json"], f[uuidOf(1)+".json"] = manifestOf(entryText(1, when, "")), eventText(1, when, plain+`,"Tag":[{"name":"`+tag+`"}]`)
		got, cursor, _ = pulled(t, f.feed(), cursor)
		if o := indicatorIn(t, got[uuidOf(1)]); o.Version.Unix() != int64(when) || o.ID != green.ID {
			t.Errorf("%s: version %v", tag, o.Version)
		}
	}
	if want, _ := rule.ParseLevel("CLEAR"); levelOf(t, indicatorIn(t, got[uuidOf(1)])) != want {
		t.Error("the last marking does not count")
	}
}

func TestOneBadEventCostsTheOthersNothing(t *testing.T) {
	sum := sha256.Sum256([]byte(eventText(4, 4, plain)))
	f := files{
		"manifest.json": manifestOf(entryText(1, 1, ""), entryText(2, 2, ""), entryText(3, 3, ""), entryText(4, 4, `,"integrity:sha256":"`+hex.EncodeToString(sum[:])+`"`),
			entryText(5, 5, `,"integrity:sha256":"`+hex.EncodeToString(sum[:])+`"`), entryText(6, 6, "")),
		uuidOf(1) + ".json": "no JSON", uuidOf(3) + ".json": eventText(2, 3, plain), uuidOf(4) + ".json": eventText(4, 4, plain),
		uuidOf(5) + ".json": eventText(5, 5, plain), uuidOf(6) + ".json": eventText(6, 6, plain),
	}
	got, cursor, _ := pulled(t, f.feed(), "")
	for n, want := range map[int]bool{1: false, 2: false, 3: false, 4: true, 5: false, 6: true} {
		if have := got[uuidOf(n)] != nil; have != want {
			t.Errorf("event %d is read: %v", n, have)
		}
	}
	// What was bad is looked at again when it changed; what was missing, or another file
	// than the manifest says, always.
	f[uuidOf(2)+".json"] = eventText(2, 2, plain)
	got, _, _ = pulled(t, f.feed(), cursor)
	if _, again := got[uuidOf(5)]; len(got) != 2 || got[uuidOf(2)] == nil || !again {
		t.Errorf("again: %d events", len(got))
	}
}

// TestAnEventThatIsBehindItsManifestIsReadWhenItHasCome: a cache gives the old file, or
// half of the new one, for a while.
func TestAnEventThatIsBehindItsManifestIsReadWhenItHasCome(t *testing.T) {
	before, now := eventText(1, 1767400010, plain), eventText(1, 1767400020, plain)
	sum := sha256.Sum256([]byte(now))
	named := `,"integrity:sha256":"` + hex.EncodeToString(sum[:]) + `"`
	for name, old := range map[string]string{"old": before, "half": now[:len(now)/2]} {
		f := files{"manifest.json": manifestOf(entryText(1, 1767400010, "")), uuidOf(1) + ".json": before}
		_, cursor, _ := pulled(t, f.feed(), "")
		f["manifest.json"], f[uuidOf(1)+".json"] = manifestOf(entryText(1, 1767400020, named)), old
		got, cursor, _ := pulled(t, f.feed(), cursor)
		if got[uuidOf(1)] != nil {
			t.Errorf("%s: it is taken", name)
		}
		f[uuidOf(1)+".json"] = now
		if got, _, _ = pulled(t, f.feed(), cursor); got[uuidOf(1)] == nil {
			t.Errorf("%s: it is not read again", name)
		}
	}
}

func TestEventsThatStayBehindTheirManifestCostNoMoreThanAHundredEachTime(t *testing.T) {
	f, entries := files{}, []string(nil)
	for n := range maxUnsettled + 50 {
		entries = append(entries, entryText(n, n+1, `,"integrity:sha256":"`+strings.Repeat("00", 31)+`01"`))
		f[uuidOf(n)+".json"] = eventText(n, n+1, plain)
	}
	f["manifest.json"] = manifestOf(entries...)
	c, err := f.feed().Changed(t.Context(), "")
	for err == nil {
		if _, err = c.Next(t.Context()); errors.As(err, new(*EventError)) {
			err = nil
		}
	}
	if c, err = f.feed().Changed(t.Context(), c.Cursor()); err != nil || c.Total() != maxUnsettled {
		t.Errorf("%d events are read again, %v", c.Total(), err)
	}
}

func TestACutEndsThePullAndTheCursorHasWhatWasRead(t *testing.T) {
	f := files{
		"manifest.json":     manifestOf(entryText(1, 1767400010, ""), entryText(2, 1767400020, "")),
		uuidOf(1) + ".json": eventText(1, 1767400010, plain), uuidOf(2) + ".json": "cut",
	}
	c, err := f.feed().Changed(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	e, err := c.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range e.Objects() {
	}
	cursor := c.Cursor()
	if _, err := c.Next(t.Context()); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatalf("error %v", err)
	}
	f[uuidOf(2)+".json"] = eventText(2, 1767400020, plain)
	got, _, _ := pulled(t, f.feed(), cursor)
	if len(got) != 1 || got[uuidOf(2)] == nil {
		t.Errorf("after the cut: %d events", len(got))
	}
}

func TestHostileManifests(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want error
	}{
		"empty":          {"", ErrFormat},
		"an empty list":  {"[]", nil},
		"a list":         {`["a"]`, ErrFormat},
		"no uuid":        {`{"../x":{"timestamp":"1"}}`, ErrFormat},
		"a bad checksum": {manifestOf(entryText(1, 1, `,"integrity:sha256":"zz"`)), ErrFormat},
		"no object":      {`{"` + uuidOf(1) + `":17}`, ErrFormat},
		"cut":            {`{"` + uuidOf(1) + `":{"timestamp":"1"}`, ErrFormat},
		"a huge entry":   {manifestOf(entryText(1, 1, `,"x":"`+strings.Repeat("x", maxEntryBytes)+`"`)), ErrTooLarge},
	} {
		_, err := files{"manifest.json": c.text}.feed().Changed(t.Context(), "")
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestACursorThatIsNotOursIsNone(t *testing.T) {
	for _, text := range []string{"", "x", cursorHead + "!", cursorHead + "AAAA", strings.Repeat("z", 1000)} {
		if len(parseMarks(text)) != 0 {
			t.Errorf("%q is a cursor", text)
		}
	}
	m := marks{{1}: {timestamp: 5, since: 6, context: "0a0b0c0d"}, {2}: {timestamp: 7}}
	if diff := cmp.Diff(m, parseMarks(m.text()), cmp.AllowUnexported(mark{})); diff != "" {
		t.Error(diff)
	}
}

func FuzzManifest(f *testing.F) {
	f.Add([]byte(manifestOf(entryText(1, 1, ""), entryText(2, 2, `,"Tag":[]`))))
	f.Add([]byte("[]"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		list, err := readManifest(bytes.NewReader(raw))
		if err == nil && len(list)*30 > len(raw) {
			t.Fatalf("%d events from %d bytes", len(list), len(raw))
		}
	})
}
