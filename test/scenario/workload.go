// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// What a nation runs beside certlink.
const (
	// WebApp is the Deployment and the Service of a nation's web application: Prometheus's Alertmanager.
	WebApp     = "alerts"
	WebAppPort = 9093
	// Workstation is the pod at which a person of the nation sits, and Echo the Service of a port of it that gives every
	// byte back.
	Workstation = "workstation"
	Echo        = "echo"
	EchoPort    = 7000
)

const webAppConfig = `route: {receiver: nobody}
receivers: [{name: nobody}]
`

// RunWebApp starts the web application and waits until it answers.
func (p *Party) RunWebApp(ctx context.Context) error {
	image, err := webAppImage(ctx, p.Cluster)
	if err != nil {
		return err
	}
	config := &corev1.ConfigMap{ObjectMeta: p.Meta(WebApp), Data: map[string]string{"alertmanager.yml": webAppConfig}}
	pod := podOf(corev1.Container{
		Name: WebApp, Image: image,
		Args:  []string{"--config.file=/etc/alertmanager/alertmanager.yml", "--storage.path=/data", "--cluster.listen-address="},
		Ports: []corev1.ContainerPort{{Name: "web", ContainerPort: WebAppPort}},
		ReadinessProbe: &corev1.Probe{
			ProbeHandler:  corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/-/ready", Port: intstr.FromString("web")}},
			PeriodSeconds: 1,
		},
		VolumeMounts: []corev1.VolumeMount{{Name: "config", MountPath: "/etc/alertmanager"}, {Name: "data", MountPath: "/data"}},
	})
	pod.Volumes = []corev1.Volume{
		{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: WebApp}}}},
		{Name: "data", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
	}
	labels := map[string]string{"app": WebApp}
	deployment := &appsv1.Deployment{ObjectMeta: p.Meta(WebApp)}
	deployment.Spec.Selector = &metav1.LabelSelector{MatchLabels: labels}
	deployment.Spec.Template = corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: pod}
	err = errors.Join(p.Apply(ctx, config), p.Apply(ctx, deployment), p.Apply(ctx, p.serviceOf(WebApp, WebAppPort, labels)))
	if err != nil {
		return err
	}
	return Poll(ctx, fmt.Sprintf("the web application of %s runs", p.Name), func(ctx context.Context) error {
		var now appsv1.Deployment
		if err := p.Client.Get(ctx, p.Key(WebApp), &now); err != nil {
			return err
		}
		if now.Status.ObservedGeneration < now.Generation || now.Status.AvailableReplicas != 1 || now.Status.UpdatedReplicas != 1 {
			return fmt.Errorf("its status is %+v", now.Status)
		}
		return nil
	})
}

// RunWorkstation starts the workstation and its echo, and waits until they answer.
func (p *Party) RunWorkstation(ctx context.Context) error {
	if p.Tools == "" {
		return errors.New("only a nation of the harness has a workstation")
	}
	labels := map[string]string{"app": Workstation}
	pod := &corev1.Pod{ObjectMeta: p.Meta(Workstation)}
	pod.Labels = labels
	pod.Spec = podOf(
		corev1.Container{Name: "browser", Image: p.Tools, Args: []string{"serve"}},
		corev1.Container{
			Name: Echo, Image: p.Tools, Args: []string{"tcp", fmt.Sprintf(":%d", EchoPort)},
			ReadinessProbe: &corev1.Probe{
				ProbeHandler:  corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(EchoPort)}},
				PeriodSeconds: 1,
			},
		},
	)
	if err := errors.Join(p.Apply(ctx, pod), p.Apply(ctx, p.serviceOf(Echo, EchoPort, labels))); err != nil {
		return err
	}
	return Poll(ctx, fmt.Sprintf("the workstation of %s runs", p.Name), func(ctx context.Context) error {
		var now corev1.Pod
		if err := p.Client.Get(ctx, p.Key(Workstation), &now); err != nil {
			return err
		}
		for _, c := range now.Status.Conditions {
			if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
				return nil
			}
		}
		return fmt.Errorf("it is %s", now.Status.Phase)
	})
}

// Browse gets a page at the workstation, inside the cluster: at most its first 64 KiB.
func (p *Party) Browse(ctx context.Context, url string) (string, error) {
	return p.Kubectl(ctx, "exec", Workstation, "-c", "browser", "--", "/echo", "get", url)
}

var title = regexp.MustCompile(`(?is)<title>(.*?)</title>`)

// Title is the title of a page, "" if it has none.
func Title(page string) string {
	if match := title.FindStringSubmatch(page); match != nil {
		return strings.TrimSpace(match[1])
	}
	return ""
}

func (p *Party) serviceOf(name string, port int32, selector map[string]string) *corev1.Service {
	service := &corev1.Service{ObjectMeta: p.Meta(name)}
	service.Spec.Selector = selector
	service.Spec.Ports = []corev1.ServicePort{{Port: port, TargetPort: intstr.FromInt32(port), Protocol: corev1.ProtocolTCP}}
	return service
}

// podOf is a pod that may run in the party's namespace.
func podOf(containers ...corev1.Container) corev1.PodSpec {
	yes, no, user, grace := true, false, int64(65532), int64(1)
	for i := range containers {
		containers[i].ImagePullPolicy = corev1.PullNever
		containers[i].SecurityContext = &corev1.SecurityContext{
			AllowPrivilegeEscalation: &no,
			ReadOnlyRootFilesystem:   &yes,
			Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		}
	}
	return corev1.PodSpec{
		Containers:                    containers,
		AutomountServiceAccountToken:  &no,
		TerminationGracePeriodSeconds: &grace,
		SecurityContext: &corev1.PodSecurityContext{
			RunAsNonRoot: &yes, RunAsUser: &user, RunAsGroup: &user, FSGroup: &user,
			SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
	}
}
