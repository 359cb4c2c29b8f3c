package store

import "github.com/pandabox/pandabox/pkg/model"

// App returns an app by its id.
func (tx *Tx) App(id string) (model.App, error) { return apps().get(tx, id) }

// AppNamed returns an app of an org by its name.
func (tx *Tx) AppNamed(orgID, name string) (model.App, error) {
	return apps().by(tx, "name", join(orgID, name))
}

// Apps returns an org's apps by name, at most limit of those behind the name after, and the after of the next page.
func (tx *Tx) Apps(orgID, after string, limit int) ([]model.App, string, error) {
	return apps().list(tx, scan{index: "name", prefix: orgID + "/", after: after, limit: limit})
}

// PutApp writes an app.
func (tx *Tx) PutApp(a model.App) error {
	if err := apps().put(tx, a); err != nil {
		return err
	}
	in, err := tx.WorkloadsOf(a.ID)
	for _, w := range in {
		tx.touch(w.ID)
	}
	return err
}

// Workload returns a workload by its id.
func (tx *Tx) Workload(id string) (model.Workload, error) { return workloads().get(tx, id) }

// WorkloadAt returns the workload of an app in an environment.
func (tx *Tx) WorkloadAt(appID, envID string) (model.Workload, error) {
	return workloads().by(tx, "place", join(appID, envID))
}

// WorkloadsOf returns an app's workloads.
func (tx *Tx) WorkloadsOf(appID string) ([]model.Workload, error) {
	out, _, err := workloads().list(tx, scan{index: "place", prefix: appID + "/"})
	return out, err
}

// WorkloadsIn returns an environment's workloads.
func (tx *Tx) WorkloadsIn(envID string) ([]model.Workload, error) {
	out, _, err := workloads().list(tx, scan{index: "env", prefix: envID + "/"})
	return out, err
}

// PutWorkload writes a workload.
func (tx *Tx) PutWorkload(w model.Workload) error {
	tx.move(w.ID)
	return workloads().put(tx, w)
}

// Status returns what the controller saw of a workload, the zero status (with State WorkloadNew) before it looked.
func (tx *Tx) Status(workloadID string) (model.WorkloadStatus, error) {
	s, err := statuses().get(tx, workloadID)
	return zeroIfMissing(s, model.WorkloadStatus{WorkloadID: workloadID, State: model.WorkloadNew}, err)
}

// forgetWorkload deletes a workload with all that belongs to it, and the app, environment and project it leaves empty.
func (tx *Tx) forgetWorkload(w model.Workload) error {
	for _, del := range []func(*Tx, string) error{statuses().delete, workloads().delete} {
		if err := del(tx, w.ID); err != nil {
			return err
		}
	}
	of := scan{prefix: w.ID + "/"}
	for _, drop := range []func(scan) error{
		func(s scan) error { return deleteAll(tx, configs(), s) },
		func(s scan) error { s.index = "number"; return deleteAll(tx, releases(), s) },
		func(s scan) error { s.index = "workload"; return deleteAll(tx, deploys(), s) },
		func(s scan) error { s.index = "workload"; return deleteAll(tx, domains(), s) },
		func(s scan) error { s.index = "workload"; return deleteAll(tx, builds(), s) },
		func(scan) error { return tx.forgetJobs(w.ID) },
	} {
		if err := drop(of); err != nil {
			return err
		}
	}
	if !workloads().any(tx, scan{index: "place", prefix: w.AppID + "/"}) {
		a, err := tx.App(w.AppID)
		if err != nil {
			return err
		}
		if err := tx.forgetApp(a); err != nil {
			return err
		}
		if err := apps().delete(tx, w.AppID); err != nil {
			return err
		}
	}
	tx.move(w.ID)
	return tx.dropEmpty(w.EnvID, w.ProjectID)
}

// dropEmpty deletes an environment without workloads, and a project without apps and environments.
func (tx *Tx) dropEmpty(envID, projectID string) error {
	if !workloads().any(tx, scan{index: "env", prefix: envID + "/"}) {
		if err := environments().delete(tx, envID); err != nil {
			return err
		}
	}
	if apps().any(tx, scan{index: "project", prefix: projectID + "/"}) || environments().any(tx, scan{index: "name", prefix: projectID + "/"}) {
		return nil
	}
	return projects().delete(tx, projectID)
}

// MoveWorkload puts a workload into another environment, with its app into the environment's project. Nothing of it may
// run. The environment and project it leaves empty are deleted.
func (tx *Tx) MoveWorkload(w model.Workload, to model.Environment) error {
	a, err := tx.App(w.AppID)
	if err != nil {
		return err
	}
	a.ProjectID = to.ProjectID
	if err := tx.PutApp(a); err != nil {
		return err
	}
	wasIn, of := w.EnvID, w.ProjectID
	w.EnvID, w.ProjectID = to.ID, to.ProjectID
	if err := tx.PutWorkload(w); err != nil {
		return err
	}
	return tx.dropEmpty(wasIn, of)
}

// deleteAll deletes the records a scan chooses.
func deleteAll[T any](tx *Tx, t table[T], s scan) error {
	found, _, err := t.list(tx, s)
	if err != nil {
		return err
	}
	for i := range found {
		if err := t.delete(tx, t.key(&found[i])); err != nil {
			return err
		}
	}
	return nil
}
