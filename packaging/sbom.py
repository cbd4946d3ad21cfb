"""The bill of materials, in CycloneDX 1.6: every crate that is compiled into the programs, on any packaged platform."""

import json
import tomllib

import tools
from project import PLATFORMS, ROOT, write_json

SPECIFICATION = "1.6"
SCHEMA = f"cyclonedx/schema/_res/bom-{SPECIFICATION}.SNAPSHOT.schema.json"


def _normal(dependency):
    """Whether it becomes part of a program: not those of tests alone, nor of build scripts alone."""
    return any(kind["kind"] is None for kind in dependency["dep_kinds"])


def _component(package, kind):
    url = f"pkg:cargo/{package['name']}@{package['version']}"
    component = {"type": kind, "bom-ref": url, "name": package["name"], "version": package["version"], "purl": url}
    if package["description"]:
        component["description"] = package["description"].strip()
    if package["license"]:
        # Some older crates have a slash where SPDX has OR.
        component["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
    if package["repository"]:
        component["externalReferences"] = [{"type": "vcs", "url": package["repository"]}]
    return component


def write(project, out):
    filters = [part for one in PLATFORMS for part in ("--filter-platform", one.target)]
    command = ["cargo", "metadata", "--format-version=1", "--locked", "--all-features", *filters]
    metadata = json.loads(tools.read(command, cwd=ROOT))
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: [one["pkg"] for one in node["deps"] if _normal(one)] for node in metadata["resolve"]["nodes"]}
    root = metadata["resolve"]["root"]
    reached, waiting = {root}, [root]
    while waiting:
        for dependency in nodes[waiting.pop()]:
            if dependency not in reached:
                reached.add(dependency)
                waiting.append(dependency)
    lock = {(one["name"], one["version"]): one.get("checksum") for one in _lock()["package"]}
    components = {}
    for identity in reached:
        package = packages[identity]
        components[identity] = _component(package, "application" if identity == root else "library")
        if digest := lock[package["name"], package["version"]]:
            components[identity]["hashes"] = [{"alg": "SHA-256", "content": digest}]
    reference = {identity: component["bom-ref"] for identity, component in components.items()}
    path = out / f"haldir-{project.version}.cdx.json"
    write_json(
        path,
        {
            "bomFormat": "CycloneDX",
            "specVersion": SPECIFICATION,
            "version": 1,
            "metadata": {"component": components[root]},
            "components": sorted((one for identity, one in components.items() if identity != root), key=lambda one: one["bom-ref"]),
            "dependencies": sorted(
                ({"ref": reference[one], "dependsOn": sorted({reference[other] for other in nodes[one]})} for one in reached),
                key=lambda one: one["ref"],
            ),
        },
    )
    tools.validate(SCHEMA, path)
    return path


def _lock():
    return tomllib.loads((ROOT / "Cargo.lock").read_text("utf-8"))
