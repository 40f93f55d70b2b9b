#!/usr/bin/env bash
# SPDX-FileCopyrightText: The certlink authors
# SPDX-License-Identifier: Apache-2.0
#
# Installs Debian's PostgreSQL server for the tests of the store, if none is there.
# The package makes no database and starts no service: the tests start their own.
set -euo pipefail

for server in /usr/lib/postgresql/*/bin/postgres; do
	if [ -x "$server" ]; then exit; fi
done
if command -v postgres >/dev/null 2>&1; then exit; fi
if ! command -v apt-get >/dev/null 2>&1 || [ "$(id -u)" != 0 ]; then
	echo "the tests of the store need a PostgreSQL server, 13 or newer: install Debian's package postgresql, or put postgres and initdb into PATH" >&2
	exit 1
fi
config=/etc/postgresql-common/createcluster.conf
if [ ! -e $config ]; then
	mkdir -p "${config%/*}"
	printf 'create_main_cluster = false\n' >$config
fi
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
	printf '#!/bin/sh\nexit 101\n' >$policy
	chmod 755 $policy
	trap 'rm -f $policy' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
install=(apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends -o Dpkg::Options::=--force-confold postgresql)
if ! "${install[@]}" >&2; then
	apt-get update -qq >&2
	"${install[@]}" >&2
fi
