// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package node says what runs on a nation's node and with which configuration.
//
// It is pure: names, arguments and file contents, computed from the nation's place and directories. Package boot acts
// on it. The settings that are unusual have their reason beside them.
package node

import (
	"github.com/certlink/certlink/test/nations/internal/layout"
)

// Names of the components that others refer to.
const (
	Etcd       = "etcd"
	Containerd = "containerd"
	APIServer  = "kube-apiserver"
	Kubelet    = "kubelet"
	Daemon     = "node-daemon"
)

// ContainerdSocket is containerd's socket inside the nation.
const ContainerdSocket = "/run/containerd/containerd.sock"

// Site is everything that the configuration of one nation depends on.
type Site struct {
	Nation layout.Nation `json:"nation"`
	Dirs   layout.Dirs   `json:"dirs"`
	// Binaries is the directory of the built programs; CNI plugins are in its folder cni.
	Binaries string `json:"binaries"`
	// Runc is the path of the container runtime.
	Runc string `json:"runc"`
	// Helper is the harness's own program, which is also the node daemon.
	Helper string `json:"helper"`
	// PauseImage is the sandbox's image.
	PauseImage string `json:"pause_image"`
}

// Component is one process of a node.
type Component struct {
	Name string
	Args []string
	// NeedsAPI components start once the API server is ready: earlier, some exit because RBAC's own roles are missing.
	NeedsAPI bool
}

// Components returns the processes in the order in which they start.
func (s Site) Components() []Component {
	return []Component{
		{Name: Etcd, Args: s.etcd()},
		{Name: Containerd, Args: []string{s.program(Containerd), "--config", s.Dirs.Path(containerdFile)}},
		{Name: APIServer, Args: s.apiServer()},
		{Name: "kube-controller-manager", Args: s.controllerManager(), NeedsAPI: true},
		{Name: "kube-scheduler", Args: s.scheduler(), NeedsAPI: true},
		{Name: Kubelet, Args: s.kubelet(), NeedsAPI: true},
		{Name: "kube-proxy", Args: []string{s.program("kube-proxy"), "--config=" + s.Dirs.Path(proxyFile)}, NeedsAPI: true},
		{Name: Daemon, Args: s.daemon(), NeedsAPI: true},
	}
}

func (s Site) program(name string) string { return s.Binaries + "/" + name }

// etcd skips fsync: a nation outlives the death of its processes, not of the machine.
func (s Site) etcd() []string {
	const clients, peers = "http://127.0.0.1:2379", "http://127.0.0.1:2380"
	return []string{
		s.program(Etcd), "--data-dir", s.Dirs.Path("etcd"), "--unsafe-no-fsync", "--log-level", "warn",
		"--listen-client-urls", clients, "--advertise-client-urls", clients, "--listen-peer-urls", peers,
	}
}

func (s Site) apiServer() []string {
	pki := s.Dirs.PKI
	return []string{
		s.program(APIServer),
		"--etcd-servers=http://127.0.0.1:2379",
		"--bind-address=0.0.0.0", "--secure-port=6443", "--advertise-address=" + s.Nation.Node().String(),
		"--service-cluster-ip-range=" + s.Nation.Services().String(),
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + pki("sa.pub"), "--service-account-signing-key-file=" + pki("sa.key"),
		"--client-ca-file=" + pki("ca.crt"),
		"--tls-cert-file=" + pki("apiserver.crt"), "--tls-private-key-file=" + pki("apiserver.key"),
		"--kubelet-client-certificate=" + pki("apiserver-kubelet.crt"), "--kubelet-client-key=" + pki("apiserver-kubelet.key"),
		"--kubelet-certificate-authority=" + pki("ca.crt"), "--kubelet-preferred-address-types=InternalIP,Hostname",
		"--requestheader-client-ca-file=" + pki("ca.crt"), "--requestheader-allowed-names=front-proxy",
		"--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + pki("front-proxy.crt"), "--proxy-client-key-file=" + pki("front-proxy.key"),
		"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
		"--allow-privileged=true", "--profiling=false",
		"--audit-policy-file=" + s.Dirs.Path(auditFile), "--audit-log-path=" + s.AuditLog(),
		"--audit-log-maxsize=200", "--audit-log-maxbackup=1",
	}
}

// AuditLog is the file to which the API server writes one line for each finished request.
func (s Site) AuditLog() string { return s.Dirs.Path("log", "audit.log") }

func (s Site) controllerManager() []string {
	pki, own := s.Dirs.PKI, s.Dirs.PKI("kcm.kubeconfig")
	return []string{
		s.program("kube-controller-manager"),
		"--kubeconfig=" + own, "--authentication-kubeconfig=" + own, "--authorization-kubeconfig=" + own,
		"--bind-address=127.0.0.1", "--leader-elect=false", "--profiling=false",
		"--use-service-account-credentials=true", "--service-account-private-key-file=" + pki("sa.key"),
		"--root-ca-file=" + pki("ca.crt"),
		"--cluster-signing-cert-file=" + pki("ca.crt"), "--cluster-signing-key-file=" + pki("ca.key"),
		"--cluster-name=" + s.Nation.Name,
		"--node-monitor-period=2s", "--node-monitor-grace-period=16s",
	}
}

func (s Site) scheduler() []string {
	own := s.Dirs.PKI("scheduler.kubeconfig")
	return []string{
		s.program("kube-scheduler"),
		"--kubeconfig=" + own, "--authentication-kubeconfig=" + own, "--authorization-kubeconfig=" + own,
		"--bind-address=127.0.0.1", "--leader-elect=false", "--profiling=false",
	}
}

func (s Site) kubelet() []string {
	return []string{
		s.program(Kubelet),
		"--config=" + s.Dirs.Path(kubeletFile), "--kubeconfig=" + s.Dirs.PKI("kubelet.kubeconfig"),
		"--hostname-override=" + s.Nation.NodeName(), "--node-ip=" + s.Nation.Node().String(),
		"--root-dir=/var/lib/kubelet",
	}
}

func (s Site) daemon() []string {
	return []string{s.Helper, Daemon, "--nation", s.Nation.Name, "--kubeconfig", s.Dirs.PKI("node-daemon.kubeconfig"), "--volumes", s.Dirs.Volumes()}
}
