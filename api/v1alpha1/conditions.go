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

// Reasons of conditions. They are part of the API: tools may compare them.
const (
	// ReasonReconciled: our side is as declared.
	ReasonReconciled = "Reconciled"
	// ReasonPending: the first look has not ended yet.
	ReasonPending = "Pending"
	// ReasonProgressing: work of our own side is under way.
	ReasonProgressing = "Progressing"
	// ReasonApplyRefused: the API server refuses an object that the operator
	// wants to write, for want of rights, quota or validity.
	ReasonApplyRefused = "ApplyRefused"
	// ReasonConfigTooLarge: more is declared than the relay's configuration can hold;
	// the message names what stays out.
	ReasonConfigTooLarge = "ConfigTooLarge"
	// ReasonNameTaken: an object of a name that the operator needs exists and
	// belongs to someone else.
	ReasonNameTaken = "NameTaken"
	// ReasonLocalCERTMissing: the namespace has no LocalCERT.
	ReasonLocalCERTMissing = "LocalCERTMissing"
	// ReasonLocalCERTNotUnique: the namespace has an older LocalCERT; one
	// namespace is one CERT.
	ReasonLocalCERTNotUnique = "LocalCERTNotUnique"
	// ReasonCertManagerMissing: the cluster has no cert-manager CRDs.
	ReasonCertManagerMissing = "CertManagerMissing"
	// ReasonIssuerNotReady: the issuer does not exist or is not Ready.
	ReasonIssuerNotReady = "IssuerNotReady"
	// ReasonCertificateNotReady: cert-manager has not issued a certificate yet.
	ReasonCertificateNotReady = "CertificateNotReady"
	// ReasonCertificateInvalid: a certificate was issued that cannot be used: it
	// is outside its validity, does not chain to its CA, or names someone else.
	ReasonCertificateInvalid = "CertificateInvalid"
	// ReasonCertificatesIssued: every certificate is issued and valid.
	ReasonCertificatesIssued = "CertificatesIssued"
	// ReasonRelayUnreachable: the operator cannot read the relay's report.
	ReasonRelayUnreachable = "RelayUnreachable"
	// ReasonRelayOutdated: the relay does not run the newest configuration yet.
	ReasonRelayOutdated = "RelayOutdated"
	// ReasonRelayRejectedConfig: the relay refused the newest configuration and
	// keeps the last good one.
	ReasonRelayRejectedConfig = "RelayRejectedConfig"
	// ReasonRelayReporting: the relay answers and runs the newest configuration.
	ReasonRelayReporting = "RelayReporting"
	// ReasonPeerNotFound: the object names a PeerCERT that does not exist.
	ReasonPeerNotFound = "PeerNotFound"
	// ReasonPeerNotUnique: an older PeerCERT has the same trust domain.
	ReasonPeerNotUnique = "PeerNotUnique"
	// ReasonSpecInvalid: the spec passed the API server, but the relay could not
	// run it; the message names the field.
	ReasonSpecInvalid = "SpecInvalid"
	// ReasonOwnTrustDomain: the PeerCERT names our own trust domain.
	ReasonOwnTrustDomain = "OwnTrustDomain"
	// ReasonPeerNotReady: the object names a PeerCERT that our side cannot use
	// yet; the Ready condition of the PeerCERT says why.
	ReasonPeerNotReady = "PeerNotReady"
	// ReasonHotlineNotUnique: an older Hotline has the same peer; there is one
	// hotline to each peer.
	ReasonHotlineNotUnique = "HotlineNotUnique"
	// ReasonBundleNotFound: the ConfigMap or key with the trust bundle is not there.
	ReasonBundleNotFound = "BundleNotFound"
	// ReasonSecretNotFound: a Secret that the spec names is not there, or lacks a key.
	ReasonSecretNotFound = "SecretNotFound"
	// ReasonReleasersMissing: a release asks for more officers than the desk has.
	ReasonReleasersMissing = "ReleasersMissing"
	// ReasonConfigMapNotFound: a ConfigMap that the spec names is not there, or lacks a key.
	ReasonConfigMapNotFound = "ConfigMapNotFound"
	// ReasonBundleInvalid: the trust bundle holds no usable CA certificate.
	ReasonBundleInvalid = "BundleInvalid"
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
	// ReasonExporting: objects are offered to the named peers.
	ReasonExporting = "Exporting"
	// ReasonNothingAllowed: the rule allows none of the stored objects.
	ReasonNothingAllowed = "NothingAllowed"
	// ReasonNothingStored: no source has given an object yet.
	ReasonNothingStored = "NothingStored"
	// ReasonPulled: the last pull of the peer's collection succeeded.
	ReasonPulled = "Pulled"
	// ReasonPullFailed: the last pull of the peer's collection failed.
	ReasonPullFailed = "PullFailed"
	// ReasonSourceFailed: a source of the export could not be fetched.
	ReasonSourceFailed = "SourceFailed"
	// ReasonDeliveryFailing: a delivery of the import to a system of ours does not succeed.
	ReasonDeliveryFailing = "DeliveryFailing"
	// ReasonDeadLetters: a system of ours did not take objects of the import.
	ReasonDeadLetters = "DeadLetters"
	// ReasonNoDatasets: spec.territory names no data set.
	ReasonNoDatasets = "NoDatasets"
	// ReasonDatasetsCurrent: every data set and warning list is in use and current.
	ReasonDatasetsCurrent = "DatasetsCurrent"
	// ReasonDatasetPending: a data set or warning list has not been read yet.
	ReasonDatasetPending = "DatasetPending"
	// ReasonDatasetInvalid: the last reading of a data set or warning list failed.
	ReasonDatasetInvalid = "DatasetInvalid"
	// ReasonDatasetStale: a data set or warning list could not be fetched for three
	// refresh intervals.
	ReasonDatasetStale = "DatasetStale"
	// ReasonDecided: every stored object was decided under the current rule.
	ReasonDecided = "Decided"
	// ReasonDeciding: stored objects still wait for a decision under the current rule.
	ReasonDeciding = "Deciding"
	// ReasonQuotaReached: the import holds as many objects as its quota allows.
	ReasonQuotaReached = "QuotaReached"
	// ReasonObjectsHeld: the peer sent objects that our relay does not take as they
	// are: somebody must accept or drop them.
	ReasonObjectsHeld = "ObjectsHeld"
	// ReasonReceiptsInTime: nothing waits for a receipt beyond its deadline.
	ReasonReceiptsInTime = "ReceiptsInTime"
	// ReasonByTransit: no direct path is up, and messages get through another peer.
	ReasonByTransit = "ByTransit"
	// ReasonReceiptOverdue: a message has no receipt and its deadline has passed.
	ReasonReceiptOverdue = "ReceiptOverdue"
	// ReasonLinkDown: the PeerCERT is not Connected.
	ReasonLinkDown = "LinkDown"
	// ReasonPathsChecked: every path was checked in both directions in time.
	ReasonPathsChecked = "PathsChecked"
	// ReasonCheckUnanswered: checks of ours over a path are not answered.
	ReasonCheckUnanswered = "CheckUnanswered"
	// ReasonPeerCheckMissing: the checks of the peer over a path do not reach us.
	ReasonPeerCheckMissing = "PeerCheckMissing"
	// ReasonNotCheckedYet: a path was not checked yet, or the peer does not say that it checks.
	ReasonNotCheckedYet = "NotCheckedYet"
	// ReasonAcknowledgedInTime: nothing waits for an acknowledgement beyond its deadline.
	ReasonAcknowledgedInTime = "AcknowledgedInTime"
	// ReasonAcknowledgementOverdue: a message is stored at the peer, but no duty
	// officer acknowledged it before its deadline.
	ReasonAcknowledgementOverdue = "AcknowledgementOverdue"
	// ReasonAnswerOverdue: a message that asks for an answer has none, and its deadline has passed.
	ReasonAnswerOverdue = "AnswerOverdue"
	// ReasonReceiptEscalated: a step was taken because the peer's relay did not store a message of ours.
	ReasonReceiptEscalated = "ReceiptEscalated"
	// ReasonAcknowledgementEscalated: a step was taken because no duty officer of the peer
	// acknowledged a message of ours.
	ReasonAcknowledgementEscalated = "AcknowledgementEscalated"
	// ReasonAnswerEscalated: a step was taken because the peer did not answer.
	ReasonAnswerEscalated = "AnswerEscalated"
	// ReasonInboxEscalated: a step was taken because our own desk did not acknowledge a
	// message of the peer.
	ReasonInboxEscalated = "InboxEscalated"
	// ReasonNotifierFailing: a notifier does not take what it is told.
	ReasonNotifierFailing = "NotifierFailing"
	// ReasonEscalationUnrecorded: our relay cannot record what it escalates.
	ReasonEscalationUnrecorded = "EscalationUnrecorded"
	// ReasonJournalRolledBack: our database was set back to an older state.
	ReasonJournalRolledBack = "JournalRolledBack"
	// ReasonPeerJournalRolledBack: the peer's database was set back.
	ReasonPeerJournalRolledBack = "PeerJournalRolledBack"
	// ReasonPeerJournalForked: the peer has shown two histories of its journal.
	ReasonPeerJournalForked = "PeerJournalForked"
	// ReasonJournalDamaged: an entry or a message of ours was edited, removed or inserted.
	ReasonJournalDamaged = "JournalDamaged"
	// ReasonMessagesMissing: messages of the peer below its newest have not arrived.
	ReasonMessagesMissing = "MessagesMissing"
	// ReasonServiceNotFound: the export names a Service that does not exist.
	ReasonServiceNotFound = "ServiceNotFound"
	// ReasonServicePortNotFound: the Service that the export names has no such TCP port.
	ReasonServicePortNotFound = "ServicePortNotFound"
	// ReasonServiceUnusable: the Service that the export names cannot be shared: it
	// leads out of the cluster by name, or back into a relay.
	ReasonServiceUnusable = "ServiceUnusable"
	// ReasonNotListening: our relay cannot open the port of an import.
	ReasonNotListening = "NotListening"
	// ReasonOffered: the peer's signed offer declares the other half.
	ReasonOffered = "Offered"
	// ReasonNotOffered: the peer's signed offer does not declare the other half.
	ReasonNotOffered = "NotOffered"
	// ReasonUsable: nothing stands in the way of a connection.
	ReasonUsable = "Usable"
	// ReasonConnectionFailed: the last connection could not be made.
	ReasonConnectionFailed = "ConnectionFailed"
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
	// ReasonUnknown: it could not be looked at.
	ReasonUnknown = "Unknown"
)
