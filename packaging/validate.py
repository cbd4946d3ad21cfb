"""Holds a document against a JSON Schema: validate.py SCHEMA DOCUMENT. Run by the Python that has jsonschema-rs, see tools.py."""

import json
import pathlib
import sys
import urllib.parse

import jsonschema_rs


def read(path):
    return json.loads(path.read_text("utf-8"))


def main():
    schema_file, document = map(pathlib.Path, sys.argv[1:])
    schema = read(schema_file)
    # A schema refers to others in its folder by their file names.
    beside = [(urllib.parse.urljoin(schema["$id"], path.name), read(path)) for path in schema_file.parent.glob("*.schema.json")]
    validator = jsonschema_rs.validator_for(schema, registry=jsonschema_rs.Registry(beside), validate_formats=True)
    errors = [f"{document}: {'/'.join(map(str, error.instance_path))}: {error.message}" for error in validator.iter_errors(read(document))]
    sys.exit("\n".join(errors) or None)


main()
