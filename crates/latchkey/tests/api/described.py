"""Holds what a running role was asked and answered against its description.

Standard input: {"document": path, "calls": [{"method", "path", "sent", "status", "type", "body"}]}; `path` is the
described one, bodies are texts or null. Standard output: what was seen, as {"METHOD path": [statuses]}. Ends with 1
and says what is wrong if a call, an answer or an example is not as it is described.
"""

import json
import sys

import jsonschema_rs

told = json.load(sys.stdin)
with open(told["document"], encoding="utf-8") as file:
    document = json.load(file)
problems = []


def validate(what, schema, value):
    # Definitions stay where the references look for them.
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", "components": document["components"], **schema}
    for error in jsonschema_rs.Draft202012Validator(whole).iter_errors(value):
        problems.append(f"{what}: {error.message} at {list(error.instance_path)}")


def parsed(kind, body):
    return json.loads(body) if kind.split(";")[0] == "application/json" else body


def shape(value):
    """Which members there are, and of what kinds, whatever their values."""
    if isinstance(value, dict):
        return {name: shape(member) for name, member in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


for path, item in document["paths"].items():
    for method, call in item.items():
        if method == "servers":
            continue
        contents = [("body", call.get("requestBody", {}).get("content", {}))]
        contents += [(status, answer.get("content", {})) for status, answer in call["responses"].items()]
        for where, content in contents:
            for kind, media in content.items():
                examples = [media["example"]] if "example" in media else []
                examples += [one["value"] for one in media.get("examples", {}).values()]
                for example in examples:
                    validate(f"the example of {method} {path} {where}", media["schema"], example)

seen = {}
for call in told["calls"]:
    name = f"{call['method']} {call['path']}"
    operation = document["paths"][call["path"]][call["method"].lower()]
    status = str(call["status"])
    seen.setdefault(name, []).append(call["status"])
    if call["sent"] is not None and call["status"] < 300:
        content = operation["requestBody"]["content"]["application/json"]
        validate(f"what was sent to {name}", content["schema"], json.loads(call["sent"]))
    answer = operation["responses"].get(status)
    if answer is None:
        problems.append(f"{name} answered {status}, which is not described")
        continue
    content = answer.get("content")
    if content is None:
        if call["body"]:
            problems.append(f"{name} {status} has a body, which is not described")
        continue
    kind = call["type"] or ""
    media = content.get(kind.split(";")[0])
    if media is None:
        problems.append(f"{name} {status} is {kind!r}, described as {list(content)}")
        continue
    value = parsed(kind, call["body"])
    validate(f"{name} {status}", media["schema"], value)
    if "example" in media and call.get("like_example") and shape(media["example"]) != shape(value):
        problems.append(f"{name} {status} is not like its example: {shape(value)}")

if problems:
    sys.exit("\n".join(problems))
json.dump(seen, sys.stdout)
