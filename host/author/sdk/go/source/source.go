// Package source makes the program a source: something that receives a provider's HTTP requests.
package source

import (
	"errors"

	"hookwright"
	"hookwright/internal/abi"
)

// SigningSecret is the name under which the plugin finds the secret that the source was created with.
const SigningSecret = "signing-secret"

// Request is the provider's request.
type Request struct {
	Method string
	// Path is the rest of the path after the source's own URL, starting with /, or empty.
	Path string
	// Query is without the question mark.
	Query string
	// Headers have names in lower case.
	Headers       []hookwright.Pair
	Body          []byte
	RemoteAddress string
}

// Header is the first value of a header, whose name is in lower case; empty if there is none.
func (r *Request) Header(name string) string {
	for _, pair := range r.Headers {
		if pair.Name == name {
			return pair.Value
		}
	}
	return ""
}

// Draft is an event that a request brings.
type Draft struct {
	// ID is the provider's own, by which a repeat is known; nil: the host makes one.
	ID      *string
	Type    string
	Subject *string
	// Time is RFC 3339; nil: the time of arrival.
	Time *string
	// Data is JSON.
	Data       string
	Attributes []hookwright.Pair
}

// Answer is the response, sent once every event is durable. Status 0: the host responds as to requests of its own API.
type Answer struct {
	Status  uint16
	Headers []hookwright.Pair
	Body    []byte
}

// Reception is the result of a request; make one with Accept or Refuse.
type Reception struct {
	refused       bool
	events        []Draft
	answer        Answer
	code, message string
}

// Accept accepts a request with its events.
func Accept(events []Draft, answer Answer) Reception { return Reception{events: events, answer: answer} }

// Refuse refuses a request that is not the provider's or is not valid. The status is 400 to 499.
func Refuse(status uint16, code, message string) Reception {
	return Reception{refused: true, answer: Answer{Status: status}, code: code, message: message}
}

// Function receives a request. The parameters are a JSON object.
type Function func(request *Request, parameters string) (Reception, error)

var function Function = func(*Request, string) (Reception, error) {
	return Reception{}, errors.New("the plugin has not called source.Is in init")
}

// Is registers the plugin's function. Call it in init.
func Is(manifest hookwright.Manifest, receive Function) { abi.Described, function = manifest, receive }

func call(request *Request, parameters string) (reception Reception, err error) {
	defer abi.Caught(&err)
	return function(request, parameters)
}

//go:wasmexport hookwright:plugin/source@0.1.0#receive
func receive(method, methodSize, path, pathSize, query, querySize, headers, count, body, size,
	remote, remoteSize, parameters, parametersSize uint32) uint32 {
	request := &Request{
		Method:        abi.Text(method, methodSize),
		Path:          abi.Text(path, pathSize),
		Query:         abi.Text(query, querySize),
		Headers:       abi.Pairs(headers, count),
		Body:          abi.Bytes(body, size),
		RemoteAddress: abi.Text(remote, remoteSize),
	}
	reception, err := call(request, abi.Text(parameters, parametersSize))
	area, lent := abi.Begin()
	switch {
	case err != nil:
		area[0] = 1
		lent.Fail(err, area[1:])
	case reception.refused:
		area[1], area[2] = 1, uint32(reception.answer.Status)
		area[3], area[4] = lent.Text(reception.code)
		area[5], area[6] = lent.Text(reception.message)
	default:
		words := make([]uint32, 0, len(reception.events)*15)
		for _, draft := range reception.events {
			hasID, id, idSize := lent.Option(draft.ID)
			kind, kindSize := lent.Text(draft.Type)
			about, subject, subjectSize := lent.Option(draft.Subject)
			timed, time, timeSize := lent.Option(draft.Time)
			data, dataSize := lent.Text(draft.Data)
			attributes, count := lent.Pairs(draft.Attributes)
			words = append(words, hasID, id, idSize, kind, kindSize, about, subject, subjectSize,
				timed, time, timeSize, data, dataSize, attributes, count)
		}
		area[2], area[3] = lent.Words(words), uint32(len(reception.events))
		area[4] = uint32(reception.answer.Status)
		area[5], area[6] = lent.Pairs(reception.answer.Headers)
		area[7], area[8] = lent.Bytes(reception.answer.Body)
	}
	return abi.Address(area.At())
}

//go:wasmexport cabi_post_hookwright:plugin/source@0.1.0#receive
func received(uint32) { abi.End() }
