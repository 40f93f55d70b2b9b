// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"fmt"
	"time"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/report"
)

// refusalLasts is how long a refused handshake explains why nothing arrives.
const refusalLasts = time.Minute

// young is how long a peer that dials us may need after the start.
const young = 10 * time.Second

// refusal is a handshake in the peer's name that our link port refused.
type refusal struct {
	fault
	at time.Time
}

// explain says why a path is Down. It stays the same while the reason does.
func (p *path) explain() fault {
	switch {
	case p.ended != "":
		return fault{report.CauseUnreachable, p.id.Address + ": the peer's relay said that it stops; it is expected back"}
	case p.fault.cause != report.CauseNone:
		return p.fault
	case p.out.state == report.Down:
		return fault{report.CauseUnreachable, p.id.Address + ": the peer's heartbeats arrive, but say that ours do not: look at the way from us to the peer, its firewalls first"}
	case p.id.Accepted && len(p.lines) == 0:
		return fault{report.CauseSilent, p.id.Address + ": the peer had connections to this address of ours and has none now: its way to us is cut, or its relay is down"}
	default:
		return fault{report.CauseSilent, p.id.Address + ": nothing of the peer has arrived for longer than the detection budget: the way is cut, or its relay hangs"}
	}
}

// judgeOutbound says whether the peer hears us.
func (p *peer) judgeOutbound() report.Direction {
	if p.cfg.State == config.Revoked {
		return report.Direction{State: report.Down, Message: "the peer is Revoked by our side: nothing is sent"}
	}
	if len(p.paths) == 0 {
		return report.Direction{State: report.Unknown, Cause: report.CauseNoEndpoints,
			Message: fmt.Sprintf("we have no address of %q: it dials us", p.cfg.TrustDomain)}
	}
	d := report.Direction{State: p.best(func(pt *path) report.State { return pt.out.state })}
	if d.State == report.Down {
		f := p.telling()
		d.Cause, d.Message = f.cause, f.message
	}
	return d
}

// telling is the fault of the paths that says most: another one than a plain
// Unreachable, or else the first.
func (p *peer) telling() (most fault) {
	for _, pt := range p.paths {
		f := pt.explain()
		if most.cause == report.CauseNone || vague(most.cause) && !vague(f.cause) {
			most = f
		}
	}
	return most
}

func vague(c report.Cause) bool { return c == report.CauseUnreachable || c == report.CauseSilent }

// judgeInbound says whether we hear the peer.
func (p *peer) judgeInbound(now time.Time) report.Direction {
	if p.cfg.State == config.Revoked {
		return report.Direction{State: report.Down, Message: "the peer is Revoked by our side: nothing is accepted"}
	}
	d := report.Direction{State: p.best(func(pt *path) report.State { return pt.in.state })}
	if len(p.paths) == 0 && now.Sub(p.since) >= young {
		d.State = report.Down
	}
	if d.State == report.Down {
		f := p.explainSilence(now)
		d.Cause, d.Message = f.cause, f.message
	}
	return d
}

// explainSilence says why nothing of a peer arrives: what our own port refused
// comes first, then what the paths show.
func (p *peer) explainSilence(now time.Time) fault {
	td := p.cfg.TrustDomain
	switch {
	case p.refused.cause != report.CauseNone && now.Sub(p.refused.at) < refusalLasts:
		return fault{p.refused.cause, fmt.Sprintf("we refuse connections in the name of %q: %s", td, p.refused.message)}
	case p.said(EndStopping):
		return fault{report.CauseSilent, fmt.Sprintf("the relay of %q said that it stops; it is expected back", td)}
	case len(p.cfg.Endpoints) == 0:
		return fault{report.CauseSilent, fmt.Sprintf(
			"no heartbeat of %q reaches us, and we have no address of it: the peer is down, cannot reach our address, or does not have our card", td)}
	default:
		return fault{report.CauseSilent, fmt.Sprintf(
			"no heartbeat of %q reaches us on any path: the peer is down, or the way from it to us is cut; the paths say what we see when we dial", td)}
	}
}

// said tells whether a path ended with a goodbye, and none without.
func (p *peer) said(end string) bool {
	for _, pt := range p.paths {
		if pt.ended != end {
			return false
		}
	}
	return len(p.paths) > 0
}

// Explain says what a peer sees of its own direction when it is Down, in words
// of ours; "" when the peer sees nothing wrong.
func (v View) Explain() string {
	if v.Outbound != report.Down {
		return ""
	}
	return peerSays(v.Cause)
}

// peerSays puts the cause that a peer reports into words of ours.
func peerSays(cause report.Cause) string {
	switch cause {
	case report.CauseUnreachable:
		return "its relay cannot connect to the address it has for us; compare it with our card, and look at our firewall"
	case report.CauseUntrusted:
		return "its relay does not trust our certificate; the peer needs our present card"
	case report.CauseTrustDomain:
		return "its relay finds another trust domain at the address it has for us; compare the address with our card"
	case report.CauseExpired:
		return "its relay says that our certificate, or its bundle for us, has expired"
	case report.CauseRefused:
		return "its relay says that we refuse its certificate; get the peer's present card"
	case report.CauseNoEndpoints:
		return "its relay has no address of ours; the peer must add one from our card"
	default:
		return "its relay says that it cannot reach ours; ask the peer"
	}
}
