// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"
	"testing"

	"github.com/transparency-dev/formats/proof"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/store"
)

// TestProof checks a proof as docs/journal.md tells a third party to: with the published
// formats, and nothing of ours.
func TestProof(t *testing.T) {
	bubble(t, "anybody_can_check_a_message", func(t *testing.T, w *world) {
		for i := range 40 {
			w.alfa.send(request(ulidFor(i/10, i%10), "s"))
			if i%7 == 0 { // receipts between the messages
				w.bravo.send(request("", "back"))
			}
		}
		w.quiet()
		for i := range 40 {
			id := ulidFor(i/10, i%10)
			p, err := w.alfa.engine().Prove(t.Context(), "out", "bravo", id, false)
			if err != nil {
				t.Fatal(err)
			}
			checkProof(t, w.alfa.ca, p, "alfa.example")
			checked := 0
			for _, of := range []struct {
				at, said  *nation
				direction string
				receipt   bool
			}{{w.alfa, w.bravo, "out", true}, {w.bravo, w.alfa, "in", false}, {w.bravo, w.bravo, "in", true}} {
				q, err := of.at.engine().Prove(t.Context(), of.direction, map[*nation]string{w.alfa: "bravo", w.bravo: "alfa"}[of.at], id, of.receipt)
				if err != nil {
					t.Fatal(err)
				}
				checkProof(t, of.said.ca, q, of.said.trustDomain)
				if !of.receipt && string(q.Body) != string(p.Body) {
					t.Errorf("message %s: another content was received", id)
				}
				checked++
			}
			if checked != 3 {
				t.Errorf("%d proofs", checked)
			}
			m, err := w.bravo.life().store.GetMessage(t.Context(), store.In, "alfa.example", id)
			if err != nil || string(m.Payload) != string(p.Body) {
				t.Errorf("message %s: bravo holds another content, %v", id, err)
			}
		}
	})
	bubble(t, "not_of_what_we_did_not_send", func(t *testing.T, w *world) {
		w.faults(cut)
		w.alfa.send(request(firstID, "s"))
		w.alfa.tamper("DELETE FROM journals; UPDATE messages SET entry = 0")
		w.alfa.send(request(ulidFor(0, 1), "s"))
		for _, id := range []string{firstID, ulidFor(3, 3)} {
			if _, err := w.alfa.engine().Prove(t.Context(), "out", "bravo.example", id, false); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("%s: %v", id, err)
			}
		}
	})
}

func checkProof(t *testing.T, ca *testca.CA, p desk.MessageProof, by string) {
	t.Helper()
	block, rest := pem.Decode([]byte(p.Chain))
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	roots, intermediates := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(ca.Root)
	intermediates.AppendCertsFromPEM(rest)
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: intermediates, CurrentTime: leaf.NotBefore, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
		t.Errorf("the chain: %v", err)
	}
	if len(leaf.URIs) != 1 || leaf.URIs[0].String() != "spiffe://"+by+"/signing" {
		t.Errorf("the leaf is of %v", leaf.URIs)
	}
	want, err := note.NewEd25519VerifierKey(p.Origin, leaf.PublicKey.(ed25519.PublicKey))
	if err != nil || want != p.VerifierKey {
		t.Errorf("the key is %q, want %q, %v", p.VerifierKey, want, err)
	}
	var tp proof.TLogProof
	if err := tp.Unmarshal([]byte(p.Proof)); err != nil {
		t.Fatal(err)
	}
	verifier, err := note.NewVerifier(p.VerifierKey)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := note.Open(tp.Checkpoint, note.VerifierList(verifier))
	if err != nil {
		t.Fatal(err)
	}
	tree, err := tlog.ParseTree([]byte("go.sum database tree\n" + strings.SplitN(opened.Text, "\n", 2)[1]))
	if err != nil {
		t.Fatal(err)
	}
	leafHash := sha256.Sum256(append([]byte("\x00"+p.Kind+"\n"), p.Body...))
	path := tlog.RecordProof{}
	for _, h := range tp.Hashes {
		path = append(path, h)
	}
	if err := tlog.CheckRecord(path, tree.N, tree.Hash, int64(tp.Index), leafHash); err != nil {
		t.Errorf("entry %d of %d: %v", tp.Index, tree.N, err)
	}
}
