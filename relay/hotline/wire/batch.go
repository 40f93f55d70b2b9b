// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/fxamacker/cbor/v2"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/certlink/certlink/relay/journal"
)

// ContentType of batches and answers.
const ContentType = "application/vnd.certlink.hotline-batch+cbor"

// Version of the format.
const Version = 2

// Bounds of a batch.
const (
	// MaxEntries is the largest number of entries, and of refusals.
	MaxEntries = 256
	// MaxBytes is the size of the largest batch: 4 MiB.
	MaxBytes = 4 << 20
	// MaxBody is the size of the largest entry's body.
	MaxBody = 96 << 10
	// MaxChain certificates of at most MaxCertificate bytes each.
	MaxChain       = 4
	MaxCertificate = 8 << 10
	// MaxSteps is the number of consistency proofs.
	MaxSteps = 16

	maxPath    = 48
	maxHashes  = MaxEntries * maxPath
	maxDetail  = 512
	maxID      = 128
	maxKind    = 32
	maxState   = 32
	hashBytes  = tlog.HashSize
	maxRefusal = 599
)

// ErrMalformed: it is no batch, or one out of bounds.
var ErrMalformed = errors.New("not a batch")

// States of an answer: how the receiver stands to the sender's log. Nothing of a batch
// was stored unless it is Continues.
const (
	// Continues: the checkpoint continues what the receiver held, which holds it now.
	Continues = ""
	// Behind: the receiver holds a larger checkpoint than the batch's; see Held.
	Behind = "behind"
	// Unlinked: the batch has no consistency proof from what the receiver holds; see Held.
	Unlinked = "unlinked"
	// Forked: the proof does not hold. The log has two histories.
	Forked = "forked"
	// Recovering: the receiver's own log is behind what the sender holds of it; it
	// recovers first.
	Recovering = "recovering"
)

// Tree is a state of a log.
type Tree struct {
	_    struct{} `cbor:",toarray"`
	Size int64
	Root []byte
}

// TreeOf is the wire form of a state; nil for an empty log.
func TreeOf(t tlog.Tree) *Tree {
	if t.N == 0 {
		return nil
	}
	return &Tree{Size: t.N, Root: t.Hash[:]}
}

// Tree is the state itself; zero for nil.
func (t *Tree) Tree() tlog.Tree {
	if t == nil {
		return tlog.Tree{}
	}
	return tlog.Tree{N: t.Size, Hash: tlog.Hash(t.Root)}
}

// Entry is an entry of the log, with its inclusion proof.
type Entry struct {
	_ struct{} `cbor:",toarray"`
	// Index of the entry, from 0.
	Index int64
	Kind  string
	Body  []byte
	// Path of the inclusion proof: positions in the batch's Hashes.
	Path []uint16
}

// Step proves that the batch's checkpoint continues an older one.
type Step struct {
	_    struct{} `cbor:",toarray"`
	From int64
	// Path of the consistency proof, one hash after the other.
	Path []byte
}

// Refusal says that a message was not taken.
type Refusal struct {
	_ struct{} `cbor:",toarray"`
	// ID of the message.
	ID string
	// Status as HTTP has it, 400 to 599, and one line for people.
	Status int
	Detail string
}

// Copy is a message that the peer once had and gives back, with what proves it: a tlog
// proof under a checkpoint of whoever said it, and that signer's chain.
type Copy struct {
	_ struct{} `cbor:",toarray"`
	// Message is the payload, Receipt the body of its receipt.
	Message, Receipt []byte
	// MessageProof and MessageChain are of who sent it; ReceiptProof and ReceiptChain of who
	// receipted it.
	MessageProof []byte
	MessageChain [][]byte
	ReceiptProof []byte
	ReceiptChain [][]byte
}

// Batch is what one request or answer carries.
type Batch struct {
	Version int `cbor:"1,keyasint"`
	// Chain is that of the signer in DER, the leaf first.
	Chain [][]byte `cbor:"2,keyasint"`
	// Checkpoint of the sender's log as it was signed.
	Checkpoint []byte `cbor:"3,keyasint"`
	// Steps lead to the checkpoint from those that the receiver may hold.
	Steps []Step `cbor:"4,keyasint,omitempty"`
	// Hashes of all inclusion proofs, one after the other.
	Hashes  []byte  `cbor:"5,keyasint,omitempty"`
	Entries []Entry `cbor:"6,keyasint,omitempty"`
	// Held is the largest checkpoint of the receiver's log that the sender holds.
	Held *Tree `cbor:"7,keyasint,omitempty"`
	// Refusals and State are for answers.
	Refusals []Refusal `cbor:"8,keyasint,omitempty"`
	State    string    `cbor:"9,keyasint,omitempty"`
	// Want asks for copies of messages, and Copies and Shown answer that.
	Want   *Want  `cbor:"10,keyasint,omitempty"`
	Copies []Copy `cbor:"11,keyasint,omitempty"`
	// Shown is the largest checkpoint of the receiver's log that the sender holds, as it was
	// signed, and ShownChain the chain that came with it.
	Shown      []byte   `cbor:"12,keyasint,omitempty"`
	ShownChain [][]byte `cbor:"13,keyasint,omitempty"`
}

// Want asks a peer for what it holds of us, after our database was set back.
type Want struct {
	_ struct{} `cbor:",toarray"`
	// Ours asks for messages of the asker above this serial, Theirs for receipted ones of
	// the asked above this one; -1 for none.
	Ours, Theirs int64
}

var (
	encoder = must(cbor.CoreDetEncOptions().UserBufferEncMode())
	decoder = must(cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden,
		MaxNestedLevels: 6, MaxArrayElements: maxHashes, MaxMapPairs: 32, UTF8: cbor.UTF8RejectInvalid,
	}.DecMode())
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err) // constant options
	}
	return v
}

// Encode writes a batch.
func (b *Batch) Encode() ([]byte, error) {
	b.Version = Version
	raw, ok := quickEncode(make([]byte, 0, b.roughly()), b)
	if !ok {
		buf := bytes.NewBuffer(raw[:0])
		if err := encoder.MarshalToBuffer(b, buf); err != nil {
			return nil, fmt.Errorf("encoding batch: %w", err)
		}
		raw = buf.Bytes()
	}
	if len(raw) > MaxBytes {
		return nil, fmt.Errorf("encoding batch: %d bytes are more than %d", len(raw), MaxBytes)
	}
	return raw, nil
}

// roughly is about how many bytes a batch takes, rather more, so that it is written into memory
// that was asked for once.
func (b *Batch) roughly() int {
	const head, each = 1024, 32
	size := head + len(b.Checkpoint) + len(b.Shown) + len(b.Hashes)
	for _, c := range b.Chain {
		size += len(c)
	}
	for i := range b.Steps {
		size += each + len(b.Steps[i].Path)
	}
	for i := range b.Entries {
		size += each + len(b.Entries[i].Body) + 3*len(b.Entries[i].Path)
	}
	for i := range b.Copies {
		c := &b.Copies[i]
		size += each + len(c.Message) + len(c.Receipt) + len(c.MessageProof) + len(c.ReceiptProof)
	}
	return size
}

// Decode reads a batch and bounds all of it. Nothing is verified. Members that this
// release does not know are passed over. Errors wrap ErrMalformed.
func Decode(raw []byte) (*Batch, error) {
	if len(raw) > MaxBytes {
		return nil, fmt.Errorf("reading batch: %d bytes are more than %d: %w", len(raw), MaxBytes, ErrMalformed)
	}
	b, ok := quickDecode(raw)
	if !ok {
		b = &Batch{}
		if err := decoder.Unmarshal(raw, b); err != nil {
			return nil, fmt.Errorf("reading batch: %w: %w", ErrMalformed, err)
		}
	}
	if fault := b.fault(); fault != "" {
		return nil, fmt.Errorf("reading batch: %s: %w", fault, ErrMalformed)
	}
	return b, nil
}

// fault names the first bound that a batch breaks.
func (b *Batch) fault() string {
	switch {
	case b.Version != Version:
		return fmt.Sprintf("version %d of the format is not known here, only %d", b.Version, Version)
	case !chainFits(b.Chain, 1), !chainFits(b.ShownChain, 0):
		return "the certificate chain is out of bounds"
	case len(b.Checkpoint) == 0 || len(b.Checkpoint) > journal.MaxCheckpointBytes || len(b.Shown) > journal.MaxCheckpointBytes:
		return "the checkpoint is out of bounds"
	case len(b.Hashes)%hashBytes != 0 || len(b.Hashes) > maxHashes*hashBytes:
		return "the hashes are out of bounds"
	case b.Held != nil && (b.Held.Size < 1 || b.Held.Size > journal.MaxSize || len(b.Held.Root) != hashBytes):
		return "what is held is no state of a log"
	case len(b.State) > maxState || !utf8.ValidString(b.State):
		return "the state is out of bounds"
	}
	return b.faultOfCounts()
}

func (b *Batch) faultOfCounts() string {
	switch {
	case len(b.Entries) > MaxEntries || len(b.Refusals) > MaxEntries || len(b.Copies) > MaxEntries:
		return fmt.Sprintf("it has more than %d entries", MaxEntries)
	case len(b.Steps) > MaxSteps:
		return "there are too many consistency proofs"
	case b.Want != nil && (b.Want.Ours < -1 || b.Want.Theirs < -1):
		return "what is wanted is out of bounds"
	}
	return b.faultOfParts()
}

func (b *Batch) faultOfParts() string {
	hashes, named := len(b.Hashes)/hashBytes, 0
	for _, e := range b.Entries {
		named += len(e.Path)
		switch {
		case e.Index < 0 || e.Index >= journal.MaxSize, len(e.Kind) > maxKind, len(e.Body) > MaxBody, len(e.Path) > maxPath:
			return "an entry is out of bounds"
		}
		for _, at := range e.Path {
			if int(at) >= hashes {
				return "an inclusion proof names a hash that is not there"
			}
		}
	}
	if hashes > named {
		return "there are hashes that no inclusion proof names"
	}
	for _, s := range b.Steps {
		if s.From < 1 || len(s.Path)%hashBytes != 0 || len(s.Path) > 2*maxPath*hashBytes {
			return "a consistency proof is out of bounds"
		}
	}
	for _, r := range b.Refusals {
		if len(r.ID) > maxID || len(r.Detail) > maxDetail || r.Status < 400 || r.Status > maxRefusal {
			return "a refusal is out of bounds"
		}
	}
	for _, c := range b.Copies {
		if !c.fits() {
			return "a copy is out of bounds"
		}
	}
	return ""
}

func (c *Copy) fits() bool {
	return len(c.Message) <= MaxBody && len(c.Receipt) <= MaxBody &&
		len(c.MessageProof) <= journal.MaxProofBytes && len(c.ReceiptProof) <= journal.MaxProofBytes &&
		chainFits(c.MessageChain, 0) && chainFits(c.ReceiptChain, 0)
}

func chainFits(chain [][]byte, least int) bool {
	if len(chain) < least || len(chain) > MaxChain {
		return false
	}
	for _, c := range chain {
		if len(c) == 0 || len(c) > MaxCertificate {
			return false
		}
	}
	return true
}
