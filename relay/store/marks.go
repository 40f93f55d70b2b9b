// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"encoding/json"
	"slices"
	"time"
)

// MaxMarks is the largest number of marks of one message that are read: the last that
// were stored. MaxMarked is the number of messages that may be asked about at once.
const (
	MaxMarks  = 64
	MaxMarked = MaxMessages
)

// MarkingKinds are the kinds of messages that say something about earlier messages of
// their own sender, by reference.
var MarkingKinds = []string{"CORRECT", "CANCEL", "EXTEND", "RELEASE"}

// Mark is a message of a marking kind, as one that it is about sees it.
type Mark struct {
	// Target is the id of the message that it is about. It has the same direction and
	// peer, and need not be stored.
	Target string
	// ID, Serial, Kind and CreatedAt of the message that says so.
	ID        string
	Serial    int64
	Kind      string
	CreatedAt time.Time
}

// Marked returns the ids of those messages of its own sender that a message is about.
// Engines store them with the message. What is said about messages of the other side
// counts for nothing, nor what a message of an exercise says of another conversation, which
// engines see to as they read marks: a drill must not cancel what is real. Neither does a reference of a message to itself.
func Marked(m *Message) []string {
	if !slices.Contains(MarkingKinds, m.Kind) {
		return nil
	}
	var content struct {
		References []struct {
			ID string `json:"id"`
			By string `json:"by"`
		} `json:"references"`
	}
	if json.Unmarshal(m.Payload, &content) != nil {
		return nil // its content was checked before it came here
	}
	var ids []string
	for _, r := range content.References {
		if r.By != "receiver" && r.ID != "" && r.ID != m.ID && !slices.Contains(ids, r.ID) {
			ids = append(ids, r.ID)
		}
	}
	return ids
}
