package api

import "bytes"

// scanQuestion reads the plain form of an OFREP body, which nearly all clients send:
//
//	{"context": {"targetingKey": "c42", "country": "FR", "age": 42}}
//
// in ASCII without escapes, with up to 16 attributes that are no lists or objects. It is a
// tenth of the work of a decoder. Whatever differs, also what is wrong, is not plain, and
// a matter for decodeQuestion, which reads every plain body to the same question.
func scanQuestion(body []byte) (q question, plain bool) {
	s := scanner{rest: body}
	if !s.take('{') || !s.name("context") || !s.take('{') {
		return question{}, false
	}
	start := len(body) - len(s.rest) - 1
	var names [16][]byte
	for n := 0; ; n++ {
		name, ok := s.text()
		if !ok || n == len(names) || !s.take(':') {
			return question{}, false
		}
		for _, other := range names[:n] {
			if bytes.Equal(name, other) {
				return question{}, false
			}
		}
		names[n] = name
		value, isText, ok := s.scalar()
		if !ok {
			return question{}, false
		}
		if string(name) == "targetingKey" {
			if !isText {
				return question{}, false
			}
			q.customer = value
		}
		if s.take('}') {
			break
		}
		if !s.take(',') {
			return question{}, false
		}
	}
	q.context = body[start : len(body)-len(s.rest)]
	if !s.take('}') || len(q.customer) == 0 {
		return question{}, false
	}
	s.space()
	return q, len(s.rest) == 0
}

// A scanner goes through a text; what it does not find it leaves.
type scanner struct{ rest []byte }

func (s *scanner) space() {
	for len(s.rest) > 0 {
		switch s.rest[0] {
		case ' ', '\t', '\r', '\n':
			s.rest = s.rest[1:]
		default:
			return
		}
	}
}

func (s *scanner) take(b byte) bool {
	s.space()
	if len(s.rest) == 0 || s.rest[0] != b {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

// name takes the name of a member and its colon.
func (s *scanner) name(want string) bool {
	name, ok := s.text()
	return ok && string(name) == want && s.take(':')
}

// text takes a string of printable ASCII without escapes.
func (s *scanner) text() ([]byte, bool) {
	if !s.take('"') {
		return nil, false
	}
	for i, b := range s.rest {
		switch {
		case b == '"':
			text := s.rest[:i]
			s.rest = s.rest[i+1:]
			return text, true
		case b < ' ' || b > '~' || b == '\\':
			return nil, false
		}
	}
	return nil, false
}

// scalar takes a string, a number, true, false or null.
func (s *scanner) scalar() (value []byte, isText, ok bool) {
	s.space()
	if len(s.rest) == 0 {
		return nil, false, false
	}
	if s.rest[0] == '"' {
		value, ok = s.text()
		return value, true, ok
	}
	for _, word := range []string{"true", "false", "null"} {
		if bytes.HasPrefix(s.rest, []byte(word)) {
			s.rest = s.rest[len(word):]
			return nil, false, true
		}
	}
	return nil, false, s.number()
}

func (s *scanner) number() bool {
	if s.rest[0] == '-' {
		s.rest = s.rest[1:]
	}
	zero := len(s.rest) > 0 && s.rest[0] == '0'
	if n := s.digits(); n == 0 || (zero && n > 1) {
		return false
	}
	if len(s.rest) > 0 && s.rest[0] == '.' {
		s.rest = s.rest[1:]
		if s.digits() == 0 {
			return false
		}
	}
	// What goes on, with an exponent for instance, meets neither a comma nor a brace.
	return true
}

func (s *scanner) digits() (n int) {
	for n < len(s.rest) && s.rest[n] >= '0' && s.rest[n] <= '9' {
		n++
	}
	s.rest = s.rest[n:]
	return n
}
