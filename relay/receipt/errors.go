// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package receipt

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// What can be wrong with a statement.
var (
	// ErrMalformed: it is not a statement of ours, or out of bounds.
	ErrMalformed = errors.New("not a signed statement")
	// ErrType: it is a statement of another kind.
	ErrType = errors.New("another kind of statement")
	// ErrSigner: the certificate is not one that may sign statements.
	ErrSigner = errors.New("not a signing certificate")
	// ErrExpired: a certificate of the signer's chain is outside its validity.
	ErrExpired = errors.New("certificate outside its validity")
	// ErrUntrusted: the chain does not end in the bundle of the trust domain that
	// the leaf names.
	ErrUntrusted = errors.New("certificate not trusted")
	// ErrSignature: the signature is not over this content by this certificate.
	ErrSignature = errors.New("wrong signature")
)

// Error says why a statement was not opened. Kind is one of the Err… of this
// package; errors.Is finds it.
type Error struct {
	Kind error
	Err  error
}

// Error returns the kind and what was found.
func (e *Error) Error() string {
	return fmt.Sprintf("opening a statement: %v: %v", e.Kind, e.Err)
}

// Unwrap returns the kind and what was found.
func (e *Error) Unwrap() []error { return []error{e.Kind, e.Err} }

func refuse(kind, err error) error { return &Error{Kind: kind, Err: err} }

// printable cuts what a stranger sent down to something fit for a log.
func printable(s string) string {
	const longest = 64
	if len(s) > longest {
		s = s[:longest] + "…"
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}
