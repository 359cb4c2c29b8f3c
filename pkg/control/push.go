package control

import (
	"context"

	"github.com/pandabox/pandabox/pkg/model"
)

// Pushes decides what code that arrives at a door is deployed to.
type Pushes struct{ c *Control }

// Push is code that arrived: a branch of an app's repository is at a commit.
type Push struct {
	Branch  string
	Commit  string
	Message string   // of the commit, whole: [skip deploy] in it is honoured
	Changed []string // paths that differ from what was pushed before; nil: not known, which counts as all
}

// PushTarget is one environment a push is deployed to.
type PushTarget struct {
	Env string // its name
	Dir string // the folder of the source that is the app; "" the whole
}

// Targets returns the environments of an app that track the push's branch and want it now. skipped says in a few words
// why there are none: "no environment tracks the branch feature/x".
func (p *Pushes) Targets(ctx context.Context, actor model.Actor, org, app string, push Push) (targets []PushTarget, skipped string, err error) {
	return nil, "", missing("push rules")
}
