// Command bench measures what pandabox promises, through the built program ($PANDABOX_BIN) on this machine, as root.
// Each row prints one line
//
//	bench NAME VALUE (bar BAR) ok|short
//
// and says on standard error how the value came about. Ratios are measured in one run, the two sides in turn, and are
// the median of the rounds; so is every other value unless its row says otherwise. The exit code is 1 only when a row
// could not be measured.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"
)

func rows() []row {
	return []row{
		{name: "ingress-flat", measure: ingressFlat, bar: 0.95, better: higher},
		{name: "ingress-flat-p99", measure: ingressFlatP99, bar: 1.1, better: lower},
		{name: "ingress-vs-caddy", measure: ingressVsCaddy, bar: 1, better: higher},
		{name: "ingress-vs-nginx", measure: ingressVsNginx, better: reported},
		{name: "route-swap", measure: routeSwap, bar: 5, better: lower, unit: millis},
		{name: "deploy-vs-floor", measure: deployVsFloor, bar: 1.5, better: lower},
		{name: "deploy-under-load", measure: deployUnderLoad, bar: 0, better: lower, unit: count},
		{name: "daemon-kill", measure: daemonKill, bar: 1, better: lower, unit: second},
		{name: "idle-memory", measure: idleMemory, bar: 120, better: lower, unit: mebi},
		{name: "app-overhead", measure: appOverhead, bar: 12, better: lower, unit: mebi},
		{name: "control-2000-list", measure: controlList, bar: 50, better: lower, unit: millis},
		{name: "control-2000-reconcile", measure: controlReconcile, bar: 200, better: lower, unit: millis},
		{name: "wasm-hello", measure: wasmHello, bar: 0.9, better: higher},
		{name: "js-hello-cpu", measure: jsHelloCPU, bar: 0.75, better: lower},
		{name: "js-hello-rps", measure: jsHelloRate, bar: 1.1, better: higher},
		{name: "js-fresh-rps", measure: jsFresh, bar: 0.8, better: higher},
		{name: "js-json-rps", measure: jsJSON, bar: 0.5, better: higher},
		{name: "isolate-cold-p50", measure: isolateColdMedian, bar: 1, better: lower, unit: millis},
		{name: "isolate-cold-p99", measure: isolateColdP99, bar: 5, better: lower, unit: millis},
		{name: "isolate-memory", measure: isolateMemory, bar: 0.6, better: lower, unit: mebi},
		{name: "functions-1000", measure: functions1000, bar: 60, better: lower, unit: mebi},
		{name: "hostile", measure: hostile, bar: 100, better: higher, unit: percent},
		{name: "gc-stall", measure: gcStall, bar: 10, better: lower, unit: millis},
		{name: "static-vs-nginx", measure: staticVsNginx, bar: 0.7, better: higher},
		{name: "scheduler-10k-cpu", measure: schedulerCPU, bar: 1, better: lower, unit: percent},
		{name: "scheduler-10k-late", measure: schedulerLate, bar: 250, better: lower, unit: millis},
		{name: "rebuild-same", measure: rebuildSame, bar: 2, better: lower, unit: second},
		{name: "rebuild-line-go", measure: rebuildLineGo, bar: 1.1, better: lower},
		{name: "rebuild-line-node", measure: rebuildLineNode, bar: 1.1, better: lower},
		{name: "build-neighbour", measure: buildNeighbour, bar: 1.5, better: lower},
		{name: "build-cancel", measure: buildCancel, bar: 2, better: lower, unit: second},
		{name: "builder-idle", measure: builderIdle, bar: 0, better: lower, unit: mebi},
	}
}

func main() {
	only := flag.String("only", "", "measure this row only; control-2000 and the like mean every row that begins so")
	rounds := flag.Int("rounds", 0, "rounds of each row; 0 means the row's own choice")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, *only, *rounds)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, only string, rounds int) (code int) {
	chosen := choose(only)
	if len(chosen) == 0 {
		fmt.Fprintf(os.Stderr, "error: there is no row %q; the rows are:", only)
		for _, r := range rows() {
			fmt.Fprintf(os.Stderr, " %s", r.name)
		}
		fmt.Fprintln(os.Stderr)
		return 2
	}
	s, err := newSetup(ctx, rounds)
	if err != nil {
		fmt.Fprintln(os.Stderr, "error: preparing to measure:", err)
		return 1
	}
	defer func() {
		if err := s.close(context.WithoutCancel(ctx)); err != nil {
			fmt.Fprintln(os.Stderr, "error: cleaning up:", err)
			code = 1
		}
	}()
	for _, r := range chosen {
		res, err := r.measure(ctx, s)
		if err != nil {
			fmt.Fprintf(os.Stderr, "error: %s could not be measured: %v\n", r.name, err)
			code = 1
			if ctx.Err() != nil {
				return code
			}
			continue
		}
		if res.detail != "" {
			fmt.Fprintf(os.Stderr, "  %s: %s\n", r.name, res.detail)
		}
		fmt.Println(r.line(res))
	}
	return code
}

// choose returns the rows of a name: the row itself, or those of which it is the beginning.
func choose(only string) []row {
	all := rows()
	if i := slices.IndexFunc(all, func(r row) bool { return r.name == only }); i >= 0 {
		return all[i : i+1]
	}
	return slices.DeleteFunc(all, func(r row) bool {
		return only != "" && (len(r.name) < len(only)+1 || r.name[:len(only)+1] != only+"-")
	})
}
