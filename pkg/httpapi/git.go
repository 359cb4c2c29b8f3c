package httpapi

import (
	"net/http"

	"github.com/pandabox/pandabox/pkg/model"
)

const gitPath = "/git/"

// registerGit gives git its part of the addresses. Failed attempts to sign in there count as those at the API.
func (a *API) registerGit() {
	if a.config.Git == nil {
		return
	}
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		a.page(public("it asks for a token itself: as a password, which is what git has"), method, gitPath, a.git)
	}
}

func (a *API) git(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "" && a.denied.spent(r) {
		a.refuse(w, r, model.Errorf(model.KindRateLimited, "too many failed attempts from your address").WithHint("wait half a minute"))
		return
	}
	ctx, done, err := a.streaming(r)
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	defer done()
	seen := &watched{ResponseWriter: w}
	a.config.Git.ServeHTTP(seen, r.WithContext(ctx))
	if seen.status == http.StatusUnauthorized && r.Header.Get("Authorization") != "" {
		a.denied.take(r)
	}
}

// watched remembers an answer's status.
type watched struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (w *watched) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController at what is below.
func (w *watched) Unwrap() http.ResponseWriter { return w.ResponseWriter }
