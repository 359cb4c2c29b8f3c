package manifest

import (
	"errors"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/pandabox/pandabox/pkg/model"
)

// reader walks a decoded TOML document. The first fault is kept and stops nothing: later values are read as absent.
type reader struct {
	file string
	at   positions
	err  *Error
}

// read decodes a document into its root table.
func read(file string, doc []byte) (*reader, table, error) {
	var root map[string]any
	if err := toml.Unmarshal(doc, &root); err != nil {
		return nil, table{}, tomlError(file, doc, err)
	}
	r := &reader{file: file, at: locateKeys(doc)}
	return r, table{r: r, values: root}, nil
}

func tomlError(file string, doc []byte, err error) *Error {
	e := &Error{File: file, Line: 1, Column: 1, What: "this is not TOML", Why: strings.TrimPrefix(err.Error(), "toml: ")}
	var de *toml.DecodeError
	if errors.As(err, &de) {
		e.Line, e.Column = de.Position()
	} else {
		at := lineOf(doc, len(doc))
		e.Line, e.Column = at.line, at.column
	}
	e.Line, e.Column = max(e.Line, 1), max(e.Column, 1)
	return e
}

func (r *reader) fail(path []string, err error) {
	if r.err == nil && err != nil {
		r.err = locate(r.file, r.at.at(path), err)
	}
}

// table is one table of the document.
type table struct {
	r      *reader
	path   []string
	values map[string]any
}

func (t table) below(key string) []string { return append(slices.Clone(t.path), key) }

// fail keeps err as a fault of key's value.
func (t table) fail(key string, err error) { t.r.fail(t.below(key), err) }

func (t table) has(key string) bool { _, ok := t.values[key]; return ok }

// keys returns the table's keys in the order they are written.
func (t table) keys() []string {
	return slices.SortedFunc(maps.Keys(t.values), func(a, b string) int {
		x, y := t.r.at.at(t.below(a)), t.r.at.at(t.below(b))
		if x.line != y.line {
			return x.line - y.line
		}
		if x.column != y.column {
			return x.column - y.column
		}
		return strings.Compare(a, b)
	})
}

// only refuses every key that is not known here.
func (t table) only(known ...string) {
	for _, k := range t.keys() {
		if slices.Contains(known, k) {
			continue
		}
		e := model.Invalid("%q is not a key of %s", k, t.name())
		if near := Nearest(k, known); near != "" {
			e = e.WithHint("did you mean %s?", near)
		} else {
			e = e.WithHint("the keys here are: %s", strings.Join(slices.Sorted(slices.Values(known)), ", "))
		}
		t.fail(k, e)
	}
}

// name is how a person would write the table.
func (t table) name() string {
	if len(t.path) == 0 {
		return t.r.file
	}
	var parts []string
	for _, p := range t.path {
		if _, err := strconv.Atoi(p); err != nil {
			parts = append(parts, p)
		}
	}
	return "[" + strings.Join(parts, ".") + "]"
}

func (t table) wrong(key, want, example string) {
	t.fail(key, model.Invalid("%s is %s here, and should be %s", key, kindOf(t.values[key]), want).WithHint("for example: %s = %s", key, example))
}

func (t table) text(key, example string) string {
	v, ok := t.values[key].(string)
	if t.has(key) && !ok {
		t.wrong(key, "a text in quotes", example)
	}
	return v
}

func (t table) whole(key string, example int) int {
	v, ok := t.values[key].(int64)
	if t.has(key) && (!ok || v < math.MinInt32 || v > math.MaxInt32) {
		t.wrong(key, "a whole number", strconv.Itoa(example))
		return 0
	}
	return int(v)
}

func (t table) number(key, example string) float64 {
	switch v := t.values[key].(type) {
	case float64:
		return v
	case int64:
		return float64(v)
	}
	if t.has(key) {
		t.wrong(key, "a number", example)
	}
	return 0
}

func (t table) yes(key string) bool {
	v, ok := t.values[key].(bool)
	if t.has(key) && !ok {
		t.wrong(key, "true or false", "true")
	}
	return v
}

func (t table) duration(key, example string) (d model.Duration) {
	if s := t.text(key, strconv.Quote(example)); s != "" {
		t.fail(key, d.UnmarshalText([]byte(s)))
	} else if t.has(key) {
		t.fail(key, model.Invalid("%s is empty", key).WithHint("for example: %s = %q", key, example))
	}
	return d
}

// texts reads a list of texts. It is not nil where the key is present.
func (t table) texts(key, example string) []string {
	if !t.has(key) {
		return nil
	}
	list, ok := t.values[key].([]any)
	out := make([]string, 0, len(list))
	for _, v := range list {
		s, isText := v.(string)
		ok = ok && isText
		out = append(out, s)
	}
	if !ok {
		t.wrong(key, "a list of texts", example)
	}
	return out
}

// table returns the table of a key, empty where there is none.
func (t table) table(key, example string) table {
	v, ok := t.values[key].(map[string]any)
	if t.has(key) && !ok {
		t.wrong(key, "a table", example)
	}
	return table{r: t.r, path: t.below(key), values: v}
}

// tables returns the tables of a key written as [[key]].
func (t table) tables(key, example string) []table {
	list, ok := t.values[key].([]any)
	if t.has(key) && !ok {
		t.fail(key, model.Invalid("%s is %s here, and should be a list of tables", key, kindOf(t.values[key])).WithHint("write [[%s]] with %s below it", key, example))
		return nil
	}
	var out []table
	for i, v := range list {
		values, ok := v.(map[string]any)
		if !ok {
			t.r.fail(append(t.below(key), strconv.Itoa(i)), model.Invalid("%s holds %s, and should hold tables", key, kindOf(v)).WithHint("write [[%s]] with %s below it", key, example))
			return nil
		}
		out = append(out, table{r: t.r, path: append(t.below(key), strconv.Itoa(i)), values: values})
	}
	return out
}

func kindOf(v any) string {
	switch v.(type) {
	case string:
		return "a text"
	case int64:
		return "a whole number"
	case float64:
		return "a number"
	case bool:
		return "true or false"
	case []any:
		return "a list"
	case map[string]any:
		return "a table"
	}
	return "a date or time"
}
