// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/certlink/certlink/api/v1alpha1"
)

// Volume says on what the relay keeps its data; the zero value is the cluster's
// default.
type Volume struct {
	Class, Size string
	// Database is the Secret of a PostgreSQL database that takes the place of a volume,
	// and Replicas the number of relays that share it.
	Database string
	Replicas int32
}

// Found declares the CERT: namespace and LocalCERT. It does not wait.
func (p *Party) Found(ctx context.Context, volume Volume) error {
	if err := p.Namespaced(ctx); err != nil {
		return err
	}
	if err := p.PublishTerritory(ctx); err != nil {
		return err
	}
	return p.Apply(ctx, p.localCERT(volume, nil))
}

func (v Volume) storage() (s v1alpha1.RelayStorage) {
	if v.Database != "" {
		s.Postgres = &v1alpha1.PostgresStorage{SecretRef: v1alpha1.SecretReference{Name: v.Database}}
		return s
	}
	if v.Class != "" {
		s.StorageClassName = &v.Class
	}
	size := resource.MustParse("1Gi")
	if v.Size != "" {
		size = resource.MustParse(v.Size)
	}
	s.Size = &size
	return s
}

func (p *Party) localCERT(volume Volume, addresses []v1alpha1.Endpoint) *v1alpha1.LocalCERT {
	cert := &v1alpha1.LocalCERT{ObjectMeta: p.Meta(p.Name)}
	cert.Spec.Identity = v1alpha1.Identity{
		DisplayName: "CERT " + strings.ToUpper(p.Name[:1]) + p.Name[1:],
		Country:     "X" + strings.ToUpper(p.Name[:1]),
		TrustDomain: p.TrustDomain,
		Contact:     &v1alpha1.Contact{Email: "duty@cert." + p.TrustDomain},
	}
	cert.Spec.Addresses = addresses
	cert.Spec.Territory = territory()
	cert.Spec.Relay.Storage = volume.storage()
	if volume.Replicas > 0 {
		cert.Spec.Relay.Replicas = &volume.Replicas
	}
	if p.Harness != nil {
		cert.Spec.Relay.Service.Annotations = map[string]string{addressesAnnotation: strconv.Itoa(relayAddresses)}
	}
	if p.NodePorts {
		cert.Spec.Relay.Service.Type = v1alpha1.RelayServiceType(corev1.ServiceTypeNodePort)
	}
	return cert
}

// Founded waits until our side is ready and its card has an address.
func (p *Party) Founded(ctx context.Context, volume Volume) (v1alpha1.LocalCERT, error) {
	cert, err := p.AwaitLocal(ctx, True(v1alpha1.ConditionReady, v1alpha1.ConditionCertificatesIssued, v1alpha1.ConditionRelayAvailable)...)
	if err != nil {
		return cert, err
	}
	if p.NodePorts {
		address, err := p.nodeAddress(ctx)
		if err != nil {
			return cert, err
		}
		if err := p.Apply(ctx, p.localCERT(volume, []v1alpha1.Endpoint{{Address: address}})); err != nil {
			return cert, err
		}
	}
	err = Poll(ctx, fmt.Sprintf("the card of %s has its addresses", p.Name), func(ctx context.Context) error {
		latest, err := p.Local(ctx)
		if err != nil {
			return err
		}
		cert = *latest
		known := len(cert.Status.Addresses)
		if known > 0 && p.Harness != nil && known < relayAddresses {
			return fmt.Errorf("it has %v, and %d are to come", cert.Status.Addresses, relayAddresses)
		}
		if known == 0 || !strings.Contains(cert.Status.Card, cert.Status.Addresses[known-1]) {
			return errors.New("it has none: Services of type LoadBalancer may get no address in this cluster (try node ports)")
		}
		return nil
	})
	return cert, err
}

// nodeAddress is where other clusters on the same network reach the relay's node port.
func (p *Party) nodeAddress(ctx context.Context) (string, error) {
	var nodes corev1.NodeList
	if err := p.Client.List(ctx, &nodes); err != nil {
		return "", fmt.Errorf("listing the nodes of %s: %w", p.Name, err)
	}
	var service corev1.Service
	if err := p.Client.Get(ctx, p.Key(p.Name+"-relay"), &service); err != nil {
		return "", fmt.Errorf("reading the relay's Service in %s: %w", p.Name, err)
	}
	for _, node := range nodes.Items {
		for _, address := range node.Status.Addresses {
			for _, port := range service.Spec.Ports {
				if address.Type == corev1.NodeInternalIP && port.NodePort != 0 {
					return net.JoinHostPort(address.Address, strconv.Itoa(int(port.NodePort))), nil
				}
			}
		}
	}
	return "", fmt.Errorf("no node of %s has an internal address and the relay a node port", p.Name)
}

// Introduce makes other a peer of p, as an administrator does: other's card,
// compared by its fingerprint, which the two read to each other.
func Introduce(ctx context.Context, p, other *Party) error {
	text, err := other.CLI(ctx, nil, "card")
	if err != nil {
		return err
	}
	theirs, err := other.Local(ctx)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "card-")
	if err != nil {
		return fmt.Errorf("keeping the card: %w", err)
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, other.Name+".yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return fmt.Errorf("keeping the card: %w", err)
	}
	_, err = p.CLI(ctx, nil, "peer", "add", file, "--name", other.Name, "--expect-fingerprint", theirs.Status.Fingerprint, "--apply")
	return err
}

// Export declares a feed to peers; sources maps the name of each source to what
// its unmarked objects count as, "" for the default.
func (p *Party) Export(ctx context.Context, name string, maxTLP v1alpha1.TLPLevel, sources map[string]v1alpha1.TLPLevel, peers ...string) error {
	feed := &v1alpha1.SharedFeed{ObjectMeta: p.Meta(name)}
	feed.Spec.Direction = v1alpha1.FeedExport
	feed.Spec.Export = &v1alpha1.FeedExportSpec{Rule: v1alpha1.FeedRule{MaxTLP: maxTLP}}
	for _, peer := range peers {
		feed.Spec.Export.PeerRefs = append(feed.Spec.Export.PeerRefs, v1alpha1.PeerReference{Name: peer})
	}
	for source, unmarked := range sources {
		feed.Spec.Export.Sources = append(feed.Spec.Export.Sources, v1alpha1.FeedSource{Name: source, UnmarkedAs: unmarked})
	}
	return p.Apply(ctx, feed)
}

// Import declares that we collect a feed of a peer, every second.
func (p *Party) Import(ctx context.Context, name, peer, collection string) error {
	every := int32(1)
	feed := &v1alpha1.SharedFeed{ObjectMeta: p.Meta(name)}
	feed.Spec.Direction = v1alpha1.FeedImport
	feed.Spec.Import = &v1alpha1.FeedImportSpec{PeerRef: v1alpha1.PeerReference{Name: peer}, Collection: collection, IntervalSeconds: &every}
	return p.Apply(ctx, feed)
}

// Hotline declares the hotline to a peer, by the peer's name.
func (p *Party) Hotline(ctx context.Context, peer string) error {
	hotline := &v1alpha1.Hotline{ObjectMeta: p.Meta(peer)}
	hotline.Spec.PeerRef.Name = peer
	return p.Apply(ctx, hotline)
}
