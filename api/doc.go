// Package api is the HTTP interface: it decodes a request, makes one call to the engine and
// encodes the answer. All routes stand in one table, [Server.routes]; openapi.yaml describes
// them, and a test fails when the two disagree.
package api
