// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package lease shares work among the replicas of one relay: each piece of work
// is done by one replica at a time, and by another soon after that one is gone.
//
// A replica that works renews its lease at a third of its time. It stops the work
// when it cannot: before anybody else may begin. The context of the work is under
// the lease (store.Under), so that a replica that was stopped for longer than that,
// with its processor or its network, changes nothing when it comes back.
//
// With one replica on an embedded store every lease is given at once.
package lease
