// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Reasons of feeds, and of the data sets of territory.
const (
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
)
