package httpapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"github.com/pandabox/pandabox/pkg/api"
)

const (
	specPath   = "/openapi.json"
	healthPath = "/healthz"
)

// humaConfig is huma without what this API does not want: pages that load scripts from elsewhere, $schema in every
// answer, and formats besides JSON.
func humaConfig(version string) huma.Config {
	c := huma.DefaultConfig("pandabox", version)
	c.OpenAPIPath, c.DocsPath, c.SchemasPath = "", "", ""
	c.CreateHooks = nil
	c.Formats = map[string]huma.Format{"application/json": huma.DefaultJSONFormat, "json": huma.DefaultJSONFormat}
	c.Transformers = []huma.Transformer{translate}
	c.Info.Description = "The API of one pandabox box. Everything the command line and the dashboard do goes through it. " +
		"A token goes into the header Authorization: Bearer TOKEN. Errors are application/problem+json with a hint: what to do now."
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{"token": {Type: "http", Scheme: "bearer"}}
	c.Security = []map[string][]string{{"token": {}}}
	return c
}

// register registers everything.
func (a *API) register() {
	a.registerBox()
	a.registerTokens()
	a.registerKeys()
	a.registerGit()
	a.registerApps()
	a.registerImages()
	a.registerFunctions()
	a.registerBuilds()
	a.registerBases()
	a.registerRepositories()
	a.registerKV()
	a.registerJobs()
	a.registerDeploys()
	a.registerReleases()
	a.registerEnvironments()
	a.registerVariables()
	a.registerDomains()
	a.registerLogs()
	a.registerExec()
	a.registerEvents()
	a.registerPages()
	a.registerCA()
	a.page(public("the API's description holds nothing of the box"), http.MethodGet, specPath, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/openapi+json")
		_, _ = w.Write(a.spec) // the caller is gone
	})
	a.page(public("it tells only that the daemon answers"), http.MethodGet, healthPath, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("ok\n")) // the caller is gone
	})
}

// document returns the OpenAPI document as it is served.
func (a *API) document() ([]byte, error) {
	doc := a.huma.OpenAPI()
	for _, own := range []string{"ErrorModel", "ErrorDetail"} {
		delete(doc.Components.Schemas.Map(), own) // huma's, which translate replaces
	}
	for _, p := range doc.Paths {
		if p.Get != nil && p.Get.Responses["101"] != nil {
			delete(p.Get.Responses, "200")
		}
	}
	b, err := json.Marshal(doc)
	if err != nil {
		return nil, fmt.Errorf("writing the OpenAPI document: %w", err)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, b, "", "  "); err != nil {
		return nil, fmt.Errorf("writing the OpenAPI document: %w", err)
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

func (a *API) problemResponse() *huma.Response {
	return &huma.Response{Description: "what went wrong, why, and what to do now", Content: map[string]*huma.MediaType{
		api.ProblemType: {Schema: a.schema(api.Problem{})},
	}}
}

func (a *API) schema(v any) *huma.Schema {
	t := reflect.TypeOf(v)
	return a.huma.OpenAPI().Components.Schemas.Schema(t, true, t.Name())
}

// schemaOf says what an answer that handlers write themselves is made of.
func (a *API) schemaOf(o *huma.Operation, status, contentType string, v any) {
	o.Responses[status].Content[contentType].Schema = a.schema(v)
}

func streamResponse(contentType, description string) *huma.Response {
	return &huma.Response{Description: description, Content: map[string]*huma.MediaType{contentType: {}}}
}
