// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package scenario plays the administrators and duty officers of several CERTs on
// real clusters, as the demo and the end-to-end tests need them: install the Helm
// chart, declare a CERT, exchange cards, share feeds, use the hotline. Where a
// person would type kubectl certlink, it runs that command.
//
// The clusters are those of the nations harness, or any that kubeconfigs name.
// Every step can be repeated, and what exists already is brought to the state
// that the step asks for. The package asserts nothing: steps return errors that
// say what was awaited and what was there instead.
package scenario
