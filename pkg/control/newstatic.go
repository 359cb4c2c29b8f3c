package control

import "github.com/pandabox/pandabox/pkg/model"

// checkStatic refuses what no deploy of a static site could be. A site is always built of a source, even where nothing
// has to be run for that.
func (n NewDeploy) checkStatic() error {
	switch {
	case n.Kind != model.KindStatic:
		return nil
	case n.Build == nil:
		return model.Invalid("no source of the site is named").WithHint("pandabox deploy in the site's folder")
	case n.Image != (model.Image{}) || n.Function != nil:
		return model.Invalid("a static site runs no image and no function").WithHint("choose one: an image with the kind web, or a site's source")
	case len(n.Processes) > 0 || len(n.Scale) > 0:
		return model.Invalid("a static site has no processes and no scale").
			WithWhy("its files are served by pandabox itself").WithHint(`for a server of its own leave out kind = "static"`)
	case len(n.Volumes) > 0:
		return model.Invalid("a static site has no volumes").WithWhy("its files are served by pandabox itself").WithHint("keep data in an app of its own")
	case n.Jobs != nil && len(*n.Jobs) > 0:
		return siteHasNoJobs((*n.Jobs)[0].Name)
	}
	return nil
}

func siteHasNoJobs(name string) error {
	return model.Invalid("the job %s belongs to a static site, which runs nothing", name).
		WithHint("give the job to an app or a function of the same environment: http://SITE.internal leads to the site")
}

// noContainer refuses for a function or a site what only a container can do. hint is for functions.
func noContainer(a model.App, what, hint string) error {
	switch a.Kind {
	case model.KindFunction:
		return model.Invalid("%s is a function, it cannot be %s", a.Name, what).
			WithWhy("a function has no containers: it runs inside pandabox, as many requests at once as its limits say").WithHint("%s", hint)
	case model.KindStatic:
		return model.Invalid("%s is a static site, it cannot be %s", a.Name, what).
			WithWhy("a static site has no containers: pandabox itself answers with its files, as many requests at once as there are").
			WithHint("deploy it again with what should change: pandabox deploy")
	}
	return nil
}
