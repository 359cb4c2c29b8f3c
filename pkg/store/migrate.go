package store

import (
	"fmt"
	"os"
	"strconv"
	"time"

	"go.etcd.io/bbolt"

	"github.com/pandabox/pandabox/pkg/model"
)

const (
	bucketMeta = "meta"
	keySchema  = "schema"
)

// migration brings a store from one schema version to the next. It must not use the tables of today: they change.
type migration struct {
	what string
	run  func(b *bbolt.Tx, now time.Time) error
}

// migrations is the list, in order and only ever appended to: a store's schema version is how many of them it has seen.
func migrations() []migration {
	return []migration{
		{"the first tree", firstTree},
		{"jobs and their runs", treeOf("jobs", "jobs.workload", "jobs.name", "runs", "runs.due", "runs.open")},
		{"builds", treeOf("builds", "builds.workload", "builds.open")},
		{"approvals", treeOf("approvals", "approvals.org")},
		{"repositories and deploy hooks", treeOf("repositories", "repositories.app", "repositories.org", "deliveries", "deliveries.time", "deliveries.open",
			"hooks", "hooks.hash", "hooks.org")},
		{"SSH keys", treeOf("keys", "keys.fingerprint", "keys.org")},
		{"GitHub Apps", treeOf("githubapps", "githubapps.name")},
	}
}

// Schema is the version this binary reads and writes.
func Schema() int { return len(migrations()) }

func firstTree(b *bbolt.Tx, now time.Time) error {
	for _, name := range []string{
		"orgs", "orgs.name", "projects", "projects.name", "environments", "environments.name", "apps", "apps.name",
		"apps.project", "workloads", "workloads.place", "workloads.env", "status", "configs", "releases",
		"releases.number", "deploys", "deploys.workload", "domains", "domains.workload", "tokens", "tokens.hash",
		"tokens.org", "audit", "audit.org", "events", "idempotency", "idempotency.expiry", "blobs",
	} {
		if _, err := b.CreateBucket([]byte(name)); err != nil {
			return fmt.Errorf("making the bucket %s: %w", name, err)
		}
	}
	return b.Bucket([]byte(bucketMeta)).Put([]byte("box"), []byte(`{"createdAt":"`+now.Format(time.RFC3339Nano)+`"}`))
}

// treeOf returns a migration that makes buckets.
func treeOf(names ...string) func(*bbolt.Tx, time.Time) error {
	return func(b *bbolt.Tx, _ time.Time) error {
		for _, name := range names {
			if _, err := b.CreateBucket([]byte(name)); err != nil {
				return fmt.Errorf("making the bucket %s: %w", name, err)
			}
		}
		return nil
	}
}

// migrate runs what db has not seen yet, each migration in a transaction of its own, and keeps a copy of a store that
// was in use before.
func migrate(db *bbolt.DB, path string, ms []migration, now time.Time) error {
	have, err := schemaOf(db)
	if err != nil {
		return damaged(path, err)
	}
	if have > len(ms) {
		return model.Conflict("%s was written by a newer pandabox", path).
			WithWhy("its schema is version %d, this program knows versions up to %d", have, len(ms)).
			WithHint("install the newer pandabox again, or restore a backup made by this version")
	}
	if have > 0 && have < len(ms) {
		if err := keepCopy(db, fmt.Sprintf("%s.schema-%d", path, have)); err != nil {
			return explain("keeping a copy of the store before its migration", path, err)
		}
	}
	for i := have; i < len(ms); i++ {
		err := db.Update(func(b *bbolt.Tx) error {
			meta, err := b.CreateBucketIfNotExists([]byte(bucketMeta))
			if err != nil {
				return err
			}
			if err := ms[i].run(b, now); err != nil {
				return err
			}
			return meta.Put([]byte(keySchema), []byte(strconv.Itoa(i+1)))
		})
		if err != nil {
			return explain(fmt.Sprintf("migrating the store to schema %d (%s)", i+1, ms[i].what), path, err)
		}
	}
	return nil
}

// schemaOf returns the schema version of db, 0 for an empty file.
func schemaOf(db *bbolt.DB) (version int, err error) {
	err = db.View(func(b *bbolt.Tx) error {
		meta := b.Bucket([]byte(bucketMeta))
		if meta == nil {
			if k, _ := b.Cursor().First(); k != nil {
				return fmt.Errorf("it holds %q but no schema version", k)
			}
			return nil
		}
		version, err = strconv.Atoi(string(meta.Get([]byte(keySchema))))
		if err != nil || version < 1 {
			return fmt.Errorf("its schema version is %q", meta.Get([]byte(keySchema)))
		}
		return nil
	})
	return version, err
}

// keepCopy writes db to file, whole and synced, in place of what is there.
func keepCopy(db *bbolt.DB, file string) error {
	return replaceFile(file, func(f *os.File) error {
		return db.View(func(b *bbolt.Tx) error {
			_, err := b.WriteTo(f)
			return err
		})
	})
}
