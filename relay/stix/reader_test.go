// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package stix

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

const (
	one = `{"type":"url","id":"url--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd31"}`
	two = `{ "id":"url--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd32" , "type":"url","value":"]},{\"[" }`
)

// readAll returns what was read, what was refused and the final error.
func readAll(r *Reader) (read []string, refused []error, end error) {
	for {
		o, err := r.Read()
		var bad *ObjectError
		switch {
		case err == nil:
			read = append(read, string(o.Raw))
		case errors.As(err, &bad):
			refused = append(refused, err)
		default:
			return read, refused, err
		}
	}
}

func TestReader(t *testing.T) {
	big := `{"x":"` + strings.Repeat(`\"`, MaxObjectBytes/2) + `"}`
	deep := strings.Repeat("[", 1000) + strings.Repeat("]", 1000)
	tests := map[string]struct {
		in      string
		want    []string
		refused []error
		end     error
		more    bool
		next    string
	}{
		"reads_an_envelope":                   {in: `{"more":true,"next":"x\u0041","objects":[` + one + `,` + two + `]}`, want: []string{one, two}, more: true, next: "xA"},
		"reads_members_after_the_objects":     {in: ` { "objects" : [ ` + one + ` ] , "more" : true , "next":"n", "x":[{}] } `, want: []string{one}, more: true, next: "n"},
		"reads_a_bundle":                      {in: `{"type":"bundle","id":"bundle--1","objects":[` + one + `]}`, want: []string{one}},
		"reads_an_empty_envelope":             {in: `{}`},
		"reads_no_objects":                    {in: `{"objects":[]}`},
		"goes_on_after_bad_objects":           {in: `{"objects":[` + one + `,5,"x",{"a":},{"a":1,"a":2},{"id":"not-an-id"},` + deep + `,` + big + `,` + two + `]}`, want: []string{one, two}, refused: []error{ErrInvalid, ErrInvalid, ErrSyntax, ErrSyntax, ErrInvalid, ErrTooDeep, ErrTooLarge}},
		"refuses_nothing":                     {end: io.ErrUnexpectedEOF},
		"refuses_an_array":                    {in: `[]`, end: ErrContainer},
		"refuses_what_is_cut":                 {in: `{"objects":[` + one + `,{"type`, want: []string{one}, end: io.ErrUnexpectedEOF},
		"refuses_a_cut_after_the_objects":     {in: `{"objects":[` + one + `]`, want: []string{one}, end: io.ErrUnexpectedEOF},
		"refuses_what_follows":                {in: `{"objects":[]}{}`, end: ErrContainer},
		"refuses_a_missing_comma":             {in: `{"objects":[` + one + one + `]}`, want: []string{one}, end: ErrContainer},
		"refuses_a_trailing_comma":            {in: `{"objects":[` + one + `,]}`, want: []string{one}, end: ErrContainer},
		"refuses_a_leading_comma":             {in: `{"objects":[,` + one + `]}`, end: ErrContainer},
		"refuses_objects_twice":               {in: `{"objects":[],"objects":[]}`, end: ErrContainer},
		"refuses_an_escaped_twin":             {in: `{"objects":[],"\u006fbjects":[]}`, end: ErrContainer},
		"refuses_objects_that_are_no_array":   {in: `{"objects":{}}`, end: ErrContainer},
		"refuses_more_that_is_a_string":       {in: `{"more":"true"}`, end: ErrContainer},
		"reads_next_that_is_a_number":         {in: `{"more":true,"next":5}`, more: true, next: "5"},
		"reads_null_as_nothing":               {in: `{"more":null,"next":null,"objects":null}`},
		"refuses_next_that_is_an_object":      {in: `{"next":{}}`, end: ErrContainer},
		"refuses_objects_that_look_like_null": {in: `{"objects":nul}`, end: ErrContainer},
		"refuses_a_next_without_end":          {in: `{"next":"` + strings.Repeat("x", 5000) + `"}`, end: ErrContainer},
		"refuses_a_member_that_is_not_JSON":   {in: `{"x":tru}`, end: ErrContainer},
		"refuses_a_giant_member":              {in: `{"x":"` + strings.Repeat("x", maxOtherBytes) + `"}`, end: ErrContainer},
		"refuses_a_name_that_is_no_string":    {in: `{5:5}`, end: ErrContainer},
		"refuses_members_without_end":         {in: `{` + strings.Repeat(`"x":1,`, 100) + `"y":1}`, end: ErrContainer},
		"refuses_a_bracket_of_the_wrong_kind": {in: `{"objects":[` + one + `}}`, want: []string{one}, end: ErrContainer},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if tt.end == nil {
				tt.end = io.EOF
			}
			for how, src := range map[string]io.Reader{
				"whole": strings.NewReader(tt.in), "by_halves": iotest.HalfReader(strings.NewReader(tt.in)),
				"byte_by_byte": iotest.OneByteReader(strings.NewReader(tt.in)), "with_late_EOF": iotest.DataErrReader(strings.NewReader(tt.in)),
			} {
				r := NewReader(src)
				read, refused, end := readAll(r)
				if diff := cmp.Diff(tt.want, read); diff != "" {
					t.Errorf("%s: objects (-want +got):\n%s", how, diff)
				}
				if !errors.Is(end, tt.end) {
					t.Errorf("%s: end = %v, want %v", how, end, tt.end)
				}
				if r.More() != tt.more || r.Next() != tt.next {
					t.Errorf("%s: more, next = %v, %.80q", how, r.More(), r.Next())
				}
				if len(refused) != len(tt.refused) {
					t.Fatalf("%s: refused %v, want %v", how, refused, tt.refused)
				}
				for i, err := range refused {
					if !errors.Is(err, tt.refused[i]) {
						t.Errorf("%s: refusal %d = %v, want %v", how, i, err, tt.refused[i])
					}
				}
			}
		})
	}
}

func TestReaderNamesTheRefusedObject(t *testing.T) {
	_, err := NewReader(strings.NewReader(`{"objects":[{"x":{"id":"inner"},"id":"indicator--5"}]}`)).Read()
	var bad *ObjectError
	if !errors.As(err, &bad) || bad.ID != "indicator--5" || bad.Index != 0 {
		t.Errorf("error = %#v", err)
	}
}

func TestReaderPassesTheSourcesErrorOn(t *testing.T) {
	_, err := NewReader(iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader(`{"objects":[]}`)))).Read()
	if !errors.Is(err, iotest.ErrTimeout) {
		t.Errorf("error = %v", err)
	}
}

// endless is one object that never ends.
type endless struct{ begun bool }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	if !e.begun {
		e.begun = true
		return copy(p, `{"objects":[{"a":"`), nil
	}
	return len(p), nil
}

func TestReaderHoldsOneObjectAtMost(t *testing.T) {
	r := NewReader(io.LimitReader(&endless{}, 16<<20))
	if _, err := r.Read(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("error = %v", err)
	}
	if n := cap(r.in.buf); n > 4*MaxObjectBytes {
		t.Errorf("the window has %d bytes", n)
	}
}

func TestReaderKeepsEveryByteOfATTACK(t *testing.T) {
	bundle, err := os.ReadFile("../../test/data/ics-attack-18.1.json")
	if err != nil {
		t.Fatal(err)
	}
	var want struct{ Objects []json.RawMessage }
	if err := json.Unmarshal(bundle, &want); err != nil {
		t.Fatal(err)
	}
	r := NewReader(bytes.NewReader(bundle))
	statements := 0
	for i, raw := range want.Objects {
		o, err := r.Read()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(o.Raw, raw) {
			t.Fatalf("object %d is not as it stands in the bundle", i)
		}
		if o.Version.IsZero() || o.SpecVersion != Spec21 {
			t.Errorf("%s: version %v, spec version %s", o.ID, o.Version, o.SpecVersion)
		}
		if o.Statement {
			statements++
		}
	}
	if _, err := r.Read(); !errors.Is(err, io.EOF) || len(want.Objects) != 1826 || statements != 1 {
		t.Errorf("end = %v after %d objects, %d statements", err, len(want.Objects), statements)
	}
}

func FuzzReader(f *testing.F) {
	f.Add([]byte(`{"more":true,"next":"x","objects":[` + one + `,` + two + `]}`))
	f.Add([]byte(`{"objects":[{},{"a":1},5,"x"]}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		read, refused, end := readAll(NewReader(bytes.NewReader(in)))
		again, refused2, end2 := readAll(NewReader(iotest.OneByteReader(bytes.NewReader(in))))
		if !cmp.Equal(read, again) || len(refused) != len(refused2) || errors.Is(end, io.EOF) != errors.Is(end2, io.EOF) {
			t.Errorf("%q is read otherwise in small pieces: %v, %v", in, end, end2)
		}
		for _, raw := range read {
			if !bytes.Contains(in, []byte(raw)) {
				t.Errorf("%q was not in the input", raw)
			}
		}
	})
}

func BenchmarkReader(b *testing.B) {
	bundle, err := os.ReadFile("../../test/data/ics-attack-18.1.json")
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(bundle)))
	b.ReportAllocs()
	for b.Loop() {
		if _, refused, end := readAll(NewReader(bytes.NewReader(bundle))); len(refused) > 0 || !errors.Is(end, io.EOF) {
			b.Fatal(refused, end)
		}
	}
}
