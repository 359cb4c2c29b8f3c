package network

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"path/filepath"
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

func TestAssignmentsNeverOverlap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		prefix := rapid.Custom(func(t *rapid.T) netip.Prefix {
			return netip.PrefixFrom(fromUint(rapid.Uint32().Draw(t, "address")), rapid.IntRange(1, 32).Draw(t, "bits")).Masked()
		})
		near := rapid.Custom(func(t *rapid.T) netip.Prefix { // inside or around the subnet, where it matters
			return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 87, byte(rapid.IntRange(0, 255).Draw(t, "third")), byte(rapid.IntRange(0, 255).Draw(t, "fourth"))}),
				rapid.IntRange(12, 32).Draw(t, "bits")).Masked()
		})
		taken := rapid.SliceOfN(rapid.OneOf(prefix, near), 0, 8).Draw(t, "taken")
		bits := rapid.IntRange(20, 29).Draw(t, "bits")
		subnet := netip.MustParsePrefix("10.87.0.0/18")
		var p plan
		for i := range rapid.IntRange(1, 40).Draw(t, "environments") {
			a, err := p.assign(fmt.Sprint("env-", i), []netip.Prefix{subnet}, bits, taken)
			if err != nil {
				free := 0
				for n := toUint(subnet.Addr()); subnet.Contains(fromUint(n)); n += 1 << (32 - bits) {
					if c := netip.PrefixFrom(fromUint(n), bits); !overlapsAny(c, taken) && !overlapsAny(c, prefixes(p)) {
						free++
					}
				}
				if free > 0 {
					t.Fatalf("%v, but %d networks are free", err, free)
				}
				return
			}
			if !subnet.Overlaps(a.Prefix) || a.Prefix != a.Prefix.Masked() || a.Prefix.Bits() != bits || overlapsAny(a.Prefix, taken) {
				t.Fatalf("assigned %s of %s, taken %v", a.Prefix, subnet, taken)
			}
		}
		seen := map[int]bool{}
		for env, a := range p.Environments {
			if seen[a.Number] {
				t.Fatalf("number %d is given twice", a.Number)
			}
			seen[a.Number] = true
			for other, o := range p.Environments {
				if env != other && a.Prefix.Overlaps(o.Prefix) {
					t.Fatalf("%s and %s overlap: %s, %s", env, other, a.Prefix, o.Prefix)
				}
			}
		}
	})
}

func overlapsAny(p netip.Prefix, others []netip.Prefix) bool {
	for _, o := range others {
		if o.Overlaps(p) {
			return true
		}
	}
	return false
}

func prefixes(p plan) (out []netip.Prefix) {
	for _, a := range p.Environments {
		out = append(out, a.Prefix)
	}
	return out
}

func TestPlanIsReadAsItWasSaved(t *testing.T) {
	path := filepath.Join(t.TempDir(), stateFile)
	if p, err := loadPlan(path); err != nil || len(p.Environments) != 0 {
		t.Fatalf("no file: %+v %v", p, err)
	}
	p := plan{}
	for _, env := range []string{"a", "b", "c"} {
		if _, err := p.assign(env, []netip.Prefix{netip.MustParsePrefix("10.87.0.0/16")}, 24, nil); err != nil {
			t.Fatal(err)
		}
	}
	delete(p.Environments, "b")
	if err := p.save(path); err != nil {
		t.Fatal(err)
	}
	got, err := loadPlan(path)
	if err != nil || !reflect.DeepEqual(got, p) {
		text, _ := json.Marshal(got)
		t.Errorf("read %s, %v", text, err)
	}
	if a, _ := got.assign("d", []netip.Prefix{netip.MustParsePrefix("10.87.0.0/16")}, 24, nil); a.Number != 2 || a.Prefix.String() != "10.87.1.0/24" {
		t.Errorf("the gap is not used: %+v", a)
	}
}
