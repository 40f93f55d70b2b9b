// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// maxBundleBytes is the largest trust bundle, and maxBundleCerts the largest
// number of certificates in it.
const (
	maxBundleBytes = 32 << 10
	maxBundleCerts = 32
)

var (
	label       = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	subdomain   = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$`)
	alias       = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,254}[A-Za-z0-9])?$`)
	trustDomain = regexp.MustCompile(`^[a-z0-9]([a-z0-9._-]{0,253}[a-z0-9])?$`)
	hostName    = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$`)
	stixType    = regexp.MustCompile(`^[a-z][a-z0-9-]{1,248}[a-z0-9]$`)
)

func checkName(f faults, name string) {
	if !label.MatchString(name) {
		f.add("%q must hold lower-case letters, digits and '-', at most 63", clip(name))
	}
}

func checkFeedName(f faults, name string) {
	if !subdomain.MatchString(name) {
		f.add("%q must hold lower-case letters, digits, '-' and '.', at most 253", clip(name))
	}
}

func checkAlias(f faults, name string) {
	if !alias.MatchString(name) {
		f.add("%q must be the alias or id of a collection: letters, digits, '.', '_' and '-', at most 256", clip(name))
	}
}

func checkTrustDomain(f faults, name string) {
	if !trustDomain.MatchString(name) {
		f.add("%q must be a SPIFFE trust domain: lower-case letters, digits, '.', '-' and '_', at most 255", clip(name))
	}
}

func checkAddress(f faults, address string) {
	host, port, err := net.SplitHostPort(address)
	if err != nil || !isPort(port, 1) || !isHost(host) {
		f.add("%q must be HOST:PORT, for example relay.bravo.example:8443; an IPv6 host stands in brackets", clip(address))
	}
}

func isHost(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil || hostName.MatchString(host)
}

func isPort(port string, lowest uint64) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n >= lowest
}

// checkBundle accepts one or more CA certificates in PEM. Whether they are valid
// today is a state of the link, not a fault of the file.
func checkBundle(f faults, bundle string) {
	if len(bundle) > maxBundleBytes {
		f.add("has %d bytes, more than %d", len(bundle), maxBundleBytes)
		return
	}
	rest := []byte(bundle)
	for n := 0; ; n++ {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		if block == nil {
			if n == 0 {
				f.add("must hold CA certificates in PEM")
			}
			return
		}
		if fault := caFault(block); fault != "" {
			f.add("certificate %d: %s", n+1, fault)
			return
		}
		if n == maxBundleCerts {
			f.add("holds more than %d certificates", maxBundleCerts)
			return
		}
	}
}

func caFault(block *pem.Block) string {
	if block.Type != "CERTIFICATE" {
		return fmt.Sprintf("is a %s; only certificates belong here", clip(block.Type))
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return "cannot be parsed"
	}
	if !cert.IsCA {
		return fmt.Sprintf("%q is no CA certificate", clip(cert.Subject.String()))
	}
	return ""
}

func checkFile(f faults, path string) {
	if path == "" {
		f.add("must name a file")
	}
	if len(path) > 4096 || strings.ContainsRune(path, 0) {
		f.add("is no path")
	}
}

func checkText(f faults, text string, limit int) {
	if len([]rune(text)) > limit {
		f.add("is longer than %d characters", limit)
	}
	if strings.ContainsFunc(text, unicode.IsControl) {
		f.add("must not hold control characters")
	}
}

func checkCount(f faults, n, limit int) {
	if n > limit {
		f.add("has %d entries, more than %d", n, limit)
	}
}

func checkRange[T int32 | int64](f faults, n, lowest, highest T) {
	if n < lowest || n > highest {
		f.add("%d must be %d to %d", n, lowest, highest)
	}
}

func checkOneOf[T ~string](f faults, value T, allowed ...T) {
	if !slices.Contains(allowed, value) {
		words := make([]string, len(allowed))
		for i, a := range allowed {
			words[i] = string(a)
		}
		f.add("%q must be one of %s", clip(string(value)), strings.Join(words, ", "))
	}
}

// clip shortens what is quoted in a fault, clip256 what another package says of it.
func clip(s string) string { return shorten(s, 64) }

func clip256(s string) string { return shorten(s, 256) }

func shorten(s string, limit int) string {
	if len(s) > limit {
		return strings.ToValidUTF8(s[:limit], "") + "…"
	}
	return s
}

// set finds values that are there twice.
type set struct {
	what  string
	index map[string]string // value to the path where it was first
}

func newSet(what string) *set { return &set{what: what, index: map[string]string{}} }

func (s *set) add(f faults, value string) {
	if first, ok := s.index[value]; ok {
		f.add("%s %q is taken by %s", s.what, clip(value), first)
		return
	}
	s.index[value] = f.path
}

func (s *set) has(value string) bool {
	_, ok := s.index[value]
	return ok
}
