package forge

import (
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"code.gitea.io/sdk/gitea"
	"github.com/google/go-github/v75/github"
	gitlab "gitlab.com/gitlab-org/api/client-go"

	"github.com/pandabox/pandabox/pkg/control"
	"github.com/pandabox/pandabox/pkg/model"
)

// maxMessage bounds one message of a forge, in bytes: GitHub sends none that is larger.
const maxMessage = 25 << 20

// message is what a forge sent, once its signature was checked.
type message struct {
	id      string // the forge's own, the same when it sends a message again
	event   string // as the forge calls it
	payload []byte
}

// read takes a message and checks that the forge signed it with the repository's secret, in constant time and before
// anything of it is looked at.
func read(r *http.Request, repo control.OpenRepository) (message, error) {
	payload, err := io.ReadAll(io.LimitReader(r.Body, maxMessage+1))
	if err != nil {
		return message{}, model.Errorf(model.KindCanceled, "the message did not come to its end").Wrap(err)
	}
	if len(payload) > maxMessage {
		return message{}, model.Errorf(model.KindTooLarge, "the message is larger than %d MB", maxMessage>>20)
	}
	var m message
	signed := false
	switch repo.Forge {
	case model.ForgeGitHub:
		m = message{github.DeliveryID(r), github.WebHookType(r), payload}
		signature := r.Header.Get(github.SHA256SignatureHeader) // that of SHA-1 beside it is not enough
		signed = signature != "" && github.ValidateSignature(signature, payload, []byte(repo.Secret)) == nil
		if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
			return m, model.Invalid("the webhook sends forms").WithHint("choose application/json as its content type")
		}
	case model.ForgeGitLab:
		m = message{r.Header.Get("X-Gitlab-Event-UUID"), r.Header.Get("X-Gitlab-Event"), payload}
		if id := r.Header.Get("Idempotency-Key"); id != "" { // newer ones: the same when it is sent again
			m.id = id
		}
		signed = subtle.ConstantTimeCompare([]byte(r.Header.Get("X-Gitlab-Token")), []byte(repo.Secret)) == 1
	case model.ForgeGitea:
		m = message{r.Header.Get("X-Gitea-Delivery"), r.Header.Get("X-Gitea-Event"), payload}
		if m.event == "" {
			m.id, m.event = r.Header.Get("X-Forgejo-Delivery"), r.Header.Get("X-Forgejo-Event")
		}
		signature := r.Header.Get("X-Gitea-Signature")
		if signature == "" {
			signature = r.Header.Get("X-Forgejo-Signature")
		}
		ok, err := gitea.VerifyWebhookSignature(repo.Secret, signature, payload)
		signed = signature != "" && err == nil && ok
	}
	if !signed {
		return m, model.Errorf(model.KindUnauthenticated, "the message is not signed with this webhook's secret").
			WithHint("enter the secret that pandabox repos connect told; or connect the repository again")
	}
	if m.id == "" || len(m.id) > 200 || len(m.event) > 100 {
		return m, model.Invalid("the message has no id")
	}
	return m, nil
}

// errNothing is a message that asks for nothing: why is told to the forge.
type nothing struct{ why string }

func (n nothing) Error() string { return n.why }

// arrival returns what a message tells of. One that tells of nothing to be done is a nothing.
func (m message) arrival(repo control.OpenRepository) (model.Arrival, error) {
	a, name, err := m.parse(repo.Forge)
	var none nothing
	switch {
	case errors.As(err, &none):
		return a, err
	case err != nil:
		return a, model.Invalid("the message cannot be read").Wrap(err).WithWhy("%s", err).WithHint("is the webhook one of %s?", repo.Forge)
	case !strings.EqualFold(name, repo.Name):
		return a, nothing{"it is about " + name + ", not " + repo.Name}
	}
	if err := model.CheckBranch(a.Branch); err != nil {
		return a, err
	}
	if a.Commit != "" && !isHash(a.Commit) {
		return a, model.Invalid("%q is not a commit", a.Commit)
	}
	return a, nil
}

func (m message) parse(forge model.Forge) (model.Arrival, string, error) {
	if forge == model.ForgeGitLab {
		return m.gitlab()
	}
	return m.github(forge)
}

// github reads GitHub's messages, and those of Gitea and Forgejo, which have the same form.
func (m message) github(forge model.Forge) (model.Arrival, string, error) {
	switch m.event {
	case "push", "pull_request", "pull_request_sync":
	case "ping":
		return model.Arrival{}, "", nothing{"pong"}
	default:
		return model.Arrival{}, "", nothing{"messages about " + m.event + " are not needed"}
	}
	kind := m.event
	if kind == "pull_request_sync" {
		kind = "pull_request"
	}
	e, err := github.ParseWebHook(kind, m.payload)
	if err != nil {
		return model.Arrival{}, "", err
	}
	switch e := e.(type) {
	case *github.PushEvent:
		a, name, err := githubPush(e)
		if err == nil && forge == model.ForgeGitea && m.shortened(len(e.Commits)) { //nolint:staticcheck // as in githubPush
			a.All = true
		}
		return bounded(a), name, err
	case *github.PullRequestEvent:
		return githubPull(e)
	}
	return model.Arrival{}, "", nothing{"messages of " + string(forge) + " about " + m.event + " are not needed"}
}

func githubPush(e *github.PushEvent) (model.Arrival, string, error) {
	name := e.GetRepo().GetFullName()
	branch, ok := strings.CutPrefix(e.GetRef(), "refs/heads/")
	switch {
	case !ok:
		return model.Arrival{}, name, nothing{e.GetRef() + " is no branch"}
	case e.GetDeleted() || isZero(e.GetAfter()):
		return model.Arrival{}, name, nothing{"the branch " + branch + " was deleted; what runs stays"}
	}
	head := e.GetHeadCommit()
	a := model.Arrival{
		Branch: branch, Ref: e.GetRef(), Commit: e.GetAfter(), Message: head.GetMessage(), Author: head.GetAuthor().GetName(), URL: head.GetURL(),
	}
	commits := e.Commits //nolint:staticcheck // gone from the Events API; webhooks have them
	// A forced push may take commits away, and long ones are not told whole.
	a.All = e.GetForced() || e.GetCreated() || isZero(e.GetBefore()) || len(commits) == 0 || len(commits) >= toldCommits
	for _, c := range commits {
		a.Changed = append(a.Changed, c.Added...)
		a.Changed = append(a.Changed, c.Removed...)
		a.Changed = append(a.Changed, c.Modified...)
		if c.GetID() == e.GetAfter() && a.Message == "" { // Gitea has no head commit in older versions
			a.Message, a.Author, a.URL = c.GetMessage(), c.GetAuthor().GetName(), c.GetURL()
		}
	}
	return a, name, nil
}

// toldCommits is how many commits of a push a forge tells of at most: GitLab 20, GitHub 2048.
const toldCommits = 20

// giteaCommits is how many Gitea and Forgejo tell of by default; newer ones say of how many that are.
const giteaCommits = 5

// shortened tells whether Gitea left out commits of a push it told so many of.
func (m message) shortened(told int) bool {
	var of struct {
		Commits int `json:"total_commits"`
	}
	if err := json.Unmarshal(m.payload, &of); err != nil || of.Commits == 0 {
		return told >= giteaCommits
	}
	return of.Commits > told
}

// maxChanged bounds the paths that are kept of a push; with more of them all count.
const maxChanged = 5000

func bounded(a model.Arrival) model.Arrival {
	if len(a.Changed) > maxChanged {
		a.All = true
	}
	if a.All {
		a.Changed = nil
	}
	return a
}

func githubPull(e *github.PullRequestEvent) (model.Arrival, string, error) {
	name, pr := e.GetRepo().GetFullName(), e.GetPullRequest()
	number := e.GetNumber()
	if number == 0 {
		number = pr.GetNumber()
	}
	a := model.Arrival{
		Branch: pr.GetHead().GetRef(), Ref: "refs/pull/" + itoa(number) + "/head", Commit: pr.GetHead().GetSHA(), All: true,
		Message: pr.GetTitle(), Author: pr.GetUser().GetLogin(), URL: pr.GetHTMLURL(),
		Pull: &model.PullRequest{
			Number: number, Branch: pr.GetHead().GetRef(), Title: pr.GetTitle(), URL: pr.GetHTMLURL(),
			Fork: !strings.EqualFold(pr.GetHead().GetRepo().GetFullName(), name),
		},
	}
	switch e.GetAction() {
	case "opened", "reopened", "synchronize", "synchronized", "ready_for_review":
	case "closed":
		a.Closed = true
	default:
		return a, name, nothing{"a pull request that is " + e.GetAction() + " changes nothing"}
	}
	if number < 1 {
		return a, name, errors.New("the pull request has no number")
	}
	return a, name, nil
}

func (m message) gitlab() (model.Arrival, string, error) {
	kind := gitlab.EventType(m.event)
	switch kind {
	case gitlab.EventTypePush, gitlab.EventTypeMergeRequest:
	default:
		return model.Arrival{}, "", nothing{"messages about " + m.event + " are not needed"}
	}
	e, err := gitlab.ParseWebhook(kind, m.payload)
	if err != nil {
		return model.Arrival{}, "", err
	}
	switch e := e.(type) {
	case *gitlab.PushEvent:
		return gitlabPush(e)
	case *gitlab.MergeEvent:
		return gitlabMerge(e)
	}
	return model.Arrival{}, "", nothing{"messages about " + m.event + " are not needed"}
}

func gitlabPush(e *gitlab.PushEvent) (model.Arrival, string, error) {
	name := e.Project.PathWithNamespace
	branch, ok := strings.CutPrefix(e.Ref, "refs/heads/")
	switch {
	case !ok:
		return model.Arrival{}, name, nothing{e.Ref + " is no branch"}
	case isZero(e.After):
		return model.Arrival{}, name, nothing{"the branch " + branch + " was deleted; what runs stays"}
	}
	a := model.Arrival{Branch: branch, Ref: e.Ref, Commit: e.After, Author: e.UserName}
	a.All = isZero(e.Before) || len(e.Commits) == 0 || e.TotalCommitsCount > int64(len(e.Commits))
	for _, c := range e.Commits {
		a.Changed = append(a.Changed, c.Added...)
		a.Changed = append(a.Changed, c.Removed...)
		a.Changed = append(a.Changed, c.Modified...)
		if c.ID == e.After {
			a.Message, a.Author, a.URL = c.Message, c.Author.Name, c.URL
		}
	}
	return bounded(a), name, nil
}

func gitlabMerge(e *gitlab.MergeEvent) (model.Arrival, string, error) {
	name, mr := e.Project.PathWithNamespace, e.ObjectAttributes
	number := int(mr.IID)
	a := model.Arrival{
		Branch: mr.SourceBranch, Ref: "refs/merge-requests/" + itoa(number) + "/head", Commit: mr.LastCommit.ID, All: true,
		Message: mr.Title, URL: mr.URL,
		Pull: &model.PullRequest{Number: number, Branch: mr.SourceBranch, Title: mr.Title, URL: mr.URL, Fork: mr.SourceProjectID != mr.TargetProjectID},
	}
	if e.User != nil {
		a.Author = e.User.Name
	}
	switch mr.Action {
	case "open", "reopen":
	case "update":
		if mr.OldRev == "" {
			return a, name, nothing{"a merge request whose code stays as it is changes nothing"}
		}
	case "close", "merge":
		a.Closed = true
	default:
		return a, name, nothing{"a merge request with the action " + mr.Action + " changes nothing"}
	}
	if number < 1 {
		return a, name, errors.New("the merge request has no number")
	}
	return a, name, nil
}
