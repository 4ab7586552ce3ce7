package api

import (
	"net/http"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"
)

// forBrowsers lets pages of the origins ask what a customer gets and tell what they saw,
// with a key of scope assign, which reads nothing that is stored. All other routes stay
// closed to them. The origin * is everybody's.
func forBrowsers(origins []string) gin.HandlerFunc {
	everybody := slices.Contains(origins, "*")
	return func(c *gin.Context) {
		path := c.Request.URL.Path
		if !strings.HasPrefix(path, "/ofrep/") && path != "/v1/assignments" && path != "/v1/exposures" {
			return
		}
		c.Writer.Header().Add("Vary", "Origin")
		origin := c.GetHeader("Origin")
		welcome := origin != "" && (everybody || slices.Contains(origins, origin))
		if welcome {
			if everybody {
				origin = "*"
			}
			c.Header("Access-Control-Allow-Origin", origin)
			c.Header("Access-Control-Expose-Headers", "ETag")
		}
		// A preflight comes without a key.
		if c.Request.Method != http.MethodOptions || c.GetHeader("Access-Control-Request-Method") == "" {
			return
		}
		if welcome {
			c.Header("Access-Control-Allow-Methods", http.MethodPost)
			c.Header("Access-Control-Allow-Headers", "Authorization, X-API-Key, If-None-Match, Content-Type")
			c.Header("Access-Control-Max-Age", "600")
		}
		c.AbortWithStatus(http.StatusNoContent)
	}
}
