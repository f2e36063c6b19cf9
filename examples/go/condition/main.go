// The condition probe-condition (see ../../README.md).
package main

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strconv"
	"strings"

	"hookwright"
	"hookwright/condition"
)

func init() {
	condition.Is(hookwright.Manifest{
		Name:       "probe-condition",
		Version:    "0.1.0",
		Summary:    "Compares a value of the event with an expected one",
		Parameters: `{"type":"object","properties":{"path":{},"equals":{}},"additionalProperties":false}`,
	}, evaluate)
}

func evaluate(event *hookwright.Event, parameters string) (condition.Verdict, error) {
	var with struct{ Path, Equals json.RawMessage }
	if err := json.Unmarshal([]byte(parameters), &with); err != nil {
		return condition.Verdict{}, err
	}
	path := ""
	if json.Unmarshal(with.Path, &path) != nil || path == "" {
		message := "`path` is " + compact(with.Path) + `: write the dotted path of a value, such as "a.b"`
		return condition.Verdict{}, hookwright.Fail("parameters.invalid", message)
	}
	expected := with.Equals
	if expected == nil {
		expected = json.RawMessage("null")
	}
	value := find(json.RawMessage(event.Data), path)
	return condition.Verdict{
		Holds:  value != nil && reflect.DeepEqual(tree(value), tree(expected)),
		Reason: path + " is " + compact(value) + ", expected " + compact(expected),
	}, nil
}

// find follows a dotted path; nil if it has no value.
func find(value json.RawMessage, path string) json.RawMessage {
	for name := range strings.SplitSeq(path, ".") {
		var members map[string]json.RawMessage
		var items []json.RawMessage
		if json.Unmarshal(value, &members) == nil {
			value = members[name]
		} else if json.Unmarshal(value, &items) == nil {
			position, err := strconv.ParseUint(name, 10, 31)
			if err != nil || position >= uint64(len(items)) {
				return nil
			}
			value = items[position]
		} else {
			return nil
		}
	}
	return value
}

// tree reads a value whose numbers stay as they are written.
func tree(value json.RawMessage) any {
	decoder := json.NewDecoder(bytes.NewReader(value))
	decoder.UseNumber()
	var tree any
	if decoder.Decode(&tree) != nil {
		return nil
	}
	return tree
}

func compact(value json.RawMessage) string {
	if value == nil {
		return "nothing"
	}
	var text bytes.Buffer
	if json.Compact(&text, value) != nil {
		return string(value)
	}
	return text.String()
}

func main() {}
