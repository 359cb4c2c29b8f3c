package httpapi

import "net/http"

const gitPath = "/git/"

// registerGit gives git its part of the addresses.
func (a *API) registerGit() {
	if a.config.Git == nil {
		return
	}
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		a.page(public("it asks for a token itself: as a password, which is what git has"), method, gitPath, a.git)
	}
}

func (a *API) git(w http.ResponseWriter, r *http.Request) {
	ctx, done, err := a.streaming(r)
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	defer done()
	a.config.Git.ServeHTTP(w, r.WithContext(ctx))
}
