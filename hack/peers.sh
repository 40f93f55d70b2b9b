#!/usr/bin/env bash
# SPDX-FileCopyrightText: The certlink authors
# SPDX-License-Identifier: Apache-2.0
#
# Installs the proxies that bench-tunnel measures beside ours, from Debian's
# packages, and stops the services that the packages start.
set -euo pipefail

has() { command -v "$1" >/dev/null 2>&1; }

if has haproxy && has nginx && has stunnel4 && [ -e /usr/lib/nginx/modules/ngx_stream_module.so ]; then exit; fi
if ! has apt-get || [ "$(id -u)" != 0 ]; then
	echo "make bench-tunnel: haproxy, nginx with its stream module or stunnel4 is missing; install Debian's packages haproxy, nginx-light, libnginx-mod-stream and stunnel4" >&2
	exit 1
fi
# No service may start: they would hold ports 80 and 443.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
	printf '#!/bin/sh\nexit 101\n' >$policy
	chmod 755 $policy
	trap 'rm -f $policy' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq >&2
apt-get install -y -qq --no-install-recommends haproxy nginx-light libnginx-mod-stream stunnel4 >&2
