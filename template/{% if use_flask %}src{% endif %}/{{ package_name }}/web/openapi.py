"""What this service answers, as an OpenAPI document."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from flask import Blueprint, Flask, Response, current_app, jsonify
from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from ..api.endpoint import Endpoint
from ..api.requests import BODY, HEADER, QUERY
from .problems import problem_responses

Json = dict[str, Any]
RETURNS = "return"
SCHEMAS = "#/components/schemas/"

blueprint = Blueprint("openapi", __name__)


@blueprint.get("/openapi.json")
def show_document() -> Response:
    """Show the document of the application that answers."""
    return jsonify(document_of(current_app))


class Operation(NamedTuple):
    """A method of a path, and the view that answers it."""

    path: str
    method: str
    name: str
    view: Endpoint

    @property
    def group(self) -> str:
        """The blueprint that the view belongs to."""
        return self.name.split(".")[-2] if "." in self.name else ""


def document_of(app: Flask) -> Json:
    """Return the OpenAPI document of an application."""
    operations = list(_operations_of(app))
    inputs: list[tuple[tuple[str, str], JsonSchemaMode, TypeAdapter[Any]]] = []
    for operation in operations:
        view = operation.view
        inputs += [((operation.name, name), "validation", of) for name, of in view.types.items()]
        if view.returns is not None:
            inputs.append(((operation.name, RETURNS), "serialization", view.returns))
    found, definitions = TypeAdapter.json_schemas(inputs, ref_template=SCHEMAS + "{model}")
    components = definitions.get("$defs", {})
    schemas = {key: schema for (key, _), schema in found.items()}
    paths: dict[str, Json] = {}
    for operation in operations:
        described = _describe(operation, schemas, components)
        paths.setdefault(operation.path, {})[operation.method] = described
    # Parameters are described one by one; what describes them all at once may be a body, too.
    for ref in {schema["$ref"] for key, schema in schemas.items() if key[1] in (QUERY, HEADER)}:
        if json.dumps(ref) not in json.dumps([paths, components]):
            del components[ref.removeprefix(SCHEMAS)]
    return {
        "openapi": "3.1.0",
        "info": {"title": app.name, "version": "0.1.0"},
        "paths": paths,
        "components": {"schemas": components},
    }


def _operations_of(app: Flask) -> Iterator[Operation]:
    for rule in app.url_map.iter_rules():
        view = app.view_functions[rule.endpoint]
        if isinstance(view, Endpoint):
            path = re.sub(r"<(?:[^<>]*:)?(\w+)>", r"{\1}", rule.rule)
            for method in sorted(rule.methods or ()):
                yield Operation(path, method.lower(), rule.endpoint, view)


def _describe(operation: Operation, schemas: dict[tuple[str, str], Json], components: Json) -> Json:
    name, view = operation.name, operation.view
    described: Json = {
        "operationId": name,
        "summary": name.rpartition(".")[2].replace("_", " ").title(),
        "description": view.__doc__,
        "responses": _responses_of(view, schemas.get((name, RETURNS))),
    }
    if operation.group:
        described["tags"] = [operation.group]
    parameters = [
        {"name": part, "in": "path", "required": True, "schema": schemas[name, part]}
        for part in view.types
        if part not in (BODY, QUERY, HEADER)
    ]
    for place in {QUERY, HEADER} & view.types.keys():
        model = components[schemas[name, place]["$ref"].removeprefix(SCHEMAS)]
        parameters += [
            {
                "name": field,
                "in": place,
                "required": field in model.get("required", []),
                "schema": schema,
            }
            for field, schema in model["properties"].items()
        ]
    if parameters:
        described["parameters"] = parameters
    if BODY in view.types:
        described["requestBody"] = {"required": True, "content": _json(schemas[name, BODY])}
    return described


def _responses_of(view: Endpoint, schema: Json | None) -> dict[int | str, Json]:
    content = {"content": _json(schema)} if schema else {}
    meanings = {view.status: "As asked for", **view.others}
    responses: dict[int | str, Json] = {
        str(status): {"description": meaning, **content} for status, meaning in meanings.items()
    }
    # What says itself which other statuses it has is never a problem.
    return responses if view.others else responses | problem_responses()


def _json(schema: Json) -> Json:
    return {"application/json": {"schema": schema}}
