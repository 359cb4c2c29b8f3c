package reconcile

import (
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

// opKind is a sort of operation.
type opKind string

const (
	opPull    opKind = "pull"    // make a release's image present; name is the release's id
	opBuild   opKind = "build"   // make a release's image or site of its source; name is the release's id
	opRelease opKind = "release" // run the release process to its end
	opStart   opKind = "start"   // start a replica
	opRetire  opKind = "retire"  // drain, stop and remove a container
	opLine    opKind = "line"    // read a container's last log line
	opForget  opKind = "forget"  // delete a removed workload's volumes and logs; name is the workload's id
)

// ofContainer tells whether such an operation changes a container.
func (k opKind) ofContainer() bool { return k == opRelease || k == opStart || k == opRetire }

func (k opKind) key(name string) string { return string(k) + " " + name }

// op is one idempotent operation on one thing. At most one operation of a key is under way at any time.
type op struct {
	kind    opKind
	name    string         // of what it is done to: a container, unless the kind says otherwise
	replica model.Replica  // of opStart and opRelease
	release *model.Release // of opPull, opBuild, opStart and opRelease
	adopt   bool           // opRelease: it runs already, only wait for its end
	drain   bool           // opRetire: requests may be in flight to it
	grace   time.Duration  // opRetire: from SIGTERM to SIGKILL
	unwell  bool           // opRetire: to be started afresh because it does not answer
}

func (o op) key() string { return o.kind.key(o.name) }
