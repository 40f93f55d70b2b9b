// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package territory

// The reasons of Emanates. They are words of ours, few and stable: status and
// metrics count by them.
const (
	// EmanatesFromPeer: at least one value appears to emanate from the area, and no
	// other value speaks against it.
	EmanatesFromPeer = "EmanatesFromPeer"
	// OtherTerritory: a value appears to be elsewhere, by every source that knows it.
	OtherTerritory = "OtherTerritory"
	// TerritoryDisputed: fewer sources than required say that a value is in the area.
	TerritoryDisputed = "TerritoryDisputed"
	// OnWarningList: a value stands on a warning list, and so tells nothing.
	OnWarningList = "OnWarningList"
	// UnknownTerritory: no source knows where a value is.
	UnknownTerritory = "UnknownTerritory"
	// TerritoryUndecidable: the object names addresses in a way that is not decided
	// upon, such as a negation, a wildcard, or another pattern language.
	TerritoryUndecidable = "TerritoryUndecidable"
	// NoTerritory: the object names nothing that could be looked up.
	NoTerritory = "NoTerritory"
	// NoTerritoryData: there is no data set, and the lists of the area do not decide.
	NoTerritoryData = "NoTerritoryData"
)
