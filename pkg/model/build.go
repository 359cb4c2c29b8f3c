package model

import (
	"regexp"
	"strings"
	"time"
)

// BuildSpec is how a release is made of source.
type BuildSpec struct {
	Source     string            `json:"source"`               // digest of an uploaded source
	Dir        string            `json:"dir,omitempty"`        // the folder of it that is built; "" the whole
	Dockerfile string            `json:"dockerfile,omitempty"` // relative to Dir; "" finds out how to build
	Target     string            `json:"target,omitempty"`     // a stage of the Dockerfile; "" the last
	Platform   string            `json:"platform,omitempty"`   // "linux/amd64"; "" the box's own, which is the only one it builds for
	Output     string            `json:"output,omitempty"`     // of an app of kind static: the folder that is served; "" finds out
	Args       map[string]string `json:"args,omitempty"`       // build arguments: in the image's history, so no secrets; at most MaxBuildArgs
	Secrets    []string          `json:"secrets,omitempty"`    // names of variables for RUN --mount=type=secret,id=NAME; at most MaxBuildArgs
	NoCache    bool              `json:"noCache,omitempty"`    // run every step again
}

var platformForm = regexp.MustCompile(`^linux/[a-z0-9]{1,20}(/v[0-9]{1,2})?$`)

// MaxBuildArgs bounds the arguments, and the secrets, of one build.
const MaxBuildArgs = 100

// Validate refuses what could not be built.
func (b BuildSpec) Validate() error {
	if hex, ok := strings.CutPrefix(b.Source, "sha256:"); !ok || len(hex) != 64 || strings.Trim(hex, "0123456789abcdef") != "" {
		return Invalid("%q is not a source's digest", b.Source).WithHint("upload the source again and use the digest it answers")
	}
	for what, dir := range map[string]string{"dir": b.Dir, "[build] dockerfile": b.Dockerfile, "[static] dir": b.Output} {
		if err := CheckDir(what, dir); err != nil {
			return err
		}
	}
	if len(b.Args) > MaxBuildArgs || len(b.Secrets) > MaxBuildArgs {
		return Invalid("the build has %d arguments and %d secrets", len(b.Args), len(b.Secrets)).WithHint("at most %d of each", MaxBuildArgs)
	}
	for name, value := range b.Args {
		if err := CheckVariable(name, value); err != nil {
			return err
		}
	}
	for _, name := range b.Secrets {
		if err := CheckVariable(name, ""); err != nil {
			return err
		}
	}
	if b.Platform != "" && !platformForm.MatchString(b.Platform) {
		return Invalid("%q is not a platform", b.Platform).WithHint("write it as linux/amd64 or linux/arm64")
	}
	if strings.ContainsAny(b.Target, " \t\r\n\x00") || len(b.Target) > 200 {
		return Invalid("%q is not a stage of a Dockerfile", b.Target).WithHint("name it as after AS: FROM … AS build")
	}
	return nil
}

// BuildPlan is how a source is built, as pandabox build plan shows it.
type BuildPlan struct {
	Name       string   `json:"name"`                 // "Go 1.26", "Dockerfile", "Static files"
	File       string   `json:"file,omitempty"`       // the source's own Dockerfile; "" where one was written for it
	Dockerfile string   `json:"dockerfile,omitempty"` // its text; "" where there is nothing to build
	Output     string   `json:"output,omitempty"`     // of a static site: the folder that is served
	Reasons    []string `json:"reasons,omitempty"`    // "1.26 by go.mod"
}

// Static tells whether the plan makes a static site.
func (p BuildPlan) Static() bool { return p.Output != "" }

// BuildState is how far a build has come.
type BuildState string

// The states of a build; the last three are final.
const (
	BuildQueued    BuildState = "queued"
	BuildRunning   BuildState = "running"
	BuildSucceeded BuildState = "succeeded"
	BuildFailed    BuildState = "failed"
	BuildCanceled  BuildState = "canceled"
)

// Final tells whether s never changes again.
func (s BuildState) Final() bool {
	return s == BuildSucceeded || s == BuildFailed || s == BuildCanceled
}

// Build is source in, image or site out, with a log.
type Build struct {
	ID         string     `json:"id"`
	OrgID      string     `json:"orgId"`
	WorkloadID string     `json:"workloadId"`
	ReleaseID  string     `json:"releaseId"`
	Release    int        `json:"release"` // its number
	DeployID   string     `json:"deployId"`
	State      BuildState `json:"state"`
	Plan       string     `json:"plan"`             // "Go 1.26"
	Steps      int        `json:"steps,omitempty"`  // of the Dockerfile
	Cached     int        `json:"cached,omitempty"` // of them, taken from the cache
	Digest     string     `json:"digest,omitempty"` // of the image or site
	Error      *Error     `json:"error,omitempty"`
	CreatedAt  time.Time  `json:"createdAt"`
	BeganAt    time.Time  `json:"beganAt,omitzero"` // the newest attempt: a crash of the daemon begins a build again
	FinishedAt time.Time  `json:"finishedAt,omitzero"`
}

// Built is what a build made: an image or, of an app of kind static, a site.
type Built struct {
	Image  Image
	Static *Static
	Detail string // for people: "Go 1.26, 3 of 9 cached"
}

// BuildLine is a line of a build's log.
type BuildLine struct {
	At   time.Time `json:"at"`
	Step string    `json:"step,omitempty"` // "[build 3/6]": the step it belongs to
	Text string    `json:"text"`
}
