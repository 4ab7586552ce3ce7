package api

import (
	_ "embed"
	"net/http"

	"github.com/gin-gonic/gin"
	"github.com/goccy/go-yaml"
	"github.com/swaggest/swgui"
	"github.com/swaggest/swgui/v5emb"
)

//go:embed openapi.yaml
var openapiYAML []byte

// docsPolicy makes the browser itself see to it that the page asks no other host. The page
// sets itself up in a script of its own, styles itself inline, and has icons as data.
const docsPolicy = "default-src 'none'; connect-src 'self'; font-src 'self' data:; img-src 'self' data:; " +
	"script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// mountDocs serves the contract's full form, and a page to browse it without the internet.
func (s *Server) mountDocs(r *gin.Engine) error {
	openapiJSON, err := yaml.YAMLToJSON(openapiYAML)
	if err != nil {
		return err
	}
	r.GET("/openapi.yaml", func(c *gin.Context) { c.Data(http.StatusOK, "application/yaml", openapiYAML) })
	r.GET("/openapi.json", func(c *gin.Context) { c.Data(http.StatusOK, "application/json", openapiJSON) })
	page := func(c *gin.Context) { c.Header("Content-Security-Policy", docsPolicy) }
	pages := v5emb.NewHandlerWithConfig(swgui.Config{Title: "Perennial", SwaggerJSON: "/openapi.json", BasePath: "/docs/"})
	r.GET("/docs", page, gin.WrapH(pages))
	r.GET("/docs/*page", page, gin.WrapH(pages))
	return nil
}
