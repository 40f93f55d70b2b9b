// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package v1alpha1 holds the custom resources of certlink.dev/v1alpha1: what one
// CERT declares about itself (LocalCERT), about the CERTs it is linked with
// (PeerCERT), about the feeds (SharedFeed) and services (SharedService) it shares
// and the hotlines it keeps (Hotline).
//
// One namespace is one CERT. The package holds types, validation (OpenAPI and
// CEL) and the names of conditions and reasons; it holds no logic.
//
// +kubebuilder:object:generate=true
// +kubebuilder:ac:generate=true
// +groupName=certlink.dev
package v1alpha1

import (
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/scheme"
)

var (
	// GroupVersion is the group and version of every kind in this package.
	GroupVersion = schema.GroupVersion{Group: "certlink.dev", Version: "v1alpha1"}

	// SchemeGroupVersion is GroupVersion by the name that generated code uses.
	SchemeGroupVersion = GroupVersion

	// SchemeBuilder collects the kinds of this package.
	SchemeBuilder = &scheme.Builder{GroupVersion: GroupVersion}

	// AddToScheme adds the kinds of this package to a scheme.
	AddToScheme = SchemeBuilder.AddToScheme
)
