// The action probe-action (see ../../README.md).
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"hookwright"
	"hookwright/action"
)

func init() {
	action.Is(hookwright.Manifest{
		Name:       "probe-action",
		Version:    "0.1.0",
		Summary:    "Calls the host in every way and tells what came back",
		Parameters: `{"type":"object"}`,
	}, run)
}

// with is the action's parameters.
type with map[string]json.RawMessage

// text is a parameter that is a string; empty if it is not one.
func (w with) text(name string) string {
	text := ""
	if json.Unmarshal(w[name], &text) != nil {
		return ""
	}
	return text
}

// id is a parameter that is a string or a number.
func (w with) id(name string) string {
	if text := w.text(name); text != "" {
		return text
	}
	return compact(w[name], "")
}

func (w with) isTrue(name string) bool { return string(w[name]) == "true" }

// count is a parameter that is an integer; nil if it is not one.
func (w with) count(name string) *uint32 {
	var number *uint32
	if json.Unmarshal(w[name], &number) != nil {
		return nil
	}
	return number
}

var probes = []struct {
	name string
	run  func(event *hookwright.Event, with with) (action.Outcome, error)
}{
	{"echo", echo}, {"unicode", unicode}, {"numbers", numbers}, {"hash", hash}, {"hmac", hmac}, {"base64", base64},
	{"time", time}, {"random", random}, {"log", log}, {"ticket", ticket}, {"note", note}, {"emit", emit}, {"kv", kv},
	{"http", http}, {"fail", fail}, {"retry", retry}, {"skip", skip}, {"big", big},
}

func run(event *hookwright.Event, parameters string) (action.Outcome, error) {
	var with with
	if err := json.Unmarshal([]byte(parameters), &with); err != nil {
		return action.Outcome{}, err
	}
	names := make([]string, 0, len(probes))
	for _, probe := range probes {
		if probe.name == with.text("do") {
			return probe.run(event, with)
		}
		names = append(names, probe.name)
	}
	message := "`do` is " + compact(with["do"], "nothing") + ": write one of " + strings.Join(names, ", ")
	return action.Outcome{}, hookwright.Fail("parameters.invalid", message)
}

func echo(event *hookwright.Event, _ with) (action.Outcome, error) { return action.Done(event.Data), nil }

func unicode(_ *hookwright.Event, with with) (action.Outcome, error) {
	text := with.text("text")
	encoded := hookwright.UTF8Encode(text)
	back, err := hookwright.UTF8Decode(encoded)
	return done(err, `{"bytes":%d,"hex":"%s","same":%t}`, len(encoded), hookwright.HexEncode(encoded), back == text)
}

func numbers(event *hookwright.Event, _ with) (action.Outcome, error) {
	var data struct{ Numbers json.RawMessage }
	var items []json.RawMessage
	first := json.RawMessage(nil)
	if json.Unmarshal([]byte(event.Data), &data) == nil && json.Unmarshal(data.Numbers, &items) == nil && len(items) > 0 {
		first = items[0]
	}
	return done(nil, `{"numbers":%s,"first":%s}`, compact(data.Numbers, "null"), compact(first, "null"))
}

func hash(_ *hookwright.Event, with with) (action.Outcome, error) {
	digest, err := hookwright.Digest(with.text("algorithm"), []byte(with.text("text")))
	return done(err, `{"hex":"%s"}`, hookwright.HexEncode(digest))
}

func hmac(_ *hookwright.Event, with with) (action.Outcome, error) {
	algorithm, secret, data := with.text("algorithm"), with.text("secret"), []byte(with.text("text"))
	code, err := hookwright.Hmac(algorithm, secret, data)
	if err != nil {
		return action.Outcome{}, err
	}
	hex := hookwright.HexEncode(code)
	verified := hookwright.VerifyHmac(algorithm, secret, data, code) == nil
	code[len(code)-1] ^= 1
	refused := hookwright.VerifyHmac(algorithm, secret, data, code) != nil
	return done(nil, `{"hex":"%s","verified":%t,"refused":%t}`, hex, verified, refused)
}

func base64(_ *hookwright.Event, with with) (action.Outcome, error) {
	if json.Unmarshal(with["decode"], new(string)) == nil {
		bytes, err := hookwright.Base64Decode(with.text("decode"))
		return done(err, `{"hex":"%s"}`, hookwright.HexEncode(bytes))
	}
	text := with.text("text")
	encoded := hookwright.Base64Encode([]byte(text))
	back, err := hookwright.Base64Decode(encoded)
	return done(err, `{"base64":"%s","same":%t}`, encoded, string(back) == text)
}

func time(*hookwright.Event, with) (action.Outcome, error) {
	return done(nil, `{"now":"%s","ms":%d}`, hookwright.Now(), hookwright.NowMs())
}

func random(*hookwright.Event, with) (action.Outcome, error) {
	bytes, one, other := hookwright.RandomBytes(16), hookwright.UUID(), hookwright.UUID()
	hookwright.RandomBits()
	return done(nil, `{"bytes":%d,"uuid":%d,"differs":%t}`, len(bytes), len(one), one != other)
}

func log(_ *hookwright.Event, with with) (action.Outcome, error) {
	hookwright.Log("warn", with.text("text"), hookwright.Pair{Name: "probe", Value: "log"})
	// The runtime's own output goes the same way as hookwright.Print.
	fmt.Println(with.text("text"))
	return done(nil, `{"logged":2}`)
}

func ticket(_ *hookwright.Event, with with) (action.Outcome, error) {
	id := with.id("id")
	before, err := hookwright.TicketGet(id)
	if err != nil {
		return action.Outcome{}, err
	}
	if before == nil {
		return action.Skipped("there is no ticket " + id), nil
	}
	after, err := hookwright.TicketUpdate(id, compact(with["changes"], "{}"))
	return done(err, `{"before":%s,"after":%s}`, *before, after)
}

func note(_ *hookwright.Event, with with) (action.Outcome, error) {
	id, err := hookwright.NoteAdd(with.id("id"), with.text("text"), with.isTrue("public"))
	return done(err, `{"note":%s}`, quote(id))
}

func emit(_ *hookwright.Event, with with) (action.Outcome, error) {
	var subject *string
	if json.Unmarshal(with["subject"], &subject) != nil {
		subject = nil
	}
	id, err := hookwright.Emit(with.text("type"), subject, compact(with["data"], "null"))
	return done(err, `{"event":%s}`, quote(id))
}

func kv(_ *hookwright.Event, with with) (action.Outcome, error) {
	key := with.text("key")
	before, err := hookwright.KvGet(key)
	if err != nil {
		return action.Outcome{}, err
	}
	if err := hookwright.KvSet(key, []byte(with.text("value")), with.count("ttl_seconds")); err != nil {
		return action.Outcome{}, err
	}
	after, err := hookwright.KvGet(key)
	if err != nil {
		return action.Outcome{}, err
	}
	keys, err := hookwright.KvKeys(key, 10)
	removed := false
	if err == nil && with.isTrue("remove") {
		var left []byte
		if err = hookwright.KvRemove(key); err == nil {
			left, err = hookwright.KvGet(key)
		}
		removed = left == nil
	}
	return done(err, `{"before":%s,"after":%s,"keys":%d,"removed":%t}`, value(before), value(after), len(keys), removed)
}

func http(_ *hookwright.Event, with with) (action.Outcome, error) {
	timeout := uint32(5000)
	request := hookwright.Request{
		Method:    with.text("method"),
		URL:       with.text("url"),
		Headers:   []hookwright.Pair{{Name: "content-type", Value: "application/json"}, {Name: "x-probe", Value: "http"}},
		Body:      []byte(compact(with["body"], "")),
		TimeoutMs: &timeout,
	}
	if request.Method == "" {
		request.Method = "POST"
	}
	response, err := hookwright.Send(request)
	if err != nil {
		return action.Outcome{}, err
	}
	kind := "null"
	if found := response.Header("content-type"); found != "" {
		kind = quote(found)
	}
	return done(nil, `{"status":%d,"type":%s,"body":%s}`, response.Status, kind, quote(string(response.Body)))
}

func fail(_ *hookwright.Event, with with) (action.Outcome, error) {
	return action.Outcome{}, hookwright.Fail("probe.failed", with.text("text"))
}

func retry(_ *hookwright.Event, with with) (action.Outcome, error) {
	after := uint32(0)
	if count := with.count("after_ms"); count != nil {
		after = *count
	}
	return action.Outcome{}, hookwright.Retry("probe.later", with.text("text"), after)
}

func skip(_ *hookwright.Event, with with) (action.Outcome, error) { return action.Skipped(with.text("text")), nil }

func big(event *hookwright.Event, _ with) (action.Outcome, error) {
	digest, err := hookwright.Digest("sha256", []byte(event.Data))
	return done(err, `{"bytes":%d,"sha256":"%s"}`, len(event.Data), hookwright.HexEncode(digest))
}

// done is an outcome with a result, unless there is an error.
func done(err error, format string, values ...any) (action.Outcome, error) {
	if err != nil {
		return action.Outcome{}, err
	}
	return action.Done(fmt.Sprintf(format, values...)), nil
}

func compact(value json.RawMessage, otherwise string) string {
	var text bytes.Buffer
	if value == nil || json.Compact(&text, value) != nil {
		return otherwise
	}
	return text.String()
}

// value is the value of a key, as JSON.
func value(bytes []byte) string {
	if bytes == nil {
		return "null"
	}
	return quote(string(bytes))
}

func quote(text string) string {
	quoted, err := json.Marshal(text)
	if err != nil {
		return `""`
	}
	return string(quoted)
}

func main() {}
