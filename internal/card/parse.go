// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package card

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/certlink/certlink/api/v1alpha1"
)

var (
	nameForm        = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	trustDomainForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9._-]{0,253}[a-z0-9])?$`)
)

// Parse reads a card: YAML or JSON of at most MaxBytes, one document, no field
// that a card does not have. It collects all faults before it gives up.
func Parse(data []byte) (Card, error) {
	if len(data) > MaxBytes {
		return Card{}, fmt.Errorf("reading card: it has %d bytes, a card has at most %d", len(data), MaxBytes)
	}
	if bytes.Contains(data, []byte("PRIVATE KEY")) {
		return Card{}, errors.New("reading card: it holds a private key; a card is public: ask the sender to replace that key and to send another card")
	}
	data, err := onlyDocument(data)
	if err != nil {
		return Card{}, fmt.Errorf("reading card: %w", err)
	}
	var w wire
	if err := yaml.UnmarshalStrict(data, &w); err != nil {
		return Card{}, fmt.Errorf("reading card: %w", err)
	}
	if w.APIVersion != v1alpha1.GroupVersion.String() || w.Kind != "PeerCERT" {
		return Card{}, fmt.Errorf("reading card: it is %q of %q, a card is PeerCERT of %q", w.Kind, w.APIVersion, v1alpha1.GroupVersion)
	}
	c := Card{
		Name:      w.Metadata.Name,
		Identity:  w.Spec.Identity,
		Endpoints: w.Spec.Endpoints,
		Bundle:    w.Spec.Trust.Bundle,
	}
	if err := c.check(); err != nil {
		return Card{}, fmt.Errorf("reading card: %w", err)
	}
	return c, nil
}

// onlyDocument returns the one YAML document of data. A second document could
// be read by other tools and not by us.
func onlyDocument(data []byte) ([]byte, error) {
	var found []byte
	for part := range bytes.SplitSeq(append([]byte("\n"), data...), []byte("\n---")) {
		if len(bytes.TrimSpace(part)) == 0 {
			continue
		}
		if found != nil {
			return nil, errors.New("it holds more than one YAML document")
		}
		found = part
	}
	return found, nil
}

// check collects what is wrong with a card, each with its field path.
func (c Card) check() error {
	var faults []error
	if !nameForm.MatchString(c.Name) {
		faults = append(faults, fmt.Errorf("metadata.name: %q is not a DNS label of at most 63 lower-case letters, digits and '-'", c.Name))
	}
	if !trustDomainForm.MatchString(c.Identity.TrustDomain) {
		faults = append(faults, fmt.Errorf("spec.identity.trustDomain: %q is not a SPIFFE trust domain", c.Identity.TrustDomain))
	}
	if n := len([]rune(c.Identity.DisplayName)); n < 1 || n > 128 {
		faults = append(faults, fmt.Errorf("spec.identity.displayName: it has %d characters, allowed are 1 to 128", n))
	}
	if len(c.Endpoints) > MaxEndpoints {
		faults = append(faults, fmt.Errorf("spec.endpoints: there are %d, allowed are %d", len(c.Endpoints), MaxEndpoints))
	}
	for i, e := range c.Endpoints {
		if _, _, err := SplitAddress(e.Address); err != nil {
			faults = append(faults, fmt.Errorf("spec.endpoints[%d].address: %w", i, err))
		}
	}
	if _, err := Certificates(c.Bundle); err != nil {
		faults = append(faults, fmt.Errorf("spec.trust.bundle: %w", err))
	}
	return errors.Join(faults...)
}

// SplitAddress splits HOST:PORT and checks that both can be dialled.
func SplitAddress(address string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil || host == "" || len(address) > 261 || strings.ContainsAny(host, " /@\t\r\n") {
		return "", 0, fmt.Errorf("%q is not HOST:PORT", address)
	}
	port, err = strconv.Atoi(text)
	if err != nil || port < 1 || port > 65535 {
		return "", 0, fmt.Errorf("the port of %q is not 1 to 65535", address)
	}
	return host, port, nil
}
