// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package notify tells our own people what a hotline wants them to know: by webhook,
// through Alertmanager, or by e-mail.
//
// It promises:
//
//   - Notify returns nil only when the other side took the notification: an answer 2xx, of
//     one Alertmanager at least, or an accepted mail for one receiver at least.
//   - The same notification carries the same key each time, so that a receiver can tell a
//     repetition: Idempotency-Key of the webhook, the labels of the alert, Message-ID of the mail.
//   - No mail leaves without TLS, but to this very host where the configuration says so,
//     and no credentials leave without TLS.
//   - Secrets are read from their files for each notification (package remote), and are in
//     no error. What a peer wrote cannot make a header, a label or a second mail.
//   - An error says which layer failed (LayerOf) and, in one line, what a person can do
//     (Explain), in the same words for the same fault.
//
// It decides nothing, keeps no state and repeats nothing for longer than moments: package
// escalate does. How much of a message is told is decided there, too.
package notify
