package control

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/pandabox/pandabox/pkg/identity"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/store"
)

// Bounds of one release.
const (
	MaxProcesses = 20
	MaxVolumes   = 20
	MaxDomains   = 200 // of one workload
	MaxCommand   = 64 << 10
)

// NewDeploy asks for a new release of a workload and a deploy of it. What does not exist yet is made: project,
// environment, app, workload and default domain.
type NewDeploy struct {
	Image          model.Image            // a reference to pull, or what Images.Import returned
	Function       *model.Function        // in place of Image, Processes, Volumes and Scale; Digest is what Functions.Import returned
	Build          *model.BuildSpec       // in place of Image: it is built of a source that Sources.Import returned
	Static         *model.Static          // of a site, with Build: how it is served; its kind is static then, also where the plan is one of a site
	Revision       *model.Revision        // where the code comes from; nil: not known
	Processes      []model.Process        // empty: one web process as the image says; at most MaxProcesses
	Volumes        []model.Mount          // at most MaxVolumes
	Variables      map[string]string      // from the app's own file; one set by Variables.Set is not replaced
	Required       []string               // names that must have a value, here or set before
	Secrets        []string               // names to be write-only, set or not
	Jobs           *[]model.JobSpec       // of the app's own file; nil keeps those of the release before
	Domains        []string               // added where they are missing; none is removed
	Scale          map[string]model.Scale // by process, set as by Scaling.Set
	Project        string                 // "" means the app's name; counts when the app is made
	Kind           model.AppKind          // "" means function with Function, else web; an app never changes its kind
	Message        string                 // at most MaxMessage bytes
	IdempotencyKey string                 // "" for none

	plan string // how Build is built, for its record
}

// Create makes a release and its deploy in one transaction and returns at once: watch Events or Get for how it goes.
// An unfinished deploy of the workload is superseded.
func (d *Deploys) Create(ctx context.Context, actor model.Actor, ref Ref, n NewDeploy) (out Deploy, err error) {
	n, err = n.check()
	if err == nil {
		err = ref.check()
	}
	if err != nil {
		if deny := d.c.allowed(ctx, actor, identity.DeployCreate, ref.Org); deny != nil {
			return out, deny // whoever may not deploy is not told what a deploy must be like
		}
		return out, err
	}
	if n.Function != nil {
		if err := d.c.allowed(ctx, actor, identity.DeployCreate, ref.Org); err != nil {
			return out, err
		}
		if n.Function, err = d.c.checkBundle(ctx, *n.Function); err != nil {
			return out, err
		}
	}
	if n.Build != nil {
		if err := d.c.allowed(ctx, actor, identity.DeployCreate, ref.Org); err != nil {
			return out, err
		}
		if n, err = d.c.planned(ctx, ref, n); err != nil {
			return out, err
		}
	}
	err = d.c.cfg.Store.Update(ctx, func(tx *store.Tx) error {
		o, err := d.c.org(tx, actor, identity.DeployCreate, ref.Org)
		if err != nil {
			return err
		}
		key := n.IdempotencyKey
		n.IdempotencyKey = ""
		id, err := once(d.c, tx, actor, o.ID, "deploy.create", key, []any{ref.App, ref.env(), n}, func() (string, error) {
			if held, err := d.c.held(tx, actor, o, ref, n.Project, request{New: n}, n.what()); err != nil || held != "" {
				return held, err
			}
			return d.c.create(tx, actor, o, ref, n)
		})
		if err != nil {
			return err
		}
		out, err = d.c.approvalOr(tx, id, ref)
		return err
	})
	return out, err
}

// create does what Deploys.Create says and returns the deploy's id.
func (c *Control) create(tx *store.Tx, actor model.Actor, o model.Org, ref Ref, n NewDeploy) (string, error) {
	pl, err := c.ensureFor(tx, actor, o, ref, n)
	if err != nil {
		return "", err
	}
	if _, err := c.declareVariables(tx, &pl.w, n.Variables, n.Secrets); err != nil {
		return "", err
	}
	if err := c.checkRequired(tx, pl, n.Required); err != nil {
		return "", err
	}
	if pl.env.Kind == model.EnvPreview {
		n.Domains = nil // the change itself names them, and its author need not be trusted
	}
	for _, host := range n.Domains {
		if _, err := c.addDomain(tx, actor, pl, host, model.TLSAuto); err != nil {
			return "", err
		}
	}
	jobs, err := jobsOf(tx, pl.w, n.Jobs)
	if err != nil {
		return "", err
	}
	if pl.env.Kind == model.EnvPreview {
		jobs = nil // what runs on a schedule is for the real thing
	}
	if err := jobNames(tx, pl, jobs); err != nil {
		return "", err
	}
	release, err := c.newRelease(tx, actor, &pl, model.Release{
		Image: n.Image, Processes: n.Processes, Volumes: n.Volumes, Function: n.Function, Static: n.Static, Build: n.Build, Revision: n.Revision, Jobs: jobs,
		Description: "Deploy " + n.what(),
	})
	if err != nil {
		return "", err
	}
	if _, err := setScale(&pl.w, release, n.Scale); err != nil {
		return "", err
	}
	d, err := c.moveToBuilt(tx, actor, &pl, model.DeployRelease, release.ID, n.Message, n.plan)
	if err != nil {
		return "", err
	}
	return d.ID, c.record(tx, actor, o.ID, "deploy.create", ref.String(), "v"+strconv.Itoa(release.Number)+" "+n.what())
}

// check refuses what no deploy could be, and returns n in its stored form.
func (n NewDeploy) check() (NewDeploy, error) {
	if err := checkMessage(n.Message); err != nil {
		return n, err
	}
	if n.Function != nil {
		n.Kind = cmp.Or(n.Kind, model.KindFunction)
	}
	switch n.Kind {
	case "", model.KindWeb, model.KindWorker, model.KindStatic, model.KindFunction:
	default:
		return n, model.Invalid("%q is not a kind of app", n.Kind).WithHint("choose web, worker, static or function")
	}
	if n.Project != "" {
		if err := model.CheckName("project", n.Project); err != nil {
			return n, err
		}
	}
	if n.Revision != nil {
		if err := n.Revision.Validate(); err != nil {
			return n, err
		}
	}
	if err := n.checkCode(); err != nil {
		return n, err
	}
	processes, err := checkProcesses(n.Processes)
	if err != nil {
		return n, err
	}
	n.Processes = processes
	if err := checkVolumes(n.Volumes); err != nil {
		return n, err
	}
	if n.Jobs != nil {
		jobs, err := checkJobs(*n.Jobs, n.Kind)
		if err != nil {
			return n, err
		}
		n.Jobs = &jobs
	}
	for _, name := range slices.Concat(n.Secrets, n.Required) {
		if err := model.CheckVariable(name, ""); err != nil {
			return n, err
		}
	}
	return n, checkVariables(n.Variables)
}

func checkImage(i model.Image) error {
	if i.Ref == "" && i.Digest == "" {
		return model.Invalid("no image is named").WithHint("pandabox deploy --image REF, or --image FILE.tar")
	}
	if i.Ref != "" {
		if _, err := name.ParseReference(i.Ref); err != nil {
			return model.Invalid("%q is not an image", i.Ref).Wrap(err).WithWhy("%s", err).
				WithHint("write it as docker.io/library/nginx:1.27 or registry.example.com/shop@sha256:…")
		}
	}
	if hex, ok := strings.CutPrefix(i.Digest, "sha256:"); i.Digest != "" && (!ok || len(hex) != 64 || strings.Trim(hex, "0123456789abcdef") != "") {
		return model.Invalid("%q is not an image's digest", i.Digest).WithHint("upload the image again and use the digest it answers")
	}
	return nil
}

// what is how descriptions name what is deployed.
func (n NewDeploy) what() string {
	switch {
	case n.Function != nil:
		return functionName(*n.Function)
	case n.Build != nil && n.Revision != nil && n.Revision.Short() != "":
		return shown(n.Revision.Short())
	case n.Build != nil:
		return "source " + shortDigest(n.Build.Source)
	}
	return imageName(n.Image)
}

// jobsOf returns the jobs of a new release: those asked for or, with nil, those of the release before.
func jobsOf(tx *store.Tx, w model.Workload, jobs *[]model.JobSpec) ([]model.JobSpec, error) {
	if jobs != nil {
		return *jobs, nil
	}
	if w.Want.IsZero() {
		return nil, nil
	}
	r, err := tx.Release(w.Want.ReleaseID)
	return r.Jobs, err
}

// imageName is how descriptions name an image.
func imageName(i model.Image) string {
	if i.Ref != "" {
		return i.Ref
	}
	return "image " + i.Digest[len("sha256:"):][:12]
}

// checkProcesses refuses processes that cannot be together, and returns them sorted by name.
func checkProcesses(ps []model.Process) ([]model.Process, error) {
	if len(ps) > MaxProcesses {
		return nil, model.Invalid("the app has %d processes", len(ps)).WithHint("at most %d can be in one app", MaxProcesses)
	}
	out := slices.Clone(ps)
	slices.SortFunc(out, func(a, b model.Process) int { return cmp.Compare(a.Name, b.Name) })
	for i, p := range out {
		if err := p.Validate(); err != nil {
			return nil, err
		}
		if i > 0 && out[i-1].Name == p.Name {
			return nil, model.Invalid("process %s is there twice", p.Name).WithHint("give each process a name of its own")
		}
		if p.Name == model.ProcessRelease && p.Scale.Replicas != nil {
			return nil, releaseNotScaled()
		}
		size := 0
		for _, arg := range p.Command {
			size += len(arg) + 1
			if strings.ContainsRune(arg, 0) {
				return nil, model.Invalid("the command of process %s holds a NUL byte", p.Name).WithHint("write the command as text")
			}
		}
		if size > MaxCommand {
			return nil, model.Errorf(model.KindTooLarge, "the command of process %s is %d bytes long", p.Name, size).
				WithHint("at most %d bytes fit; put a script into the image", MaxCommand)
		}
		if len(p.Command) > 0 && p.Command[0] == "" {
			return nil, model.Invalid("the command of process %s is empty", p.Name).WithHint("leave it out to run what the image says")
		}
	}
	return out, nil
}

func releaseNotScaled() error {
	return model.Invalid("the process release is not scaled").
		WithWhy("it runs once, before a new release receives requests").WithHint("name another process")
}
