// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package e2e proves certlink's promises on two real clusters, as users have
// them: installed by the Helm chart, used through kubectl certlink, read by a
// plain TAXII client. Its tests have the build tag e2e.
//
// The clusters are nations of the harness; with CERTLINK_E2E_KUBECONFIGS=A,B (or
// KUBECONFIGS) and CERTLINK_E2E_IMAGE they are any two clusters. There, tests of
// faults that only the harness can make are left out, and named in the output.
// CERTLINK_E2E_KEEP=1 leaves the two CERTs in place at the end.
//
// Both CERTs live in namespaces of their own (e2e-alfa, e2e-bravo), so the demo
// can go on beside them. The tests share them, run one after the other, and each
// leaves the link as it was found: up, with nothing queued. The CERTs of two sectors,
// delta and golf, are there for what cannot be undone: replicas on a PostgreSQL server
// that is a process of alfa's node, and a database that is set back to a backup.
package e2e
