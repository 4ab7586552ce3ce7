package api

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/perennial-engine/perennial/engine"
)

// A route is one line of the table below.
type route struct {
	method     string
	path       string
	scopes     []engine.Scope // any of them; none: open to all
	handle     func(*gin.Context) (reply, error)
	idempotent bool // takes Idempotency-Key
	slow       bool // may take longer than a write timeout
}

// routes is every route of the contract, in its order. A route whose part is not built in
// this version answers 501.
func (s *Server) routes() []route {
	author, read, decide := []engine.Scope{engine.ScopeAuthor}, []engine.Scope{engine.ScopeRead}, []engine.Scope{engine.ScopeDecide}
	reading := []engine.Scope{engine.ScopeRead, engine.ScopeAuthor}
	ingest, assigning := []engine.Scope{engine.ScopeIngest}, []engine.Scope{engine.ScopeAssign}
	seeing, admin := []engine.Scope{engine.ScopeIngest, engine.ScopeAssign}, []engine.Scope{engine.ScopeAdmin}
	const get, post, put, patch, del = http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete
	return []route{
		{get, "/healthz", nil, s.healthz, false, false},
		{get, "/readyz", nil, s.readyz, false, false},
		{get, "/version", nil, s.getVersion, false, false},

		{put, "/v1/touchpoints/:key", author, s.putTouchpoint, false, false},
		{get, "/v1/touchpoints/:key", reading, s.getTouchpoint, false, false},
		{del, "/v1/touchpoints/:key", author, s.deleteTouchpoint, false, false},
		{get, "/v1/touchpoints", reading, s.listTouchpoints, false, false},

		{put, "/v1/metrics/:key", author, s.putMetric, false, false},
		{get, "/v1/metrics/:key", reading, s.getMetric, false, false},
		{del, "/v1/metrics/:key", author, s.deleteMetric, false, false},
		{get, "/v1/metrics", reading, s.listMetrics, false, false},

		{put, "/v1/layers/:key", author, s.putLayer, false, false},
		{get, "/v1/layers/:key", reading, s.getLayer, false, false},
		{get, "/v1/layers", reading, s.listLayers, false, false},

		{post, "/v1/experiments", author, s.createExperiment, true, false},
		{get, "/v1/experiments", reading, s.listExperiments, false, false},
		{get, "/v1/experiments/:key", reading, s.getExperiment, false, false},
		{patch, "/v1/experiments/:key", author, s.patchExperiment, false, false},
		{del, "/v1/experiments/:key", author, s.deleteExperiment, false, false},
		{post, "/v1/experiments/:key/start", author, s.act(s.engine.Start), false, true},
		{post, "/v1/experiments/:key/pause", author, s.act(s.engine.Pause), false, false},
		{post, "/v1/experiments/:key/resume", author, s.act(s.engine.Resume), false, false},
		{post, "/v1/experiments/:key/stop", decide, s.act(s.engine.Stop), false, false},
		{post, "/v1/experiments/:key/promote", decide, s.promote, false, false},
		{post, "/v1/experiments/:key/approve", decide, s.act(s.engine.Approve), false, false},
		{post, "/v1/experiments/:key/rollback", decide, s.act(s.engine.Rollback), false, false},
		{get, "/v1/experiments/:key/start-checklist", reading, s.getStartChecklist, false, true},
		{get, "/v1/experiments/:key/timeline", reading, s.getTimeline, false, false},
		{put, "/v1/experiments/:key/overrides/:customer", author, s.putOverride, false, false},
		{del, "/v1/experiments/:key/overrides/:customer", author, s.deleteOverride, false, false},

		{post, "/v1/assignments", assigning, s.assign, false, false},
		{post, "/ofrep/v1/evaluate/flags/:touchpoint", assigning, s.evaluateFlag, false, false},
		{post, "/ofrep/v1/evaluate/flags", assigning, s.evaluateFlags, false, false},

		{put, "/v1/customers/:identifier", ingest, s.putCustomer, false, false},
		{post, "/v1/customers", ingest, batch(s.meters.batches("customers"), "customers", (*customerBody).customer, s.engine.IngestCustomers), false, false},
		{get, "/v1/customers/:identifier", read, s.getCustomer, false, false},
		{get, "/v1/customers/:identifier/export", read, s.exportCustomer, false, true},
		{del, "/v1/customers/:identifier", admin, s.deleteCustomer, false, true},
		{post, "/v1/identities", ingest, s.linkIdentities, false, false},

		{post, "/v1/events", ingest, batch(s.meters.batches("events"), "events", (*eventJSON).event, s.engine.IngestEvents), false, false},
		{post, "/v1/exposures", seeing, batch(s.meters.batches("exposures"), "exposures", (*exposureJSON).exposure, s.engine.IngestExposures), false, false},
		{post, "/v1/enrolments", ingest, batch(s.meters.batches("enrolments"), "enrolments", (*enrolmentJSON).enrolment, s.engine.IngestEnrolments), false, false},
		{put, "/v1/rates", ingest, s.putRates, false, true},

		{get, "/v1/experiments/:key/report", read, s.getReport, false, false},
		{get, "/v1/experiments/:key/holdback", read, s.getHoldbackReport, false, false},
		{get, "/v1/experiments/:key/reports", read, s.listReports, false, false},
		{post, "/v1/experiments/:key/reports", read, s.createReport, true, true},
		{get, "/v1/decisions", read, s.listDecisions, false, false},
		{get, "/v1/experiments/:key/decisions", read, s.listDecisions, false, false},
		{get, "/v1/export/events", read, s.exportEvents, false, true},
		{get, "/v1/export/enrolments", read, s.exportEnrolments, false, true},
		{get, "/v1/export/measures", read, s.exportMeasures, false, true},
		{get, "/v1/export/reports", read, s.exportReports, false, true},
		{post, "/v1/plans/size", reading, s.sizePlan, false, true},

		{post, "/v1/programs", author, notBuilt("programmes"), false, false},
		{get, "/v1/programs", reading, notBuilt("programmes"), false, false},
		{get, "/v1/programs/:key", reading, notBuilt("programmes"), false, false},
		{patch, "/v1/programs/:key", author, notBuilt("programmes"), false, false},
		{get, "/v1/programs/:key/impact", read, notBuilt("programmes"), false, false},
		{get, "/v1/learnings", read, notBuilt("learnings"), false, false},
		{put, "/v1/holdouts/:key", author, s.putHoldout, false, false},
		{get, "/v1/holdouts/:key", reading, s.getHoldout, false, false},
		{get, "/v1/holdouts", reading, s.listHoldouts, false, false},
		{get, "/v1/holdouts/:key/members/:customer", read, s.getHoldoutMember, false, false},

		{get, "/metrics", admin, s.getMetrics, false, false},
		{post, "/v1/keys", admin, s.createKey, true, false},
		{get, "/v1/keys", admin, s.listKeys, false, false},
		{del, "/v1/keys/:id", admin, s.revokeKey, false, false},
		{get, "/v1/audit", read, s.listAudit, false, false},
		{post, "/v1/webhooks", admin, s.createWebhook, true, false},
		{get, "/v1/webhooks", admin, s.listWebhooks, false, false},
		{del, "/v1/webhooks/:id", admin, s.deleteWebhook, false, false},
		{get, "/v1/webhooks/:id/deliveries", admin, s.listDeliveries, false, false},
		{post, "/v1/webhooks/:id/deliveries/:message/replay", admin, s.replayDelivery, false, false},
		{get, "/v1/jobs", read, s.listJobs, false, false},
		{post, "/v1/jobs/:name/run", decide, s.runJob, false, true},
	}
}

// notBuilt answers 501 for a part of the contract that this version does not have.
func notBuilt(what string) func(*gin.Context) (reply, error) {
	return func(*gin.Context) (reply, error) {
		return reply{}, engine.Errorf(engine.KindNotBuilt, "not_built", "%s: not in this version", what)
	}
}
