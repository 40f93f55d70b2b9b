// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nations

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/certlink/certlink/test/nations/internal/proc"
)

// ErrNoContainer is returned if no such container is running.
var ErrNoContainer = errors.New("no such running container")

// tasks is where containerd keeps a folder for each running container, below its state directory.
const tasks = "run/containerd/io.containerd.runtime.v2.task/k8s.io"

// KillPod sends SIGKILL to the first process of a pod's container, as a crash or the kernel would, and returns when it
// is gone. It asks only the node, so it works while the API server is down. An empty container means the pod's only one.
func (n *Nation) KillPod(ctx context.Context, namespace, pod, container string) error {
	pid, err := n.init()
	if err != nil {
		return err
	}
	folders, err := filepath.Glob(filepath.Join("/proc", strconv.Itoa(pid), "root", tasks, "*"))
	if err != nil {
		return fmt.Errorf("listing the containers of %s: %w", n.Name, err)
	}
	var found []string
	for _, folder := range folders {
		is, err := isContainer(folder, namespace, pod, container)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if is {
			found = append(found, folder)
		}
	}
	if len(found) != 1 {
		return fmt.Errorf("killing container %q of pod %s/%s in %s: %d match: %w", container, namespace, pod, n.Name, len(found), ErrNoContainer)
	}
	return killTask(ctx, found[0])
}

// isContainer compares what containerd wrote down when it made the container.
func isContainer(folder, namespace, pod, container string) (bool, error) {
	text, err := os.ReadFile(filepath.Join(folder, "config.json"))
	if err != nil {
		return false, err
	}
	var config struct {
		Annotations map[string]string `json:"annotations"`
	}
	if err := json.Unmarshal(text, &config); err != nil {
		return false, fmt.Errorf("decoding the configuration of a container: %w", err)
	}
	const prefix = "io.kubernetes.cri."
	a := config.Annotations
	return a[prefix+"container-type"] == "container" && a[prefix+"sandbox-namespace"] == namespace &&
		a[prefix+"sandbox-name"] == pod && (container == "" || a[prefix+"container-name"] == container), nil
}

// killTask finds the container's first process on the machine: the one in the container's control group whose number,
// in the nation's PID namespace, is the one that containerd wrote down.
func killTask(ctx context.Context, folder string) error {
	id := filepath.Base(folder)
	text, err := os.ReadFile(filepath.Join(folder, "init.pid"))
	if err != nil {
		return fmt.Errorf("reading the process number of container %s: %w", id, err)
	}
	inside := strings.TrimSpace(string(text))
	files, err := filepath.Glob("/proc/[0-9]*/status")
	if err != nil {
		return fmt.Errorf("listing processes: %w", err)
	}
	for _, file := range files {
		dir := filepath.Dir(file)
		if !isTask(dir, id, inside) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			return fmt.Errorf("reading a process number: %w", err)
		}
		return proc.Kill(ctx, pid, func() bool { return isTask(dir, id, inside) })
	}
	return fmt.Errorf("looking for process %s of container %s: %w", inside, id, ErrNoContainer)
}

func isTask(dir, id, inside string) bool {
	groups, err := os.ReadFile(filepath.Join(dir, "cgroup"))
	if err != nil || !strings.Contains(string(groups), "/"+id+"\n") {
		return false
	}
	status, err := os.ReadFile(filepath.Join(dir, "status"))
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(status)) {
		if numbers, ok := strings.CutPrefix(line, "NSpid:"); ok {
			// On the machine, in the nation, in the container.
			fields := strings.Fields(numbers)
			return len(fields) > 1 && fields[1] == inside
		}
	}
	return false
}
