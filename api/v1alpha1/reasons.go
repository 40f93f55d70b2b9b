// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Reasons of conditions, in this file those of our own side on any kind. They are part of the API:
// tools may compare them.
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
	// ReasonUnknown: it could not be looked at.
	ReasonUnknown = "Unknown"
)
