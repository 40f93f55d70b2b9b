// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package lookup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/relayconfig"
)

// SecretsAgain is when to look again at Secrets that people wrote. The operator may
// not list or watch Secrets, so nobody tells it when one changes.
const SecretsAgain = 20 * time.Second

// Contents are the Secrets and ConfigMaps that exist among those asked for.
type Contents struct {
	Keys relayconfig.Keys
	// Digest changes when what they hold changes. It is empty without any. Of a Secret
	// it has the version and nothing of the values: it shows in an annotation of pods,
	// where a password could be guessed against it.
	Digest string
}

// Read reads Secrets and ConfigMaps of a namespace, one by one: they are not cached.
// The values of Secrets go no further.
func Read(ctx context.Context, direct client.Reader, namespace string, objects []relayconfig.Object) (Contents, error) {
	return gather(objects, func(o relayconfig.Object) (held, error) {
		return read(ctx, direct, types.NamespacedName{Namespace: namespace, Name: o.Name}, o.Kind)
	})
}

// held is what an object holds. There is false where there is none.
type held struct {
	there bool
	keys  []string
	// version of a Secret; the same for every ConfigMap, as its content counts: sums has it,
	// in a line for each key.
	version, sums string
}

func gather(objects []relayconfig.Object, find func(relayconfig.Object) (held, error)) (Contents, error) {
	out := Contents{Keys: relayconfig.Keys{}}
	if len(objects) == 0 {
		return out, nil
	}
	digest := sha256.New()
	for _, o := range objects {
		h, err := find(o)
		if err != nil {
			return Contents{}, fmt.Errorf("reading %s %q: %w", o.Kind, o.Name, err)
		}
		fmt.Fprintf(digest, "%s %q %q\n%s", o.Kind, o.Name, h.version, h.sums)
		if h.there {
			out.Keys[o] = h.keys
		}
	}
	out.Digest = hex.EncodeToString(digest.Sum(nil))
	return out, nil
}

func read(ctx context.Context, direct client.Reader, key types.NamespacedName, kind relayconfig.Kind) (held, error) {
	if kind == relayconfig.Secret {
		var secret corev1.Secret
		if err := direct.Get(ctx, key, &secret); err != nil {
			return held{}, client.IgnoreNotFound(err)
		}
		return held{there: true, keys: slices.Sorted(maps.Keys(secret.Data)), version: string(secret.UID) + "/" + secret.ResourceVersion}, nil
	}
	var from corev1.ConfigMap
	if err := direct.Get(ctx, key, &from); err != nil {
		return held{}, client.IgnoreNotFound(err)
	}
	data := maps.Clone(from.BinaryData)
	if data == nil {
		data = map[string][]byte{}
	}
	for k, v := range from.Data {
		data[k] = []byte(v)
	}
	h := held{there: true, keys: slices.Sorted(maps.Keys(data)), version: "there"}
	for _, k := range h.keys {
		h.sums += fmt.Sprintf("%q %x\n", k, sha256.Sum256(data[k]))
	}
	return h, nil
}

// ObjectsOf are what references name, each once.
func ObjectsOf(refs []relayconfig.Reference) []relayconfig.Object {
	var out []relayconfig.Object
	for _, r := range refs {
		if !slices.Contains(out, r.Object) {
			out = append(out, r.Object)
		}
	}
	return out
}

// HasSecret tells whether a Secret is among objects.
func HasSecret(objects []relayconfig.Object) bool {
	return slices.ContainsFunc(objects, func(o relayconfig.Object) bool { return o.Kind == relayconfig.Secret })
}

// ByConfigMapOf indexes SharedFeeds and LocalCERTs by the ConfigMaps that they name
// in sources and data sets.
const ByConfigMapOf = "configMapRef"

func feedConfigMaps(o client.Object) []string {
	if f, ok := o.(*v1alpha1.SharedFeed); ok {
		return configMaps(relayconfig.FeedReferences(f))
	}
	return nil
}

func localConfigMaps(o client.Object) []string {
	if l, ok := o.(*v1alpha1.LocalCERT); ok {
		return configMaps(relayconfig.LocalReferences(l))
	}
	return nil
}

func configMaps(refs []relayconfig.Reference) []string {
	var out []string
	for _, r := range refs {
		if r.Kind == relayconfig.ConfigMap && !slices.Contains(out, r.Name) {
			out = append(out, r.Name)
		}
	}
	return out
}

// UsersOf maps a ConfigMap to the objects of a kind that name it; see ByConfigMapOf.
func UsersOf(kind Kind) handler.MapFunc { return kind.By(ByConfigMapOf, client.Object.GetName) }
