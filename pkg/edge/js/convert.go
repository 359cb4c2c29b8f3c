//go:build linux

package js

import (
	"github.com/pandabox/pandabox/pkg/edge/js/bridge"
	"github.com/pandabox/pandabox/pkg/edge/js/qjs"
)

// fromJS makes a bridge value of a JavaScript one. Bytes are a view of guest memory.
func (i *isolate) fromJS(v qjs.Value) (bridge.Value, error) {
	switch {
	case v == qjs.Undefined:
		return bridge.Undefined(), nil
	case v == qjs.Null:
		return bridge.Null(), nil
	case v.IsBool():
		return bridge.Bool(v == qjs.True), nil
	case v.IsNumber():
		return bridge.Number(v.Number()), nil
	case v.IsString():
		s, _, err := i.js.Text(v)
		return bridge.String(s), err
	}
	b, ok, err := i.js.View(v)
	if err != nil || !ok {
		return bridge.Other(), err
	}
	return bridge.Bytes(b), nil
}

// toJS makes a JavaScript value of a bridge one.
func (i *isolate) toJS(v bridge.Value) (qjs.Value, error) {
	switch v.Kind() {
	case bridge.KindNull:
		return qjs.Null, nil
	case bridge.KindBool:
		return qjs.Bool(v.Num() != 0), nil
	case bridge.KindNumber:
		return qjs.Float(v.Num()), nil
	case bridge.KindString:
		return i.js.String(v.Str())
	case bridge.KindBytes:
		return i.js.Bytes(v.Raw())
	case bridge.KindList:
		items := make([]qjs.Value, 0, len(v.Items()))
		for _, item := range v.Items() {
			j, err := i.toJS(item)
			if err != nil || j == qjs.Exception {
				return j, err
			}
			items = append(items, j)
		}
		return i.js.List(items)
	case bridge.KindLater:
		return i.later(v.Wait)
	}
	return qjs.Undefined, nil
}

// text returns an argument that is a string; "" for all else, so that no user code runs.
func (i *isolate) text(v qjs.Value) (string, error) {
	if !v.IsString() {
		return "", nil
	}
	s, _, err := i.js.Text(v)
	return s, err
}
