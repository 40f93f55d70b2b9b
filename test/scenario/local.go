// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/certlink/certlink/internal/podforward"
	"github.com/certlink/certlink/internal/relayclient"
	"github.com/certlink/certlink/relay/report"
)

// The ports of a relay.
const (
	LinkPort  = 8443
	LocalPort = 9443
)

// Forward returns a function that connects to a port of the relay's pod through
// the API server.
func (p *Party) Forward(port int) (dial relayclient.DialFunc, closing func(), err error) {
	dialer, err := podforward.New(p.REST, p.Namespace, p.Relay())
	if err != nil {
		return nil, nil, err
	}
	return func(ctx context.Context) (net.Conn, error) { return dialer.Dial(ctx, port) }, func() { dialer.Close() }, nil
}

// Direct returns a function that connects to the relay's local port past the API
// server, from the node: for when the API server is down. It must be made before.
func (p *Party) Direct(ctx context.Context) (relayclient.DialFunc, error) {
	if p.Harness == nil {
		return nil, errors.New("only a nation of the harness can be entered past its API server")
	}
	var service corev1.Service
	if err := p.Client.Get(ctx, p.Key(p.Name+"-relay-local"), &service); err != nil {
		return nil, fmt.Errorf("reading the Service of the local port in %s: %w", p.Name, err)
	}
	address := net.JoinHostPort(service.Spec.ClusterIP, fmt.Sprint(LocalPort))
	return func(ctx context.Context) (net.Conn, error) { return p.Harness.DialContext(ctx, "tcp", address) }, nil
}

// Replica returns a function that connects to the local port of one of the relay's
// pods, wherever it is by then, from the node.
func (p *Party) Replica(pod string) relayclient.DialFunc {
	return func(ctx context.Context) (net.Conn, error) {
		var now corev1.Pod
		if err := p.Client.Get(ctx, p.Key(pod), &now); err != nil {
			return nil, fmt.Errorf("looking for pod %q in %s: %w", pod, p.Name, err)
		}
		if now.Status.PodIP == "" {
			return nil, fmt.Errorf("pod %q in %s has no address", pod, p.Name)
		}
		return p.Harness.DialContext(ctx, "tcp", net.JoinHostPort(now.Status.PodIP, fmt.Sprint(LocalPort)))
	}
}

// Desk returns a client of the relay's local port as the desk.
func (p *Party) Desk(ctx context.Context, dial relayclient.DialFunc) (*relayclient.Client, error) {
	data, err := p.secret(ctx, p.Name+"-desk")
	if err != nil {
		return nil, err
	}
	credentials, err := relayclient.ParseCredentials(p.TrustDomain, data)
	if err != nil {
		return nil, err
	}
	return relayclient.New(credentials, dial), nil
}

// Officer returns what makes a client of the relay's local port as an officer, with the
// certificate that the officer has now.
func (p *Party) Officer(ctx context.Context, name string) (func(relayclient.DialFunc) *relayclient.Client, error) {
	data, err := p.secret(ctx, p.Name+"-desk-"+name)
	if err != nil {
		return nil, err
	}
	credentials, err := relayclient.ParseCredentials(p.TrustDomain, data)
	if err != nil {
		return nil, err
	}
	return func(dial relayclient.DialFunc) *relayclient.Client { return relayclient.New(credentials, dial) }, nil
}

// PlainHTTP returns an HTTP client that knows nothing of certlink: TLS 1.3 with
// the desk's client certificate, and the relay's name and CA as any TLS client
// checks them.
func (p *Party) PlainHTTP(ctx context.Context, dial relayclient.DialFunc) (*http.Client, error) {
	data, err := p.secret(ctx, p.Name+"-desk")
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(data["tls.crt"], data["tls.key"])
	if err != nil {
		return nil, fmt.Errorf("reading the desk's certificate in %s: %w", p.Name, err)
	}
	return AnyClient(pair, data["ca.crt"], "localhost", dial)
}

// AnyClient returns an HTTP client over mutual TLS 1.3 that trusts a CA and
// expects a name.
func AnyClient(pair tls.Certificate, ca []byte, name string, dial relayclient.DialFunc) (*http.Client, error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return nil, errors.New("reading a CA: no certificate is in it")
	}
	return &http.Client{
		Timeout: time.Minute,
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
			TLSClientConfig: &tls.Config{
				MinVersion:   tls.VersionTLS13,
				Certificates: []tls.Certificate{pair},
				RootCAs:      roots,
				ServerName:   name,
			},
		},
	}, nil
}

// maxBody bounds what is read of an answer.
const maxBody = 64 << 20

// The API roots of a relay.
const (
	LocalRoot = "https://localhost/taxii2/local/" // on the local port
	FeedsRoot = "https://localhost/taxii2/feeds/" // on the link port
)

// ReadTAXII reads all objects of a collection with nothing but an HTTP client,
// following next, and returns them byte for byte by id and version.
func ReadTAXII(ctx context.Context, client *http.Client, root, collection string) (map[string]json.RawMessage, error) {
	objects := map[string]json.RawMessage{}
	next := ""
	for {
		target := root + "collections/" + url.PathEscape(collection) + "/objects/"
		if next != "" {
			target += "?next=" + url.QueryEscape(next)
		}
		var page struct {
			More    bool              `json:"more"`
			Next    string            `json:"next"`
			Objects []json.RawMessage `json:"objects"`
		}
		if err := getJSON(ctx, client, target, relayclient.MediaType, &page); err != nil {
			return nil, err
		}
		for _, raw := range page.Objects {
			var object struct {
				ID       string `json:"id"`
				Modified string `json:"modified"`
			}
			if err := json.Unmarshal(raw, &object); err != nil {
				return nil, fmt.Errorf("reading an object of %q: %w", collection, err)
			}
			key := object.ID + " " + object.Modified
			if _, twice := objects[key]; twice {
				return nil, fmt.Errorf("collection %q gives %q twice", collection, key)
			}
			objects[key] = raw
		}
		if !page.More {
			return objects, nil
		}
		if page.Next == "" || page.Next == next {
			return nil, fmt.Errorf("collection %q announces more but not where", collection)
		}
		next = page.Next
	}
}

func getJSON(ctx context.Context, client *http.Client, target, accept string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return fmt.Errorf("composing a request: %w", err)
	}
	req.Header.Set("Accept", accept)
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("getting %s: %w", target, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return fmt.Errorf("getting %s: %w", target, err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("getting %s: the answer is %s: %.300s", target, resp.Status, body)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("getting %s: %w", target, err)
	}
	return nil
}

// Report reads the relay's report through a client of its local port.
func Report(ctx context.Context, client *relayclient.Client) (report.Report, error) {
	var r report.Report
	err := getJSON(ctx, client.HTTP(), "https://localhost"+report.Path, "application/json", &r)
	return r, err
}
