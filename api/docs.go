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

// mountDocs serves the contract's full form, and a page to browse it without the internet.
func (s *Server) mountDocs(r *gin.Engine) error {
	openapiJSON, err := yaml.YAMLToJSON(openapiYAML)
	if err != nil {
		return err
	}
	r.GET("/openapi.yaml", func(c *gin.Context) { c.Data(http.StatusOK, "application/yaml", openapiYAML) })
	r.GET("/openapi.json", func(c *gin.Context) { c.Data(http.StatusOK, "application/json", openapiJSON) })
	pages := v5emb.NewHandlerWithConfig(swgui.Config{Title: "Perennial", SwaggerJSON: "/openapi.json", BasePath: "/docs/"})
	r.GET("/docs", gin.WrapH(pages))
	r.GET("/docs/*page", gin.WrapH(pages))
	return nil
}
