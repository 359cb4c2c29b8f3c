package manifest

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/pandabox/pandabox/pkg/model"
)

const schemaFile = "../../docs/pandabox.schema.json"

func compileSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	s, err := jsonschema.NewCompiler().Compile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// asJSON turns a TOML document into what a JSON Schema validator reads.
func asJSON(t *testing.T, doc []byte) (any, bool) {
	t.Helper()
	var v map[string]any
	if toml.Unmarshal(doc, &v) != nil {
		return nil, false
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	out, err := jsonschema.UnmarshalJSON(strings.NewReader(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	return out, true
}

func TestSchemaAcceptsTheGood(t *testing.T) {
	s := compileSchema(t)
	each(t, "testdata/good/*.toml", func(t *testing.T, _ string, doc []byte) {
		v, ok := asJSON(t, doc)
		if !ok {
			t.Fatal("not TOML")
		}
		if err := s.Validate(v); err != nil {
			t.Error(err)
		}
	})
}

// beyondSchema are faults that a schema cannot say.
var beyondSchema = []string{
	"command-quote.toml", "domain-twice.toml", "health-long.toml", "memory-small.toml", "volume-twice.toml",
	"release-empty.toml", // an [env.NAME] section may leave the command to the top level
	"kind-worker-web.toml",
	"job-both.toml", "job-command.toml", "job-every.toml", "job-fields.toml", "job-function-command.toml", "job-never.toml", "job-nothing.toml",
	"job-schedule.toml", "job-scheduled.toml", "job-timeout.toml", "job-timezone.toml", "job-twice.toml",
	"build-env-image.toml",
	"function-egress-none.toml", "function-memory.toml", "function-cpu-long.toml", "function-cpu-zero.toml", "function-main.toml",
	"function-on-alone.toml", "function-middleware.toml", "function-env-routes.toml", // [function] and [env.NAME.function] are one whole
}

func TestSchemaRefusesTheBad(t *testing.T) {
	s := compileSchema(t)
	each(t, "testdata/bad/*.toml", func(t *testing.T, file string, doc []byte) {
		v, ok := asJSON(t, doc)
		if !ok {
			return
		}
		refused := s.Validate(v) != nil
		beyond := slices.ContainsFunc(beyondSchema, func(name string) bool { return strings.HasSuffix(file, "/"+name) })
		if refused == beyond {
			t.Errorf("refused by the schema: %v", refused)
		}
	})
}

// TestSchemaKeys compares the keys of each table with the parser's.
func TestSchemaKeys(t *testing.T) {
	b, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	var schema map[string]any
	if err := json.Unmarshal(b, &schema); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string][]string{
		"":                                     rootKeys,
		"properties/env/additionalProperties":  sectionKeys,
		"properties/volume/items":              volumeKeys,
		"properties/job/items":                 jobKeys,
		"properties/job/items/properties/keep": keepKeys,
		"$defs/domain/items":                   domainKeys,
		"$defs/variables/additionalProperties/oneOf[1]": variableKeys,
		"$defs/process": processKeys,
		"$defs/health":  healthKeys,
		"$defs/http":    httpKeys,
		"$defs/scale":   scaleKeys,

		"$defs/function":       functionKeys,
		"$defs/build":          buildKeys,
		"$defs/static":         staticKeys,
		"$defs/functionLimits": limitKeys,
	} {
		var at any = schema
		for _, part := range strings.FieldsFunc(path, func(r rune) bool { return r == '/' }) {
			part, second := strings.CutSuffix(part, "[1]")
			if at = at.(map[string]any)[part]; second {
				at = at.([]any)[1]
			}
		}
		got := slices.Sorted(maps.Keys(at.(map[string]any)["properties"].(map[string]any)))
		if want := slices.Sorted(slices.Values(want)); !slices.Equal(got, want) {
			t.Errorf("%s: the schema has %v, the parser %v", path, got, want)
		}
	}
}

// TestDocs reads every example of the reference page.
func TestDocs(t *testing.T) {
	b, err := os.ReadFile("../../docs/pandabox.toml.md")
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(string(b), "```toml\n")
	if len(parts) < 2 {
		t.Fatal("the page has no example")
	}
	for _, part := range parts[1:] {
		doc, _, _ := strings.Cut(part, "```")
		if _, err := Parse([]byte(doc)); err != nil {
			t.Errorf("%v in\n%s", err, doc)
		}
	}
	for _, key := range slices.Concat(rootKeys, processKeys, healthKeys, httpKeys, scaleKeys, volumeKeys, domainKeys, variableKeys, jobKeys, keepKeys, functionKeys, limitKeys, buildKeys, staticKeys) {
		if !strings.Contains(string(b), key) {
			t.Errorf("the page does not mention %s", key)
		}
	}
}

func TestErrorIsModelError(t *testing.T) {
	_, err := Parse([]byte("\nap = 1"))
	var e *model.Error
	if !errors.As(err, &e) || e.What != `pandabox.toml:2:1: "ap" is not a key of pandabox.toml` || e.Hint != "did you mean app?" {
		t.Errorf("got %+v", e)
	}
}
