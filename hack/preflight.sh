#!/usr/bin/env bash
# SPDX-FileCopyrightText: The certlink authors
# SPDX-License-Identifier: Apache-2.0
#
# Says at once, in one line, what this machine lacks for a target of the
# Makefile, and what to do instead. Changes nothing.
#
#   hack/preflight.sh demo|test|nations|e2e|bench-detect|bench-faults
set -euo pipefail

target=${1:?usage: hack/preflight.sh demo|test|nations|e2e|bench-detect|bench-faults}
own="use clusters of your own: make $target KUBECONFIGS=a.kubeconfig,b.kubeconfig"
case $target in
test) own="run make lint verify-generate unit store, which need none of it, and make e2e KUBECONFIGS=a.kubeconfig,b.kubeconfig" ;;
nations) own="use clusters of your own: make demo KUBECONFIGS=a.kubeconfig,b.kubeconfig" ;;
bench-detect | bench-faults) own="run make bench-rotate, which needs none of it" ;;
esac

lacks() { # what, what to do instead
	echo "make $target: $1; $2" >&2
	exit 1
}

has() { command -v "$1" >/dev/null 2>&1; }

go_is_new_enough() {
	local want have
	want=$(sed -n 's/^go //p' go.mod)
	have=$(go env GOVERSION 2>/dev/null | sed 's/^go//; s/[^0-9.].*//')
	[ "$(printf '%s\n%s\n' "$want" "$have" | sort -V | head -n 1)" = "$want" ]
}

free_gib() {
	local dir=$1
	while [ ! -d "$dir" ]; do dir=$(dirname "$dir"); done
	df -Pk "$dir" | awk 'NR == 2 { print int($4 / 1048576) }'
}

cd "$(dirname "$0")/.."

has go || lacks "Go is missing" "install the version in go.mod from https://go.dev/dl"
go_is_new_enough || lacks "$(go env GOVERSION) is too old for go.mod" "install a newer Go from https://go.dev/dl"

if [ "$target" = test ]; then
	has gcc || has cc || lacks "a C compiler is missing (the race detector needs one)" "apt-get install gcc libc6-dev"
	has openssl || lacks "the command openssl is missing (a test checks a proof with it, and without certlink)" "apt-get install openssl"
fi

# Clusters that the user names stand where the harness would build its own.
if [ -n "${KUBECONFIGS:-}" ] && [ "$target" != nations ] && [ "${target#bench-}" = "$target" ]; then
	for file in ${KUBECONFIGS//,/ }; do
		[ -r "$file" ] || lacks "kubeconfig $file cannot be read" "name two files that can: KUBECONFIGS=a.kubeconfig,b.kubeconfig"
	done
	[ "$target" != test ] || [ "$(uname -s)" = Linux ] ||
		lacks "the API tests need Linux, this is $(uname -s)" "run make lint verify-generate unit store e2e"
	exit
fi

[ "$(uname -s)" = Linux ] || lacks "the nations need Linux, this is $(uname -s)" "$own"
[ "$(id -u)" = 0 ] || lacks "the nations need root (namespaces, mounts, containerd)" "run it as root, or $own"
[ -c /dev/net/tun ] || lacks "/dev/net/tun is missing" "load the kernel module tun, or $own"
for kind in net mnt pid uts ipc cgroup; do
	[ -e "/proc/self/ns/$kind" ] || lacks "the kernel has no $kind namespaces" "$own"
done
for controller in cpu cpuacct cpuset memory devices freezer blkio pids; do
	grep -qE "^[0-9]+:([^:]*,)?$controller(,[^:]*)?:" /proc/self/cgroup ||
		lacks "the kernel offers no cgroup v1 controller $controller" "boot with systemd.unified_cgroup_hierarchy=0, or $own"
done
grep -qw overlay /proc/filesystems || modprobe -q overlay 2>/dev/null ||
	lacks "the kernel has no overlay file system" "$own"
[ -e /proc/sys/net/bridge/bridge-nf-call-iptables ] || modprobe -q br_netfilter 2>/dev/null ||
	lacks "the kernel has no br_netfilter" "$own"
for tool in unshare ip mount; do
	has "$tool" || lacks "the command $tool is missing" "apt-get install iproute2 util-linux, or $own"
done
unshare --net --mount true 2>/dev/null || lacks "this root may not make namespaces (a container?)" "use a virtual machine, or $own"
unshare --net sh -c 'ip link add bridge0 type bridge && ip link add veth0 type veth peer name veth1' >/dev/null 2>&1 ||
	lacks "the kernel has no bridge or veth links" "$own"
for package in nft:nftables runc:runc; do
	has "${package%%:*}" || has apt-get ||
		lacks "the command ${package%%:*} is missing and there is no apt-get to install it" "install the package ${package##*:}, or $own"
done
cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}
if [ ! -d "$cache/certlink" ] && [ "$(free_gib "$cache")" -lt 8 ]; then
	lacks "$cache has less than 8 GiB free (binaries and build cache)" "make room, or set XDG_CACHE_HOME and GOCACHE to a larger disk"
fi
