// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package check

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/identity"
	"github.com/certlink/certlink/relay/link"
	"github.com/certlink/certlink/relay/probe"
	"github.com/certlink/certlink/relay/report"
)

// maxOffset of two clocks. Certificates begin and end by them, and the times in
// receipts are those of each side.
const maxOffset = 5 * time.Second

// sight is what one address showed.
type sight struct {
	address string
	// accepted: it is ours, and the peer dialled it.
	accepted bool
	// opened is the connection for the probe.
	opened link.Sighting
	// subject, issuer and notAfter are read from the chain that was shown.
	subject, issuedBy, issuer string
	notAfter                  time.Time
	// answer to the probe; nil when there was no connection to ask over.
	answer *answer
	// hotline and feeds are the doors of the other classes; nil when not tried.
	hotline, feeds *door
}

// answer to a probe.
type answer struct {
	view probe.View
	// offset of the peer's clock, known to half of the round trip.
	offset, roundTrip time.Duration
	err               error
}

// door is what a request that asks for nothing brought.
type door struct {
	status int
	err    error
}

// finding about one layer.
type finding struct {
	state      desk.LayerState
	saw, fault string
}

var notReached = finding{state: desk.LayerNotReached}

func ok(format string, args ...any) finding {
	return finding{state: desk.LayerOK, saw: fmt.Sprintf(format, args...)}
}

func failed(saw, fault string) finding {
	return finding{state: desk.LayerFailed, saw: saw, fault: fault}
}

// judges of the layers, in the order in which the relay meets them.
var judges = []struct {
	layer desk.Layer
	judge func(sight) finding
}{
	{desk.LayerName, name},
	{desk.LayerPort, port},
	{desk.LayerTLS, session},
	{desk.LayerTrustDomain, trustDomain},
	{desk.LayerChain, chain},
	{desk.LayerClock, clock},
	{desk.LayerProtocol, protocol},
}

// judge says how each layer is. Behind one that fails, none is reached.
func judge(s sight) (layers []desk.LayerCheck, fails desk.Layer) {
	for _, j := range judges {
		f := notReached
		if fails == "" {
			f = j.judge(s)
		}
		if f.state == desk.LayerFailed {
			fails = j.layer
		}
		layers = append(layers, desk.LayerCheck{Layer: j.layer, State: f.state, Saw: f.saw, Fault: f.fault})
	}
	return layers, fails
}

// fault is what the link says about the connection, without the address.
func (s sight) fault() string {
	return strings.TrimPrefix(s.opened.Err.Error(), s.address+": ")
}

// refusal is the verifier's, nil when it refused nothing.
func (s sight) refusal() *identity.VerifyError {
	if s.opened.Err == nil {
		return nil
	}
	refused, _ := errors.AsType[*identity.VerifyError](s.opened.Err)
	return refused
}

func name(s sight) finding {
	host, _, err := net.SplitHostPort(s.address)
	switch {
	case s.accepted && s.opened.Err == nil:
		return ok("we have no address of the peer; it dials this one of ours")
	case err == nil && net.ParseIP(host) != nil:
		return ok("an IP address, there is no name to look up")
	case len(s.opened.Resolved) > 0:
		return ok("%s", strings.Join(s.opened.Resolved, ", "))
	case s.opened.Err == nil:
		return ok("%s", host)
	}
	return failed("", s.fault())
}

func port(s sight) finding {
	if s.opened.Remote == "" {
		return failed("", s.fault())
	}
	if s.accepted {
		return ok("connected from %s", s.opened.Remote)
	}
	return ok("connected to %s", s.opened.Remote)
}

func session(s sight) finding {
	switch {
	case s.opened.NoProtocol:
		return ok("the other end speaks TLS")
	case s.opened.TLS == nil:
		return failed("", s.fault())
	}
	facts := s.opened.Facts()
	return ok("%s, %s", facts.Version, facts.Group)
}

func trustDomain(s sight) finding {
	if s.opened.TLS == nil {
		return notReached
	}
	switch refused := s.refusal(); {
	case refused == nil:
		return ok("%s", s.subject)
	case refused.Cause == report.CauseTrustDomain:
		return failed(s.subject, s.fault())
	case refused.TrustDomain == "":
		return notReached // the chain was too short or too long to be read
	}
	return ok("%s", s.subject)
}

func chain(s sight) finding {
	if s.opened.TLS == nil {
		return notReached
	}
	refused := s.refusal()
	if refused == nil || refused.Cause == report.CauseExpired && refused.Chains {
		return ok("%s", s.issuedBy)
	}
	return failed(s.issuedBy, s.fault())
}

func clock(s sight) finding {
	if s.refusal() != nil {
		// Time is all that is wrong, or an earlier layer had failed.
		return failed("the first certificate ends at "+s.notAfter.UTC().Format(time.RFC3339), s.fault())
	}
	if s.answer == nil || s.answer.err != nil {
		return notReached
	}
	saw := fmt.Sprintf("offset %+d ms (±%d ms), certificates valid until %s",
		s.answer.offset.Milliseconds(), s.answer.roundTrip.Milliseconds()/2+1, s.notAfter.UTC().Format(time.RFC3339))
	if beyond := s.answer.offset.Abs() - s.answer.roundTrip/2; beyond > maxOffset {
		way := "ahead of"
		if s.answer.offset < 0 {
			way = "behind"
		}
		return failed(saw, fmt.Sprintf("the peer's clock is %s %s ours: find out which is wrong and set it, by NTP; certificates begin and end by these clocks",
			s.answer.offset.Abs().Round(100*time.Millisecond), way))
	}
	return finding{state: desk.LayerOK, saw: saw}
}

func protocol(s sight) finding {
	switch {
	case s.opened.Err != nil:
		return failed("", s.fault())
	case s.answer == nil:
		return notReached
	case s.answer.err != nil:
		return failed("", strings.TrimPrefix(words(s.answer.err), s.address+": "))
	}
	saw := []string{fmt.Sprintf("probe answered in %d ms", s.answer.roundTrip.Milliseconds()), fmt.Sprintf("the peer's own direction is %s", stateOf(s.answer.view))}
	var faults []string
	for _, d := range []struct {
		class   string
		door    *door
		open    int
		refused string
	}{
		{"hotline", s.hotline, hotlineOpen, "the peer's relay takes no hotline messages from us: ask the peer for a Hotline to us"},
		{"feeds", s.feeds, feedsOpen, "the peer's relay shows us no feeds: ask the peer whether it has suspended us"},
	} {
		if d.door == nil {
			continue
		}
		if fault := d.door.fault(d.class, d.open, d.refused); fault != "" {
			faults = append(faults, strings.TrimPrefix(fault, s.address+": "))
		} else {
			saw = append(saw, d.class+" open")
		}
	}
	if theirs := s.answer.view.Explain(); theirs != "" {
		faults = append(faults, "we reach the peer, but it does not reach us: "+theirs)
	}
	if len(faults) > 0 {
		return failed(strings.Join(saw, ", "), strings.Join(faults, "; "))
	}
	return ok("%s", strings.Join(saw, ", "))
}

// stateOf the peer's direction, in one of our words.
func stateOf(v probe.View) report.State {
	if v.Outbound == report.Up || v.Outbound == report.Down {
		return v.Outbound
	}
	return report.Unknown
}

// fault of a door, "" when it is open.
func (d door) fault(class string, open int, refused string) string {
	switch {
	case d.err != nil:
		return words(d.err)
	case d.status == open:
		return ""
	case d.status == http.StatusUnauthorized || d.status == http.StatusForbidden:
		return refused
	}
	return fmt.Sprintf("the peer's relay answers a request for %s with HTTP status %d, not as this protocol has it: one of the two sides must be upgraded", class, d.status)
}

// words of an error of a request.
func words(err error) string {
	if e, ok := errors.AsType[*link.Error](err); ok {
		return e.Message
	}
	return "asking the peer's relay: " + err.Error()
}
