// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package sqlite is the embedded store: one SQLite file in WAL mode beside the
// relay, no server.
//
// Besides the contract of package store it promises:
//
//   - A commit is in the write-ahead log and synced before a call returns nil, and
//     before a read shows it (but for GlanceLine and Pending); kill -9 or power loss after
//     that loses nothing. Writers do not wait for each other's syncs: see flusher. When a
//     sync fails, the store makes and shows nothing more: ErrUnflushed.
//   - One writer, many readers. Writes take turns; those of the hotline go before
//     waiting writes of feeds, and one feed write holds at most MaxRecords rows.
//     A feed has its turn within half a second, and 25 ms (or twice its time) for each
//     feed before it, whatever hotlines do: see turns.
//     Pace says how few rows let messages through. The log is carried into the
//     database outside of the turns.
//   - The writer remembers of each line what it wrote last, and forgets it when
//     a transaction fails or another process wrote: see lines.
//   - A full disk is store.ErrFull with nothing stored, and the store goes on
//     when there is room again, without a restart. The last 64 MiB of a disk, or
//     the last sixteenth of a small one, are for our own messages and receipts,
//     and for changes of trust: objects leave all of it free, messages of peers half.
//     Where others have taken the last bytes, the log begins anew as long as the file has
//     free pages, and a change waits up to a second for who still reads it; when neither has room,
//     what is to be stored is refused.
//   - The file never shrinks by itself. What retention lets go of leaves free pages, which are
//     written again first and count as room. auto_vacuum is not set: an existing file would have to be
//     copied whole to begin it, each page would be noted in one more place, and the pages that it
//     moves would go through the log, to give back room that feeds fill again within days.
//     To shrink it for good, stop the relay and run VACUUM, which needs as much room as is stored.
//   - The schema is migrated forward when it is opened, in one transaction for
//     each step. A step that copies rows needs no more memory for more of them, but room on the disk for
//     the copy twice, in the file and in the log; without it the step is undone, and
//     the release before can open the file. A database of a newer release is refused and left untouched.
//   - A page costs what it returns, at any size of the store: every list is read
//     by position, never by offset.
//
// It does not guard the file against a second relay: two processes see each
// other's commits and lose nothing, but both would send the same hotline
// messages. One replica runs on one volume.
package sqlite
