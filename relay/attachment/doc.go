// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package attachment moves the files that hotline messages name: from the desk into our
// store, from there to the peer before the message goes, and from the store to the desk at
// the other end. The wire is described in docs/attachments.md.
//
// It promises:
//
//   - What a file is called is its SHA-256. It is complete, here or at the peer, only after
//     all of it was stored durably and compared with that.
//   - A file goes on from where its stored part ends, after a cut, a crash or a change of
//     replica; what is stored is not sent again.
//   - Memory does not grow with files: each transfer holds one chunk.
//   - One file at a time goes to each peer, in chunks with a rest after each, and the file
//     of the most urgent message first, also when another is under way. Messages go beside
//     it on connections of their own.
//   - A peer without a Hotline stores nothing here, and one that has it no more than the
//     limits, besides what its messages name.
//
// It does not look into files, and does not vouch for their type: both are the word of
// whoever wrote the message. It deletes nothing that a message names.
//
// # The order of a file, and what a crash leaves
//
//	our side                                    the peer's side
//	1. the desk brings chunks; each is stored (fsync) before it is answered
//	   a crash after: the stored part; the desk asks how long it is, and goes on
//	2. all of it is read and compared with its digest, then marked complete (fsync)
//	   a crash before the mark: as after 1, and it is compared when somebody asks
//	3. a message names it, and holds it in the transaction in which it is stored
//	   a file that nothing names is deleted a day after its last change
//	4. ask the peer how much is stored there
//	5. send the next chunk                      6. store it (fsync), answer how much is stored
//	   a crash after: as after 3; 4 tells how far we came
//	                                            7. after the last chunk: as 2
//	8. the message goes                         9. it is stored only if all its files are
//	                                               complete, and holds them, in one transaction
//
// Nothing is stored at our side about how far the peer has come: it is asked, so that a
// peer with another database gets what is missing there.
package attachment
