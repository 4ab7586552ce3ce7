package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lib/pq"

	"github.com/perennial-engine/perennial/engine"
	"github.com/perennial-engine/perennial/internal/pgtest"
)

// A proxy stands between the store and the server and loses what it is told to lose.
type proxy struct {
	network, address string // of the server
	silent           atomic.Bool
	mu               sync.Mutex
	trigger          []byte // a statement that sets off the loss of a reply
	after            int    // the replies to let through first
	lost             int
}

// newProxy answers a proxy and the address of the same database through it.
func newProxy(t *testing.T, dsn string) (*proxy, string) {
	t.Helper()
	config, err := pq.NewConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{network: "tcp", address: net.JoinHostPort(config.Host, fmt.Sprint(config.Port))}
	if config.Host[0] == '/' {
		p.network, p.address = "unix", fmt.Sprintf("%s/.s.PGSQL.%d", config.Host, config.Port)
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go p.serve(client)
		}
	}()
	host, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return p, fmt.Sprintf("host=%s port=%s user='%s' password='%s' dbname='%s' sslmode=disable",
		host, port, config.User, config.Password, config.Database)
}

// loseReply cuts the connection in place of one reply of the server to a statement that
// holds text, when the server has sent it: what the statement did is done.
func (p *proxy) loseReply(text string, after int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.trigger, p.after = []byte(text), after
}

// losses are the replies lost so far.
func (p *proxy) losses() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lost
}

func (p *proxy) serve(client net.Conn) {
	server, err := (&net.Dialer{}).DialContext(context.Background(), p.network, p.address)
	if err != nil {
		_ = client.Close()
		return
	}
	var armed atomic.Bool
	go func() {
		defer server.Close() //nolint:errcheck // the end of a test connection
		p.pump(client, server, func(b []byte) bool {
			p.mu.Lock()
			defer p.mu.Unlock()
			if p.trigger != nil && bytes.Contains(b, p.trigger) {
				p.trigger = nil
				armed.Store(true)
			}
			return true
		})
	}()
	defer client.Close() //nolint:errcheck // the end of a test connection
	p.pump(server, client, func([]byte) bool {
		if !armed.Load() {
			return true
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.after > 0 {
			p.after--
			return true
		}
		p.lost++
		return false
	})
}

// pump copies until an end closes or pass answers false. While the proxy is silent it
// swallows everything.
func (p *proxy) pump(from, to net.Conn, pass func([]byte) bool) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil || !pass(buffer[:n]) {
			return
		}
		if p.silent.Load() {
			continue
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// writers are the exported methods of Store that write: those that come to inTx, inPicture
// or a queue's put by any way through this package.
func writers(t *testing.T) map[string]bool {
	t.Helper()
	files := must(filepath.Glob("*.go"))(t)
	calls := map[string][]string{} // functions and methods by name, and what they call
	exported := map[string]bool{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed := must(parser.ParseFile(token.NewFileSet(), file, nil, 0))(t)
		for _, d := range parsed.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if f.Recv != nil {
				if star, ok := f.Recv.List[0].Type.(*ast.StarExpr); !ok || fmt.Sprint(star.X) != "Store" {
					continue
				}
				exported[f.Name.Name] = f.Name.IsExported()
			}
			ast.Inspect(f, func(n ast.Node) bool {
				if call, ok := n.(*ast.CallExpr); ok {
					switch to := call.Fun.(type) {
					case *ast.Ident:
						calls[f.Name.Name] = append(calls[f.Name.Name], to.Name)
					case *ast.SelectorExpr:
						calls[f.Name.Name] = append(calls[f.Name.Name], to.Sel.Name)
					}
				}
				return true
			})
		}
	}
	writing := map[string]bool{"inTx": true, "inPicture": true, "put": true}
	for before := 0; before != len(writing); {
		before = len(writing)
		for name, called := range calls {
			if slices.ContainsFunc(called, func(to string) bool { return writing[to] }) {
				writing[name] = true
			}
		}
	}
	maps.DeleteFunc(writing, func(name string, _ bool) bool { return !exported[name] })
	return writing
}

// Writes whose reply is lost and that are sent again have one effect. This driver would
// otherwise send a statement again by itself, silently.
func TestLostReplies(t *testing.T) {
	dsn := pgtest.Database(t)
	direct := openStore(t, dsn)
	c := &clock{at: start}
	e := newEngine(t, direct, c, 1)
	catalogue(t, e)
	x := running(t, e, spec("there"))
	look := 1
	untried := writers(t)
	delete(untried, "AddUnrecorded") // it counts what was lost: told twice it is too many, and never too few
	// The first two write temporary tables only, the last measures as Measure does.
	for _, reading := range []string{"History", "QuantileBefore", "ExportMeasures"} {
		delete(untried, reading)
	}
	if len(untried) < 30 {
		t.Fatalf("the writing methods are found no more: %v", untried)
	}

	for _, w := range []struct {
		name   string
		do     func(ctx context.Context, s *Store) error
		effect string // what must be 1 afterwards
		again  engine.Kind
	}{
		{"InsertEvents", func(ctx context.Context, s *Store) error {
			_, err := s.InsertEvents(ctx, []engine.Event{order("a", "o1", "1", start)})
			return err
		}, `SELECT count(*) FROM events WHERE customer_id = 'a'`, 0},
		{"InsertExposures", func(ctx context.Context, s *Store) error {
			_, err := s.InsertExposures(ctx, []engine.Exposure{{
				ID: "e1", Customer: "a", Touchpoint: "mail", OccurredAt: start,
				Enrols: []engine.Enrolment{{Customer: "a", Experiment: "there", Variant: "warm", EnrolledAt: start}},
			}})
			return err
		}, `SELECT count(*) FROM exposures JOIN enrolments USING (customer_id)`, 0},
		{"InsertEnrolments", func(ctx context.Context, s *Store) error {
			_, err := s.InsertEnrolments(ctx, []engine.Enrolment{{Customer: "b", Experiment: "there", Variant: "warm", EnrolledAt: start}})
			return err
		}, `SELECT count(*) FROM enrolments WHERE customer_id = 'b'`, 0},
		{"MergeCustomers", func(ctx context.Context, s *Store) error {
			_, err := s.MergeCustomers(ctx, []engine.Customer{{ID: "a"}}, start)
			return err
		}, `SELECT count(*) FROM customers WHERE customer_id = 'a'`, 0},
		{"LinkIdentities", func(ctx context.Context, s *Store) error {
			_, err := s.LinkIdentities(ctx, []engine.CustomerID{"b", "B"})
			return err
		}, `SELECT count(*) FROM enrolments JOIN identities ON person = enrolments.customer_id
			WHERE person = 'B' AND identities.customer_id = 'b'`, 0},
		{"PutRates", func(ctx context.Context, s *Store) error {
			_, err := s.PutRates(ctx, []engine.Rate{{RateDay: engine.RateDay{Currency: "USD", Day: start.Truncate(day)}, Rate: *amount("0.9")}})
			return err
		}, `SELECT count(*) FROM rates`, 0},
		{"PutTouchpoint", func(ctx context.Context, s *Store) error {
			_, err := s.PutTouchpoint(ctx, &engine.Touchpoint{Key: "till", Channel: "store", Content: content("slip"), CreatedAt: start, UpdatedAt: start})
			return err
		}, `SELECT count(*) FROM touchpoints WHERE key = 'till'`, 0},
		{"PutMetric", func(ctx context.Context, s *Store) error {
			_, err := s.PutMetric(ctx, &engine.Metric{Key: "m"}, start)
			return err
		}, `SELECT count(*) FROM metrics WHERE key = 'm'`, 0},
		{"PutLayer", func(ctx context.Context, s *Store) error {
			_, err := s.PutLayer(ctx, &engine.Layer{Key: "l", Salt: "s"}, start)
			return err
		}, `SELECT count(*) FROM layers WHERE key = 'l'`, 0},
		{"CreateExperiment", func(ctx context.Context, s *Store) error {
			return s.CreateExperiment(ctx, &engine.Experiment{Spec: *spec("new"), Status: engine.StatusDraft, Version: 1, Salt: "s", CreatedAt: start, UpdatedAt: start})
		}, `SELECT count(*) FROM experiments WHERE key = 'new'`, engine.KindConflict},
		{"ChangeExperiment", func(ctx context.Context, s *Store) error {
			return s.ChangeExperiment(ctx, "there", func(change *engine.Change) error {
				if change.Experiment.Status != engine.StatusRunning {
					return engine.Errorf(engine.KindConflict, "wrong_status", "it is %s", change.Experiment.Status)
				}
				change.Experiment.Status = engine.StatusPaused
				return nil
			})
		}, `SELECT version - 2 FROM experiments WHERE key = 'there' AND status = 'paused'`, engine.KindConflict},
		{"PutHoldout", func(ctx context.Context, s *Store) error {
			_, err := s.PutHoldout(ctx, &engine.Holdout{Key: "h", Parts: 100, Salt: "s", CreatedAt: start})
			return err
		}, `SELECT count(*) FROM holdouts JOIN audit ON object = 'holdout/h'`, 0},
		{"PutOverride", func(ctx context.Context, s *Store) error {
			_, err := s.PutOverride(ctx, engine.Override{Experiment: "new", Customer: "q", Variant: "warm"}, 1, start)
			return err
		}, `SELECT count(*) FROM overrides`, 0},
		{"DeleteOverride", func(ctx context.Context, s *Store) error {
			return s.DeleteOverride(ctx, "new", "q", start)
		}, `SELECT 1 - count(*) FROM overrides`, engine.KindNotFound},
		{"DeleteExperiment", func(ctx context.Context, s *Store) error {
			return s.DeleteExperiment(ctx, "new", 1, start)
		}, `SELECT 1 - count(*) FROM experiments WHERE key = 'new'`, engine.KindNotFound},
		{"DeleteMetric", func(ctx context.Context, s *Store) error {
			return s.DeleteMetric(ctx, "m", start)
		}, `SELECT 1 - count(*) FROM metrics WHERE key = 'm'`, engine.KindNotFound},
		{"DeleteTouchpoint", func(ctx context.Context, s *Store) error {
			return s.DeleteTouchpoint(ctx, "till", start)
		}, `SELECT 1 - count(*) FROM touchpoints WHERE key = 'till'`, engine.KindNotFound},
		{"CreateWebhook", func(ctx context.Context, s *Store) error {
			return s.CreateWebhook(ctx, &engine.Webhook{ID: "w1", URL: "https://example.org", Secret: []byte("s"), CreatedAt: start})
		}, `SELECT count(*) FROM webhooks`, engine.KindConflict},
		{"SaveAttempt", func(ctx context.Context, s *Store) error {
			exec(t, direct, `INSERT INTO messages (id, event, body, created_at) VALUES ('m1', 'e', '{}', $1) ON CONFLICT DO NOTHING`, start)
			exec(t, direct, `INSERT INTO deliveries (webhook, message, created_at) VALUES ('w1', 'm1', $1) ON CONFLICT DO NOTHING`, start)
			return s.SaveAttempt(ctx, &engine.Attempt{Webhook: "w1", Message: "m1", At: start, Status: 200, Delivered: true})
		}, `SELECT count(*) FROM deliveries WHERE delivered_at IS NOT NULL AND next_attempt_at IS NULL`, 0},
		{"ReplayDelivery", func(ctx context.Context, s *Store) error {
			return s.ReplayDelivery(ctx, "w1", "m1", start)
		}, `SELECT count(*) FROM deliveries WHERE next_attempt_at IS NOT NULL`, 0},
		{"DeleteWebhook", func(ctx context.Context, s *Store) error {
			return s.DeleteWebhook(ctx, "w1", start)
		}, `SELECT 1 - count(*) FROM webhooks`, engine.KindNotFound},
		{"SaveComparison", func(ctx context.Context, s *Store) error {
			return s.SaveComparison(ctx, x.Key, &engine.Report{Look: &look})
		}, `SELECT count(*) FROM holdback_reports`, engine.KindConflict},
		{"SaveReport", func(ctx context.Context, s *Store) error {
			exec(t, direct, `UPDATE experiments SET status = 'running' WHERE key = 'there'`)
			return s.SaveReport(ctx, &engine.Report{Experiment: x.Key, AsOf: start, ComputedAt: start, Look: &look},
				&engine.Decision{ID: "d1", Experiment: x.Key, Action: engine.ActionPromote, Mode: engine.ModeAuto, DecidedAt: start})
		}, `SELECT count(*) FROM reports JOIN decisions USING (experiment) WHERE superseded_at IS NULL`, engine.KindConflict},
		{"CreateKey", func(ctx context.Context, s *Store) error {
			return s.CreateKey(ctx, &engine.Key{ID: "k1", Name: "n", CreatedAt: start})
		}, `SELECT count(*) FROM api_keys`, engine.KindConflict},
		{"RevokeKey", func(ctx context.Context, s *Store) error {
			return s.RevokeKey(ctx, "k1", start)
		}, `SELECT count(*) FROM api_keys WHERE revoked_at IS NOT NULL`, 0},
		{"ClaimIdempotency", func(ctx context.Context, s *Store) error {
			_, err := s.ClaimIdempotency(ctx, engine.IdempotencyClaim{Owner: "k1", Key: "i", Digest: []byte("d")}, start)
			return err
		}, `SELECT count(*) FROM idempotency_keys WHERE status = 0`, 0},
		{"SaveIdempotency", func(ctx context.Context, s *Store) error {
			return s.SaveIdempotency(ctx, engine.IdempotencyClaim{Owner: "k1", Key: "i", Digest: []byte("d")}, &engine.IdempotentAnswer{Status: 201})
		}, `SELECT count(*) FROM idempotency_keys WHERE status = 201`, 0},
		{"Measure", func(ctx context.Context, s *Store) error {
			_, err := s.Measure(ctx, x)
			return err
		}, `SELECT count(*) FROM measures`, 0},
		{"Totals", func(ctx context.Context, s *Store) error {
			exec(t, direct, `TRUNCATE measures, measure_cuts`)
			_, err := s.Totals(ctx, x, engine.View{AsOf: start})
			return err
		}, `SELECT count(*) FROM measures`, 0},
		{"ExportMeasures", func(ctx context.Context, s *Store) error {
			exec(t, direct, `TRUNCATE measures, measure_cuts`)
			rows := 0
			err := s.ExportMeasures(ctx, []engine.Experiment{*x}, engine.Output[engine.MeasuredValue]{
				Total: func(int64) {}, Row: func(*engine.MeasuredValue) error { rows++; return nil },
			})
			if err == nil && rows == 0 {
				t.Error("nothing was exported")
			}
			return err
		}, `SELECT count(*) FROM measure_cuts`, 0},
		{"Recompute", func(ctx context.Context, s *Store) error {
			exec(t, direct, `TRUNCATE measures, measure_cuts`)
			_, _, err := s.Recompute(ctx, x)
			return err
		}, `SELECT count(*) FROM measures`, 0},
		{"FixReportingCurrency", func(ctx context.Context, s *Store) error {
			return s.FixReportingCurrency(ctx, "EUR")
		}, `SELECT count(*) FROM configuration WHERE reporting_currency = 'EUR'`, 0},
		{"RunExclusively", func(ctx context.Context, s *Store) error {
			_, err := s.RunExclusively(ctx, "job", nil, c.Now, func(context.Context) (int, error) { return 7, nil })
			return err
		}, `SELECT count(*) FROM job_runs WHERE row_count = 7`, 0},
		{"KeepPastTest", func(ctx context.Context, s *Store) error {
			return s.KeepPastTest(ctx, &engine.PastTest{Experiment: x.Key, Objective: x.Objective, At: start}, start)
		}, `SELECT count(*) FROM past_tests`, 0},
		{"CloseExperiment", func(ctx context.Context, s *Store) error {
			return s.CloseExperiment(ctx, &engine.Report{Experiment: x.Key, AsOf: start.Add(day), ComputedAt: start.Add(day)},
				&engine.PastTest{Experiment: x.Key, Objective: x.Objective, At: start, Closing: true})
		}, `SELECT count(*) FROM past_tests JOIN reports USING (experiment) WHERE closing AND as_of > at`, engine.KindConflict},
		{"WriteTiers", func(ctx context.Context, s *Store) error {
			_, err := s.WriteTiers(ctx, start)
			return err
		}, `SELECT count(*) FROM customers WHERE attributes ? 'ltv_tier'`, 0},
		{"Erase", func(ctx context.Context, s *Store) error {
			return s.Erase(ctx, "a", start)
		}, `SELECT count(DISTINCT customer_id) FROM erasures WHERE NOT EXISTS (SELECT FROM events)`, 0},
	} {
		delete(untried, w.name)
		t.Run(w.name, func(t *testing.T) {
			p, through := newProxy(t, dsn)
			s := openStore(t, through)
			if err := s.Ping(t.Context()); err != nil {
				t.Fatal(err)
			}
			p.loseReply("COMMIT", 0)
			if err := w.do(t.Context(), s); err == nil {
				t.Error("a write whose commit was not confirmed was answered as done")
			} else {
				kindOf(t, err, engine.KindUnavailable, "")
			}
			if p.losses() != 1 {
				t.Fatalf("%d replies lost, want 1", p.losses())
			}
			if err := w.do(t.Context(), s); engine.KindOf(err) != w.again || (w.again == 0 && err != nil) {
				t.Errorf("sent again: %v", err)
			}
			if n := count(t, direct, w.effect); n != 1 {
				t.Errorf("%d effects, want 1", n)
			}
		})
	}
	for name := range untried {
		t.Errorf("%s writes and has no case here", name)
	}
}

// The same loss one step earlier, at the reply of the statement itself: the transaction is
// gone, nothing is half done, and the second sending does it once.
func TestLostReplyOfAStatement(t *testing.T) {
	p, through := newProxy(t, pgtest.Database(t))
	s := openStore(t, through)
	if err := s.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	// Its parsing belongs to no transaction: it is parsed again, and what it does is done once.
	p.loseReply("INSERT INTO events", 0)
	if got := must(s.InsertEvents(t.Context(), []engine.Event{order("z", "o", "1", start)}))(t); got[0] != accepted {
		t.Errorf("status %v after a lost reply to its parsing, want %v", got, accepted)
	}
	events := []engine.Event{order("a", "o1", "1", start), order("a", "o2", "2", start)}
	p.loseReply("{\"o1\",\"o2\"}", 0)
	_, err := s.InsertEvents(t.Context(), events)
	kindOf(t, err, engine.KindUnavailable, "database_unavailable")
	if n := count(t, s, `SELECT count(*) FROM events`); n != 1 {
		t.Fatalf("%d events, want z's: those of a transaction that was cut are there", n)
	}
	if p.losses() != 2 {
		t.Fatalf("%d replies lost, want 2", p.losses())
	}
	for _, want := range []engine.RowStatus{accepted, duplicate} {
		if got := must(s.InsertEvents(t.Context(), events))(t); got[0] != want || got[1] != want {
			t.Errorf("statuses %v, want %v", got, want)
		}
	}
}

// The trap itself, so that the guard is known to be needed: outside a transaction the
// driver sends a statement again after a lost reply, and says nothing.
func TestTheDriverRepeatsOutsideTransactions(t *testing.T) {
	dsn := pgtest.Database(t)
	p, through := newProxy(t, dsn)
	s := openStore(t, through)
	exec(t, s, `CREATE TABLE doubled (n integer)`)
	p.loseReply("INSERT INTO doubled", 0)
	_, err := s.bulk.ExecContext(t.Context(), `INSERT INTO doubled VALUES (1)`)
	if n := count(t, s, `SELECT count(*) FROM doubled`); err != nil || n != 2 {
		t.Errorf("%d rows and error %v, where 2 and none are known: if the driver has mended it, this test may go", n, err)
	}
}

// An assignment that is to be recorded waits no longer than the hot pool may be silent,
// although a batch of enrolments may wait for minutes.
func TestBlackHoleUnderAnAssignment(t *testing.T) {
	p, through := newProxy(t, pgtest.Database(t))
	s := must(open(through, limits{2, 300 * time.Millisecond, 400 * time.Millisecond}, limits{2, time.Minute, time.Minute}))(t)
	t.Cleanup(func() { _ = s.Close() })
	c := &clock{at: start}
	e := newEngine(t, s, c, 1)
	catalogue(t, e)
	running(t, e, spec("tone"))
	assign := func(customer engine.CustomerID) string {
		return must(e.Assign(t.Context(), engine.AssignRequest{
			Touchpoint: "mail", Customers: []engine.CustomerID{customer}, Record: true,
		}))(t)[0].Variant
	}
	first := assign("c1")
	p.silent.Store(true)
	began := time.Now()
	if again := assign("c1"); again != first {
		t.Errorf("variant %s, with the database %s", again, first)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("an assignment took %v", took)
	}
	if second := assign("c2"); second == "" {
		t.Error("a new customer has no variant")
	}
	p.silent.Store(false)
	// Connections that went silent are found out one by one; then what waited is recorded.
	for range 20 {
		if err := e.Flush(t.Context()); err == nil {
			break
		}
	}
	if n := count(t, s, `SELECT count(*) FROM enrolments WHERE customer_id = 'c2'`); n != 1 || e.Unrecorded() != 0 {
		t.Errorf("%d enrolments of who was answered meanwhile, %d lost; want 1 and none", n, e.Unrecorded())
	}
}

// A link that swallows everything ends a call within the pool's limit of silence, also
// when the caller's own deadline is earlier and the driver does not keep it.
func TestBlackHole(t *testing.T) {
	const silence = 400 * time.Millisecond
	tight := limits{connections: 2, statement: 300 * time.Millisecond, silence: silence}
	for _, tt := range []struct {
		name string
		do   func(ctx context.Context, s *Store) error
	}{
		{"a read", func(ctx context.Context, s *Store) error { return s.Ping(ctx) }},
		{"a write", func(ctx context.Context, s *Store) error {
			_, err := s.InsertEvents(ctx, []engine.Event{order("a", "o1", "1", start)})
			return err
		}},
		{"an enrolment", func(ctx context.Context, s *Store) error {
			_, err := s.InsertEnrolments(ctx, []engine.Enrolment{{Customer: "b", Experiment: "x", Variant: "v", EnrolledAt: start}})
			return err
		}},
		{"a job", func(ctx context.Context, s *Store) error {
			_, err := s.RunExclusively(ctx, "job", nil, (&clock{at: start}).Now, func(context.Context) (int, error) { return 0, nil })
			return err
		}},
	} {
		for _, deadline := range []time.Duration{0, 100 * time.Millisecond} {
			t.Run(fmt.Sprint(tt.name, ", deadline ", deadline), func(t *testing.T) {
				t.Parallel()
				p, through := newProxy(t, pgtest.Database(t))
				s := must(open(through, tight, tight))(t)
				t.Cleanup(func() {
					p.silent.Store(false)
					_ = s.Close()
				})
				if err := tt.do(t.Context(), s); err != nil {
					t.Fatal(err)
				}
				p.silent.Store(true)
				ctx := t.Context()
				if deadline > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, deadline)
					defer cancel()
				}
				began := time.Now()
				err := tt.do(ctx, s)
				took := time.Since(began)
				if engine.KindOf(err) != engine.KindUnavailable {
					t.Errorf("error %v, want unavailable", err)
				}
				// Twice, for the goodbye on a second connection, and room for a busy machine.
				if limit := 2*silence + 2*time.Second; took > limit {
					t.Errorf("it took %v, above %v", took, limit)
				}
				// When the link is back, so is the store.
				p.silent.Store(false)
				if err := errors.Join(tt.do(t.Context(), s), tt.do(t.Context(), s)); err != nil {
					t.Logf("first calls after the silence: %v", err)
				}
				if err := s.Ping(t.Context()); err != nil {
					t.Errorf("after the silence: %v", err)
				}
			})
		}
	}
}
