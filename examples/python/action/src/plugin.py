"""The action `probe-action` (see ../../../README.md)."""

import exact_json
from componentize_py_types import Err
from exact_json import quote
from hookwright import failure, guarded, retry
from wit_world import exports
from wit_world.exports.action import Outcome_Done, Outcome_Skipped
from wit_world.imports import clock, crypto, encoding, events, http, kv, log, random, tickets
from wit_world.imports.types import Manifest


class Call:
    """One call: the event, and its parameters."""

    def __init__(self, event, parameters):
        self.event = event
        self.parameters = parameters

    def value(self, name, otherwise):
        """A parameter as JSON."""
        return exact_json.compact(exact_json.get(self.parameters, name), otherwise)

    def given(self, name):
        """A parameter that is a string; None if it is not one."""
        return exact_json.text(exact_json.get(self.parameters, name))

    def text(self, name):
        """A parameter that is a string; empty if it is not one."""
        return self.given(name) or ""

    def id(self, name):
        """A parameter that is a string or a number."""
        return self.given(name) or self.value(name, "")

    def count(self, name):
        """A parameter that is an integer; None if it is not one."""
        return exact_json.count(exact_json.get(self.parameters, name))


def say(is_so):
    return "true" if is_so else "false"


def echo(call):
    return call.event.data


def unicode(call):
    text = call.text("text")
    encoded = encoding.utf8_encode(text)
    same = encoding.utf8_decode(encoded) == text
    return f'{{"bytes":{len(encoded)},"hex":{quote(encoding.hex_encode(encoded))},"same":{say(same)}}}'


def numbers(call):
    data = call.event.data
    every = exact_json.compact(exact_json.get(data, "numbers"), "null")
    first = exact_json.compact(exact_json.follow(data, "numbers.0"), "null")
    return f'{{"numbers":{every},"first":{first}}}'


def hash(call):
    digest = crypto.digest(call.text("algorithm"), call.text("text").encode())
    return f'{{"hex":{quote(encoding.hex_encode(digest))}}}'


def verifies(algorithm, secret, data, code):
    try:
        crypto.verify_hmac(algorithm, secret, data, code)
        return True
    except Err:
        return False


def hmac(call):
    algorithm, secret, data = call.text("algorithm"), call.text("secret"), call.text("text").encode()
    code = crypto.hmac(algorithm, secret, data)
    verified = verifies(algorithm, secret, data, code)
    refused = not verifies(algorithm, secret, data, code[:-1] + bytes([code[-1] ^ 1]))
    code = quote(encoding.hex_encode(code))
    return f'{{"hex":{code},"verified":{say(verified)},"refused":{say(refused)}}}'


def base64(call):
    if call.given("decode") is not None:
        return f'{{"hex":{quote(encoding.hex_encode(encoding.base64_decode(call.given("decode"))))}}}'
    text = call.text("text")
    encoded = encoding.base64_encode(text.encode())
    same = encoding.base64_decode(encoded) == text.encode()
    return f'{{"base64":{quote(encoded)},"same":{say(same)}}}'


def time(call):
    return f'{{"now":{quote(clock.now())},"ms":{int(clock.now_ms())}}}'


def draw(call):
    drawn, one, other = random.bytes(16), random.uuid(), random.uuid()
    random.bits()
    return f'{{"bytes":{len(drawn)},"uuid":{len(one)},"differs":{say(one != other)}}}'


def write(call):
    text = call.text("text")
    log.write("warn", text, [("probe", "log")])
    log.print((text + "\n").encode())
    return '{"logged":2}'


def ticket(call):
    id = call.id("id")
    before = tickets.get(id)
    if before is None:
        return Outcome_Skipped(f"there is no ticket {id}")
    after = tickets.update(id, call.value("changes", "{}"))
    return f'{{"before":{before},"after":{after}}}'


def note(call):
    id = tickets.add_note(call.id("id"), call.text("text"), call.value("public", "") == "true")
    return f'{{"note":{quote(id)}}}'


def emit(call):
    id = events.emit(call.text("type"), call.given("subject"), call.value("data", "null"))
    return f'{{"event":{quote(id)}}}'


def keep(call):
    key = call.text("key")
    said = lambda value: "null" if value is None else quote(value.decode())
    before = said(kv.get(key))
    kv.set(key, call.text("value").encode(), call.count("ttl_seconds"))
    after, keys, removed = said(kv.get(key)), len(kv.keys(key, 10)), False
    if call.value("remove", "") == "true":
        kv.remove(key)
        removed = kv.get(key) is None
    return f'{{"before":{before},"after":{after},"keys":{keys},"removed":{say(removed)}}}'


def ask(call):
    headers = [("content-type", "application/json"), ("x-probe", "http")]
    body = call.value("body", "").encode()
    answer = http.send(http.Request(call.text("method") or "POST", call.text("url"), headers, body, 5000))
    kinds = [value for name, value in answer.headers if name.lower() == "content-type"]
    kind = quote(kinds[0]) if kinds else "null"
    return f'{{"status":{answer.status},"type":{kind},"body":{quote(answer.body.decode())}}}'


def fail(call):
    raise failure("probe.failed", call.text("text"))


def later(call):
    raise retry("probe.later", call.text("text"), call.count("after_ms") or 0)


def skip(call):
    return Outcome_Skipped(call.text("text"))


def big(call):
    data = call.event.data.encode()
    digest = encoding.hex_encode(crypto.digest("sha256", data))
    return f'{{"bytes":{len(data)},"sha256":{quote(digest)}}}'


PROBES = {
    "echo": echo,
    "unicode": unicode,
    "numbers": numbers,
    "hash": hash,
    "hmac": hmac,
    "base64": base64,
    "time": time,
    "random": draw,
    "log": write,
    "ticket": ticket,
    "note": note,
    "emit": emit,
    "kv": keep,
    "http": ask,
    "fail": fail,
    "retry": later,
    "skip": skip,
    "big": big,
}


class Metadata(exports.Metadata):
    def describe(self):
        return Manifest(
            name="probe-action",
            version="0.1.0",
            summary="Calls the host in every way and tells what came back",
            parameters='{"type":"object"}',
            hints=[],
        )


class Action(exports.Action):
    @guarded
    def run(self, event, parameters):
        call = Call(event, parameters)
        probe = PROBES.get(call.text("do"))
        if probe is None:
            known = ", ".join(PROBES)
            raise failure("parameters.invalid", f"`do` is {call.value('do', 'nothing')}: write one of {known}")
        result = probe(call)
        return Outcome_Done(result) if isinstance(result, str) else result
