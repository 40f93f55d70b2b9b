// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/intstr"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/relayconfig"
)

// user is the user and group of the relay's process, as in the image.
const user = 65532

// defaultSize of the relay's volume.
var defaultSize = resource.MustParse("10Gi")

// Fixed is what a StatefulSet begins with and can never change again.
type Fixed struct {
	// Size and StorageClassName of the volume.
	Size             resource.Quantity
	StorageClassName *string
	// PodManagement is Parallel for a new relay. With the default, OrderedReady,
	// a pod that never became ready is never replaced either, so that a spec which
	// was mended, or a corrected image, would not reach it.
	PodManagement appsv1.PodManagementPolicyType
}

// FixedOf returns what a relay began with, or what the spec asks for.
func FixedOf(l *v1alpha1.LocalCERT, live *appsv1.StatefulSet) Fixed {
	if live != nil && len(live.Spec.VolumeClaimTemplates) > 0 {
		claim := live.Spec.VolumeClaimTemplates[0].Spec
		return Fixed{
			Size:             claim.Resources.Requests[corev1.ResourceStorage],
			StorageClassName: claim.StorageClassName,
			PodManagement:    live.Spec.PodManagementPolicy,
		}
	}
	f := Fixed{Size: defaultSize, StorageClassName: l.Spec.Relay.Storage.StorageClassName, PodManagement: appsv1.ParallelPodManagement}
	if l.Spec.Relay.Storage.Size != nil {
		f.Size = *l.Spec.Relay.Storage.Size
	}
	return f
}

// StatefulSet is the relay: one pod with a volume that outlives it, or several that share
// a database and have none, and the Secrets and ConfigMaps that resources name.
func StatefulSet(l *v1alpha1.LocalCERT, image string, fixed Fixed, mounted []relayconfig.Object) (*unstructured.Unstructured, error) {
	n := NamesOf(l.Name)
	spec := appsv1ac.StatefulSetSpec().
		WithReplicas(replicas(l)).
		WithServiceName(n.Local).
		WithPodManagementPolicy(fixed.PodManagement).
		WithSelector(metav1ac.LabelSelector().WithMatchLabels(Selector(l.Name))).
		WithTemplate(corev1ac.PodTemplateSpec().
			WithLabels(Labels(l.Name)).
			WithAnnotations(map[string]string{"kubectl.kubernetes.io/default-container": "relay"}).
			WithSpec(podSpec(l, image, mounted)))
	if l.Spec.Relay.Storage.Postgres == nil {
		withVolume(spec, l, fixed)
	}
	return render(appsv1ac.StatefulSet(n.Relay, l.Namespace).
		WithLabels(Labels(l.Name)).
		WithOwnerReferences(owner(l)).
		WithSpec(spec))
}

// replicas of the relay: one, unless they share a database.
func replicas(l *v1alpha1.LocalCERT) int32 {
	if l.Spec.Relay.Replicas == nil || l.Spec.Relay.Storage.Postgres == nil {
		return 1
	}
	return *l.Spec.Relay.Replicas
}

func withVolume(spec *appsv1ac.StatefulSetSpecApplyConfiguration, l *v1alpha1.LocalCERT, fixed Fixed) {
	claim := corev1ac.PersistentVolumeClaimSpec().
		WithAccessModes(corev1.ReadWriteOnce).
		WithResources(corev1ac.VolumeResourceRequirements().WithRequests(corev1.ResourceList{corev1.ResourceStorage: fixed.Size}))
	if fixed.StorageClassName != nil {
		claim.WithStorageClassName(*fixed.StorageClassName)
	}
	// Messages must survive a StatefulSet or a LocalCERT deleted by mistake.
	spec.WithPersistentVolumeClaimRetentionPolicy(appsv1ac.StatefulSetPersistentVolumeClaimRetentionPolicy().
		WithWhenDeleted(appsv1.RetainPersistentVolumeClaimRetentionPolicyType).
		WithWhenScaled(appsv1.RetainPersistentVolumeClaimRetentionPolicyType)).
		WithVolumeClaimTemplates((&corev1ac.PersistentVolumeClaimApplyConfiguration{}).
			WithName("data").
			WithLabels(Labels(l.Name)).
			WithSpec(claim))
}

func podSpec(l *v1alpha1.LocalCERT, image string, mounted []relayconfig.Object) *corev1ac.PodSpecApplyConfiguration {
	n := NamesOf(l.Name)
	spec := corev1ac.PodSpec().
		WithAutomountServiceAccountToken(false).
		WithEnableServiceLinks(false).
		WithTerminationGracePeriodSeconds(30).
		WithSecurityContext(corev1ac.PodSecurityContext().
			WithRunAsNonRoot(true).
			WithRunAsUser(user).
			WithRunAsGroup(user).
			WithFSGroup(user).
			// A large volume is not walked at each start.
			WithFSGroupChangePolicy(corev1.FSGroupChangeOnRootMismatch).
			WithSeccompProfile(corev1ac.SeccompProfile().WithType(corev1.SeccompProfileTypeRuntimeDefault))).
		WithContainers(container(l, image).WithVolumeMounts(mountsOf(mounted)...)).
		WithVolumes(
			corev1ac.Volume().WithName("config").WithConfigMap(corev1ac.ConfigMapVolumeSource().WithName(n.Relay)),
			secretVolume("link", n.Link),
			secretVolume("local", n.LocalPort),
			secretVolume("signing", n.Signing),
		).
		WithVolumes(volumesOf(mounted)...)
	if p := l.Spec.Relay.Storage.Postgres; p != nil {
		withDatabase(spec, p)
	}
	if replicas(l) > 1 {
		spec.WithAffinity(apart(l))
	}
	if len(l.Spec.Relay.NodeSelector) > 0 {
		spec.WithNodeSelector(l.Spec.Relay.NodeSelector)
	}
	for i := range l.Spec.Relay.Tolerations {
		spec.WithTolerations(toleration(&l.Spec.Relay.Tolerations[i]))
	}
	return spec
}

// withDatabase mounts the connection URI, and the server's CA if the Secret has one. What
// the relay fetches is kept for as long as its pod lives; the URI is not optional: without
// it there is no relay.
func withDatabase(spec *corev1ac.PodSpecApplyConfiguration, p *v1alpha1.PostgresStorage) {
	part := func(key string) *corev1ac.SecretProjectionApplyConfiguration {
		return corev1ac.SecretProjection().WithName(p.SecretRef.Name).WithItems(corev1ac.KeyToPath().WithKey(key).WithPath(key))
	}
	spec.WithVolumes(
		corev1ac.Volume().WithName("data").WithEmptyDir(corev1ac.EmptyDirVolumeSource()),
		corev1ac.Volume().WithName("postgres").WithProjected(corev1ac.ProjectedVolumeSource().WithDefaultMode(0o440).WithSources(
			corev1ac.VolumeProjection().WithSecret(part(relayconfig.PostgresKey)),
			corev1ac.VolumeProjection().WithSecret(part(relayconfig.PostgresCAKey).WithOptional(true)),
		)),
	)
	spec.Containers[0].WithVolumeMounts(corev1ac.VolumeMount().WithName("postgres").WithMountPath(relayconfig.PostgresPath).WithReadOnly(true))
}

// apart spreads replicas over nodes, where there are enough of them.
func apart(l *v1alpha1.LocalCERT) *corev1ac.AffinityApplyConfiguration {
	term := func(weight int32, key string) *corev1ac.WeightedPodAffinityTermApplyConfiguration {
		return corev1ac.WeightedPodAffinityTerm().WithWeight(weight).WithPodAffinityTerm(corev1ac.PodAffinityTerm().
			WithTopologyKey(key).WithLabelSelector(metav1ac.LabelSelector().WithMatchLabels(Selector(l.Name))))
	}
	return corev1ac.Affinity().WithPodAntiAffinity(corev1ac.PodAntiAffinity().
		WithPreferredDuringSchedulingIgnoredDuringExecution(term(100, corev1.LabelHostname), term(50, corev1.LabelTopologyZone)))
}

func container(l *v1alpha1.LocalCERT, image string) *corev1ac.ContainerApplyConfiguration {
	probe := func(path string) *corev1ac.ProbeApplyConfiguration {
		return corev1ac.Probe().WithHTTPGet(corev1ac.HTTPGetAction().WithPath(path).WithPort(intstr.FromString("health")))
	}
	port := func(name string, number int32) *corev1ac.ContainerPortApplyConfiguration {
		return corev1ac.ContainerPort().WithName(name).WithContainerPort(number).WithProtocol(corev1.ProtocolTCP)
	}
	mount := func(name, path string) *corev1ac.VolumeMountApplyConfiguration {
		return corev1ac.VolumeMount().WithName(name).WithMountPath(path).WithReadOnly(true)
	}
	return corev1ac.Container().
		WithName("relay").
		WithImage(image).
		WithCommand("/certlink-relay").
		WithArgs("--config", relayconfig.Directory+"/"+relayconfig.File).
		WithPorts(port("link", relayconfig.LinkPort), port("local", relayconfig.LocalPort), port("health", relayconfig.HealthPort)).
		WithReadinessProbe(probe("/readyz").WithPeriodSeconds(2)).
		WithLivenessProbe(probe("/healthz").WithInitialDelaySeconds(10).WithPeriodSeconds(10).WithFailureThreshold(6)).
		WithResources(resources(l.Spec.Relay.Resources)).
		WithSecurityContext(corev1ac.SecurityContext().
			WithAllowPrivilegeEscalation(false).
			WithReadOnlyRootFilesystem(true).
			WithCapabilities(corev1ac.Capabilities().WithDrop("ALL"))).
		// No subPath anywhere: such mounts are never refreshed.
		WithVolumeMounts(
			mount("config", relayconfig.Directory),
			mount("link", relayconfig.TLSPath+"link"),
			mount("local", relayconfig.TLSPath+"local"),
			mount("signing", relayconfig.TLSPath+"signing"),
			corev1ac.VolumeMount().WithName("data").WithMountPath(relayconfig.StorePath),
		)
}

// resources of the relay: those of the spec, or the documented defaults.
func resources(asked *corev1.ResourceRequirements) *corev1ac.ResourceRequirementsApplyConfiguration {
	out := corev1ac.ResourceRequirements()
	if asked == nil {
		return out.
			WithRequests(corev1.ResourceList{
				corev1.ResourceCPU:    resource.MustParse("50m"),
				corev1.ResourceMemory: resource.MustParse("64Mi"),
			}).
			WithLimits(corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("512Mi")})
	}
	if len(asked.Requests) > 0 {
		out.WithRequests(asked.Requests)
	}
	if len(asked.Limits) > 0 {
		out.WithLimits(asked.Limits)
	}
	for _, c := range asked.Claims {
		claim := corev1ac.ResourceClaim().WithName(c.Name)
		if c.Request != "" {
			claim.WithRequest(c.Request)
		}
		out.WithClaims(claim)
	}
	return out
}

// secretVolume mounts a certificate; the relay's group may read the key.
func secretVolume(name, secret string) *corev1ac.VolumeApplyConfiguration {
	return corev1ac.Volume().WithName(name).
		WithSecret(corev1ac.SecretVolumeSource().WithSecretName(secret).WithDefaultMode(0o440))
}

func toleration(t *corev1.Toleration) *corev1ac.TolerationApplyConfiguration {
	out := corev1ac.Toleration()
	if t.Key != "" {
		out.WithKey(t.Key)
	}
	if t.Operator != "" {
		out.WithOperator(t.Operator)
	}
	if t.Value != "" {
		out.WithValue(t.Value)
	}
	if t.Effect != "" {
		out.WithEffect(t.Effect)
	}
	if t.TolerationSeconds != nil {
		out.WithTolerationSeconds(*t.TolerationSeconds)
	}
	return out
}
