package api_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/open-feature/go-sdk-contrib/providers/ofrep"
	"github.com/open-feature/go-sdk/openfeature"

	"github.com/perennial-engine/perennial/api"
)

// Whether OpenFeature's own clients, unmodified, get from the OFREP routes what an
// assignment answers.

// shopFront is a catalogue with content of every type, a running test and a paused one.
func (s *system) shopFront() *system {
	s.t.Helper()
	s.catalogue()
	for key, content := range map[string]any{"banner": "Welcome", "free-shipping": true, "teasers": 3, "discount": 0.125} {
		s.put("/v1/touchpoints/"+key, object{"channel": "web", "content": content}).is(http.StatusCreated)
	}
	s.running(welcomeTone)
	s.running(and(welcomeTone, object{"key": "rest", "layer": nil, "touchpoints": []string{"banner"}, "variants": []object{
		{"key": "control", "control": true, "weight": 1}, {"key": "bold", "weight": 1, "content": object{"banner": "WELCOME"}},
	}}))
	s.post("/v1/experiments/rest/pause", nil).is(http.StatusOK)
	return s
}

// A detail is an answer in the words of OpenFeature's SDKs.
type detail struct {
	Value     any
	Variant   string
	Reason    string
	ErrorCode string
	Metadata  map[string]any
}

// wanted is what an SDK must make of the assignment of a customer there.
func (s *system) wanted(customer, touchpoint string) detail {
	s.t.Helper()
	a := s.post("/v1/assignments", object{"customer": customer, "touchpoint": touchpoint, "record": false}).is(http.StatusOK)
	d := detail{Value: a.at("/content"), Metadata: object{}}
	d.Variant, _ = a.at("/variant").(string)
	switch reason, _ := a.at("/reason").(string); reason {
	case "assigned":
		d.Reason = "SPLIT"
		d.Metadata = object{"experiment": a.at("/experiment"), "version": s.get("/v1/experiments/" + fmt.Sprint(a.at("/experiment"))).at("/version")}
	case "default":
		d.Reason = "STATIC"
		d.Metadata = object{"not_enrolled_reason": "default"}
	default:
		s.t.Fatalf("%s gets %s at %s", customer, reason, touchpoint)
	}
	return d
}

func TestGoClient(t *testing.T) {
	t.Parallel()
	s := newSystem(t).shopFront()
	ask := func(key string) *openfeature.Client {
		t.Helper()
		domain := t.Name() + key
		if err := openfeature.SetNamedProviderWithContextAndWait(t.Context(), domain, ofrep.NewProvider(s.url, ofrep.WithBearerToken(key))); err != nil {
			t.Fatal(err)
		}
		return openfeature.NewClient(domain)
	}
	client := ask(s.key("assign"))
	visitor := func(customer string) openfeature.EvaluationContext {
		return openfeature.NewEvaluationContext(customer, map[string]any{"country": "FR", "tags": []string{"a"}})
	}
	expect := func(want detail, value any, d openfeature.EvaluationDetails) {
		t.Helper()
		got := detail{value, d.Variant, string(d.Reason), string(d.ErrorCode), map[string]any(d.FlagMetadata)}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", d.FlagKey, diff)
		}
	}
	ctx := t.Context()
	seen := map[string]bool{}
	for i := range 20 {
		customer := fmt.Sprintf("go:%d ä", i)
		want := s.wanted(customer, "welcome-email")
		seen[want.Variant] = true
		d, err := client.ObjectValueDetails(ctx, "welcome-email", nil, visitor(customer))
		if err != nil {
			t.Fatal(err)
		}
		expect(want, d.Value, d.EvaluationDetails)
	}
	if len(seen) != 2 {
		t.Errorf("only the variants %v", seen)
	}
	// Answers are flushed after each request of the test's own.
	s.get("/v1/customers/go:0%20%C3%A4").is(http.StatusOK).has(object{"/enrolments/0/experiment": "welcome-tone"})

	yes, err := client.BooleanValueDetails(ctx, "free-shipping", false, visitor("c"))
	if err != nil {
		t.Error(err)
	}
	expect(s.wanted("c", "free-shipping"), yes.Value, yes.EvaluationDetails)
	three, err := client.IntValueDetails(ctx, "teasers", 0, visitor("c"))
	if err != nil {
		t.Error(err)
	}
	expect(s.wanted("c", "teasers"), float64(three.Value), three.EvaluationDetails)
	eighth, err := client.FloatValueDetails(ctx, "discount", 0, visitor("c"))
	if err != nil {
		t.Error(err)
	}
	expect(s.wanted("c", "discount"), eighth.Value, eighth.EvaluationDetails)
	// The SDK serves the app's default where a test is paused.
	paused, err := client.StringValueDetails(ctx, "banner", "of the app", visitor("c"))
	if err != nil || paused.Value != "of the app" || paused.Reason != openfeature.DisabledReason {
		t.Errorf("paused: %+v, %v", paused, err)
	}

	for name, c := range map[string]struct {
		client *openfeature.Client
		flag   string
		who    openfeature.EvaluationContext
		code   openfeature.ErrorCode
	}{
		"no such touchpoint": {client, "none", visitor("c"), openfeature.FlagNotFoundCode},
		"no customer":        {client, "till", openfeature.NewTargetlessEvaluationContext(nil), openfeature.TargetingKeyMissingCode},
		"no identifier":      {client, "till", visitor(text(257)), openfeature.InvalidContextCode},
		"no key":             {ask("none"), "till", visitor("c"), openfeature.GeneralCode},
	} {
		d, err := c.client.StringValueDetails(ctx, c.flag, "fallback", c.who)
		if err == nil || d.ErrorCode != c.code || d.Value != "fallback" {
			t.Errorf("%s: %q %q, %v; want %s", name, d.Value, d.ErrorCode, err, c.code)
		}
	}
}

// npmClients is a folder with the programs of testdata/ofrep and what they need, fetched
// once per version of its lock file.
var npmClients = sync.OnceValues(func() (string, error) {
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			return "", err
		}
	}
	const source = "testdata/ofrep"
	lock, err := os.ReadFile(filepath.Join(source, "package-lock.json"))
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	cache = filepath.Join(cache, "perennial")
	if err := os.MkdirAll(cache, 0o750); err != nil {
		return "", err
	}
	home := filepath.Join(cache, fmt.Sprintf("ofrep-clients-%x", sha256.Sum256(lock))[:30])
	if _, err := os.Stat(home); err != nil {
		// It appears whole or not at all.
		scratch, err := os.MkdirTemp(cache, "unfinished-")
		if err != nil {
			return "", err
		}
		defer os.RemoveAll(scratch) //nolint:errcheck // rubbish in a cache
		if err := os.CopyFS(scratch, os.DirFS(source)); err != nil {
			return "", err
		}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
		defer cancel()
		install := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts")
		install.Dir = scratch
		if out, err := install.CombinedOutput(); err != nil {
			return "", fmt.Errorf("%s: %w\n%s", install, err, out)
		}
		if err := os.Rename(scratch, home); err != nil {
			if _, missing := os.Stat(home); missing != nil {
				return "", err
			} // else another process was faster
		}
	}
	return home, nil
})

// npmProject is a folder of the test's own with the programs of testdata/ofrep.
func npmProject(t *testing.T) string {
	t.Helper()
	home, err := npmClients()
	if err != nil {
		t.Skipf("SKIPPED: OpenFeature's JavaScript clients are NOT tested here: %v", err)
	}
	folder := t.TempDir()
	if err := os.CopyFS(folder, os.DirFS("testdata/ofrep")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(home, "node_modules"), filepath.Join(folder, "node_modules")); err != nil {
		t.Fatal(err)
	}
	return folder
}

// node runs a program of the project with input as its standard input, and decodes what it
// prints.
func (s *system) node(project, program, key string, input, output any) {
	s.t.Helper()
	question, err := json.Marshal(input)
	if err != nil {
		s.t.Fatal(err)
	}
	cmd := exec.CommandContext(s.t.Context(), "node", program)
	cmd.Dir, cmd.Stdin = project, bytes.NewReader(question)
	cmd.Env = append(os.Environ(), "PERENNIAL_URL="+s.url, "PERENNIAL_KEY="+key)
	out, err := cmd.Output()
	if err != nil {
		if failed, ok := errors.AsType[*exec.ExitError](err); ok {
			err = fmt.Errorf("%w\n%s", err, failed.Stderr)
		}
		s.t.Fatalf("%s: %v", program, err)
	}
	if err := json.Unmarshal(out, output); err != nil {
		s.t.Fatalf("%s: %v\n%s", program, err, out)
	}
}

// A jsDetail is a detail as the JavaScript SDKs spell it.
type jsDetail struct {
	FlagKey      string
	Value        any
	Variant      string
	Reason       string
	ErrorCode    string
	FlagMetadata map[string]any
}

func (d jsDetail) detail() detail {
	return detail{d.Value, d.Variant, d.Reason, d.ErrorCode, d.FlagMetadata}
}

type jsQuestion struct {
	Flag     string `json:"flag"`
	Type     string `json:"type"`
	Fallback any    `json:"fallback"`
	Context  any    `json:"context"`
}

func TestNodeClient(t *testing.T) {
	t.Parallel()
	project := npmProject(t)
	s := newSystem(t).shopFront()
	var questions []jsQuestion
	for i := range 10 {
		questions = append(questions, jsQuestion{"welcome-email", "Object", object{}, object{"targetingKey": fmt.Sprintf("node:%d ä", i), "country": "FR"}})
	}
	who := object{"targetingKey": "c"}
	questions = append(questions,
		jsQuestion{"free-shipping", "Boolean", false, who},
		jsQuestion{"teasers", "Number", 0, who},
		jsQuestion{"discount", "Number", 0, who},
		jsQuestion{"none", "String", "fallback", who},
		jsQuestion{"till", "Object", object{}, object{"country": "FR"}},
		jsQuestion{"till", "Object", object{}, object{"targetingKey": text(257)}},
	)
	var answers []jsDetail
	s.node(project, "server.mjs", s.key("assign"), questions, &answers)
	var want []detail
	for _, q := range questions[:13] {
		want = append(want, s.wanted(fmt.Sprint(members(q.Context)["targetingKey"]), q.Flag))
	}
	nothing := object{}
	want = append(want,
		detail{Value: "fallback", Reason: "ERROR", ErrorCode: "FLAG_NOT_FOUND", Metadata: nothing},
		detail{Value: object{}, Reason: "ERROR", ErrorCode: "TARGETING_KEY_MISSING", Metadata: nothing},
		detail{Value: object{}, Reason: "ERROR", ErrorCode: "INVALID_CONTEXT", Metadata: nothing},
	)
	var got []detail
	for _, a := range answers {
		got = append(got, a.detail())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	s.get("/v1/customers/node:0%20%C3%A4").is(http.StatusOK).has(object{"/enrolments/0/experiment": "welcome-tone"})
}

func TestWebClient(t *testing.T) {
	t.Parallel()
	project := npmProject(t)
	s := newSystem(t).shopFront()
	input := object{
		"contexts": []object{
			{"targetingKey": "a"}, {"targetingKey": "a"}, {"targetingKey": "b", "tags": []string{"x"}}, {"country": "FR"},
		},
		"questions": []jsQuestion{
			{"welcome-web", "Object", object{}, nil},
			{"free-shipping", "Boolean", false, nil},
			{"teasers", "Number", 0, nil},
			{"discount", "Number", 0, nil},
			{"none", "String", "fallback", nil},
		},
	}
	var output struct {
		Rounds []struct {
			Answers []jsDetail
			Status  string
		}
		Statuses []int
	}
	s.node(project, "web.mjs", s.key("assign"), input, &output)
	for i, customer := range []string{"a", "a", "b"} {
		want := []detail{
			s.wanted(customer, "welcome-web"), s.wanted(customer, "free-shipping"), s.wanted(customer, "teasers"), s.wanted(customer, "discount"),
			{Value: "fallback", Reason: "ERROR", ErrorCode: "FLAG_NOT_FOUND", Metadata: object{}},
		}
		var got []detail
		for _, a := range output.Rounds[i].Answers {
			got = append(got, a.detail())
		}
		if diff := cmp.Diff(want, got); diff != "" || output.Rounds[i].Status != "READY" {
			t.Errorf("round %d, %s (-want +got):\n%s", i, output.Rounds[i].Status, diff)
		}
	}
	// Asked again for the same customer, nothing has changed; without one there is no answer.
	if diff := cmp.Diff([]int{200, 304, 200, 400}, output.Statuses); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
	if n := s.count(`SELECT count(*) FROM enrolments`); n != 0 {
		t.Errorf("asking for all flags made %d enrolments", n)
	}
}

// TestBrowser: a page in a browser, on another origin, asks for all it shows and tells what
// was seen, with a key that can do nothing else.
func TestBrowser(t *testing.T) {
	t.Parallel()
	browser := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil && browser == "" {
			browser = path
		}
	}
	if browser == "" {
		t.Skip("SKIPPED: no Chromium on this machine: pages on other origins are NOT tested in a browser")
	}
	project := npmProject(t)
	bundle := exec.CommandContext(t.Context(), filepath.Join("node_modules", ".bin", "esbuild"), "page.mjs", "--bundle", "--format=esm", "--outfile=page.js")
	bundle.Dir = project
	if out, err := bundle.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", bundle, err, out)
	}

	s := newSystem(t).shopFront()
	results := make(chan []byte, 1)
	var config []byte
	shop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/":
			page, err := os.ReadFile(filepath.Join(project, "page.html"))
			if err != nil {
				t.Error(err)
			}
			_, _ = w.Write(bytes.ReplaceAll(page, []byte("CONFIG"), config))
		case "/page.js":
			http.ServeFile(w, r, filepath.Join(project, "page.js"))
		case "/result":
			var result bytes.Buffer
			_, _ = result.ReadFrom(r.Body)
			results <- result.Bytes()
		default:
			http.NotFound(w, r)
		}
	}))
	defer shop.Close()
	s.serve(func(c *api.Config) { c.Origins = []string{shop.URL} })
	config, _ = json.Marshal(object{
		"baseUrl": s.url, "key": s.key("assign"), "customer": "cookie:9f3a", "touchpoint": "welcome-web", "seenAt": start,
	})

	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var log bytes.Buffer
	cmd := exec.CommandContext(ctx, browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
		"--no-first-run", "--user-data-dir="+t.TempDir(), "--remote-debugging-port=0", shop.URL)
	cmd.Stderr, cmd.WaitDelay = &log, 10*time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan string, 1)
	go func() { ended <- fmt.Sprint(cmd.Wait()) }()
	var page struct {
		Error          string
		Details, Again jsDetail
		Statuses       []int
		Exposure       struct {
			Status  int
			Receipt receipt
		}
		Closed string
	}
	select {
	case result := <-results:
		if err := json.Unmarshal(result, &page); err != nil {
			t.Fatal(err)
		}
		cancel()
		<-ended
	case how := <-ended:
		t.Fatalf("the browser ended without a result: %s\n%s", how, log.String())
	}
	if page.Error != "" {
		t.Fatalf("the page failed: %s\n%s", page.Error, log.String())
	}
	want := s.wanted("cookie:9f3a", "welcome-web")
	for _, got := range []detail{page.Details.detail(), page.Again.detail()} { // the SDK bears a 304
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	if diff := cmp.Diff([]int{200, 304}, page.Statuses); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
	if page.Exposure.Status != http.StatusOK || page.Exposure.Receipt.Accepted != 1 {
		t.Errorf("exposure: %+v", page.Exposure)
	}
	if !strings.Contains(page.Closed, "Error") {
		t.Errorf("the page could read experiments: %s", page.Closed)
	}
	s.get("/v1/customers/cookie:9f3a").is(http.StatusOK).has(object{
		"/enrolments/0/experiment": "welcome-tone", "/enrolments/0/variant": want.Variant, "/enrolments/0/channel": "web",
		"/enrolments/0/touchpoint": "welcome-web", "/enrolments/1": nil,
	})
}
