// Package reconcile makes what runs match what is wanted. It reads one snapshot of all intent and one observation of
// all containers, decides per workload with a pure function (plan.go), and carries the decisions out with idempotent
// operations (exec.go).
//
// One goroutine, Controller.Run, owns all state. Whatever takes time happens in goroutines of its own that answer with a
// message: reading intent, listing containers, probing, writing status, and every operation. So a slow pull, a stuck
// disk or a dead containerd holds up nothing but itself.
//
// A plan is not a list of steps but the set of operations that should be under way now. The controller starts those that
// are not, and calls off those no longer in the set; then any newer intent, any crash of the daemon and any failed
// operation need no case of their own: the next plan says what to do.
//
// What the plan remembers between passes (health, crashes, which images are present) is in memory and is found again
// after a restart: from the containers themselves, from the status written last, or by looking once more.
package reconcile
