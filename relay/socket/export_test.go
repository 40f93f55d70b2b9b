// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package socket

// BinFull is how many connections a Bin holds.
const BinFull = binFull
