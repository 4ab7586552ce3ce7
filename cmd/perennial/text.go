package main

import (
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"
)

// align sets rows in columns, two spaces apart: the first left columns to the
// left, the others, which hold numbers, to the right. Each line gets the indent.
func align(rows [][]string, left int, indent string) string {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var text strings.Builder
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			space := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i > 0 {
				line.WriteString("  ")
			}
			if i < left {
				line.WriteString(cell + space)
			} else {
				line.WriteString(space + cell)
			}
		}
		text.WriteString(strings.TrimRight(indent+line.String(), " ") + "\n")
	}
	return text.String()
}

// orDash answers s, or a dash where there is nothing to show.
func orDash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}

// terminalWidth answers the number of columns of w, or 0 where w is no terminal.
func terminalWidth(w io.Writer) int {
	if around, ok := w.(readable); ok {
		w = around.Writer
	}
	f, ok := w.(*os.File)
	if !ok {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return width
}
