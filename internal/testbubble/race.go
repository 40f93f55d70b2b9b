// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build race

package testbubble

const underRace = true
