package hookwright

import (
	"runtime"

	"hookwright/internal/abi"
)

// Request is sent to a granted host.
type Request struct {
	Method, URL string
	Headers     []Pair
	Body        []byte
	// TimeoutMs: nil for the server's own.
	TimeoutMs *uint32
}

// Response is a response with any status.
type Response struct {
	Status  uint16
	Headers []Pair
	Body    []byte
}

// Header is the first value of a header, by its name in any case; empty if there is none.
func (r *Response) Header(name string) string {
	for _, pair := range r.Headers {
		if sameName(pair.Name, name) {
			return pair.Value
		}
	}
	return ""
}

// sameName compares the names of headers: ASCII without regard to case.
func sameName(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		x, y := a[i], b[i]
		if 'A' <= x && x <= 'Z' {
			x += 'a' - 'A'
		}
		if 'A' <= y && y <= 'Z' {
			y += 'a' - 'A'
		}
		if x != y {
			return false
		}
	}
	return true
}

// Send sends a request at once. No answer is an error.
func Send(request Request) (*Response, error) {
	area := new(abi.Area)
	var lent abi.Lent
	methodAt, methodSize := text(request.Method)
	urlAt, urlSize := text(request.URL)
	headers, count := lent.Pairs(request.Headers)
	at, size := raw(request.Body)
	limited, timeout := number(request.TimeoutMs)
	httpSend(methodAt, methodSize, urlAt, urlSize, headers, count, at, size, limited, timeout, area.At())
	runtime.KeepAlive(lent)
	if area[0]&0xff != 0 {
		return nil, abi.Error(area[1:])
	}
	response := &Response{Status: uint16(area[1]), Headers: abi.Pairs(area[2], area[3])}
	response.Body = abi.Bytes(area[4], area[5])
	return response, nil
}

// Attachment belongs to a mail.
type Attachment struct {
	Name, ContentType string
	Content           []byte
}

// Letter is a mail.
type Letter struct {
	// To has addresses as in RFC 5322.
	To            []string
	Subject, Text string
	// HTML: nil if there is none.
	HTML        *string
	Headers     []Pair
	Attachments []Attachment
}

// Mail queues a mail and returns its id.
func Mail(letter Letter) (string, error) {
	area := new(abi.Area)
	var lent abi.Lent
	to, toCount := lent.Texts(letter.To)
	subject, subjectSize := text(letter.Subject)
	said, saidSize := text(letter.Text)
	hasHTML, html, htmlSize := lent.Option(letter.HTML)
	headers, headerCount := lent.Pairs(letter.Headers)
	words := make([]uint32, 0, len(letter.Attachments)*6)
	for _, attachment := range letter.Attachments {
		name, nameSize := lent.Text(attachment.Name)
		kind, kindSize := lent.Text(attachment.ContentType)
		content, size := lent.Bytes(attachment.Content)
		words = append(words, name, nameSize, kind, kindSize, content, size)
	}
	mailSend(to, toCount, subject, subjectSize, said, saidSize, hasHTML, html, htmlSize, headers, headerCount,
		lent.Words(words), uint32(len(letter.Attachments)), area.At())
	runtime.KeepAlive(lent)
	return textOr(area)
}
