// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import "fmt"

// cipher is the one that crypto/tls takes where the processor has AES; the others
// would take AES-256, which costs them more.
const cipher = "TLS_AES_128_GCM_SHA256"

// others are Debian's proxies with their defaults, but for what makes them do the
// same work: mutual TLS 1.3, the same cipher, room for the connections.
func others() []other {
	return []other{haproxy(), nginx(), stunnel()}
}

func haproxy() other {
	frame := func(bind, server string) string {
		return fmt.Sprintf(`global
  maxconn 8000
  ssl-server-verify required
defaults
  mode tcp
  timeout connect 5s
  timeout client 10m
  timeout server 10m
frontend in
  bind %s
  default_backend out
backend out
  server next %s
`, bind, server)
	}
	return other{
		name:    "haproxy",
		command: func(file string) []string { return []string{"haproxy", "-db", "-f", file} },
		first: func(f files, listen, next string) string {
			return frame(listen, fmt.Sprintf("%s ssl crt %s ca-file %s verify required ciphersuites %s ssl-min-ver TLSv1.3", next, f.pem, f.ca, cipher))
		},
		second: func(f files, listen, next string) string {
			return frame(fmt.Sprintf("%s ssl crt %s ca-file %s verify required ciphersuites %s ssl-min-ver TLSv1.3", listen, f.pem, f.ca, cipher), next)
		},
	}
}

func nginx() other {
	frame := func(server string) string {
		return fmt.Sprintf(`load_module /usr/lib/nginx/modules/ngx_stream_module.so;
daemon off;
worker_processes auto;
pid OWN/pid;
error_log OWN/error.log;
events { worker_connections 8192; }
stream {
  access_log off;
  tcp_nodelay on;
  server {
%s  }
}
`, server)
	}
	return other{
		name:    "nginx",
		command: func(file string) []string { return []string{"nginx", "-c", file} },
		first: func(f files, listen, next string) string {
			return frame(fmt.Sprintf(`    listen %s;
    proxy_pass %s;
    proxy_ssl on;
    proxy_ssl_protocols TLSv1.3;
    proxy_ssl_conf_command Ciphersuites %s;
    proxy_ssl_certificate %s;
    proxy_ssl_certificate_key %s;
    proxy_ssl_trusted_certificate %s;
    proxy_ssl_verify on;
    proxy_ssl_verify_depth 2;
    proxy_ssl_name localhost;
`, listen, next, cipher, f.cert, f.key, f.ca))
		},
		second: func(f files, listen, next string) string {
			return frame(fmt.Sprintf(`    listen %s ssl;
    proxy_pass %s;
    ssl_protocols TLSv1.3;
    ssl_conf_command Ciphersuites %s;
    ssl_certificate %s;
    ssl_certificate_key %s;
    ssl_client_certificate %s;
    ssl_verify_client on;
    ssl_verify_depth 2;
`, listen, next, cipher, f.cert, f.key, f.ca))
		},
	}
}

func stunnel() other {
	frame := func(f files, client, listen, next string) string {
		return fmt.Sprintf(`foreground = yes
pid =
debug = 3
cert = %s
key = %s
CAfile = %s
verifyChain = yes
requireCert = yes
sslVersion = TLSv1.3
ciphersuites = %s
socket = l:TCP_NODELAY=1
socket = r:TCP_NODELAY=1
[tunnel]
client = %s
accept = %s
connect = %s
`, f.cert, f.key, f.ca, cipher, client, listen, next)
	}
	return other{
		name:    "stunnel",
		command: func(file string) []string { return []string{"stunnel4", file} },
		first:   func(f files, listen, next string) string { return frame(f, "yes", listen, next) },
		second:  func(f files, listen, next string) string { return frame(f, "no", listen, next) },
	}
}
