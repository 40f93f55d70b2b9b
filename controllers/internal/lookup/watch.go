// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package lookup

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// Kind finds in the caches the objects of one kind that a change of something
// else wakes. What cannot be listed is logged and not woken: its own watch comes
// with it as soon as the caches work again.
type Kind struct {
	reader client.Reader
	list   client.ObjectList
}

// Of returns a Kind that reads lists like the empty one given.
func Of(reader client.Reader, empty client.ObjectList) Kind { return Kind{reader: reader, list: empty} }

// Names of all objects of the kind in a namespace, as reports.Hub's Source wants them.
func (k Kind) Names(ctx context.Context, namespace string) []string { return k.names(ctx, namespace) }

// All maps an object to every object of the kind in its namespace. It is a
// handler.MapFunc.
func (k Kind) All(ctx context.Context, o client.Object) []reconcile.Request {
	return requests(o.GetNamespace(), k.names(ctx, o.GetNamespace()))
}

// By returns a handler.MapFunc from an object to those objects of the kind in
// its namespace whose index has the value.
func (k Kind) By(index string, value func(client.Object) string) handler.MapFunc {
	return func(ctx context.Context, o client.Object) []reconcile.Request {
		return requests(o.GetNamespace(), k.names(ctx, o.GetNamespace(), client.MatchingFields{index: value(o)}))
	}
}

func (k Kind) names(ctx context.Context, namespace string, opts ...client.ListOption) []string {
	list, ok := k.list.DeepCopyObject().(client.ObjectList)
	if !ok {
		return nil // a list's copy is a list
	}
	err := k.reader.List(ctx, list, append(opts, client.InNamespace(namespace))...)
	var names []string
	if err == nil {
		err = meta.EachListItem(list, func(item runtime.Object) error {
			object, err := meta.Accessor(item)
			if err == nil {
				names = append(names, object.GetName())
			}
			return err
		})
	}
	if err != nil && ctx.Err() == nil {
		log.FromContext(ctx).Error(err, "objects were not woken, because they could not be listed", "list", fmt.Sprintf("%T", list), "namespace", namespace)
	}
	return names
}

func requests(namespace string, names []string) []reconcile.Request {
	out := make([]reconcile.Request, len(names))
	for i, name := range names {
		out[i] = reconcile.Request{NamespacedName: types.NamespacedName{Namespace: namespace, Name: name}}
	}
	return out
}
