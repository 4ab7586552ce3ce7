package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/schollz/progressbar/v3"
)

// An importSummary tells what became of a file. Rows = FilteredOut + Accepted +
// Duplicates + Rejected, of which Sent were sent.
type importSummary struct {
	File           string         `json:"file"`
	Rows           int            `json:"rows"`
	FilteredOut    int            `json:"filtered_out"`
	Sent           int            `json:"sent"`
	Accepted       int            `json:"accepted"`
	Duplicates     int            `json:"duplicates"`
	Rejected       int            `json:"rejected"` // by the engine and before it
	RejectedByCode map[string]int `json:"rejected_by_code"`
	RejectsFile    *string        `json:"rejects_file"` // null without rejected rows
	RowIDs         bool           `json:"row_ids"`      // event ids are made of the file's name and the row
	Seconds        float64        `json:"seconds"`
	Complete       bool           `json:"complete"` // the file was read to its end
}

// add counts a batch that was answered.
func (s *importSummary) add(b *batch) {
	s.Rows += b.rows
	s.FilteredOut += b.rows - len(b.items)
	s.Sent += len(b.elements)
	s.Accepted += b.receipt.Accepted
	s.Duplicates += b.receipt.Duplicates
	s.Rejected += b.receipt.Rejected + len(b.items) - len(b.elements)
}

func (s *importSummary) text() string {
	rows := [][]string{
		{"rows read", groupDigits(strconv.Itoa(s.Rows))},
		{"filtered out", groupDigits(strconv.Itoa(s.FilteredOut))},
		{"sent", groupDigits(strconv.Itoa(s.Sent))},
		{"accepted", groupDigits(strconv.Itoa(s.Accepted))},
		{"duplicates", groupDigits(strconv.Itoa(s.Duplicates))},
		{"rejected", groupDigits(strconv.Itoa(s.Rejected))},
	}
	for _, code := range slices.Sorted(maps.Keys(s.RejectedByCode)) {
		rows = append(rows, []string{"  " + code, groupDigits(strconv.Itoa(s.RejectedByCode[code]))})
	}
	text := align(rows, 1, "")
	if s.RejectsFile != nil {
		text += fmt.Sprintf("The rejected rows are in %s, with reasons. Correct %s and import it again.\n", *s.RejectsFile, s.File)
		if s.RowIDs {
			text += "Event ids are the file's name and the row: correct rows where they stand. A row that moves gets another\n" +
				"id and counts again; --map id=COLUMN frees you of that.\n"
		}
	}
	if s.RejectedByCode["id_reused"] > 0 {
		text += "id_reused: another event has this id. Events of several kinds out of one file need ids of their own:\n" +
			"--map id='visit-{#}'. So do files of one name with other contents.\n"
	}
	return text
}

// groupDigits sets commas between the thousands of a decimal number.
func groupDigits(number string) string {
	whole, decimals, found := strings.Cut(number, ".")
	sign := whole[:len(whole)-len(strings.TrimLeft(whole, "+-−"))]
	whole = whole[len(sign):]
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if found {
		decimals = "." + decimals
	}
	return sign + whole + decimals
}

// A rejectFile is the CSV file of the rejected rows. It exists once there is one.
type rejectFile struct {
	path    string
	columns []string

	file *os.File
	csv  *csv.Writer
}

func (f *rejectFile) write(rejected item) error {
	if f.file == nil {
		file, err := os.Create(f.path)
		if err != nil {
			return fmt.Errorf("a row was rejected and cannot be written down (choose a file with --rejects): %w", err)
		}
		f.file, f.csv = file, csv.NewWriter(file)
		if err := f.csv.Write(append([]string{"row", "code", "reason"}, f.columns...)); err != nil {
			return err
		}
	}
	start := []string{strconv.Itoa(rejected.row.Number), rejected.refusal.Code, rejected.refusal.Detail}
	return f.csv.Write(append(start, rejected.row.Fields...))
}

// close completes the file, if there is one.
func (f *rejectFile) close() error {
	if f.file == nil {
		return nil
	}
	f.csv.Flush()
	return errors.Join(f.csv.Error(), f.file.Close())
}

// A countingReader counts the bytes read, while another goroutine looks on.
type countingReader struct {
	r io.Reader
	n atomic.Int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n.Add(int64(n))
	return n, err
}

func (c *countingReader) count() int64 { return c.n.Load() }

// A progress is a bar on a terminal, and nothing elsewhere.
type progress struct {
	bar     *progressbar.ProgressBar // nil without a terminal
	started time.Time
	noun    string // what is counted
}

// newProgress makes the bar of a whole of size, -1 if unknown, in which nouns are counted.
func newProgress(w io.Writer, size int64, noun string) *progress {
	if terminalWidth(w) == 0 {
		return &progress{}
	}
	return &progress{
		started: time.Now(), noun: noun,
		bar: progressbar.NewOptions64(size,
			progressbar.OptionSetWriter(w),
			progressbar.OptionFullWidth(),
			progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionSetPredictTime(true),
			progressbar.OptionClearOnFinish(),
		),
	}
}

// show moves the bar to an offset and tells how many there were so far.
func (p *progress) show(offset int64, count int) { p.tell(offset, count, "") }

// showBytes moves the bar to a row and tells how many bytes there were so far.
func (p *progress) showBytes(rows int, bytes int64) {
	p.tell(int64(rows), rows, fmt.Sprintf(", %s", megabytes(bytes)))
}

func (p *progress) tell(offset int64, count int, more string) {
	if p.bar == nil {
		return
	}
	rate := float64(count) / max(time.Since(p.started).Seconds(), 0.001)
	p.bar.Describe(fmt.Sprintf("%s %s%s, %s/s", groupDigits(strconv.Itoa(count)), p.noun, more, groupDigits(strconv.Itoa(int(rate)))))
	_ = p.bar.Set64(offset) // a bar that cannot be drawn is no reason to stop
}

func (p *progress) done() {
	if p.bar != nil {
		_ = p.bar.Finish()
	}
}
