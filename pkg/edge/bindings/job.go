//go:build linux

package bindings

import (
	"encoding/json"

	"github.com/pandabox/pandabox/pkg/edge/vm"
)

func jobFuncs() []vm.HostFunc { return []vm.HostFunc{fn("get_event", 2, vm.I32, jobEvent)} }

// jobEvent: buf, buf_limit → length of {"cron","job","scheduledTime"}, 0 outside of a scheduled call.
func jobEvent(i *vm.Instance, s *State, stack []uint64) {
	if s.job == nil {
		stack[0] = 0
		return
	}
	text, err := json.Marshal(s.job)
	if err != nil {
		i.Fail(err)
	}
	stack[0] = uint64(Write(i, stack[0], stack[1], text))
}
