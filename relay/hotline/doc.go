// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package hotline carries messages between the duty officers of two CERTs. The
// wire protocol is described in docs/hotline-protocol.md.
//
// It promises:
//
//   - When Send or Acknowledge returns, the message is on stable storage here.
//   - A message is sent again until the peer's proven receipt for exactly this
//     message is verified and stored. Nothing but that receipt ends it.
//   - A received message is stored once, whatever is sent again, and is on stable
//     storage before its receipt leaves.
//   - Messages of one conversation arrive in the order in which they were sent,
//     also when a later one is more urgent. Conversations do not wait for each
//     other, and an urgent one goes first.
//   - Serials of each direction have no gaps at the sender, so a loss would show
//     at the receiver.
//   - Each message of ours, and each receipt of ours for a message of the peer, is an
//     entry of our journal of that line (package journal), under a checkpoint that was
//     signed before the message left or the receipt was answered.
//   - An acknowledgement is a message like any other (kind ACK): signed, stored,
//     receipted.
//
// It does not read what officers write, does not retry what the desk sends (the
// desk repeats with the same id), and does not decide who may use it: package
// link says who the peer is, package desk who the officer's client is.
//
// # The order of a message, and what a crash leaves
//
//	our side                                   the peer's side
//	1. one transaction (ChangeLine, fsync): the message with its serial (Enqueue); its
//	   payload as an entry of our journal, the hashes of that and the checkpoint over
//	   all, signed (Append)
//	   a crash before the commit: nothing, not even the serial, and the signed checkpoint,
//	   which nobody has seen, is lost; Send had not returned, the officer repeats it
//	   a crash after: queued; Run finds it
//	   step 2 begins when it is written (LineTx.Written), while our disk still syncs; Send
//	   returns after that. kill -9 in between leaves it queued. A power loss in between may
//	   leave it at the peer alone: then our database was set back, which is noticed by the
//	   peer's checkpoint, and the peer gives it back; Send had not returned
//	2. send the batch: checkpoint, entries, proofs
//	   a crash: queued; it is sent again           a. verify the chain and the checkpoint once, each
//	                                              message by its proof
//	                                              a crash before b: nothing there; we send again
//	                                           b. one transaction (ChangeLine, fsync): what our
//	                                              checkpoint continues is compared, and kept;
//	                                              messages with their proofs and receipts (Accept);
//	                                              the receipts as entries of their journal (Append)
//	                                              a crash after: stored there, queued here;
//	                                              we send again, which finds the stored ones
//	                                           c. answer with the receipts and their proofs: made when b is
//	                                              written, and sent when it is on stable storage
//	3. verify the answer, each receipt by its proof
//	   a crash after: queued; we send again and get the receipts again
//	4. one transaction (fsync): all receipts of the batch (PutReceipts), the peer's checkpoint
//	   a crash after: done
//
// Every step may be repeated: messages are keyed by direction, peer and id. A
// start runs the same code as any other moment: it sends what has no receipt.
// An ACK takes the same steps; that it acknowledges a message is stored in the
// same transaction as the ACK itself, here in step 1 and there in step b.
//
// Concurrent changes of a line share the transaction of step 1, at most 256, and
// so one checkpoint and one fsync: the first caller makes it for all that wait; so do steps b and 4.
// Where many were answered together, the next transaction waits a moment for them, at most a
// quarter of what the last one took, and 2 ms. What is FLASH has transactions of its own: it waits
// for no other change of its line, nor for the sync of one, only for the store's writer. A change
// that conflicts fails alone. When the key cannot sign, or the store fails, nothing of the whole
// batch is stored, and each caller is told.
package hotline
