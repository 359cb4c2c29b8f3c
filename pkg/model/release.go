package model

import "time"

// Release is immutable: an image, a configuration version and a list of processes. Deploying and rolling back both
// choose one. Only Image.Digest, Image.Config and Static's figures are filled in later, once, when the image has been
// resolved or built, and GoodAt once it has been healthy.
type Release struct {
	ID            string     `json:"id"`
	WorkloadID    string     `json:"workloadId"`
	Number        int        `json:"number"` // 1, 2, 3 … within the workload; shown as v1
	Image         Image      `json:"image"`
	ConfigVersion int        `json:"configVersion"` // 0: no variables
	Processes     []Process  `json:"processes"`     // sorted by name; empty: one web process as the image says
	Volumes       []Mount    `json:"volumes,omitempty"`
	Function      *Function  `json:"function,omitempty"`    // of an app of kind function: Image and Processes are empty then
	Static        *Static    `json:"static,omitempty"`      // of an app of kind static: Image and Processes are empty then
	Build         *BuildSpec `json:"build,omitempty"`       // what Image or Static.Digest is made of; nil: nothing is built
	Revision      *Revision  `json:"revision,omitempty"`    // where the code comes from; nil: not known
	Jobs          []JobSpec  `json:"jobs,omitempty"`        // [[job]] of the app's own file
	Description   string     `json:"description,omitempty"` // "Deploy registry/shop:1.2", "Set LOG_LEVEL"
	CreatedBy     string     `json:"createdBy"`             // an Actor's name
	CreatedAt     time.Time  `json:"createdAt"`
	GoodAt        time.Time  `json:"goodAt,omitzero"` // when it first was healthy; zero: never, so nothing rolls back to it by itself
}

// Image names what a release runs.
type Image struct {
	Ref    string       `json:"ref,omitempty"`    // as asked for: "docker.io/library/nginx:1.27", or "" for an uploaded archive
	Digest string       `json:"digest,omitempty"` // "sha256:…" of the manifest for this box's platform; "" until resolved
	Config *ImageConfig `json:"config,omitempty"` // what the image itself says; nil until resolved
}

// ImageConfig is the part of an image's own configuration that pandabox uses.
type ImageConfig struct {
	Entrypoint []string `json:"entrypoint,omitempty"`
	Cmd        []string `json:"cmd,omitempty"`
	Ports      []int    `json:"ports,omitempty"` // exposed TCP ports, ascending
	User       string   `json:"user,omitempty"`
	Shell      bool     `json:"shell,omitempty"` // /bin/sh is there
}

// Mount is a volume inside a release's containers.
type Mount struct {
	Volume string `json:"volume"` // name, unique in the workload
	Path   string `json:"path"`   // absolute, clean, not /
}

// ProcessList returns the release's processes without the release process, one web process when it names none.
func (r *Release) ProcessList() []Process {
	var out []Process
	for _, p := range r.Processes {
		if p.Name != ProcessRelease {
			out = append(out, p)
		}
	}
	if len(out) == 0 {
		out = []Process{{Name: ProcessWeb}}
	}
	return out
}

// Process returns the named process.
func (r *Release) Process(name string) (Process, bool) {
	if name == ProcessRelease {
		for _, p := range r.Processes {
			if p.Name == name {
				return p, true
			}
		}
		return Process{}, false
	}
	for _, p := range r.ProcessList() {
		if p.Name == name {
			return p, true
		}
	}
	return Process{}, false
}

// Built tells whether what the release runs has been made: nothing has to be built, or it is built.
func (r *Release) Built() bool {
	switch {
	case r.Build == nil:
		return true
	case r.Static != nil:
		return r.Static.Digest != ""
	}
	return r.Image.Digest != ""
}

// Hosted tells whether the release runs inside the daemon, without containers: it is one of a function or a site.
func (r *Release) Hosted() bool { return r.Function != nil || r.Static != nil }

// PortOf returns the port of p: its own, else the image's when it exposes exactly one, else DefaultPort.
func (r *Release) PortOf(p Process) int {
	if p.Port != 0 {
		return p.Port
	}
	if r.Image.Config != nil && len(r.Image.Config.Ports) == 1 {
		return r.Image.Config.Ports[0]
	}
	return DefaultPort
}
