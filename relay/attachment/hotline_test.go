// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package attachment

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/certlink/certlink/internal/testbubble"
	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/hotline"
	"github.com/certlink/certlink/relay/message"
	"github.com/certlink/certlink/relay/store"
	"github.com/certlink/certlink/relay/store/sqlite"
)

// nation is one side with both engines, as the relay puts them together.
type nation struct {
	t           *testing.T
	name, other string
	store       *sqlite.Store
	files       *Engine
	messages    *hotline.Engine
	ca          *testca.CA
	identity    *identity
	// chunks lets chunks of this side pass once it is closed; nil lets all pass.
	chunks chan struct{}
}

type identity struct {
	*x509bundle.Set
	pair        testca.Pair
	trustDomain string
}

func (i *identity) SigningChain() ([]*x509.Certificate, crypto.Signer) {
	return i.pair.Chain, i.pair.Key
}
func (i *identity) TrustDomain() string { return i.trustDomain }

func newNations(t *testing.T) (alfa, bravo *nation) {
	t.Helper()
	alfa, bravo = &nation{t: t, name: "alfa", other: "bravo"}, &nation{t: t, name: "bravo", other: "alfa"}
	trusted := x509bundle.NewSet()
	for _, n := range []*nation{alfa, bravo} {
		n.ca = testca.New(t, n.name+".example")
		trusted.Add(x509bundle.FromX509Authorities(spiffeid.RequireTrustDomainFromString(n.name+".example"), []*x509.Certificate{n.ca.Root}))
		n.identity = &identity{Set: trusted, pair: n.ca.Leaf(t, testca.Leaf{Path: "/signing"}), trustDomain: n.name + ".example"}
	}
	alfa.build(bravo)
	bravo.build(alfa)
	alfa.run()
	bravo.run()
	return alfa, bravo
}

func (n *nation) build(other *nation) {
	n.t.Helper()
	var err error
	if n.store, err = sqlite.Open(context.Background(), sqlite.Config{Path: filepath.Join(n.t.TempDir(), "relay.db")}); err != nil {
		n.t.Fatal(err)
	}
	client := func(string) *http.Client { return &http.Client{Transport: n.wire(other)} }
	if n.files, err = New(Config{Store: n.store, Client: client, Stored: func(td string) { n.messages.Stored(td) }}); err != nil {
		n.t.Fatal(err)
	}
	if n.messages, err = hotline.New(hotline.Config{
		Store: n.store, Identity: func() hotline.Identity { return n.identity }, Client: client, Attachments: n.files,
	}); err != nil {
		n.t.Fatal(err)
	}
	c := live(n.other)
	c.SetDefaults()
	n.files.Apply(c)
	n.messages.Apply(c)
}

func (n *nation) run() {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for _, part := range []interface{ Run(context.Context) error }{n.files, n.messages} {
		running.Go(func() {
			if err := part.Run(ctx); err != nil {
				n.t.Error(err)
			}
		})
	}
	n.t.Cleanup(func() {
		cancel()
		running.Wait()
		if err := n.store.Close(); err != nil {
			n.t.Error(err)
		}
	})
}

// wire brings requests to the other side.
func (n *nation) wire(other *nation) http.RoundTripper {
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		if err := r.Context().Err(); err != nil {
			return nil, err
		}
		handler := other.messages.Handler()
		if strings.HasPrefix(r.URL.Path, Path) {
			handler = other.files.Handler()
			if n.chunks != nil && r.Method == http.MethodPut {
				<-n.chunks
			}
		}
		recorder := httptest.NewRecorder()
		from := access.Peer{Name: n.name, TrustDomain: n.name + ".example", Relay: true}
		handler.ServeHTTP(recorder, r.WithContext(access.WithPeer(r.Context(), from)))
		return recorder.Result(), nil
	})
}

// send is what the desk does.
func (n *nation) send(subject, conversation, precedence string, list ...message.Attachment) (desk.Message, error) {
	m, _, err := n.messages.Send(n.t.Context(), desk.SendRequest{
		Hotline: "to-" + n.other, Conversation: conversation, Precedence: precedence, Subject: subject, Text: "text", Officer: "duty", Attachments: list,
	})
	return m, err
}

func (n *nation) mustSend(subject, conversation, precedence string, list ...message.Attachment) desk.Message {
	n.t.Helper()
	m, err := n.send(subject, conversation, precedence, list...)
	if err != nil {
		n.t.Fatal(err)
	}
	return m
}

// got are the subjects that a side has received, the first first.
func (n *nation) got() string {
	n.t.Helper()
	list, err := n.messages.List(n.t.Context(), store.MessageQuery{Direction: store.In, Limit: 100})
	if err != nil {
		n.t.Fatal(err)
	}
	var subjects []string
	for _, m := range list.Messages {
		subjects = append([]string{m.Subject}, subjects...)
	}
	return strings.Join(subjects, " ")
}

func (n *nation) upload(name string, size int) ([]byte, message.Attachment) {
	n.t.Helper()
	content, a := file(name, size)
	s := &side{t: n.t, name: n.name, other: n.other, engine: n.files}
	s.upload(content, a, store.MaxChunk)
	return content, a
}

// A chunk is on its way and does not arrive: what has nothing to do with it goes.
func TestAFlashDuringATransferWaitsForNoChunk(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		alfa, bravo := newNations(t)
		content, a := alfa.upload("evidence", 2<<20)
		alfa.chunks = make(chan struct{})
		with := alfa.mustSend("with", "talk", "ROUTINE", a)
		alfa.mustSend("after", "talk", "ROUTINE")
		synctest.Wait()
		begun := time.Now()
		alfa.mustSend("flash", "other", "FLASH")
		synctest.Wait() // their lanes are two: which of both came first would be chance
		if got := bravo.got(); got != "flash" {
			t.Errorf("after a FLASH bravo has %q", got)
		}
		alfa.mustSend("routine", "third", "ROUTINE")
		synctest.Wait()
		if got := bravo.got(); got != "flash routine" {
			t.Errorf("while a chunk is on its way bravo has %q", got)
		}
		if took := time.Since(begun); took > 0 {
			t.Errorf("it took %v of the bubble's time", took)
		}
		close(alfa.chunks)
		<-time.After(time.Minute)
		synctest.Wait()
		if got := bravo.got(); got != "flash routine with after" {
			t.Errorf("at the end bravo has %q", got)
		}
		f, err := bravo.files.Download(t.Context(), store.In, "alfa.example", with.ID, a.SHA256)
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		if _, err := got.ReadFrom(f.Content); err != nil || !bytes.Equal(got.Bytes(), content) {
			t.Errorf("%d bytes came, %v", got.Len(), err)
		}
	})
}

func TestAMessageNamesOnlyWhatIsComplete(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		alfa, _ := newNations(t)
		_, a := alfa.upload("report.pdf", 100)
		_, missing := file("missing", 100)
		for name, list := range map[string][]message.Attachment{
			"is not stored":       {missing},
			"has another size":    {{Name: "x", Size: 99, SHA256: a.SHA256}},
			"is no digest":        {{Name: "x", Size: 100, SHA256: "00"}},
			"has a path":          {{Name: "../x", Size: 100, SHA256: a.SHA256}},
			"is hidden":           {{Name: ".x", Size: 100, SHA256: a.SHA256}},
			"turns the text":      {{Name: "a\u202eb", Size: 100, SHA256: a.SHA256}},
			"has a name twice":    {a, a},
			"has a name too long": {{Name: strings.Repeat("ä", 128), Size: 100, SHA256: a.SHA256}},
		} {
			_, err := alfa.send(name, "", "ROUTINE", list...)
			invalid, ok := errors.AsType[*desk.InvalidError](err)
			if !ok && !errors.Is(err, store.ErrIncomplete) {
				t.Errorf("a file that %s: %v %v", name, err, invalid)
			}
		}
		if m := alfa.mustSend("good", "", "ROUTINE", a); len(m.Attachments) != 1 || m.Attachments[0] != a {
			t.Errorf("it names %+v", m.Attachments)
		}
	})
}
