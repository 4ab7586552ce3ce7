package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A source is where a value comes from: its parts, one after the other.
type source []part

// A part is a text, a column or, in templates, the row's number.
type part struct {
	text      string
	column    int // of a part that is a column
	isColumn  bool
	rowNumber bool
}

// parseSource understands what --map gives after the equals sign: the name of a
// column, or a template with {column} and {#} in it.
func parseSource(text string, column func(string) (int, error)) (source, error) {
	if !strings.ContainsAny(text, "{}") {
		i, err := column(text)
		return source{{column: i, isColumn: true}}, err
	}
	var parts source
	for rest := text; rest != ""; {
		literal, after, found := strings.Cut(rest, "{")
		if strings.Contains(literal, "}") {
			return nil, fmt.Errorf("template %q closes a brace that is not open", text)
		}
		if literal != "" {
			parts = append(parts, part{text: literal})
		}
		if !found {
			break
		}
		name, after, found := strings.Cut(after, "}")
		if !found {
			return nil, fmt.Errorf("template %q does not close a brace", text)
		}
		rest = after
		if name == "#" {
			parts = append(parts, part{rowNumber: true})
			continue
		}
		i, err := column(name)
		if err != nil {
			return nil, err
		}
		parts = append(parts, part{column: i, isColumn: true})
	}
	return parts, nil
}

// value answers the source's text for a row. Columns lose the space around
// them; an empty column empties the whole, or "order-" would be everybody's id.
func (s source) value(r row) string {
	var value strings.Builder
	for _, p := range s {
		switch {
		case p.isColumn:
			text := strings.TrimSpace(r.Fields[p.column])
			if text == "" {
				return ""
			}
			value.WriteString(text)
		case p.rowNumber:
			value.WriteString(strconv.Itoa(r.Number))
		default:
			value.WriteString(p.text)
		}
	}
	return value.String()
}

// constant answers the value of a source that is the same for every row.
func (s source) constant() (string, bool) {
	if slices.ContainsFunc(s, func(p part) bool { return p.isColumn || p.rowNumber }) {
		return "", false
	}
	return s.value(row{}), true
}
