// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package config is the relay's one configuration file and the first of the two
// seams between operator and relay: the operator writes it with these types, the
// relay reads it with Decode.
//
// It promises that a file which Decode accepts can be run: unknown fields,
// missing references and values out of bounds are errors that name the field
// path, all of them at once. It holds no secrets, only the paths of files that do.
//
// It does not read certificates or keys (package identity does), and it does not
// watch the file (cmd/relay does).
package config

// APIVersion and Kind head every configuration file.
const (
	APIVersion = "relay.certlink.dev/v1alpha1"
	Kind       = "RelayConfig"
)

// MaxBytes is the largest configuration file that Decode reads: 1 MiB, what a
// ConfigMap can hold.
const MaxBytes = 1 << 20

// Config is the whole configuration of one relay.
type Config struct {
	// APIVersion is "relay.certlink.dev/v1alpha1".
	APIVersion string `json:"apiVersion"`
	// Kind is "RelayConfig".
	Kind string `json:"kind"`
	// Identity is who we are and where our certificates are.
	Identity Identity `json:"identity"`
	// Listen holds the addresses that the relay listens on.
	Listen Listen `json:"listen,omitzero"`
	// Store says where messages and objects are kept.
	Store Store `json:"store"`
	// Territory holds the data sets that rules with emanatesFrom look things up in.
	Territory Territory `json:"territory,omitzero"`
	// Desk says who may use the local port for the desk.
	Desk Desk `json:"desk,omitzero"`
	// Peers are the CERTs that we are linked with. At most 1024.
	Peers []Peer `json:"peers,omitempty"`
	// Exports are the feeds that we publish. At most 1024.
	Exports []Export `json:"exports,omitempty"`
	// Imports are the feeds that we collect. At most 1024.
	Imports []Import `json:"imports,omitempty"`
	// Hotlines are the durable channels to peers, at most one for each peer.
	Hotlines []Hotline `json:"hotlines,omitempty"`
	// ServiceExports are the TCP services that peers may use. At most 1024.
	ServiceExports []ServiceExport `json:"serviceExports,omitempty"`
	// ServiceImports are the services of peers that we use. At most 1024.
	ServiceImports []ServiceImport `json:"serviceImports,omitempty"`
}

// Identity is our own identity.
type Identity struct {
	// TrustDomain is our SPIFFE trust domain.
	TrustDomain string `json:"trustDomain"`
	// DisplayName is our name for people.
	DisplayName string `json:"displayName,omitempty"`
	// Link is the certificate shown to peers, URI SAN spiffe://TRUSTDOMAIN/relay.
	Link KeyPair `json:"link"`
	// Local is the certificate of the local port, URI SAN
	// spiffe://TRUSTDOMAIN/local. Its caFile is the CA whose client certificates
	// the local port accepts.
	Local KeyPair `json:"local"`
	// Signing is the Ed25519 certificate that signs hotline messages and
	// receipts, URI SAN spiffe://TRUSTDOMAIN/signing.
	Signing KeyPair `json:"signing"`
	// Bundle holds the CA certificates in PEM by which peers are to know us: while
	// a root replaces another, both. Empty means those of link.caFile and
	// signing.caFile. At most 32 KiB.
	Bundle string `json:"bundle,omitempty"`
}

// KeyPair names the three PEM files of a certificate as cert-manager mounts
// them. They are read again when they change.
type KeyPair struct {
	// CertFile holds the leaf and its intermediates.
	CertFile string `json:"certFile"`
	// KeyFile holds the private key.
	KeyFile string `json:"keyFile"`
	// CAFile holds our own CA certificates.
	CAFile string `json:"caFile"`
}

// Listen holds the relay's listen addresses, HOST:PORT. Empty fields take the
// defaults ":8443", ":9443" and ":8080".
type Listen struct {
	// Link is for peers, mutual TLS 1.3.
	Link string `json:"link,omitempty"`
	// Local is for our own operator, desk and tools, mutual TLS 1.3.
	Local string `json:"local,omitempty"`
	// Health serves /healthz, /readyz and /metrics over plain HTTP.
	Health string `json:"health,omitempty"`
}

// Store says where the relay keeps messages and objects.
type Store struct {
	// SQLite is the embedded store. Exactly one of SQLite and Postgres is set.
	SQLite SQLite `json:"sqlite,omitzero"`
	// Postgres is a database server, shared by all replicas of the relay.
	Postgres *Postgres `json:"postgres,omitempty"`
}

// SQLite is the embedded store: one file and its write-ahead log.
type SQLite struct {
	// Path of the database file. Its directory must exist.
	Path string `json:"path"`
}

// PeerState is what we allow a peer, as in PeerCERT.spec.state.
type PeerState string

// The states of a peer.
const (
	Active    PeerState = "Active"
	Suspended PeerState = "Suspended"
	Drained   PeerState = "Drained"
	Revoked   PeerState = "Revoked"
)

// Rotation says how a new trust bundle of a peer comes into force.
type Rotation string

// The ways of rotation, as in PeerCERT.spec.trust.rotation.
const (
	// Automatic takes a bundle that the peer offers over the authenticated link.
	Automatic Rotation = "Automatic"
	// Manual waits for a person to change Bundle.
	Manual Rotation = "Manual"
)

// Peer is a CERT that we are linked with.
type Peer struct {
	// Name is our name for the peer: the PeerCERT's name. Unique.
	Name string `json:"name"`
	// TrustDomain of the peer. Unique, and not our own.
	TrustDomain string `json:"trustDomain"`
	// DisplayName is the peer's name for people.
	DisplayName string `json:"displayName,omitempty"`
	// Endpoints of the peer's relay; none means that the peer dials us. At most 8.
	Endpoints []Endpoint `json:"endpoints,omitempty"`
	// Bundle holds the peer's CA certificates in PEM. At most 32 KiB. It is the base
	// that a learned bundle builds on: a changed base wins.
	Bundle string `json:"bundle"`
	// Rotation is Automatic (default) or Manual.
	Rotation Rotation `json:"rotation,omitempty"`
	// State is Active (default), Suspended, Drained or Revoked.
	State PeerState `json:"state,omitempty"`
	// Detection is the budget for noticing that the link is down.
	Detection Detection `json:"detection,omitzero"`
	// Limits of what the peer may use of us.
	Limits Limits `json:"limits,omitzero"`
	// Territory is what counts as the peer's own.
	Territory PeerTerritory `json:"territory,omitzero"`
	// Identities are the ids of STIX identities that this peer may speak for: what
	// another peer sends as created by one of them is refused. At most 256.
	Identities []string `json:"identities,omitempty"`
	// Transit is Denied (default) or Allowed: whether we carry sealed messages between
	// this peer and other peers that are Allowed.
	Transit Transit `json:"transit,omitempty"`
}

// Limits of what one peer may use. Zero fields take the defaults.
type Limits struct {
	// TunnelConnections is the largest number of tunnelled connections to and from
	// the peer at once: 1 to 16384, default 1024.
	TunnelConnections int32 `json:"tunnelConnections,omitempty"`
	// TunnelBytesPerSecond bounds the tunnelled bytes to and from the peer, each
	// direction apart: 0 (default, no limit) or at least 16384.
	TunnelBytesPerSecond int64 `json:"tunnelBytesPerSecond,omitempty"`
	// TransitBytesPerSecond bounds, on average, the sealed bytes that we carry for the peer, and apart
	// from those what we take from others through it: 65536 to 1073741824, default 1048576.
	TransitBytesPerSecond int64 `json:"transitBytesPerSecond,omitempty"`
}

// Endpoint is one address of a peer's relay.
type Endpoint struct {
	// Address is HOST:PORT.
	Address string `json:"address"`
	// Label is for people.
	Label string `json:"label,omitempty"`
	// Priority orders endpoints, the lowest first. 0 to 100.
	Priority int32 `json:"priority,omitempty"`
}

// Detection is the detection budget of a link. Zero fields take the defaults.
type Detection struct {
	// IntervalMilliseconds between the heartbeats of a path: 50 to 60000, default 100.
	IntervalMilliseconds int32 `json:"intervalMilliseconds,omitempty"`
	// Misses: a path is down after this many intervals of silence, but not before
	// two round trips and one interval. 2 to 100, default 3.
	Misses int32 `json:"misses,omitempty"`
}

// ServiceExport is a TCP service that peers may use through a tunnel.
type ServiceExport struct {
	// Name by which peers ask for it. Unique among exports.
	Name string `json:"name"`
	// Target is HOST:PORT of the service on our side.
	Target string `json:"target"`
	// Peers that may use it, by name.
	Peers []string `json:"peers"`
	// MaxConnections to the target at once: 1 to 16384, default 1024.
	MaxConnections int32 `json:"maxConnections,omitempty"`
	// IdleSeconds after which a connection without a byte is closed: 1 to 604800,
	// default 3600.
	IdleSeconds int32 `json:"idleSeconds,omitempty"`
}

// ServiceImport is a service of a peer that we use.
type ServiceImport struct {
	// Name of the import. Unique among imports.
	Name string `json:"name"`
	// Peer that exports it, by name.
	Peer string `json:"peer"`
	// Service is the name of the peer's export.
	Service string `json:"service"`
	// Listen is the address on which our side reaches it, HOST:PORT or :PORT.
	// Unique.
	Listen string `json:"listen"`
	// MaxConnections at once: 1 to 16384, default 1024.
	MaxConnections int32 `json:"maxConnections,omitempty"`
	// IdleSeconds after which a connection without a byte is closed: 1 to 604800,
	// default 3600.
	IdleSeconds int32 `json:"idleSeconds,omitempty"`
}

// Export is a feed that we publish.
type Export struct {
	// Name is the SharedFeed's name and the alias of the TAXII collection. Unique
	// among exports and imports.
	Name string `json:"name"`
	// Title for people. Empty means the name.
	Title string `json:"title,omitempty"`
	// Peers that may read the feed, by name.
	Peers []string `json:"peers"`
	// Sources of the objects: collections that local tools push into, or that the relay fetches.
	Sources []Source `json:"sources"`
	// Rule that allows objects to leave.
	Rule Rule `json:"rule"`
	// Redaction of what leaves.
	Redaction Redaction `json:"redaction,omitzero"`
}

// Source is a collection on the local port that tools push into. Its alias
// there is EXPORT.SOURCE, for example "threats.attack".
type Source struct {
	// Name of the source, unique in its export.
	Name string `json:"name"`
	// UnmarkedAs is the TLP level of objects without any TLP marking. Empty
	// means AMBER+STRICT.
	UnmarkedAs string `json:"unmarkedAs,omitempty"`
	// Pull says where the relay fetches the objects; without it local tools push.
	Pull *PulledSource `json:"pull,omitempty"`
}

// Rule allows objects to leave; all parts must allow an object.
type Rule struct {
	// MaxTLP is CLEAR, GREEN or AMBER. Empty allows nothing.
	MaxTLP string `json:"maxTLP"`
	// Types are the STIX types that may leave; none means all.
	Types []string `json:"types,omitempty"`
	// CEL is an expression over the variable object (package expression) that must be
	// true; empty allows all. At most 4096 bytes.
	CEL string `json:"cel,omitempty"`
	// MinConfidence is the lowest confidence (STIX 2.1 section 3.2) that may leave: 0
	// (default, all) to 100. An object without confidence counts as 0.
	MinConfidence int32 `json:"minConfidence,omitempty"`
	// MaxAgeDays since the object's last sign of life: the latest of modified, last_seen,
	// last_observed and valid_from. 0 (default) means no limit; at most 36500.
	MaxAgeDays int32 `json:"maxAgeDays,omitempty"`
	// EmanatesFrom is Peer or empty.
	EmanatesFrom EmanatesFrom `json:"emanatesFrom,omitempty"`
	// MinAgreement is the number of data sets that must agree on the territory: 1
	// (default) to 8.
	MinAgreement int32 `json:"minAgreement,omitempty"`
	// WarningLists is Hold (default) or Ignore: whether what stands on a warning list
	// counts as evidence of territory.
	WarningLists string `json:"warningLists,omitempty"`
}

// Import is a feed that we collect from a peer.
type Import struct {
	// Name is the SharedFeed's name and the alias of the local collection.
	Name string `json:"name"`
	// Title for people. Empty means the name.
	Title string `json:"title,omitempty"`
	// Peer whose collection is pulled, by name.
	Peer string `json:"peer"`
	// Collection is the alias or id of the peer's collection.
	Collection string `json:"collection"`
	// IntervalSeconds between pulls: 1 to 86400, default 60.
	IntervalSeconds int32 `json:"intervalSeconds,omitempty"`
	// MaxObjects that are kept. Default 1000000.
	MaxObjects int64 `json:"maxObjects,omitempty"`
	// Deliveries hand the objects on to systems of ours. At most 8.
	Deliveries []Delivery `json:"deliveries,omitempty"`
}

// Hotline is the durable channel to one peer.
type Hotline struct {
	// Name is the Hotline's name.
	Name string `json:"name"`
	// Peer at the other end, by name. At most one hotline for each peer.
	Peer string `json:"peer"`
	// Deadlines for each precedence; those that are absent take the defaults.
	Deadlines []Deadline `json:"deadlines,omitempty"`
	// LineChecks of every path of the hotline.
	LineChecks LineChecks `json:"lineChecks,omitzero"`
	// Release says which messages need the release of how many officers; nil means none.
	Release *Release `json:"release,omitempty"`
	// Notifiers tell our own people what Escalation and Delivery say, by name. At most 16.
	Notifiers []Notifier `json:"notifiers,omitempty"`
	// Escalation says whom to tell when somebody is silent beyond a deadline. At most 32 steps.
	Escalation []Step `json:"escalation,omitempty"`
	// Delivery says who hears of each new message. At most 8.
	Delivery []Notice `json:"delivery,omitempty"`
	// Transit are the peers, by name, through which messages to and from Peer may go,
	// sealed, while no direct path is up; the first is tried first. At most 8.
	Transit []string `json:"transit,omitempty"`
}

// Deadline says how long an answer may take for one precedence.
type Deadline struct {
	// Precedence is FLASH, IMMEDIATE, PRIORITY or ROUTINE.
	Precedence string `json:"precedence"`
	// ReceiptSeconds until the peer's signed receipt. Zero means the default.
	ReceiptSeconds int32 `json:"receiptSeconds,omitempty"`
	// AcknowledgementSeconds until the duty officer's acknowledgement. Zero means
	// the default.
	AcknowledgementSeconds int32 `json:"acknowledgementSeconds,omitempty"`
	// AnswerSeconds until the answer to a message that asks for one and does not say
	// itself until when. Zero means the default.
	AnswerSeconds int32 `json:"answerSeconds,omitempty"`
}
