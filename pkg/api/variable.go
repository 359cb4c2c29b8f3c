package api

// Variable is one piece of configuration.
type Variable struct {
	Name   string `json:"name"`
	Value  string `json:"value,omitempty" doc:"absent for a secret"`
	Secret bool   `json:"secret,omitempty" doc:"write-only"`
}

// VariableChange sets and unsets variables in one step.
type VariableChange struct {
	Set     map[string]string `json:"set,omitempty"`
	Secrets []string          `json:"secrets,omitempty" doc:"names in set to be write-only from now on"`
	Unset   []string          `json:"unset,omitempty"`
}

// VariablesChanged tells what a change did.
type VariablesChanged struct {
	Version int     `json:"version" doc:"of the variables now"`
	Deploy  *Deploy `json:"deploy,omitempty" doc:"brings them to the running app; absent when nothing runs or nothing changed"`
}
