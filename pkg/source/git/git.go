// Package git is the door of git push: the smart HTTP protocol and SSH, in front of one bare repository per app. A pushed
// branch that an environment tracks is deployed before the push is accepted; nothing of a refused push is kept.
//
//	DIR/APPID.git/     HEAD, packed-refs, shallow, objects/pack: git itself can read it
//	DIR/incoming/…     the pack and the tree of a push under way; emptied by Open
package git

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/pandabox/pandabox/pkg/identity"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/source"
)

// Defaults and bounds of one push and one repository.
const (
	DefaultMaxPack = 1 << 30   // bytes of a pack, as of an archive of source
	DefaultMaxBlob = 100 << 20 // bytes of one object
	MaxObjects     = 1_000_000 // in one pack
	MaxInflated    = 8 << 30   // bytes of all objects of one pack
	MaxRefs        = 2000      // branches and tags of one repository
	MaxCommands    = 200       // of one push
	MaxShallow     = 2000      // commits of one repository whose parents are not there
	MaxPacks       = 20        // of one repository, before they are made one
	MaxRepository  = 4 << 30   // bytes of one repository, before it begins anew
	maxAtOnce      = 2         // packs looked through at once, on the whole box
	maxMoving      = 16        // packs on their way from or to clients at once, on the whole box
	maxMovingOf    = 4         // of them, those of one org
	maxRefName     = 250       // bytes
	drainFactor    = 4         // what is refused for its size is read to its end up to so many times the bound
	defaultStall   = 2 * time.Minute
	defaultKeep    = 5 * time.Second
	incoming       = "incoming"
	repositoryEnds = ".git"
)

// Box is what a push asks of the rest: see Platform.
type Box interface {
	// Authenticate returns who a token belongs to.
	Authenticate(ctx context.Context, token string) (model.Actor, error)
	// Key returns who an SSH key, in the wire format of its public half, belongs to.
	Key(ctx context.Context, public []byte) (model.Actor, error)
	// App returns the id of an app, "" for one that is not there yet. Who may not deploy it is refused.
	App(ctx context.Context, actor model.Actor, org, app string) (string, error)
	// Targets says what a push is deployed to.
	Targets(ctx context.Context, actor model.Actor, org, app string, p Push) (Targets, error)
	// Deploy deploys and waits for the end, telling what happens meanwhile. When ctx ends it gives the deploy up.
	Deploy(ctx context.Context, actor model.Actor, a source.Arrival, say func(line string)) (Outcome, error)
}

// Push is a branch at a new commit.
type Push struct {
	Branch, Commit, Message string
	Changed                 []string // paths; nil: not known
}

// Targets is what a push is deployed to. With none Skipped says why, and Tracked whether the branch is wanted at all.
type Targets struct {
	Envs    []Target
	Skipped string
	Tracked bool
}

// Target is an environment, and the folder of the repository that is the app.
type Target struct{ Env, Dir string }

// Outcome is how a deploy ended that did not fail.
type Outcome struct {
	Release  int
	URL      string
	Approval string // it waits for this approval
}

// Config is what a Server needs.
type Config struct {
	Repositories *Repositories
	Box          Box
	Logger       zerolog.Logger
	Version      string             // told to clients
	Denied       *identity.Attempts // failed ones to sign in, over HTTP and SSH; nil: its own
	MaxPack      int64              // bytes; 0 means DefaultMaxPack
	MaxBlob      int64              // bytes; 0 means DefaultMaxBlob
	Stall        time.Duration      // a client that sends or takes nothing for so long is let go; 0 means 2 minutes
	Keep         time.Duration      // between signs of life while a deploy is quiet; 0 means 5 seconds
}

// Server takes pushes. Its methods may be called from any goroutine.
type Server struct {
	*Repositories
	cfg   Config
	looks chan struct{} // one token per pack being looked through; nobody waits for a client or a lock with one
	moves *source.Places

	busyMu sync.Mutex
	busy   map[string]bool // by ORG/APP: a push is under way
}

// New prepares a Server.
func New(c Config) (*Server, error) {
	if c.Repositories == nil || c.Box == nil {
		return nil, errors.New("git: no repositories or no box")
	}
	if c.Denied == nil {
		c.Denied = identity.NewDenied()
	}
	if c.MaxPack == 0 {
		c.MaxPack = DefaultMaxPack
	}
	if c.MaxBlob == 0 {
		c.MaxBlob = DefaultMaxBlob
	}
	if c.Stall == 0 {
		c.Stall = defaultStall
	}
	if c.Keep == 0 {
		c.Keep = defaultKeep
	}
	return &Server{Repositories: c.Repositories, cfg: c, looks: make(chan struct{}, maxAtOnce), moves: source.NewPlaces(maxMoving, maxMovingOf), busy: map[string]bool{}}, nil
}

// begin marks a push to an app as under way, and refuses a second.
func (s *Server) begin(at place) (end func(), err error) {
	key := at.String()
	s.busyMu.Lock()
	defer s.busyMu.Unlock()
	if s.busy[key] {
		return nil, model.Conflict("another push to %s is under way", at.app).WithHint("wait for its end, then push again")
	}
	s.busy[key] = true
	return func() {
		s.busyMu.Lock()
		defer s.busyMu.Unlock()
		delete(s.busy, key)
	}, nil
}

// place is whose repository a path means.
type place struct{ org, app string }

func (p place) String() string { return p.org + "/" + p.app }

// parsePlace reads /git/shop.git, shop.git, /git/acme/shop.git and the like.
func parsePlace(path string) (place, error) {
	path = strings.TrimPrefix(strings.TrimPrefix(path, "/"), "git/")
	path = strings.TrimSuffix(strings.TrimSuffix(path, "/"), ".git")
	p := place{org: model.DefaultOrg, app: path}
	if org, app, ok := strings.Cut(path, "/"); ok {
		p = place{org, app}
		if err := model.CheckName("org", org); err != nil {
			return p, err
		}
	}
	return p, model.CheckName("app", p.app)
}
