package reconcile

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/pandabox/pandabox/pkg/model"
)

// spec returns all that is needed to run a replica. Variables are opened here and nowhere else.
func (c *Controller) spec(ctx context.Context, dw *model.DesiredWorkload, o op) (model.ContainerSpec, error) {
	if o.release.Function != nil {
		return c.functionSpec(ctx, dw, o)
	}
	if o.release.Static != nil { // files know no variables
		return model.ContainerSpec{Replica: o.replica, Name: o.name, Aliases: aliases(dw.App.Name, o.release, o.replica), Static: o.release.Static}, nil
	}
	process, ok := o.release.Process(o.replica.Process)
	if !ok {
		return model.ContainerSpec{}, model.Errorf(model.KindInternal, "release v%d has no process %s", o.release.Number, o.replica.Process)
	}
	env, err := c.environ(ctx, dw, o,
		"PORT="+strconv.Itoa(o.release.PortOf(process)),
		"PANDABOX_PROCESS="+process.Name,
		"PANDABOX_REPLICA="+strconv.Itoa(o.replica.Index),
	)
	if err != nil {
		return model.ContainerSpec{}, err
	}
	return model.ContainerSpec{
		Replica: o.replica, Name: o.name, Image: o.release.Image.Digest, Command: process.Command, Env: env,
		Aliases: aliases(dw.App.Name, o.release, o.replica), Limits: process.Scale.Over(dw.Workload.Scale[process.Name]).Limits(),
		Mounts: o.release.Volumes,
	}, nil
}

// functionSpec is spec for a function.
func (c *Controller) functionSpec(ctx context.Context, dw *model.DesiredWorkload, o op) (model.ContainerSpec, error) {
	env, err := c.environ(ctx, dw, o)
	if err != nil {
		return model.ContainerSpec{}, err
	}
	return model.ContainerSpec{
		Replica: o.replica, Name: o.name, Env: env, Aliases: aliases(dw.App.Name, o.release, o.replica), Function: o.release.Function,
	}, nil
}

// environ opens the variables of a release. pandabox's own come last: what PORT says is where requests go.
func (c *Controller) environ(ctx context.Context, dw *model.DesiredWorkload, o op, own ...string) ([]string, error) {
	var env []string
	if o.release.ConfigVersion > 0 {
		var err error
		if env, err = c.cfg.Environ.Environ(ctx, o.replica.WorkloadID, o.release.ConfigVersion); err != nil {
			return nil, fmt.Errorf("opening the variables of %s: %w", o.name, err)
		}
	}
	own = append(own, "PANDABOX_APP="+dw.App.Name, "PANDABOX_ENV="+dw.Env.Name, "PANDABOX_RELEASE=v"+strconv.Itoa(o.release.Number))
	if u := urlOf(dw.Domains); u != "" {
		own = append(own, "PANDABOX_URL="+u)
	}
	return slices.Concat(env, own), nil
}

// aliases returns the names a replica has on its environment's network: the release process has none.
func aliases(app string, r *model.Release, replica model.Replica) []string {
	if replica.Role != model.RoleReplica {
		return nil
	}
	out := []string{replica.Process + "." + app}
	front := model.ProcessWeb
	if _, ok := r.Process(front); !ok {
		front = r.ProcessList()[0].Name
	}
	if replica.Process == front {
		out = append([]string{app}, out...)
	}
	return out
}

// urlOf returns where the first domain that is a single host answers.
func urlOf(domains []model.Domain) string {
	for _, d := range domains {
		if d.Host == "" || d.Host[0] == '*' {
			continue
		}
		if d.TLS == model.TLSOff {
			return "http://" + d.Host
		}
		return "https://" + d.Host
	}
	return ""
}
