// Package store keeps everything pandabox knows in one bbolt file: intent, status, access, certificates and the record
// of what happened.
//
// Values are JSON unless noted. Keys are text with parts joined by "/"; numbers in keys are decimal with leading zeros,
// so that keys sort as numbers do. An index holds the primary key under another, unique key.
//
//	meta
//	├─ schema                     decimal version of this tree
//	└─ box                        Box: when made, when claimed, the claim link, the key check
//	orgs                          ORG → model.Org
//	└ orgs.name                   NAME
//	projects                      PROJECT → model.Project
//	└ projects.name               ORG/NAME
//	environments                  ENV → model.Environment
//	└ environments.name           PROJECT/NAME
//	apps                          APP → model.App
//	├ apps.name                   ORG/NAME
//	└ apps.project                PROJECT/APP
//	workloads                     WORKLOAD → model.Workload
//	├ workloads.place             APP/ENV
//	└ workloads.env               ENV/WORKLOAD
//	status                        WORKLOAD → model.WorkloadStatus
//	configs                       WORKLOAD/VERSION → model.Config
//	releases                      RELEASE → model.Release
//	└ releases.number             WORKLOAD/NUMBER
//	deploys                       DEPLOY → model.Deploy
//	└ deploys.workload            WORKLOAD/DEPLOY
//	builds                        BUILD → model.Build
//	├ builds.workload             WORKLOAD/BUILD
//	└ builds.open                 RELEASE, of those not over
//	repositories                  REPOSITORY → model.Repository
//	├ repositories.app            APP/REPOSITORY
//	└ repositories.org            ORG/REPOSITORY
//	deliveries                    REPOSITORY/ID → model.Delivery
//	├ deliveries.time             REPOSITORY/TIME/DELIVERY
//	└ deliveries.open             TIME/DELIVERY, of those still to be done
//	githubapps                    APP → model.GitHubApp
//	└ githubapps.name             ORG/NAME
//	hooks                         HOOK → model.DeployHook
//	├ hooks.hash                  SHA-256 of the secret
//	└ hooks.org                   ORG/HOOK
//	approvals                     APPROVAL → model.Approval
//	└ approvals.org               ORG/APPROVAL
//	domains                       HOST → model.Domain
//	└ domains.workload            WORKLOAD/HOST
//	jobs                          JOB → model.Job
//	├ jobs.workload               WORKLOAD/JOB
//	└ jobs.name                   WORKLOAD/NAME, of those that are not deleted
//	runs                          JOB/NUMBER → model.JobRun
//	├ runs.due                    JOB/UNIX SECONDS
//	└ runs.open                   JOB/NUMBER, of those that are not final
//	tokens                        TOKEN → model.Token
//	├ tokens.hash                 hexadecimal SHA-256
//	└ tokens.org                  ORG/TOKEN
//	keys                          KEY → model.Key
//	├ keys.fingerprint            SHA256:…
//	└ keys.org                    ORG/KEY
//	audit                         SEQUENCE → Audited; the newest MaxAudit
//	└ audit.org                   ORG/SEQUENCE
//	events                        SEQUENCE → model.Event; the newest MaxEvents
//	idempotency                   KEY → Idempotent
//	└ idempotency.expiry          UNIX SECONDS/KEY
//	blobs                         KEY → 8 bytes of Unix nanoseconds, big endian, then the value itself
//
// # Transactions
//
// Update is one writer at a time; what it wrote is on the disk when it returns nil, and nothing of it is when it
// returns an error. View and Desired read the last commit and never wait for a writer. Everything that the controller
// works from is also held decoded in memory and replaced at each commit, so that Desired costs a copy and no decoding.
//
// # Retention
//
// A workload keeps its newest KeepReleases releases and KeepDeploys deploys, and besides those whatever is wanted, good,
// serving or unfinished; configurations are kept as long as a kept release names them.
package store
