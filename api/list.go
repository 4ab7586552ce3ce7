package api

import (
	"context"
	"encoding/base64"
	"errors"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"github.com/perennial-engine/perennial/engine"
)

const (
	defaultLimit = 100
	maxLimit     = 1000
)

// listJSON is a page of a list.
type listJSON[T any] struct {
	Data       []T     `json:"data"`
	NextCursor *string `json:"next_cursor"`
}

var errBadCursor = engine.Errorf(engine.KindMalformed, "invalid_cursor", "cursor must be a next_cursor of this list")

// page reads ?limit= and ?cursor=.
func page(c *gin.Context) (engine.Page, error) {
	p := engine.Page{Limit: defaultLimit}
	if text, given := c.GetQuery("limit"); given {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxLimit {
			return p, engine.Errorf(engine.KindMalformed, "invalid_limit", "limit must be a whole number from 1 to %d", maxLimit)
		}
		p.Limit = n
	}
	after, err := base64.RawURLEncoding.DecodeString(c.Query("cursor"))
	if err != nil || !utf8.Valid(after) || len(after) > 300 || slices.Contains(after, 0) {
		return p, errBadCursor
	}
	p.After = string(after)
	return p, nil
}

// list answers one page: it asks for one entry more than the limit to know whether there
// is another page.
func list[T, J any](
	c *gin.Context, fetch func(context.Context, engine.Page) ([]T, error), wire func(*T) J, key func(*T) string,
) (reply, error) {
	p, err := page(c)
	if err != nil {
		return reply{}, err
	}
	limit := p.Limit
	p.Limit++
	entries, err := fetch(c.Request.Context(), p)
	if err != nil {
		return reply{}, err
	}
	answer := listJSON[J]{Data: []J{}}
	for i := range entries[:min(limit, len(entries))] {
		answer.Data = append(answer.Data, wire(&entries[i]))
	}
	if len(entries) > limit {
		next := base64.RawURLEncoding.EncodeToString([]byte(key(&entries[limit-1])))
		answer.NextCursor = &next
		// The body has no place for the cursor when it is CSV.
		query := c.Request.URL.Query()
		query.Set("cursor", next)
		c.Header("Link", "<"+c.Request.URL.EscapedPath()+"?"+query.Encode()+`>; rel="next"`)
	}
	return ok(answer), nil
}

// pathKey reads a key from the path. What cannot be a key names nothing.
func pathKey(c *gin.Context, param, noun string) (string, error) {
	key := c.Param(param)
	if !utf8.ValidString(key) || strings.ContainsRune(key, 0) || len(key) > 300 {
		return "", engine.Errorf(engine.KindNotFound, "not_found", "there is no such %s", noun)
	}
	return key, nil
}

// at points an error of one value at its field.
func at(pointer string, err error) error {
	known, ok := errors.AsType[*engine.Error](err)
	if !ok {
		return err
	}
	pointed := *known
	pointed.Fields = []engine.FieldError{{Pointer: pointer, Detail: known.Message}}
	return &pointed
}
