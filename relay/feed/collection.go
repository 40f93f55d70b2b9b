// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

// ImportCollection is the name in the store of an import's objects.
func ImportCollection(name string) string { return importName(name) }
