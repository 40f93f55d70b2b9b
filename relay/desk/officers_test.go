// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package desk_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/desk"
)

// shift is a desk with these officers.
func shift(shared string, names ...string) *config.Config {
	c := &config.Config{Desk: config.Desk{SharedCertificate: shared}}
	for _, name := range names {
		c.Desk.Officers = append(c.Desk.Officers, config.Officer{Name: name, Roles: []config.OfficerRole{config.Draft}})
	}
	return c
}

func TestTheLocalPortLetsInTheOfficersOfTheConfiguration(t *testing.T) {
	alfa, bravo, replaced := testca.New(t, "alfa.example"), testca.New(t, "bravo.example"), testca.New(t, "alfa.example")
	address, _, _ := serve(t, alfa, func(s *desk.Server) { s.Apply(shift(config.Denied, "eve", "bob")) })
	for name, c := range map[string]struct {
		ca   *testca.CA
		leaf testca.Leaf
		want string // "" is refused
	}{
		"an_officer":                              {alfa, testca.Leaf{Path: "/desk/eve"}, "desk/eve"},
		"another_officer":                         {alfa, testca.Leaf{Path: "/desk/bob"}, "desk/bob"},
		"not_one_who_is_not_configured":           {alfa, testca.Leaf{Path: "/desk/mallory"}, ""},
		"not_a_path_below_an_officer":             {alfa, testca.Leaf{Path: "/desk/eve/bob"}, ""},
		"not_the_shared_certificate_if_it_is_off": {alfa, testca.Leaf{Path: "/desk"}, ""},
		"not_a_peer's_officer_of_that_name":       {bravo, testca.Leaf{Path: "/desk/eve"}, ""},
		"not_our_officer_by_a_peer":               {bravo, testca.Leaf{Path: "/desk/eve", TrustDomain: "alfa.example"}, ""},
		"not_by_a_CA_that_was_replaced":           {replaced, testca.Leaf{Path: "/desk/eve"}, ""},
		"nor_as_an_operator_of_that_name":         {alfa, testca.Leaf{Path: "/operator/eve"}, ""},
		"but_the_operator_as_before":              {alfa, testca.Leaf{Path: "/operator"}, "operator"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ask(t, address, alfa, c.ca.Leaf(t, c.leaf))
			if c.want == "" && err == nil {
				t.Errorf("let in as %q", got)
			}
			if c.want != "" && got != c.want {
				t.Errorf("let in as %q, %v; want %q", got, err, c.want)
			}
		})
	}
}

func TestAnOfficerWhoIsRemovedIsSentAwayAtOnce(t *testing.T) {
	ca := testca.New(t, "alfa.example")
	var server *desk.Server
	address, _, _ := serve(t, ca, func(s *desk.Server) { server = s })
	server.Apply(shift(config.Allowed, "eve"))
	eve, shared := newClient(t, ca, ca.Leaf(t, testca.Leaf{Path: "/desk/eve"})), newClient(t, ca, ca.Leaf(t, testca.Leaf{Path: "/desk"}))
	if got, err := request(t, eve, address); got != "desk/eve" {
		t.Fatalf("eve is %q, %v", got, err)
	}
	if got, err := request(t, shared, address); got != "desk" {
		t.Fatalf("the shared certificate is %q, %v", got, err)
	}
	server.Apply(shift(config.Denied, "bob"))
	if got, err := request(t, eve, address); err == nil && !strings.Contains(got, "no officer of this name is configured") {
		t.Errorf("eve over the open connection: %q", got)
	}
	if got, err := request(t, shared, address); err == nil && !strings.Contains(got, "may not be used") {
		t.Errorf("the shared certificate over the open connection: %q", got)
	}
	if got, err := ask(t, address, ca, ca.Leaf(t, testca.Leaf{Path: "/desk/eve"})); err == nil {
		t.Errorf("eve with a renewed certificate: %q", got)
	}
}

func TestAnOfficerOfAReplacedCAIsSentAway(t *testing.T) {
	old := testca.New(t, "alfa.example")
	address, source, cfg := serve(t, old, func(s *desk.Server) { s.Apply(shift(config.Allowed, "eve")) })
	eve := newClient(t, old, old.Leaf(t, testca.Leaf{Path: "/desk/eve"}))
	if got, err := request(t, eve, address); got != "desk/eve" {
		t.Fatalf("eve is %q, %v", got, err)
	}
	testca.New(t, "alfa.example").Leaf(t, testca.Leaf{Path: "/local"}).WriteTo(t, filepath.Dir(cfg.Identity.Local.CertFile))
	if err := source.Apply(cfg); err != nil {
		t.Fatal(err)
	}
	if got, err := request(t, eve, address); err == nil && !strings.Contains(got, "403") {
		t.Errorf("over the open connection: %s", got)
	}
}

func TestOfficerOfNamesSingleOfficersOnly(t *testing.T) {
	for id, want := range map[string]string{
		"spiffe://alfa.example/desk/eve": "eve", "spiffe://alfa.example/desk": "", "spiffe://alfa.example/desk/": "",
		"spiffe://alfa.example/desk/eve/x": "", "spiffe://alfa.example/operator": "", "spiffe://alfa.example/tool/eve": "", "eve": "", "": "",
	} {
		if got := desk.OfficerOf(id); got != want {
			t.Errorf("%q is officer %q, want %q", id, got, want)
		}
	}
}
