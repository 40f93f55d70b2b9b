// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package desk

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// MaxCheck is the longest time that a check of a peer takes.
const MaxCheck = 10 * time.Second

// ErrBusy: what is asked for is under way already. The server answers 429.
var ErrBusy = errors.New("one at a time")

// Checker looks at the link to a peer. It may be called concurrently, and stores
// nothing. Its errors are ErrBusy, *InvalidError for a peer that cannot be
// checked from our side, and store.ErrNotFound for one that we do not have.
type Checker interface {
	Check(ctx context.Context, peer string) (Check, error)
}

// Check is what our relay saw when it looked at each address of a peer.
type Check struct {
	// Peer is our name for the peer.
	Peer string `json:"peer"`
	// TrustDomain of the peer.
	TrustDomain string `json:"trustDomain"`
	// State that we allow the peer: Active or Suspended.
	State string `json:"state"`
	// CheckedAt is our relay's time.
	CheckedAt time.Time `json:"checkedAt"`
	// Trusts are the SHA-256 hashes, hexadecimal, of the CA certificates in our
	// bundle for the peer.
	Trusts []string `json:"trusts"`
	// Endpoints in the order of our configuration.
	Endpoints []EndpointCheck `json:"endpoints"`
}

// EndpointCheck is what one address showed.
type EndpointCheck struct {
	// Address as configured, with its label.
	Address string `json:"address"`
	Label   string `json:"label,omitempty"`
	// Fails is the first layer that fails; "" when none does.
	Fails Layer `json:"fails,omitempty"`
	// Layers from the name to the protocol, each once.
	Layers []LayerCheck `json:"layers"`
	// Remote is the IP address and port of the connection.
	Remote string `json:"remote,omitempty"`
	// Subject is the SPIFFE ID that the certificate there names. It is proven only
	// if the layer chain is OK.
	Subject string `json:"subject,omitempty"`
	// Issuer is the SHA-256, hexadecimal, of the CA certificate that issued the
	// certificate there, as it was shown or as our bundle has it; "" when it is
	// neither.
	Issuer string `json:"issuer,omitempty"`
	// NotAfter is the earliest end of validity in the chain that was shown.
	NotAfter time.Time `json:"notAfter,omitzero"`
	// TLSVersion and Group of the session.
	TLSVersion string `json:"tlsVersion,omitempty"`
	Group      string `json:"group,omitempty"`
	// OffsetMilliseconds is the peer's clock less ours; absent when no answer
	// told. It is known to half of RoundTripMilliseconds.
	OffsetMilliseconds    *int64  `json:"offsetMilliseconds,omitempty"`
	RoundTripMilliseconds float64 `json:"roundTripMilliseconds,omitempty"`
}

// Layer of a link.
type Layer string

// The layers, in the order in which the relay meets them.
const (
	LayerName        Layer = "name"
	LayerPort        Layer = "port"
	LayerTLS         Layer = "tls"
	LayerTrustDomain Layer = "trustDomain"
	LayerChain       Layer = "chain"
	LayerClock       Layer = "clock"
	LayerProtocol    Layer = "protocol"
)

// LayerState says how a layer is.
type LayerState string

// The states of a layer. One that was not reached says nothing.
const (
	LayerOK         LayerState = "OK"
	LayerFailed     LayerState = "Failed"
	LayerNotReached LayerState = "NotReached"
)

// LayerCheck is one layer at one address.
type LayerCheck struct {
	Layer Layer      `json:"layer"`
	State LayerState `json:"state"`
	// Saw is what was seen.
	Saw string `json:"saw,omitempty"`
	// Fault of a layer that failed, one line: what is wrong, on which side, and
	// what to do.
	Fault string `json:"fault,omitempty"`
}

func (h *handler) check(r *http.Request) (int, any, error) {
	c, err := h.checker.Check(r.Context(), r.PathValue("peer"))
	return http.StatusOK, c, err
}
