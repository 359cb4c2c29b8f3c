// Package forge is the door for forges: GitHub, GitLab, Gitea and Forgejo tell of pushes and pull requests by webhooks,
// and are told what became of them. What is taken is kept in the store first and done then, so that nothing is lost when
// pandabox ends in between, and nothing is done twice.
package forge

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/pandabox/pandabox/pkg/control"
	"github.com/pandabox/pandabox/pkg/identity"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/source"
)

// Config is what the door needs. Logger and HTTP may be left out.
type Config struct {
	Control *control.Control
	Source  *source.Service
	Logger  zerolog.Logger
	HTTP    *http.Client // to report with; nil means one that takes at most 30 s for a request
}

// Bounds of reading messages, each of up to maxMessage bytes. Forges wait for an answer no longer than 10 seconds.
const (
	readers   = 8 // messages at once
	readersOf = 4 // of them, those to one hook
	sendersOf = 2 // of them, those of one address
	maxSender = 1000
	waitTime  = 10 * time.Second // for a place
	readTime  = 15 * time.Second // for a message, once it has one
)

// maxLooks is how many commits are looked through at once.
const maxLooks = 2

// Server takes messages and does what they ask for.
type Server struct {
	cfg     Config
	reading *source.Places // by hook
	senders *source.Places // by hook and address
	looks   chan struct{}  // places
	refused *identity.Attempts
	wake    chan struct{}

	mu     sync.Mutex
	lanes  map[string][]model.Delivery // by repository: to be done in order; there while one is under way
	known  map[string]bool             // ids of deliveries under way
	tokens map[string]installed        // by repository, of GitHub Apps
	ahead  map[string]ahead            // by repository
	wg     sync.WaitGroup
}

// New prepares a Server.
func New(c Config) (*Server, error) {
	if c.Control == nil || c.Source == nil {
		return nil, errors.New("forge: no control or no source")
	}
	if c.HTTP == nil {
		c.HTTP = &http.Client{Timeout: 30 * time.Second}
	}
	return &Server{
		cfg: c, reading: source.NewPlaces(readers, readersOf), senders: source.NewPlaces(maxSender, sendersOf),
		looks: make(chan struct{}, maxLooks), refused: identity.NewDenied(), wake: make(chan struct{}, 1),
		lanes: map[string][]model.Delivery{}, known: map[string]bool{}, tokens: map[string]installed{}, ahead: map[string]ahead{},
	}, nil
}

// reply is what a forge is told, and shows to people who look at a webhook's deliveries.
type reply struct {
	State    string `json:"state"` // accepted, seen, ignored, or error
	Detail   string `json:"detail,omitempty"`
	Hint     string `json:"hint,omitempty"`
	Delivery string `json:"delivery,omitempty"`
	Deploy   string `json:"deploy,omitempty"`
	Approval string `json:"approval,omitempty"`
	App      string `json:"app,omitempty"`
	Env      string `json:"env,omitempty"`
	URL      string `json:"url,omitempty"`
}

// ServeHTTP takes webhooks below /hooks/ and deploy hooks below /deploy-hooks/.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	out, code, err := s.serve(w, r)
	if err != nil {
		var e *model.Error
		if !errors.As(err, &e) {
			s.cfg.Logger.Error().Err(err).Str("path", "/hooks/").Msg("a message could not be taken")
			e = model.Errorf(model.KindInternal, "something went wrong").WithHint("see the daemon's log")
		}
		out, code = reply{State: "error", Detail: e.Error(), Hint: e.Hint}, statusOf(e.Kind)
	}
	if code == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", retryAfter)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(out) // whoever asked may be gone
}

func statusOf(k model.Kind) int {
	switch k {
	case model.KindUnauthenticated:
		return http.StatusUnauthorized
	case model.KindForbidden:
		return http.StatusForbidden
	case model.KindNotFound:
		return http.StatusNotFound
	case model.KindConflict:
		return http.StatusConflict
	case model.KindTooLarge:
		return http.StatusRequestEntityTooLarge
	case model.KindRateLimited:
		return http.StatusTooManyRequests
	case model.KindInvalid, model.KindCanceled:
		return http.StatusBadRequest
	case model.KindUnavailable, model.KindNoSpace:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) (reply, int, error) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return reply{State: "error", Detail: "only POST is answered here"}, http.StatusMethodNotAllowed, nil
	}
	r.Body = &timely{ReadCloser: r.Body, rc: http.NewResponseController(w)}
	if secret, ok := strings.CutPrefix(r.URL.Path, "/deploy-hooks/"); ok {
		out, err := s.fire(r, secret)
		return out, http.StatusAccepted, err
	}
	id, _ := strings.CutPrefix(r.URL.Path, "/hooks/")
	return s.take(r, id)
}

// take keeps a webhook's message to be done.
func (s *Server) take(r *http.Request, id string) (reply, int, error) {
	ctx := r.Context()
	repo, m, err := s.read(r, id)
	var none nothing
	if errors.As(err, &none) {
		return reply{State: "ignored", Detail: none.why}, http.StatusOK, nil
	} else if err != nil {
		if repo.ID != "" && model.KindOf(err) == model.KindUnauthenticated { // most often a secret entered wrongly; the rest of many are told as KindRateLimited
			s.cfg.Logger.Warn().Str("repository", repo.Name).Msg("a message with a wrong signature was refused")
		}
		return reply{}, 0, err
	}
	d := model.Delivery{ID: repo.ID + "/" + m.id, RepositoryID: repo.ID, Event: m.event, State: model.DeliveryPending}
	a, err := m.arrival(repo)
	switch {
	case errors.As(err, &none):
		d.State, d.Detail = model.DeliveryIgnored, none.why
	case err != nil:
		return reply{}, 0, err
	default:
		d.Arrival = &a
	}
	fresh, err := s.cfg.Control.Repositories.Accept(ctx, d)
	switch {
	case err != nil:
		return reply{}, 0, err
	case !fresh:
		return reply{State: "seen", Detail: "this message was taken before", Delivery: d.ID}, http.StatusOK, nil
	case d.State == model.DeliveryIgnored:
		return reply{State: "ignored", Detail: d.Detail, Delivery: d.ID}, http.StatusOK, nil
	}
	s.again()
	return reply{State: "accepted", Delivery: d.ID}, http.StatusAccepted, nil
}

// read takes a message that is signed with the secret of a repository's webhook, or of a GitHub App's, which has one for
// all its repositories.
func (s *Server) read(r *http.Request, id string) (control.OpenRepository, message, error) {
	if !control.IsGitHubApp(id) {
		repo, err := s.cfg.Control.Repositories.Open(r.Context(), id)
		if err != nil {
			return repo, message{}, s.unknown(r, err)
		}
		m, err := s.signed(r, id, repo)
		return repo, m, err
	}
	secret, err := s.cfg.Control.GitHubApps.Secret(r.Context(), id)
	if err != nil {
		return control.OpenRepository{}, message{}, s.unknown(r, err)
	}
	m, err := s.signed(r, id, control.OpenRepository{Repository: model.Repository{Forge: model.ForgeGitHub}, Secret: secret})
	if err != nil {
		return control.OpenRepository{}, m, err
	}
	var about struct {
		Repository struct {
			FullName string `json:"full_name"`
		} `json:"repository"`
	}
	if err := json.Unmarshal(m.payload, &about); err != nil {
		return control.OpenRepository{}, m, model.Invalid("the message cannot be read").Wrap(err).WithWhy("%s", err)
	}
	if about.Repository.FullName == "" {
		return control.OpenRepository{}, m, nothing{"it is about no repository"}
	}
	repoID, err := s.cfg.Control.GitHubApps.Repository(r.Context(), id, about.Repository.FullName)
	if model.KindOf(err) == model.KindNotFound {
		return control.OpenRepository{}, m, nothing{about.Repository.FullName + " is not connected"}
	} else if err != nil {
		return control.OpenRepository{}, m, err
	}
	repo, err := s.cfg.Control.Repositories.Open(r.Context(), repoID)
	return repo, m, err
}

// again has Run look for what is to be done.
func (s *Server) again() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}
