// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package pipe

import (
	"bytes"
	"testing"
)

// packetTo is a UDP packet from 198.18.0.1 without content.
func packetTo(to ...byte) []byte {
	data := make([]byte, 28)
	data[0], data[3], data[8], data[9] = 0x45, 28, 64, 17
	copy(data[12:], []byte{198, 18, 0, 1})
	copy(data[16:], to)
	return data
}

func TestUnreachableQuotesThePacket(t *testing.T) {
	sent := packetTo(198, 18, 0, 77)
	got := Unreachable(sent)
	if len(got) != 56 || got[9] != 1 || got[20] != 3 || got[21] != 1 || checksum(got[:20]) != 0 || checksum(got[20:]) != 0 {
		t.Fatalf("not a valid host unreachable: % x", got)
	}
	from, to, ok := Addresses(got)
	if !ok || from.String() != "198.18.0.77" || to.String() != "198.18.0.1" {
		t.Errorf("it goes from %s to %s", from, to)
	}
	if !bytes.Equal(sent, got[28:]) {
		t.Errorf("it quotes % x, not % x", got[28:], sent)
	}
}

func TestUnreachableIsNotSentWhereItMustNotBe(t *testing.T) {
	icmp := packetTo(198, 18, 0, 77)
	icmp[9] = 1
	fragment := packetTo(198, 18, 0, 77)
	fragment[7] = 1
	long := packetTo(198, 18, 0, 77)
	long[0] = 0x4f
	for name, data := range map[string][]byte{
		"an ICMP message": icmp, "a later fragment": fragment, "a header beyond the packet": long,
		"a group": packetTo(224, 0, 0, 1), "everybody": packetTo(255, 255, 255, 255),
	} {
		if reply := Unreachable(data); reply != nil {
			t.Errorf("%s is answered: % x", name, reply)
		}
	}
}
