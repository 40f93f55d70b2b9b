// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certlink/certlink/internal/testbubble"
	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/store"
)

// officers at play: what each did is kept apart from the engine.
type play struct {
	t        *testing.T
	random   *rand.Rand
	alfa     *nation
	ids      []string
	rules    *config.Release
	officers []config.Officer
	// said are the releases that were accepted, by draft, of what hash by whom.
	said map[string]map[string][]string
	// sent are the messages that were seen to have left.
	sent map[string]bool
}

func pick[T any](p *play, of ...T) T { return of[p.random.IntN(len(of))] }

func (p *play) who() string {
	return pick(p, "desk/eve", "desk/rob", "desk/ann", "desk/zoe", "desk/mallory", "desk", "tool")
}

func (p *play) as(path string) context.Context {
	return access.WithIdentity(p.t.Context(), "spiffe://alfa.example/"+path)
}

func (p *play) request(id string) desk.SendRequest {
	r := request(id, pick(p, "one", "two", "three"))
	r.Hotline, r.Officer, r.Precedence, r.TLP = "to-bravo", "", pick(p, "FLASH", "PRIORITY", "ROUTINE"), pick(p, "GREEN", "RED")
	r.Exercise = pick(p, "", "", "", "spring") // which frees a client's message of nothing
	return r
}

// act does something at random. What is refused is refused.
func (p *play) act(i int) {
	e, who := p.alfa.engine(), p.who()
	ctx := p.as(who)
	switch p.random.IntN(12) {
	case 0, 1:
		id := fmt.Sprintf("%s%02d", firstID[:24], i%100)
		if _, _, err := e.Send(ctx, p.request(id)); err == nil && !slices.Contains(p.ids, id) {
			p.ids = append(p.ids, id)
		}
	case 2:
		id := p.draft()
		_, _ = e.EditDraft(ctx, "bravo", id, p.request(id))
	case 3:
		_, _ = e.RejectDraft(ctx, "bravo", p.draft(), desk.DraftAct{Reason: "no"})
	case 4:
		_, _ = e.WithdrawDraft(ctx, "bravo", p.draft(), desk.DraftAct{})
	case 5:
		p.configure()
	case 6:
		<-time.After(time.Duration(p.random.IntN(90)) * time.Minute)
	default:
		p.release(ctx, who)
	}
	synctest.Wait()
}

func (p *play) draft() string {
	if len(p.ids) == 0 {
		return firstID
	}
	return pick(p, p.ids...)
}

// release releases what the officer sees, what another draft holds, or nonsense.
func (p *play) release(ctx context.Context, who string) {
	id := p.draft()
	shown, err := p.alfa.engine().GetDraft(ctx, "bravo", pick(p, id, id, id, id, p.draft()))
	if err != nil {
		return
	}
	if _, err := p.alfa.engine().ReleaseDraft(ctx, "bravo", id, desk.DraftAct{Hash: shown.Draft.Hash}); err != nil {
		return
	}
	if p.said[id] == nil {
		p.said[id] = map[string][]string{}
	}
	p.said[id][shown.Draft.Hash] = append(p.said[id][shown.Draft.Hash], "spiffe://alfa.example/"+who)
}

// configure takes officers or roles away, gives them back, and changes the rules.
func (p *play) configure() {
	p.officers = nil
	for _, o := range shift {
		if p.random.IntN(4) == 0 {
			o.Roles = []config.OfficerRole{pick(p, config.Draft, config.ReleaseRole)}
		}
		if p.random.IntN(6) > 0 {
			p.officers = append(p.officers, o)
		}
	}
	p.rules = &config.Release{
		Quorum: int32(1 + p.random.IntN(3)), DrafterMayRelease: pick(p, config.Allowed, config.Denied, config.Denied),
		Rules: []config.ReleaseRule{{Precedences: []string{"FLASH"}, TLPs: []string{"RED"}, Quorum: 1}},
	}
	p.alfa.apply(p.rules, p.officers...)
}

// check looks at what has left since: under the rules and with the officers of now, as each
// message leaves within one act.
func (p *play) check(acts int) {
	for _, m := range p.alfa.list(store.Out) {
		if p.sent[m.ID] {
			continue
		}
		p.sent[m.ID] = true
		stored, err := p.alfa.life().store.GetMessage(p.t.Context(), store.Out, "bravo.example", m.ID)
		if err != nil {
			p.t.Fatal(err)
		}
		payload, err := decodeStored(stored.Payload)
		if err != nil {
			p.t.Fatal(err)
		}
		p.leaves(acts, payload)
	}
}

func (p *play) leaves(acts int, m Payload) {
	raw, err := content(m)
	if err != nil {
		p.t.Fatal(err)
	}
	rule := p.rules.For(m.Precedence, m.TLP, string(m.Kind))
	var seen []string
	for _, r := range m.ReleasedBy {
		i := slices.IndexFunc(p.officers, func(o config.Officer) bool { return r.Identity == "spiffe://alfa.example/desk/"+o.Name })
		switch {
		case slices.Contains(seen, r.Identity):
			p.t.Errorf("act %d: %s counts twice in %s", acts, r.Identity, m.ID)
		case i < 0 || !p.officers[i].May(config.ReleaseRole):
			p.t.Errorf("act %d: %s may not release %s", acts, r.Identity, m.ID)
		case r.Officer != p.officers[i].DisplayName:
			p.t.Errorf("act %d: %s is named %q in %s", acts, r.Identity, r.Officer, m.ID)
		case !slices.Contains(p.said[m.ID][digest(raw)], r.Identity):
			p.t.Errorf("act %d: %s never released this content of %s", acts, r.Identity, m.ID)
		case m.Officer == r.Officer && rule.DrafterMayRelease != config.Allowed:
			p.t.Errorf("act %d: %s released an own draft, %s", acts, r.Identity, m.ID)
		}
		seen = append(seen, r.Identity)
	}
	if len(seen) < int(rule.Quorum) || len(seen) == 0 {
		p.t.Errorf("act %d: %s left with %d releases, the rule asks for %d", acts, m.ID, len(seen), rule.Quorum)
	}
}

// Whatever officers do in whatever order, and whatever is configured meanwhile: no message
// leaves without the releases of enough different officers of exactly its content.
func TestNoMessageLeavesWithoutItsQuorum(t *testing.T) {
	left := 0
	for seed := range uint64(4) {
		t.Run(fmt.Sprintf("seed_%d", seed), func(t *testing.T) {
			testbubble.Run(t, func(t *testing.T) {
				w := newWorld(t)
				w.faults(cut)
				p := &play{
					t: t, random: rand.New(rand.NewPCG(seed, 13)), alfa: w.alfa,
					said: map[string]map[string][]string{}, sent: map[string]bool{},
				}
				p.configure()
				for i := range 200 {
					p.act(i)
					p.check(i)
				}
				left += len(p.sent)
			})
		})
	}
	if left < 5 {
		t.Errorf("only %d messages left: the acts try nothing", left)
	}
}
