// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package cli is kubectl-certlink, the command for administrators and duty
// officers of one CERT.
//
// Everything goes through the API server with the user's own kubeconfig. What
// concerns the resources is read from their status. Hotline and feed commands
// read the desk's Secret and then talk to the relay's local port through a
// port-forward inside this process: who may get that Secret may use the desk,
// nobody else.
//
// The package keeps no state and writes no files but those that it is asked for. Its tables are for people; what
// scripts read is -o json and -o yaml, and the exit code.
package cli
