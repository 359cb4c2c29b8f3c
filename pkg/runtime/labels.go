package runtime

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

// namespace is containerd's namespace for everything of ours.
const namespace = "pandabox"

// The labels of a container. labelReplica is the whole truth; those after it repeat parts of it, for filters.
const (
	labelReplica  = "pandabox/replica" // model.Replica as JSON
	labelName     = "pandabox/name"
	labelWorkload = "pandabox/workload"
	labelEnv      = "pandabox/env"
	labelRole     = "pandabox/role"
	labelAliases  = "pandabox/aliases" // comma separated
)

// The labels of images and snapshots that pandabox made. What does not carry them is never touched.
const (
	labelImage     = "pandabox/image"     // a record of ours
	labelImageUsed = "pandabox/used"      // RFC 3339: imported, pulled or asked for last
	labelImageUser = "pandabox/user"      // model of imageUser, JSON
	labelContainer = "pandabox/container" // on a container's snapshot: the container's name
	labelLease     = "pandabox/lease"     // a lease of an import or pull
	labelGCRoot    = "containerd.io/gc.root"
)

func containerLabels(spec model.ContainerSpec) (map[string]string, error) {
	r, err := json.Marshal(spec.Replica)
	if err != nil {
		return nil, fmt.Errorf("writing labels of %s: %w", spec.Name, err)
	}
	return map[string]string{
		labelReplica:  string(r),
		labelName:     spec.Name,
		labelWorkload: spec.Replica.WorkloadID,
		labelEnv:      spec.Replica.EnvID,
		labelRole:     string(spec.Replica.Role),
		labelAliases:  strings.Join(spec.Aliases, ","),
	}, nil
}

// fromLabels fills what a container's labels say about it.
func fromLabels(id string, labels map[string]string, created time.Time) (model.Container, error) {
	name := nameOf(id, labels)
	c := model.Container{Name: name, CreatedAt: created, State: model.ContainerCreated}
	if err := json.Unmarshal([]byte(labels[labelReplica]), &c.Replica); err != nil {
		return c, fmt.Errorf("reading labels of %s: %w", name, err)
	}
	return c, nil
}

func nameOf(id string, labels map[string]string) string { return cmp.Or(labels[labelName], id) }

func aliasesOf(labels map[string]string) []string {
	if labels[labelAliases] == "" {
		return nil
	}
	return strings.Split(labels[labelAliases], ",")
}
