package api_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/perennial-engine/perennial/engine"
)

// An openapi is the OpenAPI document, as data and as compiled schemas.
type openapi struct {
	root       object
	operations []operation
	compiler   *jsonschema.Compiler
	mu         sync.Mutex
	schemas    map[string]*jsonschema.Schema // by pointer
}

// An operation is one method of one path.
type operation struct {
	method, path string // the path is a template such as /v1/metrics/{key}
	pointer      string
	object
}

var loadDocument = sync.OnceValues(func() (*openapi, error) {
	text, err := os.ReadFile("openapi.yaml")
	if err != nil {
		return nil, err
	}
	return parseDocument(text)
})

// document is api/openapi.yaml.
func document(tb testing.TB) *openapi {
	tb.Helper()
	d, err := loadDocument()
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

func parseDocument(text []byte) (*openapi, error) {
	encoded, err := yaml.YAMLToJSON(text)
	if err != nil {
		return nil, err
	}
	root, err := jsonschema.UnmarshalJSON(bytes.NewReader(encoded))
	if err != nil {
		return nil, err
	}
	d := &openapi{root: members(root), compiler: jsonschema.NewCompiler(), schemas: map[string]*jsonschema.Schema{}}
	paths := members(d.root["paths"])
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		item := members(paths[path])
		for _, method := range []string{"get", "put", "post", "delete", "patch"} {
			if o, ok := item[method].(object); ok {
				pointer := "/paths/" + escape(path) + "/" + method
				d.operations = append(d.operations, operation{strings.ToUpper(method), path, pointer, o})
			}
		}
	}
	d.compiler.DefaultDraft(jsonschema.Draft2020)
	d.compiler.AssertFormat()
	// Answers may carry more than is documented, and clients must bear it; here what is
	// not documented is a mistake.
	closed, err := jsonschema.UnmarshalJSON(bytes.NewReader(encoded))
	if err != nil {
		return nil, err
	}
	refuseUnknown(closed)
	return d, d.compiler.AddResource("openapi.json", closed)
}

// refuseUnknown makes every schema of an object with named properties refuse others.
func refuseUnknown(node any) {
	switch n := node.(type) {
	case object:
		_, named := n["properties"].(object)
		_, open := n["additionalProperties"]
		if named && !open && n["type"] != nil {
			n["additionalProperties"] = false
		}
		for _, child := range n {
			refuseUnknown(child)
		}
	case []any:
		for _, child := range n {
			refuseUnknown(child)
		}
	}
}

// members are those of a JSON object; of anything else, none.
func members(v any) object {
	o, _ := v.(object)
	return o
}

// elements are those of a JSON list; of anything else, none.
func elements(v any) []any {
	list, _ := v.([]any)
	return list
}

func escape(s string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(s) }

// lookup follows a JSON pointer.
func lookup(v any, pointer string) (any, bool) {
	for _, token := range strings.Split(pointer, "/")[1:] {
		token = strings.NewReplacer("~1", "/", "~0", "~").Replace(token)
		switch node := v.(type) {
		case object:
			child, ok := node[token]
			if !ok {
				return nil, false
			}
			v = child
		case []any:
			i, err := strconv.Atoi(token)
			if err != nil || i < 0 || i >= len(node) {
				return nil, false
			}
			v = node[i]
		default:
			return nil, false
		}
	}
	return v, true
}

// resolve follows a $ref, if there is one, and answers where the object is.
func (d *openapi) resolve(pointer string) (object, string, error) {
	v, ok := lookup(d.root, pointer)
	o, isObject := v.(object)
	if !ok || !isObject {
		return nil, "", fmt.Errorf("nothing at %s", pointer)
	}
	if ref, ok := o["$ref"].(string); ok {
		return d.resolve(strings.TrimPrefix(ref, "#"))
	}
	return o, pointer, nil
}

func (d *openapi) schema(pointer string) (*jsonschema.Schema, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s := d.schemas[pointer]; s != nil {
		return s, nil
	}
	fragment := (&strings.Builder{})
	for _, b := range []byte(pointer) {
		if strings.ContainsRune("{}%", rune(b)) {
			fmt.Fprintf(fragment, "%%%02X", b)
		} else {
			fragment.WriteByte(b)
		}
	}
	s, err := d.compiler.Compile("openapi.json#" + fragment.String())
	if err == nil {
		d.schemas[pointer] = s
	}
	return s, err
}

// validate holds a JSON text against the schema at a pointer.
func (d *openapi) validate(pointer string, text []byte) error {
	schema, err := d.schema(pointer)
	if err != nil {
		return err
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return err
	}
	return schema.Validate(value)
}

// operation finds the operation of a request.
func (d *openapi) operation(method, path string) (operation, bool) {
	for _, o := range d.operations {
		if o.method == method && template(o.path).MatchString(path) {
			return o, true
		}
	}
	return operation{}, false
}

var templates sync.Map

func template(path string) *regexp.Regexp {
	if known, ok := templates.Load(path); ok {
		if pattern, ok := known.(*regexp.Regexp); ok {
			return pattern
		}
	}
	pattern := regexp.MustCompile(`\\\{[a-z]+\\\}`).ReplaceAllString(regexp.QuoteMeta(path), "[^/]+")
	compiled := regexp.MustCompile("^" + pattern + "$")
	templates.Store(path, compiled)
	return compiled
}

// check fails the test when an answer is not as documented: an unknown status or media
// type, a body that does not fit its schema, or a missing header. What was taken must also
// fit the documented schema of the request.
func (d *openapi) check(t *testing.T, sent any, a *answer) {
	t.Helper()
	request := a.request
	o, ok := d.operation(request.Method, request.URL.EscapedPath())
	if !ok {
		if a.status != http.StatusNotFound && a.status != http.StatusMethodNotAllowed {
			t.Errorf("%s: answers %d and is not documented", a.what, a.status)
		}
		d.checkProblem(t, a)
		return
	}
	response, pointer, err := d.resolve(o.pointer + "/responses/" + strconv.Itoa(a.status))
	if err != nil {
		t.Errorf("%s: the status %d is not documented\n%s", a.what, a.status, short(string(a.body)))
		return
	}
	headers, _ := response["headers"].(object)
	for name := range headers {
		d.checkHeader(t, pointer+"/headers/"+escape(name), name, a)
	}
	content, _ := response["content"].(object)
	if content == nil {
		if len(a.body) > 0 {
			t.Errorf("%s: answers a body where none is documented", a.what)
		}
		return
	}
	mediaType, _, _ := mime.ParseMediaType(a.header.Get("Content-Type"))
	if _, ok := content[mediaType]; !ok {
		t.Errorf("%s: the media type %q is not documented for %d", a.what, mediaType, a.status)
		return
	}
	if mediaType == ndjson { // the schema is that of a line
		for line := range bytes.Lines(a.body) {
			if err := d.validate(pointer+"/content/"+escape(mediaType)+"/schema", line); err != nil {
				t.Errorf("%s: a line is not as documented: %v\n%s", a.what, err, short(string(line)))
			}
		}
	} else if strings.HasSuffix(mediaType, "json") {
		if err := d.validate(pointer+"/content/"+escape(mediaType)+"/schema", a.body); err != nil {
			t.Errorf("%s: the answer is not as documented: %v\n%s", a.what, err, short(string(a.body)))
		}
	}
	if a.status < 300 && !isBatch(request) {
		d.checkRequest(t, o, sent, a)
	}
}

func isBatch(r *http.Request) bool {
	return slices.Contains([]string{"/v1/events", "/v1/exposures", "/v1/enrolments", "/v1/customers"}, r.URL.Path)
}

func (d *openapi) checkProblem(t *testing.T, a *answer) {
	t.Helper()
	if err := d.validate("/components/schemas/Problem", a.body); err != nil {
		t.Errorf("%s: not a problem body: %v\n%s", a.what, err, short(string(a.body)))
	}
}

func (d *openapi) checkHeader(t *testing.T, pointer, name string, a *answer) {
	t.Helper()
	h, at, err := d.resolve(pointer)
	if err != nil {
		t.Error(err)
		return
	}
	value := a.header.Get(name)
	if value == "" {
		if h["required"] == true {
			t.Errorf("%s: the header %s is missing", a.what, name)
		}
		return
	}
	text, _ := json.Marshal(value)
	if err := d.validate(at+"/schema", text); err != nil {
		t.Errorf("%s: the header %s: %v", a.what, name, err)
	}
}

func (d *openapi) checkRequest(t *testing.T, o operation, sent any, a *answer) {
	t.Helper()
	var text []byte
	switch b := sent.(type) {
	case nil:
		return
	case string:
		text = []byte(b)
	case []byte:
		return // packed, or not JSON
	default:
		text, _ = json.Marshal(b)
	}
	if len(text) == 0 {
		return
	}
	_, pointer, err := d.resolve(o.pointer + "/requestBody")
	if err == nil {
		err = d.validate(pointer+"/content/application~1json/schema", text)
	}
	if err != nil {
		t.Errorf("%s: a body was taken that is not as documented: %v\n%s", a.what, err, short(string(text)))
	}
}

// TestDocumentIsOpenAPI holds the document against a schema of OpenAPI 3.1, and resolves
// every reference and compiles every schema in it.
func TestDocumentIsOpenAPI(t *testing.T) {
	t.Parallel()
	d := document(t)
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	structure, err := compiler.Compile("testdata/openapi-3.1.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := structure.Validate(any(d.root)); err != nil {
		t.Error(err)
	}
	operationIDs := map[string]bool{}
	for _, o := range d.operations {
		id, _ := o.object["operationId"].(string)
		if id == "" || operationIDs[id] {
			t.Errorf("%s %s: its operationId %q is missing or not its own", o.method, o.path, id)
		}
		operationIDs[id] = true
	}
	walk(d.root, "", func(pointer string, node object) {
		if ref, ok := node["$ref"].(string); ok {
			if _, _, err := d.resolve(strings.TrimPrefix(ref, "#")); err != nil {
				t.Errorf("%s: the reference %s leads nowhere", pointer, ref)
			}
		}
		for name, child := range node {
			if _, isSchema := child.(object); isSchema && (name == "schema" || strings.HasSuffix(pointer, "/components/schemas")) {
				if _, err := d.schema(pointer + "/" + escape(name)); err != nil {
					t.Errorf("%s/%s: %v", pointer, name, err)
				}
			}
		}
	})
}

func walk(node any, pointer string, visit func(pointer string, node object)) {
	switch n := node.(type) {
	case object:
		visit(pointer, n)
		for name, child := range n {
			walk(child, pointer+"/"+escape(name), visit)
		}
	case []any:
		for i, child := range n {
			walk(child, pointer+"/"+strconv.Itoa(i), visit)
		}
	}
}

// TestDocumentIsUsed: what the document defines is used, so that nothing in it is forgotten.
func TestDocumentIsUsed(t *testing.T) {
	t.Parallel()
	d := document(t)
	used := map[string]bool{}
	walk(d.root, "", func(_ string, node object) {
		if ref, ok := node["$ref"].(string); ok {
			used[strings.TrimPrefix(ref, "#/components/")] = true
		}
	})
	for kind, entries := range members(d.root["components"]) {
		for name := range members(entries) {
			if kind != "securitySchemes" && !used[kind+"/"+name] {
				t.Errorf("components/%s/%s is used nowhere", kind, name)
			}
		}
	}
}

// TestDocumentExamples: every example fits its schema.
func TestDocumentExamples(t *testing.T) {
	t.Parallel()
	d := document(t)
	examples := 0
	check := func(pointer string, example any) {
		examples++
		text, err := json.Marshal(example)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.validate(pointer, text); err != nil {
			t.Errorf("the example of %s: %v", pointer, err)
		}
	}
	walk(d.root, "", func(pointer string, node object) {
		if _, ok := node["schema"]; ok {
			if example, ok := node["example"]; ok {
				check(pointer+"/schema", example)
			}
			for _, example := range members(node["examples"]) {
				check(pointer+"/schema", members(example)["value"])
			}
		}
		for _, example := range elements(node["examples"]) {
			check(pointer, example)
		}
	})
	if examples < 20 {
		t.Errorf("only %d examples were found", examples)
	}
}

// TestDocumentAndRoutesAgree: every route is documented and every documented operation is
// served, with the same scopes.
func TestDocumentAndRoutesAgree(t *testing.T) {
	t.Parallel()
	d, s := document(t), newSystem(t)
	parameter := regexp.MustCompile(`:([a-z]+)`)
	served := map[string][]string{}
	for _, r := range s.api.ServedForTest() {
		if r.Path != "/docs/*page" { // the files of the page /docs
			served[r.Method+" "+parameter.ReplaceAllString(r.Path, "{$1}")] = nil
		}
	}
	for _, r := range s.api.RoutesForTest() {
		name := r.Method + " " + parameter.ReplaceAllString(r.Path, "{$1}")
		if _, ok := served[name]; !ok {
			t.Errorf("%s is in the table and not served", name)
		}
		for _, scope := range r.Scopes {
			served[name] = append(served[name], string(scope))
		}
		slices.Sort(served[name])
	}
	documented := map[string]bool{}
	for _, o := range d.operations {
		name := o.method + " " + o.path
		documented[name] = true
		scopes, ok := served[name]
		if !ok {
			t.Errorf("%s is documented and not served", name)
			continue
		}
		if got := securityOf(t, o); !slices.Equal(got, scopes) {
			t.Errorf("%s: documented scopes %q, served with %q", name, got, scopes)
		}
		if err := d.checkParameters(o); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name := range served {
		if !documented[name] {
			t.Errorf("%s is served and not documented", name)
		}
	}
}

// securityOf lists the scopes of an operation, each of which both schemes must offer.
func securityOf(t *testing.T, o operation) []string {
	t.Helper()
	requirements, ok := o.object["security"].([]any)
	if !ok {
		t.Errorf("%s %s does not say its security", o.method, o.path)
	}
	schemes := map[string][]string{}
	for _, r := range requirements {
		for scheme, scopes := range members(r) {
			for _, scope := range elements(scopes) {
				schemes[scheme] = append(schemes[scheme], fmt.Sprint(scope))
			}
		}
	}
	for _, scopes := range schemes {
		slices.Sort(scopes)
	}
	if !slices.Equal(schemes["bearer"], schemes["apiKey"]) {
		t.Errorf("%s %s: bearer %q and apiKey %q differ", o.method, o.path, schemes["bearer"], schemes["apiKey"])
	}
	return schemes["bearer"]
}

// checkParameters: the parameters of the path are documented, and no others.
func (d *openapi) checkParameters(o operation) error {
	wanted := regexp.MustCompile(`\{([a-z]+)\}`).FindAllStringSubmatch(o.path, -1)
	item := "/paths/" + escape(o.path)
	var got []string
	for _, at := range []string{item, o.pointer} {
		list, _ := lookup(d.root, at+"/parameters")
		for i := range elements(list) {
			p, _, err := d.resolve(at + "/parameters/" + strconv.Itoa(i))
			if err != nil {
				return err
			}
			if p["in"] == "path" {
				got = append(got, fmt.Sprint(p["name"]))
			}
		}
	}
	for _, w := range wanted {
		if !slices.Contains(got, w[1]) {
			return errors.New("its parameter " + w[1] + " is not documented")
		}
	}
	if len(got) != len(wanted) {
		return fmt.Errorf("documented parameters %q do not fit the path", got)
	}
	return nil
}

// TestNotBuilt: exactly the operations marked x-not-built answer 501, whatever they are sent.
func TestNotBuilt(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	for _, o := range document(t).operations {
		path := regexp.MustCompile(`\{[a-z]+\}`).ReplaceAllString(o.path, "nothing")
		a := s.do(o.method, path, nil)
		if o.object["x-not-built"] != true {
			if a.status == http.StatusNotImplemented {
				t.Errorf("%s %s answers 501 and is not marked", o.method, o.path)
			}
			continue
		}
		a.fails(http.StatusNotImplemented, "not_built")
		s.do(o.method, path, `{"any": [thing`).fails(http.StatusNotImplemented, "not_built")
	}
}

// TestEnumsAgree: the enumerations of the document are those of the engine.
func TestEnumsAgree(t *testing.T) {
	t.Parallel()
	d := document(t)
	for name, want := range map[string][]string{
		"Channel":    texts(engine.Channels),
		"Stage":      texts(engine.Stages),
		"Objective":  texts(engine.Objectives),
		"Scope":      texts(engine.Scopes),
		"MetricKind": texts(engine.MetricKinds),
		"EventName":  texts(engine.EventNames),
	} {
		schema, _, err := d.resolve("/components/schemas/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(schema["enum"]); got != fmt.Sprint(want) {
			t.Errorf("%s: documented %s, want %s", name, got, want)
		}
	}
}

func texts[S ~string](all []S) []string {
	var plain []string
	for _, s := range all {
		plain = append(plain, string(s))
	}
	return plain
}
