package daemon

import (
	"context"
	"net/netip"
	"strings"

	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/store"
)

// resolve returns where APP.internal and PROCESS.APP.internal of an environment answer: the addresses its containers get
// for the name, with the port of the process in the release that serves.
func (p *parts) resolve(ctx context.Context, envID, host string) ([]netip.AddrPort, error) {
	name := strings.TrimSuffix(strings.ToLower(strings.TrimSuffix(host, ".")), ".internal")
	process, app, of := strings.Cut(name, ".")
	if !of {
		process, app = "", name
	}
	var port uint16
	err := p.store.View(ctx, func(tx *store.Tx) error {
		ws, err := tx.WorkloadsIn(envID)
		if err != nil {
			return err
		}
		for _, w := range ws {
			d, err := tx.Desired(w.ID)
			if err != nil {
				return err
			}
			if d.App.Name == app && d.Good != nil {
				port = portOf(d.Good, process)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	addrs := p.runtime.Resolve(envID, name)
	if port == 0 || len(addrs) == 0 {
		return nil, model.NotFound("%s does not answer", host).WithWhy("nothing of that name runs in this environment").
			WithHint("names are APP.internal and PROCESS.APP.internal: see pandabox apps")
	}
	out := make([]netip.AddrPort, len(addrs))
	for i, a := range addrs {
		out[i] = netip.AddrPortFrom(a, port)
	}
	return out, nil
}

// hosted tells whether a name of an environment, without .internal, is that of a function or site. Containers find it at
// their gateway, where the proxy asks inside.
func (p *parts) hosted(ctx context.Context, envID, name string) bool {
	return p.store != nil && p.hostedAs(ctx, envID, name).Name != "" // StopAll has no store
}

// inside returns what answers for a name below .internal to the container of an address, zero for none: a function or site
// of the container's own environment.
func (p *parts) inside(ctx context.Context, client netip.Addr, host string) model.Backend {
	env := p.runtime.EnvironmentOf(client)
	if env == "" {
		return model.Backend{}
	}
	return p.hostedAs(ctx, env, strings.TrimSuffix(host, ".internal"))
}

// hostedAs returns the replica of the function or site APP or web.APP of an environment: that of the release that serves.
func (p *parts) hostedAs(ctx context.Context, envID, name string) (b model.Backend) {
	app := strings.TrimPrefix(strings.ToLower(name), model.ProcessWeb+".")
	_ = p.store.View(ctx, func(tx *store.Tx) error { // what cannot be read has none
		ws, err := tx.WorkloadsIn(envID)
		if err != nil {
			return err
		}
		for _, w := range ws {
			d, err := tx.Desired(w.ID)
			if err == nil && d.App.Name == app && d.Good != nil && (d.Good.Function != nil || d.Good.Static != nil) && !w.Deleting {
				b.Name = model.Replica{WorkloadID: w.ID, Release: d.Good.Number, Generation: w.Good.Generation, Process: model.ProcessWeb, Index: 1}.Name()
				b.Function, b.Static = d.Good.Function != nil, d.Good.Static != nil
			}
		}
		return nil
	})
	return b
}

// portOf returns the port of a process of a release; of web, or else of the first, for "". 0 where there is none.
func portOf(r *model.Release, process string) uint16 {
	list := r.ProcessList()
	front := list[0]
	for _, one := range list {
		if one.Name == process || process == "" && one.Name == model.ProcessWeb {
			front, process = one, one.Name
		}
	}
	if process != "" && front.Name != process || r.Function != nil || r.Static != nil {
		return 0
	}
	return uint16(r.PortOf(front)) //nolint:gosec // Process.Validate bounds it
}
