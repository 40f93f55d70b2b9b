// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package deliver hands the objects of imports on to systems of ours: a TAXII 2.1
// collection, or a webhook.
//
// It promises that each object is handed on at least once, in the order in which it was
// stored, whatever fails in between; that what the other side does not take is kept as
// a dead letter with the reason, counted, and can be sent again; and that a receiver
// that is slow or away holds up neither the import nor another delivery. One delivery is
// one goroutine with one batch in memory. The order is
//
//	read a batch behind the position → the other side takes it → store the position
//
// A crash before the other side has taken the batch leaves nothing; one after it has,
// and before the position is stored, sends the batch again. A webhook sees the same
// Idempotency-Key then, if the batch holds the same objects; a TAXII server takes a
// version that it has as a success.
//
// What is stored goes on being delivered while the peer it came from is suspended. The
// MISP feed of an import is no delivery of this package: it is read, not sent.
package deliver
