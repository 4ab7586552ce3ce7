package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/perennial-engine/perennial/engine"
)

// A story is what a demo tells while it plays. Under --json it tells nothing.
type story struct {
	w     io.Writer
	width int
	part  int
}

func newStory(a *app) *story {
	s := &story{w: a.stdout, width: min(cmp.Or(terminalWidth(a.stdout), 80), 120)}
	if a.json {
		s.w = io.Discard
	}
	return s
}

// say writes a line. A reader who went away does not end the play.
func (s *story) say(format string, args ...any) {
	_, _ = fmt.Fprintf(s.w, format+"\n", args...)
}

// tell writes prose, folded at the width of the story, each line after an indent.
func (s *story) tell(indent, format string, args ...any) {
	line := indent
	for word := range strings.FieldsSeq(fmt.Sprintf(format, args...)) {
		if len([]rune(line))+1+len([]rune(word)) > min(s.width, 90) {
			s.say("%s", line)
			line = indent
		}
		if line != indent {
			line += " "
		}
		line += word
	}
	s.say("%s", line)
}

// chapter begins a part of the story.
func (s *story) chapter(title string) {
	s.part++
	s.say("\n%d  %s", s.part, title)
	s.say("%s", strings.Repeat("─", len([]rune(title))+3))
}

// table writes rows in columns.
func (s *story) table(rows [][]string) { s.say("%s", strings.TrimSuffix(align(rows, 9, "  "), "\n")) }

// opening says where everything is.
func (d *demo) opening(clock string) {
	d.story.say("Perennial demo: one marketing test, from its plan to the winner that is served")
	d.story.say("")
	where := d.url
	if d.moved {
		where += " (the usual port is taken)"
	}
	d.story.table([][]string{
		{"PostgreSQL", "a private one in a temporary folder"},
		{"engine", where + ", used through its HTTP API alone"},
		{"clock", clock},
	})
}

// decided says what was decided and why.
func (d *demo) decided() {
	decision := d.result.Decision
	if decision == nil {
		d.story.say("%s", strings.TrimSuffix(verdictText(d.result.Report.Verdict), "\n"))
		return
	}
	d.story.say("On %s, with nobody's help: %s", decision.DecidedAt.Format("2 January 2006"),
		strings.ReplaceAll(actions[engine.DecisionAction(decision.Action)], "%s", decision.Variant))
	for _, reason := range decision.Reasons {
		d.story.tell("  ", "%s", reason.Detail)
	}
}
