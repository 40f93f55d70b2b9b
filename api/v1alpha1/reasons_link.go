// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Reasons of the link to a peer: consent, paths, and the CA certificates of both sides.
const (
	// ReasonActive: nothing is held back.
	ReasonActive = "Active"
	// ReasonSuspended: spec.state is Suspended.
	ReasonSuspended = "Suspended"
	// ReasonDraining: spec.state is Drained, and tunnels are still open.
	ReasonDraining = "Draining"
	// ReasonDrained: spec.state is Drained, and no tunnel is open any more.
	ReasonDrained = "Drained"
	// ReasonRevoked: spec.state is Revoked.
	ReasonRevoked = "Revoked"
	// ReasonProbesAnswered: heartbeats prove a path in both directions.
	ReasonProbesAnswered = "ProbesAnswered"
	// ReasonPathsOneWay: something arrives, but no path works in both directions.
	ReasonPathsOneWay = "PathsOneWay"
	// ReasonPathsProven: at least two paths are proven in both directions.
	ReasonPathsProven = "PathsProven"
	// ReasonPathDown: more than one path is declared, but only one is up.
	ReasonPathDown = "PathDown"
	// ReasonSinglePath: there is only one path to the peer.
	ReasonSinglePath = "SinglePath"
	// ReasonAccepted: the peer's offer accepts our PeerCERT.
	ReasonAccepted = "Accepted"
	// ReasonNoOffer: the peer has sent no offer: it has not reached us yet, or does
	// not run certlink.
	ReasonNoOffer = "NoOffer"
	// ReasonOfferStale: the peer's last offer is too old to count.
	ReasonOfferStale = "OfferStale"
	// ReasonVersionMismatch: the two relays share no version of the link protocol.
	ReasonVersionMismatch = "VersionMismatch"
	// ReasonCardDiffers: the peer holds a card of ours with other CA certificates.
	ReasonCardDiffers = "CardDiffers"
	// ReasonPeerSuspendedUs: spec.state of the peer's PeerCERT about us is Suspended.
	ReasonPeerSuspendedUs = "PeerSuspendedUs"
	// ReasonPeerDrainedUs: spec.state of the peer's PeerCERT about us is Drained.
	ReasonPeerDrainedUs = "PeerDrainedUs"
	// ReasonPeerRevokedUs: spec.state of the peer's PeerCERT about us is Revoked.
	ReasonPeerRevokedUs = "PeerRevokedUs"
	// ReasonInSync: both sides accept each other's CA certificates as they are.
	ReasonInSync = "InSync"
	// ReasonManifestOutdated: all is well, but the bundle in force was learned from
	// the peer's offer, and spec.trust holds the one before.
	ReasonManifestOutdated = "ManifestOutdated"
	// ReasonBundleOffered: the peer offers new CA certificates, which wait for a
	// person because spec.trust.rotation is Manual.
	ReasonBundleOffered = "BundleOffered"
	// ReasonOfferRefused: our relay refused the CA certificates that the peer offers.
	ReasonOfferRefused = "OfferRefused"
	// ReasonPeerHoldsOldBundle: the peer accepts other CA certificates of ours than
	// those that we use now; the link works.
	ReasonPeerHoldsOldBundle = "PeerHoldsOldBundle"
	// ReasonRootNotAccepted: the peer does not accept the CA certificate of our
	// live link certificate: new connections will be refused.
	ReasonRootNotAccepted = "RootNotAccepted"
	// ReasonAddressUnreachable: no endpoint of the peer accepts a connection.
	ReasonAddressUnreachable = "AddressUnreachable"
	// ReasonPeerCertificateUntrusted: the peer's certificate does not chain to
	// the bundle in our PeerCERT. Our side's bundle or their certificate is wrong.
	ReasonPeerCertificateUntrusted = "PeerCertificateUntrusted"
	// ReasonPeerTrustDomainMismatch: the peer's certificate names another trust
	// domain than our PeerCERT.
	ReasonPeerTrustDomainMismatch = "PeerTrustDomainMismatch"
	// ReasonPeerCertificateExpired: a certificate of the peer's chain, or of our
	// bundle for it, is outside its validity.
	ReasonPeerCertificateExpired = "PeerCertificateExpired"
	// ReasonPeerRefusedUs: the peer refused our certificate or does not know us;
	// the fault is on their side, or in what they hold about us.
	ReasonPeerRefusedUs = "PeerRefusedUs"
	// ReasonPeerSilent: we reach the peer, but no probe of the peer reaches us.
	ReasonPeerSilent = "PeerSilent"
	// ReasonProtocolError: the peer answered with something that is not this protocol.
	ReasonProtocolError = "ProtocolError"
	// ReasonNoEndpoints: the PeerCERT has no endpoints, and the peer has not
	// reached us.
	ReasonNoEndpoints = "NoEndpoints"
	// ReasonOffered: the peer's signed offer declares the other half.
	ReasonOffered = "Offered"
	// ReasonNotOffered: the peer's signed offer does not declare the other half.
	ReasonNotOffered = "NotOffered"
	// ReasonDistributingRoot: a rotation waits until the peers accept the new root.
	ReasonDistributingRoot = "DistributingRoot"
	// ReasonIssuingFromRoot: a rotation waits until certificates are issued from the
	// new root and the peers have seen one.
	ReasonIssuingFromRoot = "IssuingFromRoot"
	// ReasonRetiringRoot: a rotation waits until the peers know that the old root is gone.
	ReasonRetiringRoot = "RetiringRoot"
	// ReasonRotationStalled: a step of a rotation has waited for more than a day.
	ReasonRotationStalled = "RotationStalled"
	// ReasonRotationDue: the root nears its end, and a person must begin to replace it.
	ReasonRotationDue = "RotationDue"
)
