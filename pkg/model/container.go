package model

import (
	"fmt"
	"net/netip"
	"time"
)

// Role is what a container is for.
type Role string

// The roles of a container.
const (
	RoleReplica Role = "replica" // one of a process's replicas
	RoleRelease Role = "release" // runs the release process once
	RoleOneOff  Role = "oneoff"  // pandabox run; ends with its caller
	RoleJob     Role = "job"     // one attempt of a job's run; the scheduler removes it
)

// Replica identifies a container: it is written into the container's labels, so that one found after a crash can be
// adopted or removed without any other record.
type Replica struct {
	Role       Role   `json:"role"`
	WorkloadID string `json:"workloadId"`
	EnvID      string `json:"envId"`
	App        string `json:"app"` // the app's name: its name on the environment's network
	ReleaseID  string `json:"releaseId"`
	Release    int    `json:"release"` // its number
	Generation int    `json:"generation"`
	Process    string `json:"process"`
	Index      int    `json:"index"` // 1 … replicas
	Attempt    int    `json:"attempt,omitempty"`
}

// Name returns the container's name: the same replica always has the same name, so that starting twice is starting once.
func (r Replica) Name() string {
	return fmt.Sprintf("%s-v%d-g%d-%s-%d", r.WorkloadID, r.Release, r.Generation, r.Process, r.Index)
}

// Target returns the release and generation the replica belongs to.
func (r Replica) Target() Target { return Target{ReleaseID: r.ReleaseID, Generation: r.Generation} }

// Limits bound what one container may use. Zero means no limit.
type Limits struct {
	MilliCPU int   `json:"milliCpu,omitempty"`
	Memory   int64 `json:"memory,omitempty"` // bytes; no swap on top
	Pids     int64 `json:"pids,omitempty"`
}

// ContainerSpec is all that is needed to run one container.
type ContainerSpec struct {
	Replica Replica
	Name    string   // Replica.Name(), or a name of its own for one-off containers
	Image   string   // "sha256:…", present on the box
	Command []string // the whole command line; nil: the image's
	Env     []string // "NAME=value", over the image's own
	Aliases []string // names on the environment's network: "shop" answers as shop.internal
	Limits  Limits
	Mounts  []Mount
	LogMax  int64 // bytes of log kept for the workload; 0 means the runtime's default

	Function *Function // a function, run inside the daemon: Image, Command, Limits and Mounts are empty then
	Static   *Static   // a static site, served by the daemon: likewise
}

// ContainerState is how a container is.
type ContainerState string

// The states of a container.
const (
	ContainerCreated ContainerState = "created" // not yet started, or half made before a crash
	ContainerRunning ContainerState = "running"
	ContainerExited  ContainerState = "exited"
)

// Container is what the runtime sees.
type Container struct {
	Name      string
	Replica   Replica
	State     ContainerState
	Detail    string     // of a function or site, for people: "js, 0.4 MB snapshot"
	Addr      netip.Addr // on the environment's network; invalid unless running, and of a function or site
	Pid       int
	Exit      Exit // when State is ContainerExited
	CreatedAt time.Time
	StartedAt time.Time
}

// Exit is how a container ended.
type Exit struct {
	Code    int       `json:"code"`              // 128+n for signal n
	Known   bool      `json:"known"`             // false: it ended while nobody watched (containerd was down)
	OOM     bool      `json:"oom,omitempty"`     // the kernel ended a process of it for want of memory
	Message string    `json:"message,omitempty"` // why it could not be started at all: "exec: no such file"
	At      time.Time `json:"at"`
}

// String returns "exited with code 3", "was killed: out of memory" and the like.
func (e Exit) String() string {
	switch {
	case e.OOM:
		return "was killed: out of memory"
	case e.Message != "":
		return "could not start: " + e.Message
	case !e.Known:
		return "ended while nobody watched"
	case e.Code > 128 && e.Code <= 128+64:
		return fmt.Sprintf("ended by signal %d", e.Code-128)
	}
	return fmt.Sprintf("exited with code %d", e.Code)
}

// Usage is what a container uses at one moment.
type Usage struct {
	CPU      time.Duration `json:"cpu"`    // consumed since it started
	Memory   int64         `json:"memory"` // bytes, page cache that can be dropped left out
	Pids     int64         `json:"pids"`
	RxBytes  int64         `json:"rxBytes"`
	TxBytes  int64         `json:"txBytes"`
	OOMKills int64         `json:"oomKills"`
	At       time.Time     `json:"at"`
}

// Keep lists what still has a use when space is reclaimed. Everything else of its sort that pandabox itself made, and
// that is older than the runtime's own period of grace, may go.
type Keep struct {
	Images       []string // digests
	Bundles      []string // digests, of functions
	Sites        []string // digests, of static sites
	Sources      []string // digests
	Builds       []string // ids: their logs
	Environments []string // ids: their networks
}
