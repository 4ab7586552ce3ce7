package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// An importKind is a kind of thing that rows of a file become.
type importKind struct {
	Name     string // of the subcommand, and of the list in the request
	Path     string // of the batch route
	Required []string
	Optional []string
	Open     string // the object whose members have names of one's own: properties.NAME
}

var importKinds = []importKind{
	{
		Name:     "events",
		Path:     "/v1/events",
		Required: []string{"customer", "type", "occurred_at"},
		Optional: []string{"id", "value", "currency", "channel", "touchpoint"},
		Open:     "properties",
	},
	{
		Name:     "enrolments",
		Path:     "/v1/enrolments",
		Required: []string{"experiment", "variant", "customer", "enrolled_at"},
	},
	{
		Name:     "customers",
		Path:     "/v1/customers",
		Required: []string{"customer"},
		Open:     "attributes",
	},
}

// fields names the fields of a kind as --map and --set take them.
func (k importKind) fields() string {
	names := slices.Concat(k.Required, k.Optional)
	if k.Open != "" {
		names = append(names, k.Open+".NAME")
	}
	return strings.Join(names, ", ")
}

// A mapping is what the command line says about fields and rows, not yet understood.
type mapping struct {
	Map        []string // field=column or field=template
	Set        []string // field=value
	Where      []string // column=value or column!=value
	DateFormat string
	IDPrefix   string // begins the derived ids of events; empty: they must be mapped
}

// A mapper makes elements of a request out of rows.
type mapper struct {
	bindings []binding
	filters  []filter
	rowIDs   bool // ids of events are made of IDPrefix and the row
}

// A binding says where a field comes from.
type binding struct {
	field    string // as the user wrote it
	object   string // properties or attributes; empty: the element itself
	name     string
	required bool
	source   source
	convert  func(string) (any, error)
}

// A filter takes the rows whose column has a value, or has it not.
type filter struct {
	column int
	value  string
	not    bool
}

// A refusal says why a row does not become an element.
type refusal struct{ Code, Detail string }

// newMapper understands a mapping for a kind and the columns of a table.
// Its error names everything that is wrong.
func newMapper(kind importKind, t *table, m mapping) (*mapper, error) {
	readDate, err := dateReader(m.DateFormat)
	if err != nil {
		return nil, err
	}
	var made mapper
	var mistakes []error
	bind := func(argument string, parse func(string) (source, error)) {
		b, err := newBinding(kind, argument, parse, readDate)
		switch {
		case err != nil:
			mistakes = append(mistakes, err)
		case made.binds(b.object, b.name):
			mistakes = append(mistakes, fmt.Errorf("%s is given twice", b.field))
		default:
			made.bindings = append(made.bindings, b)
		}
	}
	for _, argument := range m.Map {
		bind(argument, func(text string) (source, error) { return parseSource(text, t.column) })
	}
	for _, argument := range m.Set {
		bind(argument, func(text string) (source, error) { return source{{text: text}}, nil })
	}
	for _, argument := range m.Where {
		f, err := newFilter(argument, t)
		mistakes = append(mistakes, err)
		made.filters = append(made.filters, f)
	}
	if kind.Name == "events" && !made.binds("", "id") && m.IDPrefix != "" {
		made.rowIDs = true
		made.bindings = append(made.bindings, binding{
			field: "id", name: "id", required: true, convert: asText,
			source: source{{text: m.IDPrefix}, {rowNumber: true}},
		})
	}
	mistakes = append(mistakes, made.missing(kind)...)
	if err := errors.Join(mistakes...); err != nil {
		return nil, err
	}
	return &made, nil
}

func (m *mapper) binds(object, name string) bool {
	return slices.ContainsFunc(m.bindings, func(b binding) bool { return b.object == object && b.name == name })
}

// missing says which fields a kind needs and nobody gave.
func (m *mapper) missing(kind importKind) []error {
	var mistakes []error
	for _, name := range kind.Required {
		if !m.binds("", name) {
			mistakes = append(mistakes, fmt.Errorf("%s is missing: --map %s=COLUMN or --set %s=VALUE", name, name, name))
		}
	}
	if kind.Name != "events" {
		return mistakes
	}
	if !m.binds("", "id") {
		mistakes = append(mistakes, errors.New("id is missing: standard input has no name to make ids of; --map id=COLUMN or --map id='NAME-{#}'"))
	}
	switch value, currency := m.binds("", "value"), m.binds("", "currency"); {
	case value && !currency:
		mistakes = append(mistakes, errors.New("value needs a currency: --set currency=EUR"))
	case currency && !value:
		mistakes = append(mistakes, errors.New("currency needs a value: --map value=COLUMN"))
	}
	return mistakes
}

func newBinding(kind importKind, argument string, parse func(string) (source, error), readDate func(string) (time.Time, error)) (binding, error) {
	field, text, ok := strings.Cut(argument, "=")
	if !ok || field == "" || text == "" {
		return binding{}, fmt.Errorf("%q is not field=…", argument)
	}
	b := binding{field: field, name: field, convert: asText}
	object, name, open := strings.Cut(field, ".")
	switch {
	case open && object == kind.Open && name != "":
		name, valueType, _ := strings.Cut(name, ":")
		b.object, b.name = object, name
		if b.convert = valueTypes[valueType]; b.convert == nil || name == "" {
			return binding{}, fmt.Errorf("%q: after the name comes :number, :bool or nothing", field)
		}
	case slices.Contains(kind.Required, field):
		b.required = true
	case field == "id" && slices.Contains(kind.Optional, field):
		b.required = true // once it is mapped, no row goes without
	case !slices.Contains(kind.Optional, field):
		return binding{}, fmt.Errorf("%s have no field %q; they have %s", kind.Name, field, kind.fields())
	}
	if strings.HasSuffix(field, "_at") && !open {
		b.convert = func(s string) (any, error) {
			t, err := readDate(s)
			return t.Format(time.RFC3339Nano), err
		}
	}
	var err error
	if b.source, err = parse(text); err != nil {
		return binding{}, fmt.Errorf("%s: %w", field, err)
	}
	if constant, ok := b.source.constant(); ok {
		if _, err := b.convert(constant); err != nil {
			return binding{}, fmt.Errorf("%s: %w", field, err)
		}
	}
	return b, nil
}

func newFilter(argument string, t *table) (filter, error) {
	column, value, ok := strings.Cut(argument, "=")
	column, not := strings.CutSuffix(column, "!")
	if !ok || column == "" {
		return filter{}, fmt.Errorf("where %q: write column=value or column!=value", argument)
	}
	i, err := t.column(column)
	if err != nil {
		return filter{}, fmt.Errorf("where: %w", err)
	}
	return filter{column: i, value: strings.TrimSpace(value), not: not}, nil
}

// Wants tells whether the filters take a row. A row that cannot be read is
// taken, and refused.
func (m *mapper) Wants(r row) bool {
	if r.Err != nil {
		return true
	}
	for _, f := range m.filters {
		if (strings.TrimSpace(r.Fields[f.column]) == f.value) == f.not {
			return false
		}
	}
	return true
}

// Element makes of a row what the API takes, or says why it cannot. Optional
// fields that are empty are left out; a currency goes with its value.
func (m *mapper) Element(r row) (map[string]any, *refusal) {
	if r.Err != nil {
		return nil, &refusal{"unreadable_row", r.Err.Error()}
	}
	element := make(map[string]any, len(m.bindings))
	for _, b := range m.bindings {
		text := b.source.value(r)
		if text == "" {
			if b.required {
				return nil, &refusal{"missing_field", b.field + " is empty"}
			}
			continue
		}
		value, err := b.convert(text)
		if err != nil {
			return nil, &refusal{"unreadable_value", b.field + ": " + err.Error()}
		}
		if b.object == "" {
			element[b.name] = value
			continue
		}
		object, _ := element[b.object].(map[string]any)
		if object == nil {
			object = make(map[string]any)
			element[b.object] = object
		}
		object[b.name] = value
	}
	if element["value"] == nil {
		delete(element, "currency")
	}
	return element, nil
}

// valueTypes are the types of properties and attributes, by what follows the
// colon of their names.
var valueTypes = map[string]func(string) (any, error){
	"":       asText,
	"number": asNumber,
	"bool":   asBool,
}

func asText(s string) (any, error) { return s, nil }

// asNumber keeps the digits as they are in the file.
func asNumber(s string) (any, error) {
	if strings.Trim(s, "-+.eE0123456789") != "" || !json.Valid([]byte(s)) {
		return nil, fmt.Errorf("%q is not a number such as 12.5", s)
	}
	return json.Number(s), nil
}

func asBool(s string) (any, error) {
	value, err := strconv.ParseBool(strings.ToLower(s))
	if err != nil {
		return nil, fmt.Errorf("%q is not true, false, 1 or 0", s)
	}
	return value, nil
}
