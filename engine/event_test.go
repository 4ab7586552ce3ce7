package engine

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
)

func validEvent() Event {
	value := decimal.RequireFromString("49.9")
	return Event{
		ID: "o-1", Customer: "c1", Type: "order", OccurredAt: began, Value: &value, Currency: "EUR",
		Channel: "store", Touchpoint: "till", Properties: json.RawMessage(`{"a":1}`),
	}
}

func TestEventRules(t *testing.T) {
	value := func(text string) func(e *Event) {
		return func(e *Event) { e.Value = new(decimal.RequireFromString(text)) }
	}
	typed := func(eventType, text string) func(e *Event) {
		return func(e *Event) {
			e.Type = eventType
			value(text)(e)
		}
	}
	for _, tt := range []struct {
		name   string
		change func(e *Event)
		code   string
	}{
		{"as it should be", func(*Event) {}, ""},
		{"no id", func(e *Event) { e.ID = "" }, "invalid_id"},
		{"an id of 256 bytes", func(e *Event) { e.ID = strings.Repeat("é", 128) }, ""},
		{"an id of 257 bytes", func(e *Event) { e.ID = strings.Repeat("é", 128) + "x" }, "invalid_id"},
		{"no customer", func(e *Event) { e.Customer = "" }, "invalid_identifier"},
		{"a customer with NUL", func(e *Event) { e.Customer = "a\x00" }, "invalid_identifier"},
		{"a customer with a line break", func(e *Event) { e.Customer = "a\n" }, "invalid_identifier"},
		{"a customer that is not UTF-8", func(e *Event) { e.Customer = "a\xff" }, "invalid_identifier"},
		{"a customer of 256 bytes", func(e *Event) { e.Customer = CustomerID(strings.Repeat("x", 256)) }, ""},
		{"a customer of 257 bytes", func(e *Event) { e.Customer = CustomerID(strings.Repeat("x", 257)) }, "invalid_identifier"},
		{"no type", func(e *Event) { e.Type = "" }, "invalid_type"},
		{"unknown channel", func(e *Event) { e.Channel = "fax" }, "unknown_channel"},
		{"no channel", func(e *Event) { e.Channel = "" }, ""},
		{"a touchpoint that cannot be", func(e *Event) { e.Touchpoint = "a b" }, "invalid_touchpoint"},
		{"properties of 16 KiB", func(e *Event) { e.Properties = bytes.Repeat([]byte("x"), 16<<10) }, ""},
		{"properties above", func(e *Event) { e.Properties = bytes.Repeat([]byte("x"), 16<<10+1) }, "properties_too_large"},
		{"no time", func(e *Event) { e.OccurredAt = time.Time{} }, "time_missing"},
		{"before 1970", func(e *Event) { e.OccurredAt = time.Unix(0, -1) }, "before_1970"},
		{"1970", func(e *Event) { e.OccurredAt = time.Unix(0, 0) }, ""},
		{"five minutes ahead", func(e *Event) { e.OccurredAt = began.Add(5 * time.Minute) }, ""},
		{"more than five minutes ahead", func(e *Event) { e.OccurredAt = began.Add(5*time.Minute + 1) }, "in_the_future"},
		{"no value", func(e *Event) { e.Value, e.Currency = nil, "" }, ""},
		{"a value without currency", func(e *Event) { e.Currency = "" }, "currency_missing"},
		{"another currency without a rate", func(e *Event) { e.Currency = "USD" }, "rate_missing"},
		{"another currency with a rate", func(e *Event) { e.Currency = "CHF" }, ""},
		{"another currency with a rate on another day", func(e *Event) { e.Currency, e.OccurredAt = "USD", e.OccurredAt.Add(-24*time.Hour) }, ""},
		{"a negative order", value("-1"), ""},
		{"a refund above 0", typed("refund", "0.01"), "wrong_sign"},
		{"a refund of 0", typed("refund", "0"), ""},
		{"a refund below 0", typed("refund", "-5"), ""},
		{"a chargeback above 0", typed("chargeback", "1"), "wrong_sign"},
		{"a cost above 0", typed("contact_cost", "1"), "wrong_sign"},
		{"a cost below 0", typed("contact_cost", "-0.004"), ""},
		{"no cost in spite of its name", typed("costume", "9"), ""},
		{"no refund in spite of its name", typed("refund_request", "9"), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := validEvent()
			missing := map[RateDay]bool{{"USD", dayOf(e.OccurredAt)}: true}
			tt.change(&e)
			if err := e.validate(began, "EUR", missing); codeOf(err) != tt.code || (err == nil) != (tt.code == "") {
				t.Errorf("error %v, want code %q", err, tt.code)
			}
		})
	}
}

// The body that is compared under one id, by the contract: type, occurred_at, value,
// currency, channel, touchpoint, properties.
func TestDigest(t *testing.T) {
	canonical := func(text string) json.RawMessage {
		c, ok := CanonicalObject([]byte(text))
		if !ok {
			t.Fatalf("%s is no object", text)
		}
		return c
	}
	parsed := func(text string) *decimal.Decimal {
		d, err := ParseAmount(text)
		if err != nil {
			t.Fatal(err)
		}
		return &d
	}
	for _, tt := range []struct {
		name   string
		change func(e *Event)
		same   bool
	}{
		{"49.90", func(e *Event) { e.Value = parsed("49.90") }, true},
		{"4.99e1", func(e *Event) { e.Value = parsed("4.99e1") }, true},
		{"the digits of another scale", func(e *Event) { e.Value = new(decimal.New(499000, -4)) }, true},
		{"another zone", func(e *Event) { e.OccurredAt = began.In(time.FixedZone("", 7200)) }, true},
		{"order, spaces and escapes of properties", func(e *Event) { e.Properties = canonical(`{ "é":"\u003c" , "a" : 1 }`) }, true},
		{"id and customer are no part of it", func(e *Event) { e.ID, e.Customer = "o-2", "c2" }, true},
		{"49.91", func(e *Event) { e.Value = parsed("49.91") }, false},
		{"no value", func(e *Event) { e.Value = nil }, false},
		{"0", func(e *Event) { e.Value = parsed("0") }, false},
		{"a microsecond later", func(e *Event) { e.OccurredAt = began.Add(time.Microsecond) }, false},
		{"currency", func(e *Event) { e.Currency = "USD" }, false},
		{"channel", func(e *Event) { e.Channel = "web" }, false},
		{"touchpoint", func(e *Event) { e.Touchpoint = "shop" }, false},
		{"a text moved to the next field", func(e *Event) { e.Channel, e.Touchpoint = "store"+"till", "" }, false},
		{"type", func(e *Event) { e.Type = "orders" }, false},
		{"properties", func(e *Event) { e.Properties = canonical(`{"a":2,"é":"<"}`) }, false},
		{"no properties", func(e *Event) { e.Properties = nil }, false},
		{"a large number, one digit off", func(e *Event) { e.Properties = canonical(`{"a":1,"é":"<","n":9007199254740993}`) }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			plain := validEvent()
			plain.Properties = canonical(`{"a":1,"é":"<"}`)
			changed := plain
			tt.change(&changed)
			if same := bytes.Equal(plain.Digest(), changed.Digest()); same != tt.same {
				t.Errorf("same: %v, want %v", same, tt.same)
			}
		})
	}
	// Numbers are kept exactly, also beyond a double.
	if got := string(canonical(`{"n":9007199254740993,"d":0.10}`)); got != `{"d":0.10,"n":9007199254740993}` {
		t.Errorf("canonical form %s", got)
	}
	for _, text := range []string{`[]`, `null`, `1`, `"a"`, `{`, ``} {
		if c, ok := CanonicalObject([]byte(text)); ok {
			t.Errorf("%s is an object: %s", text, c)
		}
	}
}
