package api

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/perennial-engine/perennial/engine"
)

// maxDepth is how deep a document may nest. PostgreSQL and most clients stop somewhere; we
// stop early and say so.
const maxDepth = 32

// decode reads one JSON document strictly: no unknown or repeated member, no other letter
// case, nothing behind the document, no NUL in a string, no deep nesting.
func decode(body []byte, into any) error {
	return decodeWith(body, into, json.RejectUnknownMembers(true))
}

// decodeOpen is decode for a document that may have members nobody here knows.
func decodeOpen(body []byte, into any) error { return decodeWith(body, into) }

func decodeWith(body []byte, into any, options ...json.Options) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return malformed("empty_body", "", "the request needs a JSON body")
	}
	if err := json.Unmarshal(body, into, options...); err != nil {
		return decodeError(err)
	}
	// A null is nothing to Unmarshal; as a whole body it is of the wrong type.
	if jsontext.Value(body).Kind() == 'n' {
		return malformed("wrong_type", "", "must be an object")
	}
	return checkText(body)
}

// checkText refuses what is JSON and cannot be stored.
func checkText(body []byte) error {
	nested := bytes.Count(body, []byte("{")) + bytes.Count(body, []byte("["))
	if nested <= maxDepth && !bytes.Contains(body, []byte(`\u0000`)) {
		return nil
	}
	d := jsontext.NewDecoder(bytes.NewReader(body))
	for {
		token, err := d.ReadToken()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return decodeError(err)
		case d.StackDepth() > maxDepth:
			return malformed("too_deep", d.StackPointer(), "must nest at most %d levels", maxDepth)
		case token.Kind() == '"' && strings.ContainsRune(token.String(), 0):
			return malformed("nul_character", d.StackPointer(), "must not contain the NUL character")
		}
	}
}

func malformed(code string, pointer jsontext.Pointer, format string, args ...any) *engine.Error {
	e := engine.Errorf(engine.KindMalformed, code, format, args...)
	if pointer != "" {
		e.Fields = []engine.FieldError{{Pointer: string(pointer), Detail: e.Message}}
		if code != "malformed_json" { // which says where by itself
			e.Message = string(pointer) + " " + e.Message
		}
	}
	return e
}

func decodeError(err error) error {
	if known, ok := errors.AsType[*engine.Error](err); ok {
		return known
	}
	if e, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		switch {
		case errors.Is(err, jsontext.ErrDuplicateName):
			return malformed("duplicate_key", e.JSONPointer, "stands twice in its object")
		case errors.Is(err, io.ErrUnexpectedEOF):
			return malformed("malformed_json", e.JSONPointer, "the JSON ends too early")
		}
		return malformed("malformed_json", e.JSONPointer, "not JSON at byte %d: %s", e.ByteOffset, e.Err)
	}
	if e, ok := errors.AsType[*json.SemanticError](err); ok {
		if errors.Is(err, json.ErrUnknownName) {
			return malformed("unknown_field", e.JSONPointer, "is not a field of this request")
		}
		if known, ok := errors.AsType[*engine.Error](e.Err); ok {
			return malformed(known.Code, e.JSONPointer, "%s", known.Message)
		}
		return malformed("wrong_type", e.JSONPointer, "must be %s", wanted(e.GoType))
	}
	return engine.Errorf(engine.KindMalformed, "malformed_json", "the body cannot be read as JSON")
}

// wanted says in JSON's words what a Go type takes.
func wanted(t reflect.Type) string {
	if t == nil {
		return "of another type"
	}
	switch t {
	case reflect.TypeFor[time.Time]():
		return "an RFC 3339 time, such as 2026-03-01T10:00:00Z"
	case reflect.TypeFor[amount]():
		return "a decimal number, or one as a string"
	case reflect.TypeFor[amountNumber]():
		return "a number"
	case reflect.TypeFor[keys]():
		return "a string or a list of strings"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return wanted(t.Elem())
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Float32, reflect.Float64:
		return "a number"
	default:
		return "a whole number in range"
	}
}

// amount is a decimal number, or one as a string, kept as its text.
type amount string

// UnmarshalJSON implements json.Unmarshaler.
func (a *amount) UnmarshalJSON(raw []byte) error {
	switch jsontext.Value(raw).Kind() {
	case '0':
		*a = amount(raw)
		return nil
	case '"':
		return json.Unmarshal(raw, (*string)(a))
	}
	return fmt.Errorf("not an amount: %s", jsontext.Value(raw).Kind())
}

// keys is one key, or a list of them.
type keys []string

// UnmarshalJSON implements json.Unmarshaler.
func (k *keys) UnmarshalJSON(raw []byte) error {
	if jsontext.Value(raw).Kind() == '"' {
		*k = keys{""}
		return json.Unmarshal(raw, &(*k)[0])
	}
	return json.Unmarshal(raw, (*[]string)(k))
}

// MarshalJSON implements json.Marshaler: one key is written as a string.
func (k keys) MarshalJSON() ([]byte, error) {
	if len(k) == 1 {
		return json.Marshal(k[0])
	}
	return json.Marshal([]string(k))
}

// plain writes a document in one way: no spaces between its tokens and no escapes that it
// could do without. Numbers and the order of members stay as they are.
func plain(raw jsontext.Value) []byte {
	if raw == nil {
		return nil
	}
	c := raw.Clone()
	if err := c.Format(); err != nil {
		return raw
	}
	return c
}

// mergePatch applies an RFC 7396 merge patch to a document.
func mergePatch(document, patch []byte) ([]byte, error) {
	var target, change map[string]jsontext.Value
	if err := json.Unmarshal(patch, &change); err != nil {
		return nil, decodeError(err)
	}
	if err := json.Unmarshal(document, &target); err != nil || target == nil {
		target = map[string]jsontext.Value{}
	}
	for name, value := range change {
		switch value.Kind() {
		case 'n':
			delete(target, name)
		case '{':
			merged, err := mergePatch(target[name], value)
			if err != nil {
				return nil, err
			}
			target[name] = merged
		default:
			target[name] = value
		}
	}
	return json.Marshal(target)
}
