package engine

import (
	"errors"
	"fmt"
	"strings"
)

// Kind says what sort of failure an Error is. The API maps each kind to one status.
type Kind int

// The kinds of failure.
const (
	// KindInternal is a defect or an outage; its text is never shown to a client.
	KindInternal Kind = iota
	// KindMalformed is input that cannot be read: not JSON, wrong type, unknown field.
	KindMalformed
	// KindInvalid is input that can be read and breaks a rule.
	KindInvalid
	// KindNotFound names something that does not exist.
	KindNotFound
	// KindConflict is an action that the present state does not allow.
	KindConflict
	// KindPreconditionRequired is a change sent without saying which version it is based on.
	KindPreconditionRequired
	// KindStale is a change based on a version that is no longer the newest.
	KindStale
	// KindTooLarge is input over a documented limit.
	KindTooLarge
	// KindUnauthenticated is a request without a valid key.
	KindUnauthenticated
	// KindForbidden is a request whose key lacks the scope.
	KindForbidden
	// KindUnavailable is a dependency that is away for now.
	KindUnavailable
	// KindNotBuilt is a part of the contract that this version does not have yet.
	KindNotBuilt
)

// A FieldError points at one bad field by JSON pointer (RFC 6901).
type FieldError struct {
	Pointer string
	Detail  string
}

// An Error is a failure with a stable, machine-readable code and a sentence for people.
type Error struct {
	Kind    Kind
	Code    string
	Message string
	Fields  []FieldError
	Err     error
}

// Error joins the message and its cause.
func (e *Error) Error() string {
	if e.Err == nil {
		return e.Message
	}
	return e.Message + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error of a kind with a code.
func Errorf(kind Kind, code, format string, args ...any) *Error {
	return &Error{Kind: kind, Code: code, Message: fmt.Sprintf(format, args...)}
}

// NotFoundf says that something of this kind and key does not exist.
func NotFoundf(noun, key string) *Error {
	return Errorf(KindNotFound, "not_found", "there is no %s %q", noun, key)
}

// KindOf returns the kind of an error; every foreign error is internal.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return KindInternal
}

// violations gathers every broken rule of one input, so that people mend them in one go.
type violations struct {
	code   string
	broken int // rules
	fields []FieldError
}

// maxFields is how many bad fields are named: no input is mended a thousand at a time.
const maxFields = 100

func (v *violations) add(pointer, format string, args ...any) {
	v.broken++
	if v.broken > maxFields {
		return
	}
	v.fields = append(v.fields, FieldError{Pointer: pointer, Detail: fmt.Sprintf(format, args...)})
}

// addCode is add for a rule that has a code of its own; the first such code names the error.
func (v *violations) addCode(code, pointer, format string, args ...any) {
	if v.code == "" {
		v.code = code
	}
	v.add(pointer, format, args...)
}

// pointerToken writes a name as a part of a JSON pointer.
func pointerToken(name string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(name) }

func (v *violations) err(noun string) error {
	if len(v.fields) == 0 {
		return nil
	}
	code := v.code
	if code == "" {
		code = "invalid"
	}
	e := Errorf(KindInvalid, code, "this %s breaks %d rules", noun, v.broken)
	if len(v.fields) == 1 {
		e.Message = fmt.Sprintf("this %s is not valid: %s", noun, v.fields[0].Detail)
	}
	e.Fields = v.fields
	return e
}
