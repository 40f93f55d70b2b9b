// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/oklog/ulid/v2"

	"github.com/certlink/certlink/api/v1alpha1"
	wire "github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/test/scenario"
)

// officers gives alfa the officers eve and rob, whose certificates a real cert-manager
// issues, and has its hotline ask for a second one; until the test ends.
func officers(t *testing.T) {
	t.Helper()
	one := int32(1)
	set := func(ctx context.Context, desk v1alpha1.DeskSpec, release *v1alpha1.HotlineRelease) error {
		if err := scenario.Change(ctx, alfa, alfa.Name, &v1alpha1.LocalCERT{}, func(l *v1alpha1.LocalCERT) { l.Spec.Desk = desk }); err != nil {
			return err
		}
		return scenario.Change(ctx, alfa, bravo.Name, &v1alpha1.Hotline{}, func(h *v1alpha1.Hotline) { h.Spec.Release = release })
	}
	cleanup(t, func(ctx context.Context) error {
		if err := set(ctx, v1alpha1.DeskSpec{}, nil); err != nil {
			return err
		}
		_, err := alfa.AwaitLocal(ctx, scenario.True(v1alpha1.ConditionReady)...)
		return err
	})
	must(t, set(t.Context(), v1alpha1.DeskSpec{Officers: []v1alpha1.Officer{
		{Name: "eve", DisplayName: "Eve Example", Roles: []v1alpha1.OfficerRole{v1alpha1.RoleDraft, v1alpha1.RoleRelease}},
		{Name: "rob", DisplayName: "Rob Example", Roles: []v1alpha1.OfficerRole{v1alpha1.RoleRelease}},
	}}, &v1alpha1.HotlineRelease{Quorum: &one}))
	err := scenario.Poll(within(t, patience), "both officers have certificates and the relay knows them", func(ctx context.Context) error {
		l, err := alfa.AwaitLocal(ctx, scenario.True(v1alpha1.ConditionReady)...)
		if err != nil {
			return err
		}
		for _, o := range l.Status.Officers {
			if o.NotAfter == nil {
				return fmt.Errorf("officer %s has no certificate", o.Name)
			}
		}
		if len(l.Status.Officers) != 2 {
			return fmt.Errorf("the status has %d officers", len(l.Status.Officers))
		}
		_, err = alfa.AwaitHotline(ctx, bravo.Name, func(h v1alpha1.Hotline) error {
			return scenario.All(h.Status.Conditions, h.Generation, scenario.True(v1alpha1.ConditionReady)...)
		})
		return err
	})
	must(t, err)
}

func TestTwoPersonRelease(t *testing.T) {
	connected(t)
	officers(t)
	id := ulid.Make().String()
	draft := func(args ...string) (string, error) {
		return alfa.CLI(within(t, patience), strings.NewReader(""), append([]string{"hotline"}, args...)...)
	}
	refused := func(why string, args ...string) {
		t.Helper()
		if said, err := draft(args...); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%v: %s, %v; want a refusal with %q", args, said, err, why)
		}
	}
	refused("certificate of a single officer", "send", bravo.Name, "--subject", "Alone", "--text", "By the shared certificate.")
	refused("takes the role Draft", "send", bravo.Name, "--subject", "Alone", "--text", "By a releaser.", "--officer", "rob")

	said, err := draft("send", bravo.Name, "--id", id, "--subject", "Outage", "--text", "Two have read this.", "--precedence", "IMMEDIATE", "--officer", "eve")
	must(t, err)
	if !strings.Contains(said, "NOT sent yet") {
		t.Errorf("send says %q", said)
	}
	said, err = draft("draft", "show", id, "-o", "json", "--officer", "rob")
	must(t, err)
	var m wire.Message
	must(t, json.Unmarshal([]byte(said), &m))
	if m.State != wire.StateDraft || m.Draft == nil || m.Draft.Drafter.Identity != "spiffe://"+alfa.TrustDomain+"/desk/eve" {
		t.Fatalf("the draft is %s", said)
	}
	_, err = alfa.AwaitHotline(within(t, patience), bravo.Name, func(h v1alpha1.Hotline) error {
		if scenario.Number(h.Status.Drafts) != 1 {
			return fmt.Errorf("the status shows %d drafts", scenario.Number(h.Status.Drafts))
		}
		return nil
	})
	must(t, err)

	refused("another one must release it", "draft", "release", id, "--yes-i-read", m.Draft.Hash, "--officer", "eve")
	refused("does not begin with", "draft", "release", id, "--yes-i-read", "00000000", "--officer", "rob")
	_, err = draft("draft", "edit", id, "--text", "Two have read this, at last.", "--officer", "eve")
	must(t, err)
	refused("does not begin with", "draft", "release", id, "--yes-i-read", m.Draft.Hash, "--officer", "rob")
	said, err = draft("draft", "show", id, "-o", "json", "--officer", "rob")
	must(t, err)
	must(t, json.Unmarshal([]byte(said), &m))
	_, err = draft("draft", "release", id, "--yes-i-read", m.Draft.Hash[:8], "--officer", "rob")
	must(t, err)

	err = scenario.Poll(within(t, patience), "bravo has the message with both names", func(context.Context) error {
		said, err := bravo.CLI(within(t, patience), nil, "hotline", "show", id, "-o", "json")
		if err != nil {
			return err
		}
		var got wire.Message
		must(t, json.Unmarshal([]byte(said), &got))
		if got.Officer != "Eve Example" || len(got.ReleasedBy) != 1 || got.ReleasedBy[0].Officer != "Rob Example" ||
			got.ReleasedBy[0].Identity != "spiffe://"+alfa.TrustDomain+"/desk/rob" || got.Text != "Two have read this, at last." {
			t.Fatalf("bravo has %s", said)
		}
		return nil
	})
	must(t, err)
	said, err = shared(t, "journal", "acts", bravo.Name, "--message", id, "-o", "json")
	must(t, err)
	var acts wire.ActList
	must(t, json.Unmarshal([]byte(said), &acts))
	var names []string
	for _, a := range acts.Acts {
		names = append(names, strings.TrimSpace(a.Act+" "+strings.TrimPrefix(a.By, "spiffe://"+alfa.TrustDomain+"/desk/")))
	}
	if got := strings.Join(names, ", "); got != "DRAFTED eve, EDITED eve, RELEASED rob, SENT" {
		t.Errorf("the journal has %s", got)
	}
	_, err = shared(t, "journal", "verify", bravo.Name)
	must(t, err)
	_, err = bravo.CLI(within(t, patience), nil, "hotline", "ack", id, "--officer", "officer of bravo")
	must(t, err)
	settled(t)
}

// shared is a command of alfa by the shared certificate.
func shared(t *testing.T, args ...string) (string, error) {
	t.Helper()
	return alfa.CLI(within(t, patience), nil, args...)
}

func TestAnOfficerWhoIsRemovedIsRefusedAtOnce(t *testing.T) {
	connected(t)
	officers(t)
	_, err := alfa.CLI(within(t, patience), nil, "hotline", "drafts", "--officer", "rob")
	must(t, err)
	rob, err := alfa.Officer(t.Context(), "rob")
	must(t, err)
	dial, closing, err := alfa.Forward(scenario.LocalPort)
	must(t, err)
	t.Cleanup(closing)
	client := rob(dial)
	t.Cleanup(client.Close)
	if _, err := client.Drafts(t.Context(), "", false, 0); err != nil {
		t.Fatal(err)
	}
	must(t, scenario.Change(t.Context(), alfa, alfa.Name, &v1alpha1.LocalCERT{}, func(l *v1alpha1.LocalCERT) {
		l.Spec.Desk.Officers = l.Spec.Desk.Officers[:1]
	}))
	err = scenario.Poll(within(t, patience), "rob is refused, with a certificate that is still valid", func(ctx context.Context) error {
		if _, err := client.Drafts(ctx, "", false, 0); err == nil {
			return fmt.Errorf("rob is still let in")
		}
		return nil
	})
	must(t, err)
	if _, err := alfa.CLI(within(t, patience), nil, "hotline", "drafts", "--officer", "eve"); err != nil {
		t.Errorf("eve is refused as well: %v", err)
	}
}
