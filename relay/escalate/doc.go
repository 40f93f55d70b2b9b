// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package escalate sees to it that silence on a hotline is noticed by somebody: it takes
// the steps of the configured escalation, and tells of new messages.
//
// The order, for each step of a message:
//
//  1. the step, one notice for each notifier and an act ESCALATED, in one transaction
//     crash before: it is decided anew; after: it is open
//  2. a batch is noted for the notices that go out together
//     crash after: the same batch goes out, under the same key
//  3. the notification is sent        crash after: it is sent once more, under the same key
//  4. what became of it, and an act NOTIFIED, in one transaction
//     crash after: done
//
// It promises:
//
//   - A step that was decided is told until its notifier takes it, the situation is over, or
//     the notifier is gone from the configuration, however often the relay is killed. A
//     crash repeats at most the notification itself.
//   - When the silence ends, whoever may have heard of it hears that, too (act ESCALATION_SETTLED).
//   - No storm: to each notifier goes one request at a time, with pauses in between, for up to
//     notify.MaxItems messages; a step that was missed several times is taken once.
//   - No silence: when nothing can be recorded (a full disk, no signing certificate), notifiers
//     are told all the same, without a record. A clock that is set back is noticed.
//   - With replicas only the holder of the line's lease does any of it.
//   - Of a message a notifier is told what its configuration includes, and no more.
//
// What is due is decided by Decide, which is pure. Package notify speaks to the
// outside; package hotline writes the journal.
package escalate
