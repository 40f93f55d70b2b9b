// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package taxii

import (
	"time"

	"github.com/certlink/certlink/relay/stix"
	"github.com/certlink/certlink/relay/store"
)

// TimeFormat is that of every TAXII timestamp: RFC 3339, UTC, microseconds
// (TAXII 2.1 section 2).
const TimeFormat = "2006-01-02T15:04:05.000000Z"

// FormatTime writes a time as TAXII has it.
func FormatTime(t time.Time) string { return t.UTC().Format(TimeFormat) }

// Discovery is what a server says of itself (TAXII 2.1 section 4.1).
type Discovery struct {
	Title       string   `json:"title"`
	Description string   `json:"description,omitempty"`
	Contact     string   `json:"contact,omitempty"`
	Default     string   `json:"default,omitempty"`
	APIRoots    []string `json:"api_roots,omitempty"`
}

// APIRoot is a group of collections (TAXII 2.1 section 4.2).
type APIRoot struct {
	Title            string   `json:"title"`
	Description      string   `json:"description,omitempty"`
	Versions         []string `json:"versions"`
	MaxContentLength int64    `json:"max_content_length"`
}

// Collection is a set of objects (TAXII 2.1 section 5.2).
type Collection struct {
	// ID is a UUID; Alias is a name for people that works in its place.
	ID          string   `json:"id"`
	Title       string   `json:"title"`
	Description string   `json:"description,omitempty"`
	Alias       string   `json:"alias,omitempty"`
	CanRead     bool     `json:"can_read"`
	CanWrite    bool     `json:"can_write"`
	MediaTypes  []string `json:"media_types,omitempty"`
	// Markings is the path of what the caller may see here by marking: a custom
	// property (TAXII 2.1 section 7.1). The Handler sets it.
	Markings string `json:"x_certlink_markings,omitempty"`
}

// Collections is a list of them (TAXII 2.1 section 5.1).
type Collections struct {
	Collections []Collection `json:"collections,omitempty"`
}

// Manifest is a page of records without content (TAXII 2.1 section 5.3). Next is
// beyond the standard, which forgot it.
type Manifest struct {
	More    bool             `json:"more,omitempty"`
	Next    string           `json:"next,omitempty"`
	Objects []ManifestRecord `json:"objects,omitempty"`
}

// ManifestRecord is about one version of an object.
type ManifestRecord struct {
	ID        string `json:"id"`
	DateAdded string `json:"date_added"`
	Version   string `json:"version"`
	MediaType string `json:"media_type,omitempty"`
}

// VersionList is a page of an object's versions, by date added (TAXII 2.1 section
// 5.8). Next as in Manifest.
type VersionList struct {
	More     bool     `json:"more,omitempty"`
	Next     string   `json:"next,omitempty"`
	Versions []string `json:"versions,omitempty"`
}

// versionOf is a record's version as TAXII counts it: when it was added, if the
// object has none.
func versionOf(r store.Record) time.Time {
	if r.Version.IsZero() {
		return r.DateAdded
	}
	return r.Version
}

func mediaTypeOf(r store.Record) string {
	if r.SpecVersion == stix.Spec20 {
		return mediaTypeSTIX20
	}
	return MediaTypeSTIX
}

// The states of a status.
const (
	Pending  = "pending"
	Complete = "complete"
)

// Status says what became of a POST (TAXII 2.1 section 4.3).
type Status struct {
	ID               string         `json:"id"`
	Status           string         `json:"status"`
	RequestTimestamp string         `json:"request_timestamp,omitempty"`
	TotalCount       int            `json:"total_count"`
	SuccessCount     int            `json:"success_count"`
	Successes        []StatusDetail `json:"successes,omitempty"`
	FailureCount     int            `json:"failure_count"`
	Failures         []StatusDetail `json:"failures,omitempty"`
	PendingCount     int            `json:"pending_count"`
	Pendings         []StatusDetail `json:"pendings,omitempty"`
}

// StatusDetail is about one object.
type StatusDetail struct {
	// ID as the object claims it; empty if that much could not be read.
	ID string `json:"id"`
	// Version of the object, or when it was received if it has none.
	Version string `json:"version"`
	// Message says why it was refused; empty for one that was not.
	Message string `json:"message,omitempty"`
}
