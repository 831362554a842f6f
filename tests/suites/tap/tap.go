// Package tap stands in for the one that the validation of runtime-tools prints its results by, which no package of Debian has.
package tap

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

// T counts the results of a test, and prints them as version 13 of the Test Anything Protocol.
type T struct {
	count *int
	todo  string
}

// New prints nothing yet.
func New() *T { return &T{count: new(int)} }

// Todo is for tests that are known to fail.
func (t *T) Todo() *T { return &T{count: t.count, todo: " # TODO"} }

// Header begins; a plan of zero tests is left to AutoPlan.
func (t *T) Header(tests int) {
	fmt.Println("TAP version 13")
	if tests > 0 {
		fmt.Printf("1..%d\n", tests)
	}
}

// Ok prints how a test went.
func (t *T) Ok(good bool, what string) {
	*t.count++
	word := "not ok"
	if good {
		word = "ok"
	}
	fmt.Printf("%s %d - %s\n", word, *t.count, what+t.todo)
}

// Pass prints a test that went well.
func (t *T) Pass(what string) { t.Ok(true, what) }

// Fail prints a test that did not.
func (t *T) Fail(what string) { t.Ok(false, what) }

// Skip prints tests that are left out.
func (t *T) Skip(tests int, why string) {
	for ; tests > 0; tests-- {
		*t.count++
		fmt.Printf("ok %d # SKIP %s\n", *t.count, why)
	}
}

// AutoPlan prints how many tests there were.
func (t *T) AutoPlan() { fmt.Printf("1..%d\n", *t.count) }

// Diagnostic prints a comment.
func (t *T) Diagnostic(text string) {
	fmt.Println("# " + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n# "))
}

// Diagnosticf prints a comment.
func (t *T) Diagnosticf(format string, args ...interface{}) { t.Diagnostic(fmt.Sprintf(format, args...)) }

// YAML prints what belongs to the last test; JSON is YAML.
func (t *T) YAML(value interface{}) error {
	text, err := json.MarshalIndent(value, "  ", "  ")
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stdout, "  ---\n  %s\n  ...\n", text)
	return nil
}
