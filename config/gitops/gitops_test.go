// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package gitops_test runs the health checks that we ship for Argo CD and Flux on
// the engines that those use, over the states an object passes through.
package gitops_test

import (
	"os"
	"testing"

	"github.com/google/cel-go/cel"
	lua "github.com/yuin/gopher-lua"
	"sigs.k8s.io/yaml"
)

type verdicts struct{ argo, flux string }

var states = []struct {
	name   string
	object string
	want   verdicts
}{
	{
		name:   "a_new_object_is_in_progress",
		object: `{metadata: {generation: 1}, status: {}}`,
		want:   verdicts{argo: "Progressing", flux: "inProgress"},
	},
	{
		name: "ready_is_healthy",
		object: `{metadata: {generation: 1}, status: {observedGeneration: 1, conditions: [
			{type: Ready, status: "True", message: reconciled}]}}`,
		want: verdicts{argo: "Healthy", flux: "current"},
	},
	{
		name: "an_unseen_change_is_in_progress",
		object: `{metadata: {generation: 2}, status: {observedGeneration: 1, conditions: [
			{type: Ready, status: "True", message: reconciled}]}}`,
		want: verdicts{argo: "Progressing", flux: "inProgress"},
	},
	{
		name: "a_peer_that_is_away_is_healthy",
		object: `{metadata: {generation: 1}, status: {observedGeneration: 1, conditions: [
			{type: Ready, status: "True", message: reconciled},
			{type: Connected, status: "False", message: "no path to bravo answers"}]}}`,
		want: verdicts{argo: "Healthy", flux: "current"},
	},
	{
		name: "not_ready_is_in_progress",
		object: `{metadata: {generation: 1}, status: {observedGeneration: 1, conditions: [
			{type: Ready, status: "False", message: "waiting for the certificate"}]}}`,
		want: verdicts{argo: "Progressing", flux: "unknown"},
	},
	{
		name: "stalled_is_a_failure",
		object: `{metadata: {generation: 1}, status: {observedGeneration: 1, conditions: [
			{type: Ready, status: "False", message: "no certificate"},
			{type: Stalled, status: "True", message: "bundle is not PEM"}]}}`,
		want: verdicts{argo: "Degraded", flux: "failed"},
	},
	{
		name: "a_suspended_peer_is_suspended",
		object: `{metadata: {generation: 1}, status: {observedGeneration: 1, conditions: [
			{type: Ready, status: "True", message: reconciled},
			{type: Suspended, status: "True", message: "spec.state is Suspended"}]}}`,
		want: verdicts{argo: "Suspended", flux: "current"},
	},
}

func TestArgoHealth(t *testing.T) {
	script, err := os.ReadFile("argocd/health.lua")
	if err != nil {
		t.Fatal(err)
	}
	for _, state := range states {
		t.Run(state.name, func(t *testing.T) {
			machine := lua.NewState()
			defer machine.Close()
			machine.SetGlobal("obj", toLua(machine, object(t, state.object)))
			if err := machine.DoString(string(script)); err != nil {
				t.Fatal(err)
			}
			health, ok := machine.Get(-1).(*lua.LTable)
			if !ok {
				t.Fatalf("the script returned %v, want a table", machine.Get(-1))
			}
			if got := health.RawGetString("status").String(); got != state.want.argo {
				t.Errorf("status is %s, want %s", got, state.want.argo)
			}
			if health.RawGetString("message").String() == "" {
				t.Error("there is no message")
			}
		})
	}
}

func TestFluxHealth(t *testing.T) {
	data, err := os.ReadFile("flux/flux-kustomization.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var kustomization struct {
		Spec struct {
			HealthCheckExprs []struct{ Kind, InProgress, Failed, Current string }
		}
	}
	if err := yaml.Unmarshal(data, &kustomization); err != nil {
		t.Fatal(err)
	}
	if len(kustomization.Spec.HealthCheckExprs) != 5 {
		t.Fatalf("%d kinds have expressions, want 5", len(kustomization.Spec.HealthCheckExprs))
	}
	for _, check := range kustomization.Spec.HealthCheckExprs {
		for _, state := range states {
			t.Run(check.Kind+"/"+state.name, func(t *testing.T) {
				got := "unknown"
				// Flux asks in this order; the first that holds decides.
				for _, step := range []struct{ verdict, expression string }{
					{"inProgress", check.InProgress}, {"failed", check.Failed}, {"current", check.Current},
				} {
					if evaluate(t, step.expression, object(t, state.object)) {
						got = step.verdict
						break
					}
				}
				if got != state.want.flux {
					t.Errorf("verdict is %s, want %s", got, state.want.flux)
				}
			})
		}
	}
}

func evaluate(t *testing.T, expression string, object map[string]any) bool {
	t.Helper()
	env, err := cel.NewEnv(cel.Variable("metadata", cel.DynType), cel.Variable("status", cel.DynType))
	if err != nil {
		t.Fatal(err)
	}
	ast, issues := env.Compile(expression)
	if issues.Err() != nil {
		t.Fatalf("compiling %q: %v", expression, issues.Err())
	}
	program, err := env.Program(ast)
	if err != nil {
		t.Fatal(err)
	}
	value, _, err := program.Eval(object)
	if err != nil {
		t.Fatalf("evaluating %q: %v", expression, err)
	}
	holds, ok := value.Value().(bool)
	return ok && holds
}

func object(t *testing.T, text string) map[string]any {
	t.Helper()
	var object map[string]any
	if err := yaml.Unmarshal([]byte(text), &object); err != nil {
		t.Fatal(err)
	}
	return object
}

func toLua(machine *lua.LState, value any) lua.LValue {
	switch value := value.(type) {
	case map[string]any:
		table := machine.NewTable()
		for key, inner := range value {
			table.RawSetString(key, toLua(machine, inner))
		}
		return table
	case []any:
		table := machine.NewTable()
		for _, inner := range value {
			table.Append(toLua(machine, inner))
		}
		return table
	case string:
		return lua.LString(value)
	case float64:
		return lua.LNumber(value)
	default:
		return lua.LNil
	}
}
