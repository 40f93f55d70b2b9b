// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Reasons of shared services.
const (
	// ReasonServiceNotFound: the export names a Service that does not exist.
	ReasonServiceNotFound = "ServiceNotFound"
	// ReasonServicePortNotFound: the Service that the export names has no such TCP port.
	ReasonServicePortNotFound = "ServicePortNotFound"
	// ReasonServiceUnusable: the Service that the export names cannot be shared: it
	// leads out of the cluster by name, or back into a relay.
	ReasonServiceUnusable = "ServiceUnusable"
	// ReasonNotListening: our relay cannot open the port of an import.
	ReasonNotListening = "NotListening"
	// ReasonUsable: nothing stands in the way of a connection.
	ReasonUsable = "Usable"
	// ReasonConnectionFailed: the last connection could not be made.
	ReasonConnectionFailed = "ConnectionFailed"
)
