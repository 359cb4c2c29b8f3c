package store

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"go.etcd.io/bbolt"
	"pgregory.net/rapid"
)

type thing struct {
	ID, Group, Name string
}

func things() table[thing] {
	return table[thing]{"things", func(x *thing) string { return x.ID }, []index[thing]{
		{"name", func(x *thing) string {
			if x.Name == "" {
				return ""
			}
			return join(x.Group, x.Name)
		}},
	}}
}

// TestTableIsAMap compares a table and its index with a map, through any sequence of writes, deletes and pages.
func TestTableIsAMap(t *testing.T) {
	s := openTest(t)
	if err := s.db.Update(func(b *bbolt.Tx) error {
		_, err := b.CreateBucket([]byte("things"))
		_, err2 := b.CreateBucket([]byte("things.name"))
		return errors.Join(err, err2)
	}); err != nil {
		t.Fatal(err)
	}
	short := func(prefix string) *rapid.Generator[string] {
		return rapid.Custom(func(t *rapid.T) string { return prefix + fmt.Sprint(rapid.IntRange(0, 12).Draw(t, "n")) })
	}
	rapid.Check(t, func(rt *rapid.T) {
		is := map[string]thing{}
		if err := s.db.Update(func(b *bbolt.Tx) error { return deleteAll(&Tx{b: b, s: s}, things(), scan{}) }); err != nil {
			rt.Fatal(err)
		}
		taken := func(x thing) bool {
			for id, o := range is {
				if id != x.ID && x.Name != "" && o.Name == x.Name && o.Group == x.Group {
					return true
				}
			}
			return false
		}
		in := func(fn func(*Tx) error) error {
			return s.db.Update(func(b *bbolt.Tx) error { return fn(&Tx{b: b, s: s}) })
		}
		rt.Repeat(map[string]func(*rapid.T){
			"put": func(rt *rapid.T) {
				x := thing{short("id").Draw(rt, "id"), short("g").Draw(rt, "group"), rapid.OneOf(short("n"), rapid.Just("")).Draw(rt, "name")}
				err := in(func(tx *Tx) error { return things().put(tx, x) })
				if taken(x) != errors.Is(err, ErrTaken) {
					rt.Fatalf("putting %+v: %v", x, err)
				}
				if err == nil {
					is[x.ID] = x
				}
			},
			"delete": func(rt *rapid.T) {
				id := short("id").Draw(rt, "id")
				if err := in(func(tx *Tx) error { return things().delete(tx, id) }); err != nil {
					rt.Fatal(err)
				}
				delete(is, id)
			},
			"": func(rt *rapid.T) {
				limit := rapid.IntRange(1, 4).Draw(rt, "limit")
				reverse := rapid.Bool().Draw(rt, "reverse")
				group := short("g").Draw(rt, "group")
				var want []string
				for _, x := range is {
					if x.Group == group && x.Name != "" {
						want = append(want, x.Name)
					}
				}
				slices.Sort(want)
				if reverse {
					slices.Reverse(want)
				}
				var got []string
				for after, page := "", 0; page == 0 || after != ""; page++ {
					err := in(func(tx *Tx) error {
						found, next, err := things().list(tx, scan{index: "name", prefix: group + "/", after: after, limit: limit, reverse: reverse})
						for _, x := range found {
							got = append(got, x.Name)
						}
						if after = next; after != "" && len(found) != limit {
							return fmt.Errorf("a page of %d", len(found))
						}
						return err
					})
					if err != nil {
						rt.Fatal(err)
					}
				}
				if !slices.Equal(got, want) {
					rt.Fatalf("group %s has %q, want %q", group, got, want)
				}
				err := in(func(tx *Tx) error {
					all, _, err := things().list(tx, scan{})
					if len(all) != len(is) {
						return fmt.Errorf("%d of %d things", len(all), len(is))
					}
					for _, x := range all {
						if is[x.ID] != x {
							return fmt.Errorf("%+v, want %+v", x, is[x.ID])
						}
					}
					named := 0
					for x := range maps.Values(is) {
						if x.Name != "" {
							named++
						}
					}
					if n := tx.bucket("things.name").Stats().KeyN; n != named {
						return fmt.Errorf("%d index keys for %d names", n, named)
					}
					return err
				})
				if err != nil {
					rt.Fatal(err)
				}
			},
		})
	})
}

func TestEveryBucketIsDrawn(t *testing.T) {
	s := openTest(t)
	drawn := packageComment(t)
	_ = s.View(t.Context(), func(tx *Tx) error {
		return tx.b.ForEach(func(name []byte, _ *bbolt.Bucket) error {
			if !strings.Contains(drawn, "\n//\t"+string(name)) && !strings.Contains(drawn, " "+string(name)+" ") {
				t.Errorf("the bucket %s is not in the package comment", name)
			}
			return nil
		})
	})
}
