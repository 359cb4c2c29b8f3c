package control

import (
	"context"
	"io"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

// ---- box ----

// Box is the box itself: who owns it, how it is, its backup.
type Box struct{ c *Control }

// BoxInfo describes the box.
type BoxInfo struct {
	Version    string    `json:"version"`
	Instance   string    `json:"instance"` // four characters, see docs/decisions/0001
	BaseDomain string    `json:"baseDomain"`
	URL        string    `json:"url"` // of the API, as seen from outside
	Claimed    bool      `json:"claimed"`
	CreatedAt  time.Time `json:"createdAt"`
}

// Claim is a one-time link that makes its first user the owner of the box.
type Claim struct {
	Secret    string    `json:"secret"`
	URL       string    `json:"url"`
	ExpiresAt time.Time `json:"expiresAt"`
}

// Check is one thing doctor looked at.
type Check struct {
	Name   string `json:"name"` // "disk", "store", "runtime", "ports", "certificates", "apps", "clock"
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`         // what was seen: "41 GB free of 80 GB"
	Hint   string `json:"hint,omitempty"` // what to do, when not OK
}

// Info describes the box to anybody who is signed in.
func (b *Box) Info(ctx context.Context, actor model.Actor) (BoxInfo, error) { return BoxInfo{}, errPending }

// Claim exchanges the secret of a claim link for an owner token of the default org; the second result is the token's
// secret, shown this once. Nobody has to be signed in. A wrong, used or expired secret is KindForbidden.
func (b *Box) Claim(ctx context.Context, secret, name string) (model.Token, string, error) {
	return model.Token{}, "", errPending
}

// NewClaim makes a claim link that works once, for 24 hours, and replaces one not yet used. Root on the box only.
func (b *Box) NewClaim(ctx context.Context, actor model.Actor) (Claim, error) { return Claim{}, errPending }

// Doctor looks at everything the box needs to work. What it finds is in the checks; an error means it could not look.
func (b *Box) Doctor(ctx context.Context, actor model.Actor) ([]Check, error) { return nil, errPending }

// Backup writes an archive of all control state with the keys that open it. Volumes and images are not in it.
func (b *Box) Backup(ctx context.Context, actor model.Actor, w io.Writer) error { return errPending }

// Restore puts the archive of a backup into the place of a stopped daemon's data directory. The archive is checked
// whole before anything is replaced; what was there before is kept beside it with the ending ".before-restore".
func Restore(ctx context.Context, dataDir string, r io.Reader) error { return errPending }

// ---- tokens ----

// Tokens lets machines and people in.
type Tokens struct{ c *Control }

// NewToken asks for a token.
type NewToken struct {
	Name           string         // what it is for: 1 to 100 characters
	Role           model.RoleName // at most the actor's own; "" means member
	ExpiresAt      time.Time      // zero: never
	IdempotencyKey string         // "" for none
}

// Authenticate returns who a bearer token is. A missing, unknown, revoked or expired token is KindUnauthenticated.
func (t *Tokens) Authenticate(ctx context.Context, bearer string) (model.Actor, error) {
	return model.Actor{}, errPending
}

// Create makes a token; the second result is its secret, shown this once. Hash is left out of every token returned.
func (t *Tokens) Create(ctx context.Context, actor model.Actor, org string, n NewToken) (model.Token, string, error) {
	return model.Token{}, "", errPending
}

// List returns the org's tokens, newest first.
func (t *Tokens) List(ctx context.Context, actor model.Actor, org string, p Page) (List[model.Token], error) {
	return List[model.Token]{}, errPending
}

// Revoke ends a token at once.
func (t *Tokens) Revoke(ctx context.Context, actor model.Actor, org, id string) error { return errPending }

// ---- apps ----

// Apps are the deployables of an org.
type Apps struct{ c *Control }

// App is an app with its project and where it runs.
type App struct {
	model.App
	Project   string     `json:"project"`
	Workloads []Workload `json:"workloads"` // by environment's name
}

// List returns the org's apps by name.
func (a *Apps) List(ctx context.Context, actor model.Actor, org string, p Page) (List[App], error) {
	return List[App]{}, errPending
}

// Get returns one app; ref.Env does not count.
func (a *Apps) Get(ctx context.Context, actor model.Actor, ref Ref) (App, error) { return App{}, errPending }

// Destroy marks a workload, or with wholeApp every workload of the app, for removal with its volumes, logs, domains
// and releases. The reconciler removes it; until then it is listed with Deleting. Destroying twice is destroying once.
func (a *Apps) Destroy(ctx context.Context, actor model.Actor, ref Ref, wholeApp bool) error { return errPending }

// ---- images ----

// Images takes uploads.
type Images struct{ c *Control }

// Import streams an OCI layout or docker archive into the box. The image it returns goes into NewDeploy.Image. An
// image no release uses within the runtime's period of grace is reclaimed.
func (i *Images) Import(ctx context.Context, actor model.Actor, org string, r io.Reader) (model.Image, error) {
	return model.Image{}, errPending
}

// ---- deploys ----

// Deploys moves workloads from release to release.
type Deploys struct{ c *Control }

// Deploy is a deploy with the names and numbers people use.
type Deploy struct {
	model.Deploy
	App         string `json:"app"`
	Env         string `json:"env"`
	Release     int    `json:"release"`               // number of the release it moves to; 0 when that is forgotten
	FromRelease int    `json:"fromRelease,omitempty"` // number of the release it came from; 0 for none
	URL         string `json:"url,omitempty"`         // where the workload answers; "" without domains
}

// NewDeploy asks for a new release of a workload and a deploy of it. What does not exist yet is made: project,
// environment, app, workload and default domain.
type NewDeploy struct {
	Image          model.Image            // a reference to pull, or what Images.Import returned
	Processes      []model.Process        // empty: one web process as the image says
	Volumes        []model.Mount          //
	Variables      map[string]string      // from the app's own file; one set by Variables.Set is not replaced
	Required       []string               // names that must have a value, here or set before
	Secrets        []string               // names to be write-only
	Domains        []string               // added where they are missing; none is removed
	Scale          map[string]model.Scale // by process, set as by Scaling.Set
	Project        string                 // "" means the app's name; counts when the app is made
	Kind           model.AppKind          // "" means web; counts when the app is made
	Message        string                 // at most 500 bytes
	IdempotencyKey string                 // "" for none
}

// DeployOptions go with the smaller sorts of deploy.
type DeployOptions struct {
	Message        string
	IdempotencyKey string
}

// Create makes a release and its deploy in one transaction and returns at once: watch Events or Get for how it goes.
// An unfinished deploy of the workload is superseded.
func (d *Deploys) Create(ctx context.Context, actor model.Actor, ref Ref, n NewDeploy) (Deploy, error) {
	return Deploy{}, errPending
}

// List returns the workload's deploys, newest first.
func (d *Deploys) List(ctx context.Context, actor model.Actor, ref Ref, p Page) (List[Deploy], error) {
	return List[Deploy]{}, errPending
}

// Get returns one deploy. With ref.App "" it may belong to any workload of the org.
func (d *Deploys) Get(ctx context.Context, actor model.Actor, ref Ref, id string) (Deploy, error) {
	return Deploy{}, errPending
}

// Cancel asks the reconciler to give up a deploy and go back to what served. KindConflict when it is over already.
func (d *Deploys) Cancel(ctx context.Context, actor model.Actor, ref Ref, id string) (Deploy, error) {
	return Deploy{}, errPending
}

// Rollback deploys an earlier release; number 0 means the newest good one before the release that is wanted now.
func (d *Deploys) Rollback(ctx context.Context, actor model.Actor, ref Ref, number int, o DeployOptions) (Deploy, error) {
	return Deploy{}, errPending
}

// Restart replaces every replica by a fresh one of the same release.
func (d *Deploys) Restart(ctx context.Context, actor model.Actor, ref Ref, o DeployOptions) (Deploy, error) {
	return Deploy{}, errPending
}

// ---- releases ----

// Releases are what a workload ran, runs and can go back to.
type Releases struct{ c *Control }

// Release is a release and what it is now.
type Release struct {
	model.Release
	Wanted  bool `json:"wanted"`  // what should serve
	Serving bool `json:"serving"` // what requests reach
	Good    bool `json:"good"`    // it was healthy once, so it can be rolled back to
}

// List returns the workload's releases, newest first.
func (r *Releases) List(ctx context.Context, actor model.Actor, ref Ref, p Page) (List[Release], error) {
	return List[Release]{}, errPending
}

// Get returns one release by its number.
func (r *Releases) Get(ctx context.Context, actor model.Actor, ref Ref, number int) (Release, error) {
	return Release{}, errPending
}

// ---- scale ----

// Scaling sets how many replicas run and what each may use.
type Scaling struct{ c *Control }

// Set changes the scale of the processes named; fields that are zero stay as they are. Replicas change at once; CPU,
// memory or pids need fresh replicas, so that a deploy begins (Workload.Deploy).
func (s *Scaling) Set(ctx context.Context, actor model.Actor, ref Ref, scale map[string]model.Scale) (Workload, error) {
	return Workload{}, errPending
}

// ---- variables ----

// Variables are a workload's configuration.
type Variables struct{ c *Control }

// Variable is one variable as it may be shown.
type Variable struct {
	Name   string `json:"name"`
	Value  string `json:"value,omitempty"` // "" for a secret
	Secret bool   `json:"secret"`
}

// VariableChange sets and unsets variables at once. A name must not be in both.
type VariableChange struct {
	Set     map[string]string
	Secrets []string // names in Set to be write-only from now on; one that is secret already stays so
	Unset   []string // unsetting what is not set is no error
}

// VariablesChanged tells what a change did.
type VariablesChanged struct {
	Version int     `json:"version"`          // of the configuration now
	Deploy  *Deploy `json:"deploy,omitempty"` // that brings it to the running app; nil before the first deploy, or when nothing changed
}

// List returns the workload's variables by name.
func (v *Variables) List(ctx context.Context, actor model.Actor, ref Ref) ([]Variable, error) {
	return nil, errPending
}

// Set changes variables. On a workload with a release it makes the next release, of the same image, and deploys it.
// A workload that does not exist yet is made, so that what the first deploy requires can be set before it.
func (v *Variables) Set(ctx context.Context, actor model.Actor, ref Ref, c VariableChange) (VariablesChanged, error) {
	return VariablesChanged{}, errPending
}

// Environ opens the variables of a configuration version as "NAME=value", sorted by name; version 0 has none. It is
// for the executor, at the moment a container is made, and authorizes nobody.
func (c *Control) Environ(ctx context.Context, workloadID string, version int) ([]string, error) {
	return nil, errPending
}

// ---- domains ----

// Domains route requests to workloads.
type Domains struct{ c *Control }

// Domain is a domain with what is known of its certificate.
type Domain struct {
	model.Domain
	Certificate *model.CertificateStatus `json:"certificate,omitempty"` // nil where none is needed, or nothing is known
}

// List returns the workload's domains: the default one first, then by host.
func (d *Domains) List(ctx context.Context, actor model.Actor, ref Ref) ([]Domain, error) {
	return nil, errPending
}

// Add routes host to the workload; tls "" means auto. Adding what the workload has already is no error. KindConflict
// when another workload has it, named if the actor may see it.
func (d *Domains) Add(ctx context.Context, actor model.Actor, ref Ref, host string, tls model.TLSMode) (Domain, error) {
	return Domain{}, errPending
}

// Remove ends routing host to the workload.
func (d *Domains) Remove(ctx context.Context, actor model.Actor, ref Ref, host string) error { return errPending }

// SetCertificate gives a domain of the workload a certificate of the user's own, PEM-encoded, leaf first. A key that
// does not fit, or a certificate for other names, is refused.
func (d *Domains) SetCertificate(ctx context.Context, actor model.Actor, ref Ref, host string, certPEM, keyPEM []byte) (Domain, error) {
	return Domain{}, errPending
}

// ---- workloads ----

// Workloads are apps in environments: intent and what is seen.
type Workloads struct{ c *Control }

// Workload is all that is known of an app in one environment.
type Workload struct {
	model.DesiredWorkload
	Project string                 `json:"project"`
	URL     string                 `json:"url,omitempty"`   // where it answers; "" without domains
	Usage   map[string]model.Usage `json:"usage,omitempty"` // by container; filled in by Status only, where the runtime answered
}

// Status returns one workload with its replicas and what they use.
func (w *Workloads) Status(ctx context.Context, actor model.Actor, ref Ref) (Workload, error) {
	return Workload{}, errPending
}

// List returns the org's workloads by app and environment.
func (w *Workloads) List(ctx context.Context, actor model.Actor, org string, p Page) (List[Workload], error) {
	return List[Workload]{}, errPending
}

// ---- logs ----

// Logs is what apps printed.
type Logs struct{ c *Control }

// Read gives the lines q chooses to yield, oldest first, and with q.Follow goes on until ctx ends or yield fails.
// q.WorkloadID is set from ref.
func (l *Logs) Read(ctx context.Context, actor model.Actor, ref Ref, q model.LogQuery, yield func(model.LogLine) error) error {
	return errPending
}

// ---- exec ----

// Exec runs commands in and as containers of a workload.
type Exec struct{ c *Control }

// Exec runs a command in a running replica: process "" means web or else the first, index 0 the lowest that is
// healthy. It returns the command's exit code.
func (e *Exec) Exec(ctx context.Context, actor model.Actor, ref Ref, process string, index int, spec model.ExecSpec) (int, error) {
	return 0, errPending
}

// Run runs a command in a fresh container of the release that serves, with its variables and volumes, and removes the
// container at the end. It returns the command's exit code.
func (e *Exec) Run(ctx context.Context, actor model.Actor, ref Ref, spec model.ExecSpec) (int, error) {
	return 0, errPending
}

// ---- events ----

// Events tells what happens as it happens.
type Events struct{ c *Control }

// Stream gives every event of the org after seq to yield, oldest first, and goes on until ctx ends (nil) or yield
// fails. after 0 begins with the oldest kept; NoHistory begins with the next. When after is older than what is kept,
// the first event has Kind "gap".
func (e *Events) Stream(ctx context.Context, actor model.Actor, org string, after uint64, yield func(model.Event) error) error {
	return errPending
}

// NoHistory makes Events.Stream begin with the next event.
const NoHistory = ^uint64(0)

// ---- audit ----

// Audit is the record of who did what.
type Audit struct{ c *Control }

// List returns the org's audit events, newest first.
func (a *Audit) List(ctx context.Context, actor model.Actor, org string, p Page) (List[model.AuditEvent], error) {
	return List[model.AuditEvent]{}, errPending
}

var errPending = model.Errorf(model.KindInternal, "not built yet")
