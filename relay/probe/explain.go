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

// refusal is a handshake in the peer's name that our link port refused.
type refusal struct {
	fault
	at time.Time
}

// explainSilence says why no probe of a peer arrives: what our own port refused
// comes first, then what the peer says of itself when our probes reach it.
func explainSilence(p config.Peer, out report.State, in inbound, refused refusal, now time.Time) fault {
	if refused.cause != report.CauseNone && now.Sub(refused.at) < refusalLasts {
		return fault{refused.cause, fmt.Sprintf("we refuse connections in the name of %q: %s", p.TrustDomain, refused.message)}
	}
	if out != report.Up {
		return fault{report.CauseSilent, fmt.Sprintf(
			"no probe of %q reaches us: the peer is down, cannot reach our address, or does not have our card", p.TrustDomain)}
	}
	if in.view.Outbound != report.Down {
		return fault{report.CauseSilent, fmt.Sprintf(
			"we reach %q, but its probes do not reach us: ask the peer whether its entry for us has our address", p.TrustDomain)}
	}
	return fault{report.CauseSilent, fmt.Sprintf("we reach %q, but its probes do not reach us: %s", p.TrustDomain, peerSays(in.view.Cause))}
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
