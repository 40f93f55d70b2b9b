#!/bin/sh
# SPDX-FileCopyrightText: The certlink authors
# SPDX-License-Identifier: Apache-2.0

# Checks what `kubectl certlink journal prove` wrote, without certlink: with a POSIX shell and OpenSSL 3.
# See docs/journal.md, "Proving a message to others".
set -eu

if [ $# -ne 4 ]; then
	echo "usage: verify-proof.sh PROOF CA.pem SIGNER PEER
PROOF is the path of the files without .entry and so on, CA.pem the CA of the signer, from a source that you
trust, SIGNER and PEER the trust domains of whoever said it and to whom." >&2
	exit 2
fi
proof=$1 ca=$2 signer=$3 origin="$3/certlink/hotline/$4"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
	echo "not proven: $1" >&2
	exit 1
}
sha256() { openssl dgst -sha256 -binary; }
unbase64() { openssl base64 -d -A; }

# 1. Who signed. A certificate that has ended since is no fault: its dates are told in the end.
openssl verify -no_check_time -CAfile "$ca" -untrusted "$proof.chain.pem" "$proof.chain.pem" >"$work/verify" 2>&1 ||
	fail "the chain does not lead to $ca: $(cat "$work/verify")"
openssl x509 -in "$proof.chain.pem" -noout -ext subjectAltName | tr ',' '\n' | sed -n 's/^ *URI://p' >"$work/names"
[ "$(cat "$work/names")" = "spiffe://$signer/signing" ] || fail "the certificate is not spiffe://$signer/signing"

# 2. The key: Ed25519, whose public part are the last 32 bytes of its 44 in DER.
openssl x509 -in "$proof.chain.pem" -noout -pubkey >"$work/key.pem"
openssl pkey -pubin -in "$work/key.pem" -noout -text | grep -q '^ED25519' || fail "the key is not Ed25519"
openssl pkey -pubin -in "$work/key.pem" -outform DER | tail -c 32 >"$work/key"

# 3. The checkpoint: what follows the first empty line, a text and its signatures behind the next one.
[ "$(sed -n 1p "$proof.tlog-proof")" = "c2sp.org/tlog-proof@v1" ] || fail "it is no tlog-proof"
sed '/^$/,$d' "$proof.tlog-proof" >"$work/path"
sed '1,/^$/d' "$proof.tlog-proof" >"$work/checkpoint"
sed '/^$/,$d' "$work/checkpoint" >"$work/text"
[ "$(sed -n 1p "$work/text")" = "$origin" ] || fail "it is not of the log $origin"
size=$(sed -n 2p "$work/text")
root=$(sed -n 3p "$work/text")
id=$({ printf '%s\n\001' "$origin"; cat "$work/key"; } | sha256 | head -c 4 | openssl base64 -A)
signed=
sed '1,/^$/d' "$work/checkpoint" >"$work/signatures"
while read -r dash name signature; do
	printf '%s' "$signature" | unbase64 >"$work/signature" 2>/dev/null || continue
	[ "$dash" = "—" ] && [ "$name" = "$origin" ] && [ "$(head -c 4 "$work/signature" | openssl base64 -A)" = "$id" ] || continue
	tail -c +5 "$work/signature" >"$work/ed25519"
	if openssl pkeyutl -verify -pubin -inkey "$work/key.pem" -rawin -in "$work/text" -sigfile "$work/ed25519" >"$work/verify" 2>&1; then
		signed=yes
	fi
done <"$work/signatures"
[ -n "$signed" ] || fail "the checkpoint is not signed by that key"

# 4. The entry, by RFC 9162, section 2.1.3.2.
index=$(sed -n 's/^index //p' "$work/path")
case "$size" in '' | *[!0-9]* | ????????????????*) fail "the size of the log is no number" ;; esac
case "$index" in '' | *[!0-9]* | ????????????????*) fail "the index is no number" ;; esac
[ "$index" -lt "$size" ] || fail "the log has $size entries, and this is entry $index"
{ printf '\000'; cat "$proof.entry"; } | sha256 >"$work/node"
f=$index l=$((size - 1))
sed '1,/^index /d' "$work/path" >"$work/hashes"
while read -r hash; do
	[ "$l" -ne 0 ] || fail "the proof is too long"
	printf '%s' "$hash" | unbase64 >"$work/other"
	if [ $((f % 2)) -eq 1 ] || [ "$f" -eq "$l" ]; then
		{ printf '\001'; cat "$work/other" "$work/node"; } | sha256 >"$work/up"
		while [ $((f % 2)) -eq 0 ] && [ "$f" -ne 0 ]; do
			f=$((f / 2)) l=$((l / 2))
		done
	else
		{ printf '\001'; cat "$work/node" "$work/other"; } | sha256 >"$work/up"
	fi
	mv "$work/up" "$work/node"
	f=$((f / 2)) l=$((l / 2))
done <"$work/hashes"
[ "$l" -eq 0 ] || fail "the proof is too short"
[ "$(openssl base64 -A <"$work/node")" = "$root" ] || fail "the entry is not in the log under this checkpoint"

echo "proven: entry $index of the first $size of $origin, a $(head -n 1 "$proof.entry")"
openssl x509 -in "$proof.chain.pem" -noout -dates | sed 's/^/signed by a certificate with /'
