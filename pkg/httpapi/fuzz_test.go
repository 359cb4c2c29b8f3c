package httpapi

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/model"
)

// FuzzBody sends anything as the body of everything that takes one: the answer is a success or a Problem that blames
// the caller.
func FuzzBody(f *testing.F) {
	for _, seed := range []string{
		``, `{}`, `null`, `[]`, `{"image":{"ref":"registry.test/shop:1"}}`, `{"image":{"ref":"a"},"image":{"ref":"b"}}`, `{"IMAGE":{"ref":"a"}}`,
		`{"processes":[{"name":"web","scale":{"replicas":-1}}]}`, `{"processes":{"web":{"replicas":1e99}}}`, `{"set":{"A":"\u0000"},"unset":["A"]}`,
		`{"host":"*.example.com","tls":"auto"}`, `{"certificate":"-----BEGIN CERTIFICATE-----","key":"x"}`, `{"name":"x","role":"owner","expiresAt":"0000-01-01T00:00:00Z"}`,
		`{"release":2}`, strings.Repeat(`[`, 20_000), `{"image":{"ref":"` + strings.Repeat("a/", 500) + `"}}`, "\xff\xfe", `{"message":"\ud800"}`,
	} {
		f.Add(seed)
	}
	handler := newBox(f).api.Handler()
	f.Fuzz(func(t *testing.T, body string) {
		for _, r := range []struct{ method, path string }{
			{"POST", "/deploys"}, {"PUT", "/scale"}, {"PATCH", "/variables"}, {"POST", "/domains"}, {"PUT", "/domains/a.example.com/certificate"},
			{"POST", "/rollback"}, {"POST", "/restart"}, {"POST", "/v1/orgs/default/tokens"}, {"POST", "/v1/claim"},
		} {
			path := r.path
			if !strings.HasPrefix(path, "/v1") {
				path = "/v1/orgs/default/apps/shop/envs/production" + path
			}
			req := httptest.NewRequestWithContext(t.Context(), r.method, path, strings.NewReader(body))
			req = req.WithContext(context.WithValue(req.Context(), peerKey{}, peer{})) // root on the socket
			req.Header.Set("Content-Type", "application/json")
			res := httptest.NewRecorder()
			handler.ServeHTTP(res, req)
			if res.Code < 300 {
				if !json.Valid(res.Body.Bytes()) {
					t.Errorf("%s %s answers %q", r.method, path, res.Body)
				}
				continue
			}
			var p api.Problem
			if err := json.Unmarshal(res.Body.Bytes(), &p); err != nil || p.Status != res.Code || p.Kind == "" || p.Title == "" || res.Header().Get("Content-Type") != api.ProblemType {
				t.Errorf("%s %s answers %d %q", r.method, path, res.Code, res.Body)
			}
			if res.Code >= http.StatusInternalServerError && p.Kind != model.KindUnavailable {
				t.Errorf("%s %s blames the box: %d %q", r.method, path, res.Code, res.Body)
			}
		}
	})
}
