package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

//go:embed wrk.lua
var wrkScript []byte

// How hard an ingress is driven: enough connections to keep both cores busy, one thread of load.
const (
	wrkConnections = 32
	wrkPeriod      = 3 * time.Second
)

// sample is what a run of wrk saw.
type sample struct {
	Requests int     `json:"requests"`
	Micros   float64 `json:"micros"` // duration
	P99      float64 `json:"p99"`    // µs
	Errors   int     `json:"errors"` // failed connections, time-outs, and answers of status 400 and above
}

// rate returns requests per second.
func (l sample) rate() float64 { return float64(l.Requests) / l.Micros * 1e6 }

// wrk drives addr for wrkPeriod with requests for host(0) … host(hosts-1) in turn.
func (s *setup) wrk(ctx context.Context, addr string, hosts int) (sample, error) {
	return s.wrkPath(ctx, addr, "/", hosts, "wrk")
}

// wrkCore is wrk for a path of host(0), the load kept on one core.
func (s *setup) wrkCore(ctx context.Context, addr, path string, core int) (sample, error) {
	return s.wrkPath(ctx, addr, path, 1, "taskset", "-c", strconv.Itoa(core), "wrk")
}

func (s *setup) wrkPath(ctx context.Context, addr, path string, hosts int, program ...string) (sample, error) {
	script := filepath.Join(s.dir, "wrk.lua")
	if err := os.WriteFile(script, wrkScript, 0o600); err != nil {
		return sample{}, err
	}
	args := append(program[1:len(program):len(program)], "-t1", fmt.Sprintf("-c%d", wrkConnections), "-d"+wrkPeriod.String(), "-s", script, "http://"+addr+"/")
	cmd := exec.CommandContext(ctx, program[0], args...)
	cmd.Env = append(os.Environ(), fmt.Sprintf("HOSTS=%d", hosts), "REQUEST_PATH="+path)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return sample{}, fmt.Errorf("running wrk: %w\n%s", err, out)
	}
	_, text, _ := strings.Cut(string(out), "RESULT ")
	var l sample
	if err := json.NewDecoder(strings.NewReader(text)).Decode(&l); err != nil {
		return sample{}, fmt.Errorf("reading wrk's result: %w\n%s", err, out)
	}
	if l.Errors > 0 || l.Requests == 0 {
		return l, fmt.Errorf("%d of %d requests to %s failed\n%s", l.Errors, l.Requests, addr, out)
	}
	return l, nil
}
