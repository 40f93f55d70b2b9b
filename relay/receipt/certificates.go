// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package receipt

import "crypto/x509"

// Certificates returns the chain in a statement, the leaf first, without verifying anything.
// It is for statements that were verified once and are in our own store.
func Certificates(jws []byte) ([]*x509.Certificate, error) {
	h, err := readHeader(jws)
	if err != nil {
		return nil, err
	}
	return readChain(h.Chain)
}
