// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package pipe

import (
	"encoding/binary"
	"net/netip"
)

const ipv4Header = 20

// Addresses reads source and destination of an IPv4 packet; ok is false for anything else.
func Addresses(data []byte) (from, to netip.Addr, ok bool) {
	if len(data) < ipv4Header || data[0]>>4 != 4 {
		return netip.Addr{}, netip.Addr{}, false
	}
	return netip.AddrFrom4([4]byte(data[12:16])), netip.AddrFrom4([4]byte(data[16:20])), true
}

// Unreachable answers an IPv4 packet with an ICMP "host unreachable" (RFC 792). It is nil where none may be sent: for other ICMP
// messages, for later fragments and for group addresses.
func Unreachable(data []byte) []byte {
	const protocolICMP, typeUnreachable, codeHost, icmpHeader, quoted = 1, 3, 1, 8, 8
	header := int(data[0]&0x0f) * 4
	_, to, _ := Addresses(data)
	fragment := binary.BigEndian.Uint16(data[6:])&0x1fff != 0
	if header < ipv4Header || len(data) < header || data[9] == protocolICMP || fragment || to.IsMulticast() || to == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return nil
	}
	quote := data[:min(len(data), header+quoted)]
	reply := make([]byte, ipv4Header+icmpHeader+len(quote))
	reply[0], reply[8], reply[9] = 0x45, 64, protocolICMP
	binary.BigEndian.PutUint16(reply[2:], uint16(len(reply)))
	copy(reply[12:16], data[16:20])
	copy(reply[16:20], data[12:16])
	binary.BigEndian.PutUint16(reply[10:], checksum(reply[:ipv4Header]))
	message := reply[ipv4Header:]
	message[0], message[1] = typeUnreachable, codeHost
	copy(message[icmpHeader:], quote)
	binary.BigEndian.PutUint16(message[2:], checksum(message))
	return reply
}

// checksum is the Internet checksum (RFC 1071).
func checksum(data []byte) uint16 {
	var sum uint32
	for i := 0; i+1 < len(data); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(data[i:]))
	}
	if len(data)%2 == 1 {
		sum += uint32(data[len(data)-1]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
