// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package testca makes the certificates of a nation for tests, in one call: a CA
// of any key algorithm with any number of intermediates, leaves with a SPIFFE ID,
// and their files laid out as the kubelet mounts a Secret of cert-manager, so
// that a second write swaps them as a renewal does.
//
// It checks nothing: it can make expired, foreign and otherwise wrong
// certificates, because that is what tests need. Nothing that ships imports it.
package testca
