// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package nations raises real Kubernetes clusters, one for each nation, on one Linux machine, for certlink's
// end-to-end tests and its demo.
//
// A nation is one node with etcd, the whole control plane, kubelet, containerd, a pod network, cluster DNS and
// cert-manager's controllers, in namespaces of its own. Nations share nothing but the network between them, which can
// be cut, delayed and made lossy in each direction, as a whole or for one address alone. What they offer beyond a bare
// cluster:
//
//   - storage class "standard" (the default), and "bounded", whose volumes are really no larger than the claim; as on a
//     real disk they belong to root unless the pod has an fsGroup;
//   - NetworkPolicies are enforced; Services of type LoadBalancer get an address that every nation can reach, or as many
//     as their annotation nations.test/addresses says;
//   - every nation resolves NAME.test, and anything below it, to NAME's first LoadBalancer address;
//     lb2.NAME.test to its second, and so on up to lb9; node.NAME.test to its node;
//   - an audit log of the API server;
//   - on demand a PostgreSQL server on the node (StartPostgres), as a database host beside the cluster.
//
// The nations reach each other only: there is no way out to the machine's own network or the Internet. The one door is
// a port on the machine's loopback to each API server, which .nations/NAME.kubeconfig names.
//
// Up makes what is missing and repairs what is broken. Down leaves no process, mount, namespace or control group, also
// after a crash. Root is needed; Preflight says in one line what else is missing. The programs are built from pinned Go
// modules on first use and kept below ${XDG_CACHE_HOME:-~/.cache}/certlink.
//
// What a nation does not promise: to survive the machine (etcd does not sync), to be safe (its keys lie in files), or to
// have more than one node.
package nations
