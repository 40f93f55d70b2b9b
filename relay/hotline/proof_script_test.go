// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/desk"
)

// handed is a proof as `kubectl certlink journal prove` hands it out.
type handed struct{ entry, proof, chain, ca, signer, peer string }

func handedOut(p desk.MessageProof, ca *testca.CA, peer string) handed {
	return handed{
		entry: p.Kind + "\n" + string(p.Body), proof: p.Proof, chain: p.Chain,
		ca: string(testca.EncodeCertificates(ca.Root)), signer: ca.TrustDomain, peer: peer,
	}
}

// check runs the script of the documents on it.
func (h handed) check(t *testing.T) (said string, err error) {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{"m.entry": h.entry, "m.tlog-proof": h.proof, "m.chain.pem": h.chain, "ca.pem": h.ca} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.CommandContext(t.Context(), "sh", "../../docs/verify-proof.sh", filepath.Join(dir, "m"), filepath.Join(dir, "ca.pem"), h.signer, h.peer).CombinedOutput()
	return string(out), err
}

// proofs are of six messages of alfa's, a tree that is not full, of what came of one of them at bravo, and of
// its receipt.
func proofs(t *testing.T, w *world) (all []handed) {
	t.Helper()
	var ids []string
	for i := range 6 {
		ids = append(ids, w.alfa.send(request("", fmt.Sprint("s", i))).ID)
		w.pass(1)
	}
	prove := func(n, by *nation, direction, id string, receipt bool) {
		p, err := n.engine().Prove(t.Context(), direction, n.config.Peers[0].Name, id, receipt)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, handedOut(p, by.ca, n.config.Peers[0].TrustDomain))
		if by != n {
			all[len(all)-1].peer = n.trustDomain
		}
	}
	for _, id := range ids {
		prove(w.alfa, w.alfa, "out", id, false)
	}
	prove(w.bravo, w.alfa, "in", ids[2], false)
	prove(w.alfa, w.bravo, "out", ids[2], true)
	return all
}

// spoiled are proofs that prove nothing, each with what the script says of it.
func spoiled(t *testing.T, all []handed, ca *testca.CA) map[string]spoil {
	t.Helper()
	hashes := strings.Split(all[2].proof, "\n")
	return map[string]spoil{
		"a changed message":          {func(h *handed) { h.entry += " " }, "not in the log"},
		"a receipt for a message":    {func(h *handed) { h.entry = strings.Replace(h.entry, "message/1", "receipt/1", 1) }, "not in the log"},
		"another message":            {func(h *handed) { h.entry = all[3].entry }, "not in the log"},
		"another place":              {func(h *handed) { h.proof = strings.Replace(h.proof, "index 2", "index 3", 1) }, "not in the log"},
		"a place behind the end":     {func(h *handed) { h.proof = strings.Replace(h.proof, "index 2", "index 6", 1) }, "the log has 6 entries"},
		"a place that is no number":  {func(h *handed) { h.proof = strings.Replace(h.proof, "index 2", "index 2+0", 1) }, "no number"},
		"a hash that is missing":     {func(h *handed) { h.proof = strings.Replace(h.proof, hashes[2]+"\n", "", 1) }, "not proven"},
		"a hash too many":            {func(h *handed) { h.proof = strings.Replace(h.proof, hashes[2], hashes[2]+"\n"+hashes[2], 1) }, "not proven"},
		"another number of entries":  {func(h *handed) { h.proof = strings.Replace(h.proof, "\n6\n", "\n7\n", 1) }, "not signed by that key"},
		"a signature of another log": {func(h *handed) { h.peer = "charlie.example" }, "not of the log"},
		"a signer of another name":   {func(h *handed) { h.signer = "bravo.example" }, "is not spiffe://bravo.example/signing"},
		"a CA that is not its own":   {func(h *handed) { h.ca = all[len(all)-1].ca }, "does not lead to"},
		"a key that signs no journal": {func(h *handed) {
			pair := ca.Leaf(t, testca.Leaf{Path: "/relay", Algorithm: testca.Ed25519, NotBefore: ca.Root.NotBefore, NotAfter: ca.Root.NotAfter})
			h.chain = string(pair.CertPEM)
		}, "is not spiffe://alfa.example/signing"},
		"a newer key of the same name": {func(h *handed) {
			pair := ca.Leaf(t, testca.Leaf{Path: "/signing", NotBefore: ca.Root.NotBefore, NotAfter: ca.Root.NotAfter})
			h.chain = string(pair.CertPEM)
		}, "not signed by that key"},
		"no signature": {func(h *handed) { h.proof = h.proof[:strings.Index(h.proof, "\u2014")] }, "not signed by that key"},
		"no proof":     {func(h *handed) { h.proof = "" }, "no tlog-proof"},
	}
}

type spoil struct {
	change func(h *handed)
	says   string
}

// TestAThirdPartyChecksAProofWithOpenSSLAlone runs docs/verify-proof.sh: a shell and OpenSSL, and nothing of ours.
func TestAThirdPartyChecksAProofWithOpenSSLAlone(t *testing.T) {
	var all []handed
	var ca *testca.CA
	bubble(t, "once_it_is_handed_out", func(t *testing.T, w *world) { all, ca = proofs(t, w), w.alfa.ca })
	for i, h := range all {
		if said, err := h.check(t); err != nil || !strings.HasPrefix(said, "proven: entry ") || !strings.Contains(said, "notAfter=") {
			t.Errorf("proof %d: %v: %s", i, err, said)
		}
	}
	good := all[2]
	for name, tt := range spoiled(t, all, ca) {
		t.Run(name, func(t *testing.T) {
			bad := good
			if tt.change(&bad); bad == good {
				t.Fatal("nothing was changed")
			}
			if said, err := bad.check(t); err == nil || !strings.Contains(said, tt.says) || strings.Contains(said, "proven: entry") {
				t.Errorf("%v: %s", err, said)
			}
		})
	}
}
