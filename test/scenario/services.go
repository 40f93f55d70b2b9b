// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"context"
	"fmt"

	"github.com/certlink/certlink/api/v1alpha1"
)

// ExportService declares that peers may use a port of a Service of ours.
func (p *Party) ExportService(ctx context.Context, name, service string, port int32, peers ...string) error {
	export := &v1alpha1.SharedService{ObjectMeta: p.Meta(name)}
	export.Spec.Direction = v1alpha1.ServiceExport
	export.Spec.Export = &v1alpha1.ServiceExportSpec{ServiceRef: v1alpha1.ServiceReference{Name: service, Port: port}}
	for _, peer := range peers {
		export.Spec.Export.PeerRefs = append(export.Spec.Export.PeerRefs, v1alpha1.PeerReference{Name: peer})
	}
	return p.Apply(ctx, export)
}

// ImportService declares that we use a service of a peer; the Service that comes of it has the import's name.
func (p *Party) ImportService(ctx context.Context, name, peer, service string, port int32) error {
	imported := &v1alpha1.SharedService{ObjectMeta: p.Meta(name)}
	imported.Spec.Direction = v1alpha1.ServiceImport
	imported.Spec.Import = &v1alpha1.ServiceImportSpec{PeerRef: v1alpha1.PeerReference{Name: peer}, Service: service, Port: port}
	return p.Apply(ctx, imported)
}

// AwaitService waits until a SharedService is as it should be.
func (p *Party) AwaitService(ctx context.Context, name string, look func(v1alpha1.SharedService) error) (service v1alpha1.SharedService, err error) {
	err = Poll(ctx, fmt.Sprintf("SharedService %q in %s is as it should be", name, p.Name), func(ctx context.Context) error {
		service = v1alpha1.SharedService{}
		if err := p.Client.Get(ctx, p.Key(name), &service); err != nil {
			return err
		}
		return look(service)
	})
	return service, err
}
