#!/usr/bin/env bash
# SPDX-FileCopyrightText: The certlink authors
# SPDX-License-Identifier: Apache-2.0
#
# Collects profiles of the relay's processor time while it does its work (feeds, tunnels,
# the hotline), and merges them into cmd/relay/default.pgo, by which the compiler then
# decides what it puts in line (profile-guided optimisation).

set -o errexit -o nounset -o pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

dir="$(mktemp -d)"
trap 'rm -rf "${dir}"' EXIT

PROFILE="${dir}" QUICK=1 go run ./test/bench/feed -only 200k
PROFILE="${dir}" QUICK=1 go run ./test/bench/tunnel -only opening,roundtrip,bulk1,bulk16 -pairs certlink
PROFILE="${dir}" QUICK=1 go run ./test/bench/hotline -only flash
go tool pprof -proto "${dir}"/*.pprof > "${dir}/merged"
mv "${dir}/merged" cmd/relay/default.pgo
ls -l cmd/relay/default.pgo
