package network

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/pandabox/pandabox/pkg/model"
)

// plan is which environment has which network. It is kept on disk, so that an environment keeps its network over
// restarts.
type plan struct {
	Environments map[string]assignment `json:"environments"` // by environment id
}

// assignment is one environment's share.
type assignment struct {
	Number int          `json:"number"` // of the bridge: pbxIDnumber
	Prefix netip.Prefix `json:"prefix"`
}

// assign gives envID, which has none, the first free network of length bits, from subnets in their order, that overlaps
// none of taken.
func (p *plan) assign(envID string, subnets []netip.Prefix, bits int, taken []netip.Prefix) (assignment, error) {
	numbers := map[int]bool{}
	busy := append([]netip.Prefix(nil), taken...)
	for _, other := range p.Environments {
		numbers[other.Number] = true
		busy = append(busy, other.Prefix)
	}
	a := assignment{Number: 1}
	for numbers[a.Number] {
		a.Number++
	}
	for _, s := range subnets {
		if prefix, ok := firstFree(s, bits, busy); ok {
			a.Prefix = prefix
			if p.Environments == nil {
				p.Environments = map[string]assignment{}
			}
			p.Environments[envID] = a
			return a, nil
		}
	}
	return assignment{}, model.Errorf(model.KindUnavailable, "no address range is left for another environment").
		WithWhy("%d environments have one, and the host's own routes cover the rest of %s", len(p.Environments), subnets[0]).
		WithHint("destroy environments that are not needed, or set another subnet")
}

// firstFree returns the first network of length bits inside subnet that overlaps none of busy.
func firstFree(subnet netip.Prefix, bits int, busy []netip.Prefix) (netip.Prefix, bool) {
	if bits < subnet.Bits() {
		return netip.Prefix{}, false
	}
	step := uint64(1) << (32 - bits)
	first := uint64(toUint(subnet.Masked().Addr()))
	end := first + uint64(1)<<(32-subnet.Bits())
next:
	for n := first; n < end; {
		candidate := netip.PrefixFrom(fromUint(uint32(n)), bits)
		for _, b := range busy {
			if b.Overlaps(candidate) {
				// Go on behind whichever of the two ends later: a wide busy range is left in one step.
				n = max(n+step, uint64(toUint(b.Masked().Addr()))+uint64(1)<<(32-b.Bits()))
				continue next
			}
		}
		return candidate, true
	}
	return netip.Prefix{}, false
}

func toUint(a netip.Addr) uint32 {
	b := a.As4()
	return binary.BigEndian.Uint32(b[:])
}

func fromUint(n uint32) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], n)
	return netip.AddrFrom4(b)
}

func loadPlan(path string) (plan, error) {
	var p plan
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &p)
	}
	if err != nil {
		return plan{}, fmt.Errorf("reading the assignment of networks from %s: %w", path, err)
	}
	return p, nil
}

// save replaces the file as a whole: after a crash it holds the old or the new plan.
func (p plan) save(path string) error {
	b, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the assignment of networks: %w", err)
	}
	if err := replaceFile(path, append(b, '\n')); err != nil {
		return fmt.Errorf("saving the assignment of networks: %w", err)
	}
	return nil
}

func replaceFile(path string, b []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	err = dir.Sync()
	if cerr := dir.Close(); err == nil {
		err = cerr
	}
	return err
}
