package httpapi

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the page and what it is made of
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/model"
)

const (
	claimPath = "/claim/"

	maxForm = 4 << 10 // bytes of the claim page's form, which has no fields
)

//go:embed pages/page.html
var pageHTML string

//go:embed pages/page.css
var pageCSS string

//go:embed pages/page.js
var pageJS string

// pages writes the few pages a person meets in a browser. They load nothing from anywhere.
type pages struct {
	page   *template.Template
	policy string // Content-Security-Policy: exactly this style and this script
}

// pageData is what a page shows.
type pageData struct {
	Page    string // "home", "claim", "claimed", "problem"
	Title   string
	Host    string
	URL     string
	Claimed bool
	Token   string
	Why     string
	Hint    string
	Style   template.CSS
	Script  template.JS
}

func loadPages() (*pages, error) {
	t, err := template.New("page").Parse(pageHTML)
	if err != nil {
		return nil, fmt.Errorf("reading the pages: %w", err)
	}
	return &pages{page: t, policy: "default-src 'none'; style-src " + hash(pageCSS) + "; script-src " + hash(pageJS) +
		"; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"}, nil
}

// hash returns the source expression that allows one inline text.
func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

func (a *API) registerPages() {
	a.page(public("it says what this is, without secrets"), http.MethodGet, "/{$}", a.home)
	a.page(public("it shows a button whatever the link is"), http.MethodGet, claimPath+"{secret}", a.claimForm)
	a.page(public("the secret in the link is what lets in, and it works once"), http.MethodPost, claimPath+"{secret}", a.claimed)
}

func (a *API) home(w http.ResponseWriter, r *http.Request) {
	info, err := a.control.Box.Info(r.Context(), platform())
	if err != nil {
		a.showProblem(w, r, err)
		return
	}
	a.show(w, http.StatusOK, pageData{Page: "home", Title: "A pandabox", Host: r.Host, URL: info.URL, Claimed: info.Claimed})
}

// claimForm only shows a button: link previews and the like must not use the link up, nor learn whether it is good.
func (a *API) claimForm(w http.ResponseWriter, r *http.Request) {
	a.show(w, http.StatusOK, pageData{Page: "claim", Title: "Own this box", Host: r.Host})
}

func (a *API) claimed(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	_, secret, err := a.claim(r.Context(), r, r.PathValue("secret"), "")
	if err != nil {
		a.showProblem(w, r, err)
		return
	}
	data := pageData{Page: "claimed", Title: "This box is yours", Host: r.Host, URL: "https://" + r.Host, Token: secret}
	if info, err := a.control.Box.Info(r.Context(), platform()); err == nil {
		data.URL = info.URL
	}
	a.show(w, http.StatusOK, data)
}

func (a *API) showProblem(w http.ResponseWriter, r *http.Request, err error) {
	f := fail(r, err)
	for name, value := range f.headers() {
		w.Header().Set(name, value)
	}
	data := pageData{Page: "problem", Title: f.Title, Why: f.Detail, Hint: f.Hint}
	if f.Kind == model.KindForbidden {
		data.Title = "This link does not work any more"
		data.Why = "It was used already, it expired, or it is not complete."
		data.Hint = "A new one can be made on the box itself, as root: sudo pandabox claim"
	}
	a.show(w, api.Status(f.Kind), data)
}

func (a *API) show(w http.ResponseWriter, status int, data pageData) {
	data.Style, data.Script = template.CSS(pageCSS), template.JS(pageJS) // both are embedded
	var b bytes.Buffer
	if err := a.pages.page.Execute(&b, data); err != nil {
		a.log.Error().Err(err).Msg("writing a page")
		status = http.StatusInternalServerError
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", a.pages.policy)
	w.WriteHeader(status)
	_, _ = b.WriteTo(w) // the caller is gone
}

// platform is pandabox itself, asking what its own pages show.
func platform() model.Actor { return model.Actor{ID: "platform", Name: "pandabox", Root: true} }
