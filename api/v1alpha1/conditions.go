// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Condition types. Ready means that our side is reconciled; it never turns
// False because the other side is away. The state of the link has conditions of
// its own.
const (
	// ConditionReady is True when everything that this object asks of our own
	// side is in place: certificates issued, relay running with this
	// configuration. Positive polarity; on every kind.
	ConditionReady = "Ready"

	// ConditionCertificatesIssued is True when every certificate of the LocalCERT
	// is issued, valid now and chains to our CA. LocalCERT only.
	ConditionCertificatesIssued = "CertificatesIssued"

	// ConditionRelayAvailable is True when the relay answers on its local port
	// and runs the configuration last written for it. LocalCERT only.
	ConditionRelayAvailable = "RelayAvailable"

	// ConditionConnected is True when heartbeats prove at least one path to the
	// peer in both directions, through the data plane and within the detection
	// budget. PeerCERT only.
	ConditionConnected = "Connected"

	// ConditionRedundant is True when at least two paths are proven in both
	// directions, so that one can fail. PeerCERT only.
	ConditionRedundant = "Redundant"

	// ConditionPeerAccepted is True when the peer's signed offer accepts what our
	// object declares, or declares its other half: nothing flows that only one side
	// declares. PeerCERT, SharedFeed and SharedService.
	ConditionPeerAccepted = "PeerAccepted"

	// ConditionTrustInSync is True when we accept the peer's CA certificates as it
	// offers them, and the peer accepts ours. LocalCERT: every Active peer accepts
	// the root that we use and the bundle that we advertise, and no rotation is
	// under way. PeerCERT and LocalCERT.
	ConditionTrustInSync = "TrustInSync"

	// ConditionTerritoryCurrent is True when every data set and warning list of
	// spec.territory is in use and current, also when there is none. LocalCERT only.
	ConditionTerritoryCurrent = "TerritoryCurrent"

	// ConditionSuspended is True while spec.state of the PeerCERT holds back
	// feeds and services (Suspended, Drained) or everything (Revoked). PeerCERT only.
	ConditionSuspended = "Suspended"

	// ConditionFresh is True when the last exchange of a feed with the peer, or
	// for exports the last decision about stored objects, is recent enough.
	// SharedFeed only.
	ConditionFresh = "Fresh"

	// ConditionDelivering is True when objects that the rule allows can reach
	// their destination: for an export a peer is named and not suspended, for an
	// import the last pull succeeded. SharedFeed only.
	ConditionDelivering = "Delivering"

	// ConditionAvailable is True when a shared service can be used as far as our
	// side can see: for an import the link is up, the peer's offer has the service
	// and the last connection was made; for an export the last connection to our
	// Service was made and a peer is not suspended. SharedService only.
	ConditionAvailable = "Available"

	// ConditionReachable is True when nothing that we sent on the hotline waits
	// for a receipt longer than its deadline, and the link is up. Hotline only.
	ConditionReachable = "Reachable"

	// ConditionAnswered is True when every message that we sent on the hotline
	// was acknowledged by a duty officer of the peer within its deadline, and answered
	// where it asks for an answer. Hotline only.
	ConditionAnswered = "Answered"

	// ConditionLineChecked is True when every path of the hotline was checked in both
	// directions within the declared time. Hotline only.
	ConditionLineChecked = "LineChecked"

	// ConditionEscalating exists, with status True, only while somebody has been silent
	// beyond a deadline and a step of the escalation was taken, or notifiers do not take
	// what they are told. Hotline only.
	ConditionEscalating = "Escalating"

	// ConditionJournalDoubtful exists, with status True, only while the journal of either side
	// is not what it should be, or messages of the peer are missing; for a week after a
	// database was set back. Hotline only.
	ConditionJournalDoubtful = "JournalDoubtful"

	// ConditionQuarantined exists, with status True, only while objects of the peer are
	// held in quarantine. SharedFeed only.
	ConditionQuarantined = "Quarantined"

	// ConditionReconciling exists, with status True, only while a controller is
	// still working towards the declared state (kstatus).
	ConditionReconciling = "Reconciling"

	// ConditionStalled exists, with status True, only while a person must change
	// something before the controller can go on (kstatus).
	ConditionStalled = "Stalled"
)
