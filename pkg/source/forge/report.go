package forge

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/pandabox/pandabox/pkg/control"
	"github.com/pandabox/pandabox/pkg/model"
)

// Reports are tried again after these pauses; one that fails in the end is logged, and no deploy fails for it.
func pauses() []time.Duration { return []time.Duration{0, 2 * time.Second, 10 * time.Second} }

// maxDescription bounds a commit status's text in characters: GitHub takes 140.
const maxDescription = 140

// begin tells a forge that a commit is being deployed, and returns the forge's record of that: the commit and, where the
// forge has deployments, the id of one.
func (s *Server) begin(ctx context.Context, repo control.OpenRepository, commit, env string) string {
	if repo.Token == "" {
		return ""
	}
	s.status(ctx, repo, commit, env, "pending", "being deployed", "")
	id := ""
	switch repo.Forge {
	case model.ForgeGitHub:
		var made struct {
			ID int64 `json:"id"`
		}
		err := s.call(ctx, repo, http.MethodPost, "/repos/"+repo.Name+"/deployments", map[string]any{
			"ref": commit, "environment": env, "auto_merge": false, "required_contexts": []string{}, "description": "pandabox",
			"production_environment": env == control.EnvProduction, "transient_environment": strings.HasPrefix(env, "pr-"),
		}, &made)
		if s.noted(err, repo) && made.ID != 0 {
			id = fmt.Sprint(made.ID)
		}
	case model.ForgeGitLab:
		var made struct {
			ID int64 `json:"id"`
		}
		err := s.call(ctx, repo, http.MethodPost, "/projects/"+url.PathEscape(repo.Name)+"/deployments", map[string]any{
			"environment": env, "sha": commit, "ref": commit, "tag": false, "status": "running",
		}, &made)
		if s.noted(err, repo) && made.ID != 0 {
			id = fmt.Sprint(made.ID)
		}
	}
	return commit + " " + id
}

// finish tells a forge what became of a deploy.
func (s *Server) finish(ctx context.Context, repo control.OpenRepository, one ship, text string, good bool) {
	commit, id, _ := strings.Cut(one.record, " ")
	if commit == "" {
		return
	}
	state := "failure"
	if good {
		state = "success"
	}
	s.status(ctx, repo, commit, one.env, state, text, one.deploy.URL)
	if id == "" {
		return
	}
	switch repo.Forge {
	case model.ForgeGitHub:
		body := map[string]any{"state": state, "environment": one.env, "description": short(text)}
		if one.deploy.URL != "" {
			body["environment_url"] = one.deploy.URL
		}
		s.noted(s.call(ctx, repo, http.MethodPost, "/repos/"+repo.Name+"/deployments/"+id+"/statuses", body, nil), repo)
	case model.ForgeGitLab:
		if !good {
			state = "failed"
		}
		s.noted(s.call(ctx, repo, http.MethodPut, "/projects/"+url.PathEscape(repo.Name)+"/deployments/"+id, map[string]any{"status": state}, nil), repo)
	}
}

// retire tells a forge that an environment is gone: its deployments there are not active any more.
func (s *Server) retire(ctx context.Context, repo control.OpenRepository, env string) {
	if repo.Token == "" {
		return
	}
	var all []struct {
		ID int64 `json:"id"`
	}
	switch repo.Forge {
	case model.ForgeGitHub:
		path := "/repos/" + repo.Name + "/deployments"
		if s.noted(s.call(ctx, repo, http.MethodGet, path+"?per_page=100&environment="+url.QueryEscape(env), nil, &all), repo) {
			for _, d := range all {
				s.noted(s.call(ctx, repo, http.MethodPost, fmt.Sprintf("%s/%d/statuses", path, d.ID), map[string]any{"state": "inactive"}, nil), repo)
			}
		}
	case model.ForgeGitLab:
		path := "/projects/" + url.PathEscape(repo.Name) + "/environments"
		if s.noted(s.call(ctx, repo, http.MethodGet, path+"?name="+url.QueryEscape(env), nil, &all), repo) {
			for _, e := range all {
				s.noted(s.call(ctx, repo, http.MethodPost, fmt.Sprintf("%s/%d/stop", path, e.ID), nil, nil), repo)
			}
		}
	}
}

// status sets a commit's status.
func (s *Server) status(ctx context.Context, repo control.OpenRepository, commit, env, state, text, target string) {
	name := "pandabox/" + repo.App + "/" + env
	body := map[string]any{"state": state, "context": name, "description": short(text)}
	path := "/repos/" + repo.Name + "/statuses/" + commit
	if repo.Forge == model.ForgeGitLab {
		path = "/projects/" + url.PathEscape(repo.Name) + "/statuses/" + commit
		body = map[string]any{"state": state, "name": name, "description": short(text)}
		switch state {
		case "failure":
			body["state"] = "failed"
		case "pending":
			body["state"] = "running"
		}
	}
	if target != "" {
		body["target_url"] = target
	}
	s.noted(s.call(ctx, repo, http.MethodPost, path, body, nil), repo)
}

func (s *Server) noted(err error, repo control.OpenRepository) bool {
	if err != nil {
		s.cfg.Logger.Warn().Err(err).Str("repository", repo.Name).Msg("the forge could not be told")
	}
	return err == nil
}

func short(text string) string {
	text, _, _ = strings.Cut(text, "\n")
	if r := []rune(text); len(r) > maxDescription {
		return string(r[:maxDescription-1]) + "…"
	}
	return text
}

// apiOf returns where a repository's forge has its API.
func apiOf(repo control.OpenRepository) (string, error) {
	u, err := url.Parse(repo.URL)
	if err != nil {
		return "", err
	}
	base := u.Scheme + "://" + u.Host
	switch {
	case repo.Forge == model.ForgeGitLab:
		return base + "/api/v4", nil
	case repo.Forge == model.ForgeGitea:
		return base + "/api/v1", nil
	case u.Host == "github.com":
		return "https://api.github.com", nil
	}
	return base + "/api/v3", nil // GitHub Enterprise Server
}

// call asks a forge's API, again where the answer says that it may go better later.
func (s *Server) call(ctx context.Context, repo control.OpenRepository, method, path string, body, into any) (err error) {
	base, err := apiOf(repo)
	if err != nil {
		return err
	}
	var b []byte
	if body != nil {
		if b, err = json.Marshal(body); err != nil {
			return err
		}
	}
	for _, pause := range pauses() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		var again bool
		if again, err = s.ask(ctx, repo, method, base+path, b, into); err == nil || !again {
			return err
		}
	}
	return err
}

func (s *Server) ask(ctx context.Context, repo control.OpenRepository, method, at string, body []byte, into any) (again bool, err error) {
	r, err := http.NewRequestWithContext(ctx, method, at, bytes.NewReader(body))
	if err != nil {
		return false, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "pandabox")
	switch repo.Forge {
	case model.ForgeGitLab:
		r.Header.Set("PRIVATE-TOKEN", repo.Token)
	case model.ForgeGitea:
		r.Header.Set("Authorization", "token "+repo.Token)
	default:
		r.Header.Set("Authorization", "Bearer "+repo.Token)
		r.Header.Set("Accept", "application/vnd.github+json")
	}
	res, err := s.cfg.HTTP.Do(r)
	if err != nil {
		return true, err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	switch {
	case err != nil:
		return true, err
	case res.StatusCode >= 300:
		return res.StatusCode >= 500 || res.StatusCode == http.StatusTooManyRequests, fmt.Errorf("%s %s: %s: %.200s", method, r.URL.Path, res.Status, text)
	case into == nil:
		return false, nil
	}
	return false, json.Unmarshal(text, into)
}
