// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package tunnel_test

import "testing"

func TestMain(m *testing.M) { leaks(m) }
