// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package span holds tables that give values to ranges of addresses and numbers.
//
// It promises that a Table does not change, that a lookup neither allocates nor
// waits, and that a range costs little: 8 bytes for IPv4 or numbers and 32 for IPv6,
// and its value. Where ranges overlap, the narrower one counts; of two that are
// alike, the later one.
//
// Ranges need be no prefixes: a registry delegates 768 addresses in one record.
package span
