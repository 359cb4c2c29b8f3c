package edge

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/pandabox/pandabox/pkg/model"
)

// resident is what the process has in memory that is its own, in bytes.
func resident(t testing.TB) int64 {
	t.Helper()
	runtime.GC()
	debug.FreeOSMemory()
	raw, err := os.ReadFile("/proc/self/smaps_rollup")
	if err != nil {
		t.Fatal(err)
	}
	var total int64
	for line := range strings.Lines(string(raw)) {
		if f := strings.Fields(line); len(f) == 3 && (f[0] == "Private_Dirty:" || f[0] == "Private_Clean:") {
			n, err := strconv.ParseInt(f[1], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			total += n << 10
		}
	}
	return total
}

// TestIdleFunctionsAreCheap: many deployed functions of which few are used cost little more than the few.
func TestIdleFunctionsAreCheap(t *testing.T) {
	s := newStage(t, nil, real, func(c *Config) { c.Logger = zerolog.Nop() })
	const few, many = 10, 150
	var names []string
	deploy := func(to int) {
		for n := len(names); n < to; n++ {
			main := fmt.Sprintf("const n = %d\n%s", n, helloScript)
			names = append(names, s.run(fmt.Sprint("app-", n), main, func(c *model.ContainerSpec) { c.Env = []string{"NAME=" + fmt.Sprint(n)} }))
		}
	}
	deploy(few)
	before := resident(t)
	deploy(many)
	each := (resident(t) - before) / (many - few)
	if each > 60<<10 {
		t.Errorf("a deployed function nobody uses costs %d KB", each>>10)
	}

	// Cold: deployed, but no isolate is there; and after a restart nothing at all.
	cold := s.coldTimes(names)
	if held := s.held.Load(); held > 2*s.Host.cfg.Idle+64<<20 {
		t.Errorf("%d MB are held", held>>20)
	}
	s.restart()
	s.get(names[0]) // starts the engine
	restarted := s.coldTimes(names[1:])
	t.Logf("a deployed function costs %d KB; cold p50 %s p99 %s; after a restart p50 %s p99 %s", each>>10, cold.median, cold.p99, restarted.median, restarted.p99)
}

func (s *stage) coldTimes(names []string) latency {
	s.t.Helper()
	var took []time.Duration
	for _, name := range names {
		w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)
		began := time.Now()
		s.Serve(name, w, r, nil)
		took = append(took, time.Since(began))
		if w.Code != 200 || !strings.HasPrefix(w.Body.String(), "hello ") {
			s.t.Fatalf("%s: %d %q; %s", name, w.Code, w.Body, s.log())
		}
	}
	slices.Sort(took)
	return latency{took[len(took)/2], took[len(took)*99/100]}
}
