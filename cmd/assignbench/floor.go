package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"

	"github.com/gin-gonic/gin"
)

// floorAnswer is what the floor always answers: as many bytes as the server does.
const floorAnswer = `{"key":"touchpoint-0","reason":"SPLIT","variant":"warm","value":{"subject":"Hello you","hero":"warm"},` +
	`"metadata":{"experiment":"test-00","version":2}}`

// serveFloor is the least that gin can do with an OFREP request.
func serveFloor() error {
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.POST("/ofrep/v1/evaluate/flags/:key", func(c *gin.Context) {
		var body struct {
			Context map[string]any `json:"context"`
		}
		if err := json.NewDecoder(c.Request.Body).Decode(&body); err != nil || body.Context["targetingKey"] == "" {
			c.Status(http.StatusBadRequest)
			return
		}
		c.Data(http.StatusOK, "application/json", []byte(floorAnswer))
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a moment, at start
	if err != nil {
		return err
	}
	fmt.Printf(`{"url": "http://%s"}`+"\n", listener.Addr())
	return http.Serve(listener, r) //nolint:gosec // only the load generator is there
}
