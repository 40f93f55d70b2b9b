// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package expression compiles and evaluates the CEL expressions (Common Expression
// Language, cel.dev) of feed rules over STIX objects. The one variable, object, is
// the object as its JSON has it.
//
// It promises that compiling finds every error of syntax and type, that an
// evaluation ends within a bounded cost whatever the object holds, and that an
// expression is safe for concurrent use. Only the members that an expression
// names are decoded.
package expression

import (
	"errors"
	"fmt"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/ext"
)

// Bounds of an expression.
const (
	// MaxLength is the length of the longest expression in bytes.
	MaxLength = 4096
	// costLimit bounds an evaluation, in units of CEL's cost model: about one for
	// each element, and for every ten characters of a text that are looked at.
	costLimit = 1_000_000
	// variable is the name of the object.
	variable = "object"
)

// ErrFailed: the expression could not be evaluated, or its value is no truth. A
// member that the object lacks is the usual reason: has(object.member) asks first.
var ErrFailed = errors.New("the expression fails on this object")

// Expression is a compiled expression. It does not change.
type Expression struct {
	text    string
	program cel.Program
	// members are those that the expression names; nil means that it may look at any.
	members map[string]bool
}

// Compile compiles an expression whose value is a truth. An error is one for the
// author of the expression, on one line.
func Compile(text string) (*Expression, error) {
	if len(text) > MaxLength {
		return nil, fmt.Errorf("the expression has %d bytes, more than %d", len(text), MaxLength)
	}
	env, err := cel.NewEnv(
		cel.Variable(variable, cel.MapType(cel.StringType, cel.DynType)),
		cel.DefaultUTCTimeZone(true),
		cel.CrossTypeNumericComparisons(true),
		cel.ParserRecursionLimit(100),
		ext.Strings(ext.StringsVersion(4)),
		ext.Sets(),
	)
	if err != nil {
		return nil, fmt.Errorf("preparing CEL: %w", err)
	}
	checked, issues := env.Compile(text)
	if issues.Err() != nil {
		return nil, explain(issues)
	}
	if t := checked.OutputType(); t != cel.BoolType && t != cel.DynType {
		return nil, fmt.Errorf("the value of the expression is of type %s, it must be true or false", t)
	}
	program, err := env.Program(checked, cel.EvalOptions(cel.OptOptimize), cel.CostLimit(costLimit))
	if err != nil {
		return nil, fmt.Errorf("preparing the expression: %w", err)
	}
	return &Expression{text: text, program: program, members: members(checked.NativeRep())}, nil
}

// String is the expression as it was written.
func (e *Expression) String() string { return e.text }

// Allows evaluates the expression over an object in JSON, which must be valid. An
// error wraps ErrFailed.
func (e *Expression) Allows(raw []byte) (bool, error) {
	object, err := decode(raw, e.members)
	if err != nil {
		return false, fmt.Errorf("%w: %w", ErrFailed, err)
	}
	value, _, err := e.program.Eval(map[string]any{variable: object})
	if err != nil {
		return false, fmt.Errorf("%w: %w", ErrFailed, err)
	}
	truth, ok := value.(types.Bool)
	if !ok {
		return false, fmt.Errorf("%w: its value is of type %s", ErrFailed, value.Type())
	}
	return bool(truth), nil
}

// members lists the members of the object that an expression can look at; nil
// when it uses the object other than by the names of its members.
func members(checked *ast.AST) map[string]bool {
	named, uses := map[string]bool{}, 0
	ast.PostOrderVisit(checked.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		switch e.Kind() {
		case ast.IdentKind:
			if e.AsIdent() == variable {
				uses++
			}
		case ast.SelectKind:
			if s := e.AsSelect(); s.Operand().Kind() == ast.IdentKind && s.Operand().AsIdent() == variable {
				named[s.FieldName()] = true
				uses--
			}
		case ast.CallKind:
			if name, ok := indexed(e.AsCall()); ok {
				named[name] = true
				uses--
			}
		}
	}))
	if uses != 0 {
		return nil
	}
	return named
}

// indexed is the member of object["member"].
func indexed(c ast.CallExpr) (string, bool) {
	if c.FunctionName() != "_[_]" || len(c.Args()) != 2 {
		return "", false
	}
	operand, key := c.Args()[0], c.Args()[1]
	if operand.Kind() != ast.IdentKind || operand.AsIdent() != variable || key.Kind() != ast.LiteralKind {
		return "", false
	}
	name, ok := key.AsLiteral().(types.String)
	return string(name), ok
}

// explain names the first fault of an expression and its place, on one line.
func explain(issues *cel.Issues) error {
	first := issues.Errors()[0]
	message, _, _ := strings.Cut(first.Message, " expecting {") // the parser lists all of its words
	return fmt.Errorf("line %d, column %d: %s", first.Location.Line(), first.Location.Column()+1, strings.Join(strings.Fields(message), " "))
}
