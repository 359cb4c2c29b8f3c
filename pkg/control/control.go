package control

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"time"

	"github.com/pandabox/pandabox/pkg/identity"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/secrets"
	"github.com/pandabox/pandabox/pkg/store"
)

var _ identity.Tokens = (*store.Store)(nil)

// Config is what the use cases work with. Store, KeyFile, DataDir, BaseDomain and URL are needed; a use case that needs
// one of the others answers KindUnavailable where it is nil.
type Config struct {
	Store      *store.Store
	KeyFile    string       // the master key, see KeyFile; made with a fresh store
	DataDir    string       // whose disk doctor looks at
	BaseDomain string       // workloads answer below it; see docs/decisions/0001
	URL        string       // of the API as seen from outside: "https://203-0-113-7.sslip.io"; its port counts for apps too
	SSHPort    int          // where git push over SSH is taken; 0: nowhere
	Version    string       // of pandabox
	Instance   string       // four characters, see docs/decisions/0001
	Images     ImageStore   //
	Runner     Runner       //
	Logs       LogReader    //
	Certs      Certificates //
	Functions  FunctionHost //
	KV         KVStore      //
	Jobs       JobRuntime   //
	Sources    Sources      //
	Builder    BuildEngine  //
	Bases      BaseImages   //
	Git        PushedTo     //
	Probes     []Probe      // what doctor looks at besides what control sees by itself
	Now        func() time.Time
}

// Control is every use case, by noun. Its methods may be called from any goroutine.
type Control struct {
	Box          *Box
	Tokens       *Tokens
	Keys         *Keys
	Apps         *Apps
	Images       *Images
	Functions    *Functions
	KV           *KV
	Jobs         *Jobs
	Sources      *UploadedSources
	Builds       *Builds
	Bases        *Bases
	Repositories *Repositories
	GitHubApps   *GitHubApps
	DeployHooks  *DeployHooks
	Pushes       *Pushes
	Trackings    *Trackings
	Protections  *Protections
	Approvals    *Approvals
	Promotions   *Promotions
	Previews     *Previews
	Deploys      *Deploys
	Releases     *Releases
	Scale        *Scaling
	Variables    *Variables
	Domains      *Domains
	Workloads    *Workloads
	Logs         *Logs
	Exec         *Exec
	Events       *Events
	Audit        *Audit

	cfg  Config
	url  *url.URL
	keys *secrets.Keyring
	auth *identity.Authenticator

	idMu   sync.Mutex
	lastID time.Time
}

// New checks the configuration, loads the master key (or makes it, with a fresh store) and sees to the default org.
func New(ctx context.Context, cfg Config) (*Control, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	base, err := model.CheckHost(cfg.BaseDomain)
	if err != nil {
		return nil, err
	}
	cfg.BaseDomain = base
	u, err := url.Parse(cfg.URL)
	if err != nil || u.Scheme == "" || u.Host == "" {
		return nil, fmt.Errorf("control: %q is not the URL of the API", cfg.URL)
	}
	c := &Control{cfg: cfg, url: u}
	if err := c.begin(ctx); err != nil {
		return nil, err
	}
	c.auth = identity.NewAuthenticator(cfg.Store, c.now)
	c.Box, c.Tokens, c.Apps, c.Images = &Box{c}, &Tokens{c}, &Apps{c}, &Images{c}
	c.Keys = &Keys{c}
	c.Deploys, c.Releases, c.Scale, c.Variables = &Deploys{c}, &Releases{c}, &Scaling{c}, &Variables{c}
	c.Domains, c.Workloads, c.Logs, c.Exec = &Domains{c}, &Workloads{c}, &Logs{c}, &Exec{c}
	c.Events, c.Audit = &Events{c}, &Audit{c}
	c.Functions, c.KV = &Functions{c}, &KV{c}
	c.Jobs, c.Pushes = &Jobs{c}, &Pushes{c}
	c.Trackings, c.Protections, c.Approvals = &Trackings{c}, &Protections{c}, &Approvals{c}
	c.Bases = &Bases{c}
	c.Repositories, c.GitHubApps, c.DeployHooks = &Repositories{c}, &GitHubApps{c}, &DeployHooks{c}
	c.Promotions, c.Previews = &Promotions{c}, &Previews{c}
	c.Sources, c.Builds = &UploadedSources{c}, &Builds{c}
	return c, nil
}

// begin loads the master key and shows by the key check that it is this store's, and makes the default org.
func (c *Control) begin(ctx context.Context) error {
	return c.cfg.Store.Update(ctx, func(tx *store.Tx) error {
		box, err := tx.Box()
		if err != nil {
			return err
		}
		if len(box.KeyCheck) == 0 {
			if err := c.makeKey(tx, box); err != nil {
				return err
			}
		} else if c.keys, err = secrets.Load(c.cfg.KeyFile); err != nil {
			return err
		} else if err := checkKey(c.keys, box.KeyCheck); err != nil {
			return err
		}
		c.lastID = tx.NewestID()
		_, err = tx.OrgNamed(model.DefaultOrg)
		if errors.Is(err, store.ErrNotFound) {
			err = tx.PutOrg(model.Org{ID: c.newID("org"), Name: model.DefaultOrg, CreatedAt: c.now()})
		}
		return err
	})
}

// makeKey makes the master key of a fresh store. A key file may be there from an attempt that ended half way.
func (c *Control) makeKey(tx *store.Tx, box store.Box) (err error) {
	if c.keys, err = secrets.Load(c.cfg.KeyFile); err != nil {
		if c.keys, err = secrets.Create(c.cfg.KeyFile); err != nil {
			return err
		}
	}
	if box.KeyCheck, err = c.keys.Seal([]byte(keyCheck), keyCheck); err != nil {
		return err
	}
	return tx.PutBox(box)
}

const keyCheck = "key check"

// checkKey refuses keys that did not seal what is in the store.
func checkKey(k *secrets.Keyring, sealed []byte) error {
	if _, err := k.Open(sealed, keyCheck); err != nil {
		return model.Errorf(model.KindInternal, "the master key does not belong to this store").Wrap(err).WithWhy("%s", err).
			WithHint("put keys/master and pandabox.db of the same backup in place: pandabox restore FILE")
	}
	return nil
}

func (c *Control) now() time.Time { return c.cfg.Now().UTC() }

// newID returns a fresh id that sorts behind every one it returned before, also within a millisecond, after a restart,
// and when the clock was set back.
func (c *Control) newID(prefix string) string {
	c.idMu.Lock()
	defer c.idMu.Unlock()
	at := c.now().Truncate(time.Millisecond)
	if !at.After(c.lastID) {
		at = c.lastID.Add(time.Millisecond)
	}
	c.lastID = at
	return model.NewID(prefix, at)
}

// missing answers for a part of Config that is nil.
func missing(part string) error {
	return model.Errorf(model.KindUnavailable, "the %s does not run", part).WithHint("pandabox doctor")
}
