package store

import (
	"encoding/hex"

	"github.com/pandabox/pandabox/pkg/model"
)

// The tables, as drawn in the package comment. They are functions so that nothing can change them.

func orgs() table[model.Org] {
	return table[model.Org]{"orgs", func(o *model.Org) string { return o.ID }, []index[model.Org]{
		{"name", func(o *model.Org) string { return o.Name }},
	}}
}

func projects() table[model.Project] {
	return table[model.Project]{"projects", func(p *model.Project) string { return p.ID }, []index[model.Project]{
		{"name", func(p *model.Project) string { return join(p.OrgID, p.Name) }},
	}}
}

func environments() table[model.Environment] {
	return table[model.Environment]{"environments", func(e *model.Environment) string { return e.ID }, []index[model.Environment]{
		{"name", func(e *model.Environment) string { return join(e.ProjectID, e.Name) }},
	}}
}

func apps() table[model.App] {
	return table[model.App]{"apps", func(a *model.App) string { return a.ID }, []index[model.App]{
		{"name", func(a *model.App) string { return join(a.OrgID, a.Name) }},
		{"project", func(a *model.App) string { return join(a.ProjectID, a.ID) }},
	}}
}

func workloads() table[model.Workload] {
	return table[model.Workload]{"workloads", func(w *model.Workload) string { return w.ID }, []index[model.Workload]{
		{"place", func(w *model.Workload) string { return join(w.AppID, w.EnvID) }},
		{"env", func(w *model.Workload) string { return join(w.EnvID, w.ID) }},
	}}
}

func statuses() table[model.WorkloadStatus] {
	return table[model.WorkloadStatus]{"status", func(s *model.WorkloadStatus) string { return s.WorkloadID }, nil}
}

func configs() table[model.Config] {
	return table[model.Config]{"configs", func(c *model.Config) string { return join(c.WorkloadID, number(uint64(c.Version))) }, nil}
}

func releases() table[model.Release] {
	return table[model.Release]{"releases", func(r *model.Release) string { return r.ID }, []index[model.Release]{
		{"number", func(r *model.Release) string { return join(r.WorkloadID, number(uint64(r.Number))) }},
	}}
}

func deploys() table[model.Deploy] {
	return table[model.Deploy]{"deploys", func(d *model.Deploy) string { return d.ID }, []index[model.Deploy]{
		{"workload", func(d *model.Deploy) string { return join(d.WorkloadID, d.ID) }},
	}}
}

func builds() table[model.Build] {
	return table[model.Build]{"builds", func(b *model.Build) string { return b.ID }, []index[model.Build]{
		{"workload", func(b *model.Build) string { return join(b.WorkloadID, b.ID) }},
		{"open", func(b *model.Build) string {
			if b.State.Final() {
				return ""
			}
			return b.ReleaseID
		}},
	}}
}

func domains() table[model.Domain] {
	return table[model.Domain]{"domains", func(d *model.Domain) string { return d.Host }, []index[model.Domain]{
		{"workload", func(d *model.Domain) string { return join(d.WorkloadID, d.Host) }},
	}}
}

func jobs() table[model.Job] {
	return table[model.Job]{"jobs", func(j *model.Job) string { return j.ID }, []index[model.Job]{
		{"workload", func(j *model.Job) string { return join(j.WorkloadID, j.ID) }},
		{"name", func(j *model.Job) string {
			if j.Deleted {
				return ""
			}
			return join(j.WorkloadID, j.Spec.Name)
		}},
	}}
}

func jobRuns() table[model.JobRun] {
	return table[model.JobRun]{"runs", func(r *model.JobRun) string { return runKey(r.JobID, r.Number) }, []index[model.JobRun]{
		{"due", func(r *model.JobRun) string {
			if r.Due.IsZero() {
				return ""
			}
			return join(r.JobID, dueKey(r.Due))
		}},
		{"open", func(r *model.JobRun) string {
			if r.State.Final() {
				return ""
			}
			return runKey(r.JobID, r.Number)
		}},
	}}
}

func tokens() table[model.Token] {
	return table[model.Token]{"tokens", func(t *model.Token) string { return t.ID }, []index[model.Token]{
		{"hash", func(t *model.Token) string { return hex.EncodeToString(t.Hash) }},
		{"org", func(t *model.Token) string { return join(t.OrgID, t.ID) }},
	}}
}

func audit() table[Audited] {
	return table[Audited]{"audit", func(a *Audited) string { return number(a.Seq) }, []index[Audited]{
		{"org", func(a *Audited) string { return join(a.OrgID, number(a.Seq)) }},
	}}
}

func events() table[model.Event] {
	return table[model.Event]{"events", func(e *model.Event) string { return number(e.Seq) }, nil}
}

func idempotency() table[Idempotent] {
	return table[Idempotent]{"idempotency", func(i *Idempotent) string { return i.Key }, []index[Idempotent]{
		{"expiry", func(i *Idempotent) string { return join(number(uint64(i.ExpiresAt.Unix())), i.Key) }},
	}}
}
