package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/perennial-engine/perennial/engine"
)

// A demo is one play on an engine that serves at url. Whatever it does to the engine goes
// through the HTTP API.
type demo struct {
	app      *app
	options  demoOptions
	stage    *stage
	started  time.Time // real
	dir      string    // for files; removed afterwards
	url, key string
	moved    bool // the usual port was taken
	logLevel string
	client   *client
	story    *story
	result   demoResult
}

// play plays to the end and tells what came out. From then on time is real.
func (d *demo) play(ctx context.Context) error {
	play := d.playShop
	if d.options.file != "" {
		play = d.playHillstrom
	}
	if err := play(ctx); err != nil {
		return err
	}
	d.stage.strike()
	d.result.Seconds = time.Since(d.started).Round(10 * time.Millisecond).Seconds()
	if !d.options.once {
		d.result.URL, d.result.Key = d.url, d.key
	}
	return d.app.answer(d.result, d.ending)
}

// demoResult is what --json prints.
type demoResult struct {
	Seed       *uint64           `json:"seed,omitempty"`        // of the simulated customers
	TrueEffect *trueEffect       `json:"true_effect,omitempty"` // of theirs
	Reference  []referenceFigure `json:"reference,omitempty"`   // of the real test
	Experiment string            `json:"experiment"`
	Report     *engine.Report    `json:"report"`
	Decision   *demoDecision     `json:"decision"`
	Assignment *demoAssignment   `json:"assignment"` // of a customer who comes after the decision
	Seconds    float64           `json:"seconds"`
	URL        string            `json:"url,omitempty"` // of the engine, if it serves on
	Key        string            `json:"key,omitempty"`
}

// demoDecision is a decision as the API answers it.
type demoDecision struct {
	ID            string          `json:"id"`
	ReportVersion int             `json:"report_version"`
	Action        string          `json:"action"`
	Variant       string          `json:"variant"`
	Reasons       []engine.Reason `json:"reasons"`
	DecidedBy     string          `json:"decided_by"`
	DecidedAt     time.Time       `json:"decided_at"`
	AppliedAt     *time.Time      `json:"applied_at"`
}

// demoAssignment is an assignment as the API answers it.
type demoAssignment struct {
	Customer   string          `json:"customer"`
	Touchpoint string          `json:"touchpoint"`
	Content    json.RawMessage `json:"content"`
	Variant    string          `json:"variant"`
	Experiment string          `json:"experiment"`
	Reason     string          `json:"reason"`
}

// show is what the customer sees: the text of the content.
func (a demoAssignment) show() string {
	var content struct{ Text string }
	if err := json.Unmarshal(a.Content, &content); err != nil {
		return string(a.Content)
	}
	return content.Text
}

func (d *demo) post(ctx context.Context, path string, body, answer any) error {
	return d.client.do(ctx, call{method: http.MethodPost, path: path, body: body}, answer)
}

func (d *demo) get(ctx context.Context, path string, answer any) error {
	return d.client.do(ctx, call{method: http.MethodGet, path: path}, answer)
}

// A definition is something to PUT.
type definition struct{ path, body string }

// define makes what a test needs, writes the test down and starts it.
func (d *demo) define(ctx context.Context, parts []definition, experiment string) error {
	for _, part := range parts {
		put := call{method: http.MethodPut, path: part.path, body: json.RawMessage(part.body)}
		if err := d.client.do(ctx, put, nil); err != nil {
			return err
		}
	}
	var made struct{ Key string }
	if err := d.post(ctx, "/v1/experiments", json.RawMessage(experiment), &made); err != nil {
		return err
	}
	d.result.Experiment = made.Key
	return d.post(ctx, d.path("/start"), nil, nil)
}

// path is a path below the experiment.
func (d *demo) path(rest string) string { return "/v1/experiments/" + d.result.Experiment + rest }

// runJobs does what the worker does on a schedule, and answers how many decisions were
// carried out.
func (d *demo) runJobs(ctx context.Context) (decisions int, err error) {
	for _, job := range []string{"measure", "analyze", "decide"} {
		var run struct{ Rows int }
		if err := d.post(ctx, "/v1/jobs/"+job+"/run", nil, &run); err != nil {
			return 0, err
		}
		decisions = run.Rows // those of decide, in the end
	}
	return decisions, nil
}

// assign asks what one customer gets at a touchpoint; with record they are enrolled.
func (d *demo) assign(ctx context.Context, customer, touchpoint string, record bool) (*demoAssignment, error) {
	var answer demoAssignment
	body := map[string]any{"customer": customer, "touchpoint": touchpoint, "record": record}
	return &answer, d.post(ctx, "/v1/assignments", body, &answer)
}

// newcomer is a customer who comes after the decision.
const newcomer = "c-new"

// conclude reads what was decided, on which report, and what a new customer gets now.
func (d *demo) conclude(ctx context.Context, touchpoint string) error {
	var decisions struct{ Data []demoDecision }
	if err := d.get(ctx, d.path("/decisions"), &decisions); err != nil {
		return err
	}
	if i := slices.IndexFunc(decisions.Data, func(x demoDecision) bool { return x.AppliedAt != nil }); i >= 0 {
		d.result.Decision = &decisions.Data[i]
	}
	if err := d.get(ctx, d.path("/report"), &d.result.Report); err != nil {
		return err
	}
	answer, err := d.assign(ctx, newcomer, touchpoint, true)
	d.result.Assignment = answer
	return err
}

// metric finds a metric of the final report and the comparison of the variant with control.
func (d *demo) metric(key engine.MetricKey, variant engine.VariantKey) (engine.MetricReport, engine.Comparison, error) {
	return metricOf(d.result.Report, key, variant)
}

func metricOf(r *engine.Report, key engine.MetricKey, variant engine.VariantKey) (engine.MetricReport, engine.Comparison, error) {
	for _, m := range r.Metrics {
		for _, c := range m.Comparisons {
			if m.Metric == key && c.Variant == variant {
				return m, c, nil
			}
		}
	}
	return engine.MetricReport{}, engine.Comparison{}, fmt.Errorf("the report does not compare %s on %s", variant, key)
}

// ending is the last of the story, and how to go on.
func (d *demo) ending() string {
	text := fmt.Sprintf("\nThat took %.0f seconds.", d.result.Seconds)
	if d.options.once {
		return text + " Without --once the engine stays up for you to look around.\n"
	}
	return text + fmt.Sprintf(` The engine stays up, on the real clock, with everything in it.

  %s   API documents: %s/docs
  admin key %s

Go on, in another terminal:

  export PERENNIAL_URL=%[1]s
  export PERENNIAL_KEY=%[3]s
  %[6]s report %[4]s
  curl -sH "X-API-Key: $PERENNIAL_KEY" $PERENNIAL_URL/v1/experiments/%[4]s/decisions
  curl -sH "X-API-Key: $PERENNIAL_KEY" $PERENNIAL_URL/v1/assignments \
      -d '{"customer": "you", "touchpoint": "%[5]s"}'

Press Ctrl-C to stop; the temporary folder goes with it.
`, d.url, d.url, d.key, d.result.Experiment, d.result.Assignment.Touchpoint, shellWord(d.app.program))
}
