package manifest

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// position is a place in a file, from 1.
type position struct{ line, column int }

// positions knows where each key of a TOML document stands, by its path: see join.
type positions map[string]position

// join makes the path of a key. The elements of an array of tables are named by their index from 0.
func join(parts ...string) string { return strings.Join(parts, "\x00") }

// at returns the place of the key, or else of the nearest table around it.
func (ps positions) at(path []string) position {
	for n := len(path); n > 0; n-- {
		if p, ok := ps[join(path[:n]...)]; ok {
			return p
		}
	}
	return position{1, 1}
}

// locateKeys indexes a document that is known to be valid TOML.
func locateKeys(doc []byte) positions {
	ix := indexer{at: positions{}, elements: map[string]int{}, lines: []int{0}}
	for i, b := range doc {
		if b == '\n' {
			ix.lines = append(ix.lines, i+1)
		}
	}
	ix.parser.Reset(doc)
	var table []string
	for ix.parser.NextExpression() {
		switch e := ix.parser.Expression(); e.Kind {
		case unstable.Table:
			table = ix.key(nil, e.Key())
		case unstable.ArrayTable:
			table = ix.key(nil, e.Key())
			path := join(table...)
			n := ix.elements[path]
			ix.elements[path] = n + 1
			table = append(table, strconv.Itoa(n))
			ix.at[join(table...)] = ix.lastKey(e.Key())
		case unstable.KeyValue:
			ix.keyValue(table, e)
		}
	}
	return ix.at
}

type indexer struct {
	parser   unstable.Parser
	at       positions
	elements map[string]int // how many elements an array of tables has so far
	lines    []int          // offset of each line's first byte
}

// key records every part of a dotted key below prefix and returns its path. A part that names an array of tables means
// that array's last element, unless it is the last part.
func (ix *indexer) key(prefix []string, it unstable.Iterator) []string {
	path := slices.Clone(prefix)
	for it.Next() {
		if n := ix.elements[join(path...)]; n > 0 && len(path) > 0 {
			path = append(path, strconv.Itoa(n-1))
		}
		path = append(path, string(it.Node().Data))
		if _, ok := ix.at[join(path...)]; !ok {
			ix.at[join(path...)] = ix.place(it.Node().Raw)
		}
	}
	return path
}

func (ix *indexer) lastKey(it unstable.Iterator) (p position) {
	for it.Next() {
		p = ix.place(it.Node().Raw)
	}
	return p
}

func (ix *indexer) keyValue(table []string, kv *unstable.Node) {
	ix.value(ix.key(table, kv.Key()), kv.Value())
}

func (ix *indexer) value(path []string, v *unstable.Node) {
	switch v.Kind {
	case unstable.InlineTable:
		for it := v.Children(); it.Next(); {
			ix.keyValue(path, it.Node())
		}
	case unstable.Array:
		n := 0
		for it := v.Children(); it.Next(); n++ {
			element := append(slices.Clone(path), strconv.Itoa(n))
			if raw := it.Node().Raw; raw.Length > 0 {
				ix.at[join(element...)] = ix.place(raw)
			}
			ix.value(element, it.Node())
		}
	}
}

func (ix *indexer) place(r unstable.Range) position {
	offset := int(r.Offset)
	line, exact := slices.BinarySearch(ix.lines, offset)
	if exact {
		line++
	}
	return position{line, offset - ix.lines[line-1] + 1}
}

// lineOf returns the place of an offset in doc.
func lineOf(doc []byte, offset int) position {
	before := doc[:min(offset, len(doc))]
	return position{bytes.Count(before, []byte{'\n'}) + 1, len(before) - bytes.LastIndexByte(before, '\n')}
}
