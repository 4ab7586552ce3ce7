// Package engine is the domain of Perennial: what a test is, who is in it, what
// customers did, what that says, and what is done about it. It knows no SQL, no
// HTTP and no clock of its own.
//
// # Test, learn, repeat
//
//	define ──▶ assign ──▶ ingest ──▶ measure ──▶ report ──▶ decide
//	  ▲                                                        │
//	  └────────────── the winner is the new control ◀──────────┘
//
// # States of an experiment
//
//	         start            pause
//	draft ──────────▶ running ───────▶ paused
//	                  │     ◀─────── │
//	                  │      resume    │
//	                  └──────┬─────────┘
//	                         ▼
//	                     concluded
//	   promoted │ kept_control │ inconclusive │ stopped
//	       │ rollback
//	       ▼
//	  rolled_back
//
// # Glossary
//
//   - Customer: one person, named by any of their identifiers.
//   - Touchpoint: a place where content can differ (an e-mail, a page, a till slip).
//   - Variant: one treatment of an experiment; exactly one variant is the control.
//   - Enrolment: the moment a customer first met an experiment, and the variant they
//     keep for its whole life. Analysis is by enrolment (intention to treat).
//   - Exposure: a customer was seen to meet a touchpoint.
//   - Window and maturity: a metric sums what a customer did from from_day to to_day
//     after enrolment; a customer counts once their whole window has passed.
//   - Look: one analysis that may decide. Only the analyze job takes looks.
//   - Ingest position: the place of a row in the order in which the ledger took rows in.
//     Those of a transaction come before those of all that commit later. A report's data
//     cut is such a position.
package engine
