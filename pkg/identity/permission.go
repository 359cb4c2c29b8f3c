package identity

// Permission names one thing somebody may be allowed to do. Every route of the API declares the one it needs.
type Permission string

// The permissions. Who has which stands in one table, see Authorize.
const (
	AppRead            Permission = "app.read"            // apps, workloads, releases, deploys, domains and events
	AppScale           Permission = "app.scale"           // replicas, CPU and memory
	AppDestroy         Permission = "app.destroy"         // an app, or one of its environments, with its volumes
	DeployCreate       Permission = "deploy.create"       // deploy, roll back, restart, cancel, upload an image
	VariableRead       Permission = "variable.read"       // names, and the values of those that are not secret
	VariableWrite      Permission = "variable.write"      // set and unset
	DomainWrite        Permission = "domain.write"        // add and remove
	CertificateWrite   Permission = "certificate.write"   // bring a certificate and its key
	LogRead            Permission = "log.read"            // what apps print
	FunctionInvoke     Permission = "function.invoke"     // call a function through the API
	KVRead             Permission = "kv.read"             // keys and values of an environment's store
	KVWrite            Permission = "kv.write"            // put and delete them
	JobWrite           Permission = "job.write"           // add, pause, resume and remove jobs
	JobRun             Permission = "job.run"             // start a job by hand, cancel a run
	Exec               Permission = "exec"                // a shell in a container: it can read every variable
	TokenRead          Permission = "token.read"          // list tokens, never their secrets
	TokenManage        Permission = "token.manage"        // create and revoke tokens
	OwnerManage        Permission = "owner.manage"        // create and revoke tokens of the role owner
	AuditRead          Permission = "audit.read"          // who did what
	BoxRead            Permission = "box.read"            // version and base domain: anybody with a role in any org
	BoxInspect         Permission = "box.inspect"         // doctor: the state of the whole box
	BoxBackup          Permission = "box.backup"          // download all control state with the keys that open it
	BoxRotate          Permission = "box.rotate"          // a new master key for all variables
	DeployApprove      Permission = "deploy.approve"      // deploys to protected environments, one's own and those of others
	EnvironmentProtect Permission = "environment.protect" // say which environments are protected
	RepositoryManage   Permission = "repository.manage"   // connect and remove repositories at forges
	HookManage         Permission = "hook.manage"         // make and remove deploy hooks
	BuildPrune         Permission = "build.prune"         // remove the box's build cache
	BuildBases         Permission = "build.bases"         // add and remove the images that builds begin with
	BoxClaim           Permission = "box.claim"           // make a new owner link: root on the box only
)

// Permissions returns every permission, in the order they are documented.
func Permissions() []Permission {
	return []Permission{
		AppRead, AppScale, AppDestroy, DeployCreate, DeployApprove, EnvironmentProtect, RepositoryManage, HookManage, VariableRead, VariableWrite, DomainWrite, CertificateWrite, LogRead,
		FunctionInvoke, KVRead, KVWrite, JobWrite, JobRun,
		Exec, TokenRead, TokenManage, OwnerManage, AuditRead, BoxRead, BoxInspect, BoxBackup, BoxRotate, BuildPrune, BuildBases, BoxClaim,
	}
}
