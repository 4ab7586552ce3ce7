package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/perennial-engine/perennial/cmd/perennial/playing"
	"github.com/perennial-engine/perennial/engine"
)

// readLog reads the customers of an event file: each enters with their first event. Those who
// entered too near the end of the file to be seen for the horizon, in days, are left out.
func (a *app) readLog(path string, options importOptions, horizon float64) (*playing.Log, error) {
	if err := options.complete(path); err != nil {
		return nil, usageError{err}
	}
	input, _, err := a.openInput(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = input.Close() }()
	rows, err := openTable(input, options.table)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	events := importKinds[0]
	mapper, err := newMapper(events, rows, options.mapping)
	if err != nil {
		return nil, usagef("%s\nThe columns of %s: %s\nThe fields of %s: %s",
			err, path, strings.Join(rows.Columns, ", "), events.Name, events.fields())
	}
	deeds, last, err := readDeeds(rows, mapper)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return newLog(deeds, last.Add(-time.Duration(horizon*24*float64(time.Hour)))), nil
}

// A deed is an event of a customer of a log.
type deed struct {
	at     time.Time
	amount int64 // in ten-thousandths
}

// readDeeds reads all events, and the time of the last.
func readDeeds(rows *table, m *mapper) (deeds map[string][]deed, last time.Time, err error) {
	deeds = map[string][]deed{}
	currency := ""
	for {
		r, err := rows.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, last, fmt.Errorf("after row %d: %w", rows.count, err)
		}
		if !m.Wants(r) {
			continue
		}
		element, refused := m.Element(r)
		if refused != nil {
			return nil, last, fmt.Errorf("row %d: %s", r.Number, refused.Detail)
		}
		d, err := newDeed(element)
		if err != nil {
			return nil, last, fmt.Errorf("row %d: %w", r.Number, err)
		}
		if c, ok := element["currency"].(string); ok {
			if currency == "" {
				currency = c
			}
			if c != currency {
				return nil, last, fmt.Errorf("row %d: the currency is %s and was %s before: a simulation takes one", r.Number, c, currency)
			}
		}
		customer, _ := element["customer"].(string)
		deeds[customer] = append(deeds[customer], d)
		if d.at.After(last) {
			last = d.at
		}
	}
	return deeds, last, nil
}

func newDeed(element map[string]any) (d deed, err error) {
	text, _ := element["occurred_at"].(string)
	if d.at, err = time.Parse(time.RFC3339Nano, text); err != nil {
		return d, err
	}
	text, ok := element["value"].(string)
	if !ok {
		return d, nil
	}
	value, err := engine.ParseAmount(text)
	if err != nil {
		return d, err
	}
	d.amount = value.Shift(4).Round(0).IntPart()
	return d, nil
}

// newLog makes the customers who entered by a time.
func newLog(deeds map[string][]deed, by time.Time) *playing.Log {
	l := &playing.Log{}
	var opened time.Time
	for _, all := range deeds {
		slices.SortStableFunc(all, func(a, b deed) int { return a.at.Compare(b.at) })
		if opened.IsZero() || all[0].at.Before(opened) {
			opened = all[0].at
		}
	}
	days := func(from, to time.Time) float64 { return to.Sub(from).Hours() / 24 }
	for id, all := range deeds {
		if all[0].at.After(by) {
			continue
		}
		c := playing.Customer{ID: id, Enters: days(opened, all[0].at)}
		for _, d := range all {
			c.Orders = append(c.Orders, playing.Order{Age: days(all[0].at, d.at), Amount: d.amount})
		}
		l.Customers = append(l.Customers, c)
	}
	slices.SortFunc(l.Customers, func(a, b playing.Customer) int {
		return cmp.Or(cmp.Compare(a.Enters, b.Enters), cmp.Compare(a.ID, b.ID))
	})
	return l
}
