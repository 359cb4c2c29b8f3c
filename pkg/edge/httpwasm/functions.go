//go:build linux

package httpwasm

import (
	"github.com/pandabox/pandabox/pkg/edge/bindings"
	"github.com/pandabox/pandabox/pkg/edge/vm"
)

// functions are those of the ABI. Guests come with any bits above an i32: every use masks them.
func functions() []vm.HostFunc {
	i32, i64 := vm.I32, vm.I64
	p := func(n int) []vm.ValueType { return []vm.ValueType{i32, i32, i32, i32, i32}[:n] }
	one := func(t vm.ValueType) []vm.ValueType { return []vm.ValueType{t} }
	return []vm.HostFunc{
		{Name: "enable_features", Params: p(1), Results: one(i32), Call: enableFeatures},
		{Name: "get_config", Params: p(2), Results: one(i32), Call: getConfig},
		{Name: "log_enabled", Params: p(1), Results: one(i32), Call: logEnabled},
		{Name: "log", Params: p(3), Call: logLine},
		{Name: "get_method", Params: p(2), Results: one(i32), Call: getMethod},
		{Name: "set_method", Params: p(2), Call: setMethod},
		{Name: "get_uri", Params: p(2), Results: one(i32), Call: getURI},
		{Name: "set_uri", Params: p(2), Call: setURI},
		{Name: "get_protocol_version", Params: p(2), Results: one(i32), Call: getProtocolVersion},
		{Name: "get_source_addr", Params: p(2), Results: one(i32), Call: getSourceAddr},
		{Name: "get_header_names", Params: p(3), Results: one(i64), Call: getHeaderNames},
		{Name: "get_header_values", Params: p(5), Results: one(i64), Call: getHeaderValues},
		{Name: "set_header_value", Params: p(5), Call: setHeaderValue},
		{Name: "add_header_value", Params: p(5), Call: addHeaderValue},
		{Name: "remove_header", Params: p(3), Call: removeHeader},
		{Name: "read_body", Params: p(3), Results: one(i64), Call: readBody},
		{Name: "write_body", Params: p(3), Call: writeBody},
		{Name: "get_status_code", Results: one(i32), Call: getStatusCode},
		{Name: "set_status_code", Params: p(1), Call: setStatusCode},
	}
}

// enableFeatures: features → those that are on. While the module starts they are for every request.
func enableFeatures(i *vm.Instance, stack []uint64) {
	s := i.State.(*isolate)
	s.x.features |= uint32(stack[0]) & allFeatures
	stack[0] = uint64(s.x.features)
}

// getConfig: buf, buf_limit → length of the variables as JSON.
func getConfig(i *vm.Instance, stack []uint64) {
	stack[0] = uint64(bindings.Write(i, stack[0], stack[1], i.State.(*isolate).p.config))
}

// Levels of log. Debug is -1.
const (
	levelWarn = 1
	levelNone = 3
)

// logEnabled: level → 1 or 0.
func logEnabled(_ *vm.Instance, stack []uint64) {
	if int32(uint32(stack[0])) < levelNone {
		stack[0] = 1
		return
	}
	stack[0] = 0
}

// logLine: level, message, message_len.
func logLine(i *vm.Instance, stack []uint64) {
	level := int32(uint32(stack[0]))
	text := bindings.Read(i, stack[1], stack[2])
	s := i.State.(*isolate)
	switch {
	case level >= levelNone:
		return
	case level >= levelWarn:
		s.err.Line(text)
	default:
		s.out.Line(text)
	}
}
