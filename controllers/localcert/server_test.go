// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package localcert

import (
	"cmp"
	"context"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/certlink/certlink/api/v1alpha1"
)

// server is an API server of maps. The fake one of controller-runtime encodes and
// decodes each object each time; a world asks for some hundred objects a second of
// its clock, so that is what a test would be doing most of the time.
//
// It promises what a world needs of one: what it returns is a copy, an update with
// an old resource version is a conflict, the status of a LocalCERT is a resource of
// its own, and a precondition of a deletion is looked at. What it does not have
// (the embedded interface is nil) panics.
type server struct {
	client.Client
	scheme  *runtime.Scheme
	objects map[item]client.Object // never changed, only replaced; typed ones without their kind
	version int
}

type item struct {
	kind schema.GroupKind
	key  client.ObjectKey
}

func newServer(t *testing.T, scheme *runtime.Scheme, objects ...client.Object) *server {
	t.Helper()
	s := &server{scheme: scheme, objects: map[item]client.Object{}}
	for _, o := range objects {
		if err := s.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// copy shares the objects, which nobody changes.
func (s *server) copy() *server {
	return &server{scheme: s.scheme, objects: maps.Clone(s.objects), version: s.version}
}

// Scheme implements client.Client.
func (s *server) Scheme() *runtime.Scheme { return s.scheme }

func (s *server) kindOf(o runtime.Object) (schema.GroupKind, error) {
	gvk, err := apiutil.GVKForObject(o, s.scheme)
	return gvk.GroupKind(), err
}

// find returns what is stored for an object, and where it belongs.
func (s *server) find(o client.Object, key client.ObjectKey) (client.Object, item, error) {
	kind, err := s.kindOf(o)
	at := item{kind, key}
	if err == nil && s.objects[at] == nil {
		err = apierrors.NewNotFound(schema.GroupResource{Group: kind.Group, Resource: kind.Kind}, key.Name)
	}
	return s.objects[at], at, err
}

// Get implements client.Reader.
func (s *server) Get(_ context.Context, key client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	live, _, err := s.find(into, key)
	if err != nil {
		return err
	}
	return read(live, into)
}

// read copies what is stored into an object of the same type, an unstructured one or one of metadata only.
func read(live, into client.Object) error {
	gvk := into.GetObjectKind().GroupVersionKind()
	switch into := into.(type) {
	case *metav1.PartialObjectMetadata:
		meta.AsPartialObjectMetadata(live).ObjectMeta.DeepCopyInto(&into.ObjectMeta)
	case *unstructured.Unstructured:
		if live, ok := live.(*unstructured.Unstructured); ok {
			live.DeepCopyInto(into)
			break
		}
		content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(live)
		if err != nil {
			return err
		}
		into.Object = content
	default:
		reflect.ValueOf(into).Elem().Set(reflect.ValueOf(live.DeepCopyObject()).Elem())
		return nil
	}
	into.GetObjectKind().SetGroupVersionKind(gvk)
	return nil
}

// List implements client.Reader; sorted by name.
func (s *server) List(_ context.Context, list client.ObjectList, opts ...client.ListOption) error {
	gvk, err := apiutil.GVKForObject(list, s.scheme)
	if err != nil {
		return err
	}
	gvk.Kind = strings.TrimSuffix(gvk.Kind, "List")
	var asked client.ListOptions
	asked.ApplyOptions(opts)
	var found []item
	for at, o := range s.objects {
		if at.kind == gvk.GroupKind() && (asked.Namespace == "" || asked.Namespace == at.key.Namespace) &&
			(asked.LabelSelector == nil || asked.LabelSelector.Matches(labels.Set(o.GetLabels()))) {
			found = append(found, at)
		}
	}
	slices.SortFunc(found, func(a, b item) int { return cmp.Compare(a.key.String(), b.key.String()) })
	out := make([]runtime.Object, len(found))
	for i, at := range found {
		var into client.Object
		switch list.(type) {
		case *metav1.PartialObjectMetadataList:
			into = &metav1.PartialObjectMetadata{}
		case *unstructured.UnstructuredList:
			into = &unstructured.Unstructured{}
		default:
			out[i] = s.objects[at].DeepCopyObject()
			continue
		}
		into.GetObjectKind().SetGroupVersionKind(gvk)
		if err := read(s.objects[at], into); err != nil {
			return err
		}
		out[i] = into
	}
	return meta.SetList(list, out)
}

// put stores a copy under a new resource version.
func (s *server) put(at item, o client.Object) {
	s.version++
	o.SetResourceVersion(strconv.Itoa(s.version))
	o = o.DeepCopyObject().(client.Object)
	if _, ok := o.(*unstructured.Unstructured); !ok {
		o.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{})
	}
	s.objects[at] = o
}

// Create implements client.Writer.
func (s *server) Create(_ context.Context, o client.Object, _ ...client.CreateOption) error {
	_, at, err := s.find(o, client.ObjectKeyFromObject(o))
	switch {
	case err == nil:
		return apierrors.NewAlreadyExists(schema.GroupResource{Group: at.kind.Group, Resource: at.kind.Kind}, o.GetName())
	case !apierrors.IsNotFound(err):
		return err
	}
	s.put(at, o)
	return nil
}

// Update implements client.Writer. That of a LocalCERT leaves its status alone.
func (s *server) Update(_ context.Context, o client.Object, _ ...client.UpdateOption) error {
	live, at, err := s.current(o)
	if err != nil {
		return err
	}
	if l, ok := o.(*v1alpha1.LocalCERT); ok {
		live.(*v1alpha1.LocalCERT).Status.DeepCopyInto(&l.Status)
	}
	s.put(at, o)
	return nil
}

// current returns what is stored, and a conflict when the object is older.
func (s *server) current(o client.Object) (client.Object, item, error) {
	live, at, err := s.find(o, client.ObjectKeyFromObject(o))
	if err == nil && o.GetResourceVersion() != "" && o.GetResourceVersion() != live.GetResourceVersion() {
		err = apierrors.NewConflict(schema.GroupResource{Group: at.kind.Group, Resource: at.kind.Kind}, o.GetName(), nil)
	}
	return live, at, err
}

// Status implements client.StatusClient; that of LocalCERTs, which are the only ones written to.
func (s *server) Status() client.SubResourceWriter { return statusOf{server: s} }

type statusOf struct {
	client.SubResourceWriter
	server *server
}

// Update implements client.SubResourceWriter. It leaves the rest of the object alone.
func (s statusOf) Update(_ context.Context, o client.Object, _ ...client.SubResourceUpdateOption) error {
	live, at, err := s.server.current(o)
	if err != nil {
		return err
	}
	changed := live.(*v1alpha1.LocalCERT).DeepCopy()
	o.(*v1alpha1.LocalCERT).Status.DeepCopyInto(&changed.Status)
	s.server.put(at, changed)
	return nil
}

// Delete implements client.Writer.
func (s *server) Delete(_ context.Context, o client.Object, opts ...client.DeleteOption) error {
	live, at, err := s.find(o, client.ObjectKeyFromObject(o))
	if err != nil {
		return err
	}
	var asked client.DeleteOptions
	asked.ApplyOptions(opts)
	if p := asked.Preconditions; p != nil && (p.UID != nil && *p.UID != live.GetUID() || p.ResourceVersion != nil && *p.ResourceVersion != live.GetResourceVersion()) {
		return apierrors.NewConflict(schema.GroupResource{Group: at.kind.Group, Resource: at.kind.Kind}, o.GetName(), nil)
	}
	delete(s.objects, at)
	return nil
}

// deleteAll deletes every object of a kind.
func (s *server) deleteAll(o client.Object) error {
	kind, err := s.kindOf(o)
	maps.DeleteFunc(s.objects, func(at item, _ client.Object) bool { return at.kind == kind })
	return err
}

// operatorClient is the operator's way to the server: its writes are counted, and
// one of them may be its last.
type operatorClient struct {
	*server
	w *world
}

// Apply implements client.Writer.
func (c operatorClient) Apply(ctx context.Context, o runtime.ApplyConfiguration, _ ...client.ApplyOption) error {
	return c.w.write("apply", func() error { return c.w.apply(ctx, o, false) })
}

// Create implements client.Writer. The operator creates events only.
func (c operatorClient) Create(context.Context, client.Object, ...client.CreateOption) error {
	return nil
}

// Delete implements client.Writer.
func (c operatorClient) Delete(ctx context.Context, o client.Object, opts ...client.DeleteOption) error {
	return c.w.write("delete "+o.GetObjectKind().GroupVersionKind().Kind+" "+o.GetName(), func() error { return c.server.Delete(ctx, o, opts...) })
}

// Status implements client.StatusClient.
func (c operatorClient) Status() client.SubResourceWriter { return statusWriter{w: c.w} }

type statusWriter struct {
	client.SubResourceWriter
	w *world
}

// Apply implements client.SubResourceWriter.
func (s statusWriter) Apply(ctx context.Context, o runtime.ApplyConfiguration, _ ...client.SubResourceApplyOption) error {
	return s.w.write("status", func() error { return s.w.apply(ctx, o, true) })
}
