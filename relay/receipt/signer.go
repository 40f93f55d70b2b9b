// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package receipt

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
)

const (
	// maxCertificateBytes is the largest certificate that is parsed.
	maxCertificateBytes = 8 << 10
	// maxRSABits is the largest RSA key with which one is verified, as in package crypto/tls. One that fills a
	// certificate would take seconds for each statement.
	maxRSABits = 8192
)

// header is all that a statement's header may hold.
type header struct {
	Algorithm string   `json:"alg"`
	Type      string   `json:"typ"`
	Chain     []string `json:"x5c"`
}

// readHeader bounds a statement and decodes its header.
func readHeader(jws []byte) (header, error) {
	if len(jws) > MaxBytes {
		return header{}, refuse(ErrMalformed, fmt.Errorf("%d bytes are more than %d", len(jws), MaxBytes))
	}
	encoded, _, found := bytes.Cut(jws, []byte("."))
	if !found || len(encoded) > MaxHeaderBytes {
		return header{}, refuse(ErrMalformed, errors.New("it has no header of an allowed size"))
	}
	raw, err := base64.RawURLEncoding.Strict().AppendDecode(nil, encoded)
	if err != nil {
		return header{}, refuse(ErrMalformed, err)
	}
	var h header
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&h); err != nil {
		return header{}, refuse(ErrMalformed, fmt.Errorf("reading the header: %w", err))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return header{}, refuse(ErrMalformed, errors.New("something follows the header"))
	}
	if h.Algorithm != "EdDSA" {
		return header{}, refuse(ErrMalformed, fmt.Errorf("algorithm %q is not EdDSA", printable(h.Algorithm)))
	}
	return h, nil
}

func readChain(x5c []string) ([]*x509.Certificate, error) {
	if len(x5c) == 0 || len(x5c) > MaxChain {
		return nil, refuse(ErrMalformed, fmt.Errorf("%d certificates are not within 1 to %d", len(x5c), MaxChain))
	}
	chain := make([]*x509.Certificate, 0, len(x5c))
	for _, encoded := range x5c {
		if base64.StdEncoding.DecodedLen(len(encoded)) > maxCertificateBytes {
			return nil, refuse(ErrMalformed, fmt.Errorf("a certificate has more than %d bytes", maxCertificateBytes))
		}
		der, err := base64.StdEncoding.Strict().DecodeString(encoded)
		if err != nil {
			return nil, refuse(ErrMalformed, fmt.Errorf("decoding a certificate: %w", err))
		}
		c, err := readCertificate(der)
		if err != nil {
			return nil, err
		}
		chain = append(chain, c)
	}
	return chain, nil
}

// readCertificate reads one of a chain, and refuses what it would cost too much to verify with.
func readCertificate(der []byte) (*x509.Certificate, error) {
	if len(der) > maxCertificateBytes {
		return nil, refuse(ErrMalformed, fmt.Errorf("a certificate has more than %d bytes", maxCertificateBytes))
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, refuse(ErrMalformed, err)
	}
	if key, ok := c.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() > maxRSABits {
		return nil, refuse(ErrMalformed, fmt.Errorf("the RSA key of a certificate has more than %d bits", maxRSABits))
	}
	return c, nil
}

// verifySigner says who signed: the name in the leaf, if the bundle of that very
// trust domain vouches for it now.
func verifySigner(v Verifier, chain []*x509.Certificate, now time.Time) (spiffeid.ID, error) {
	id, err := x509svid.IDFromCert(chain[0])
	if err != nil {
		return spiffeid.ID{}, refuse(ErrSigner, err)
	}
	if id.Path() != signingPath {
		return spiffeid.ID{}, refuse(ErrSigner, fmt.Errorf("%s is not for signing", id))
	}
	if _, ok := chain[0].PublicKey.(ed25519.PublicKey); !ok {
		return spiffeid.ID{}, refuse(ErrSigner, fmt.Errorf("the key of %s is not Ed25519", id))
	}
	if u := chain[0].KeyUsage; u != 0 && u&x509.KeyUsageDigitalSignature == 0 {
		return spiffeid.ID{}, refuse(ErrSigner, fmt.Errorf("the key of %s is not for signatures", id))
	}
	if _, _, err := x509svid.Verify(chain, v, x509svid.WithTime(now)); err != nil {
		var invalid x509.CertificateInvalidError
		if errors.As(err, &invalid) && invalid.Reason == x509.Expired {
			return spiffeid.ID{}, refuse(ErrExpired, fmt.Errorf("of %s: %w", id, err))
		}
		return spiffeid.ID{}, refuse(ErrUntrusted, fmt.Errorf("%s: %w", id, err))
	}
	return id, nil
}
