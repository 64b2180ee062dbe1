#!/usr/bin/env python3
"""Compiles every `pattern` of the contract and of the bus's schemas with RE2 itself, which Go, re2j and BigQuery use.
usage: patterns.py REPOSITORY   (pip install google-re2 pyyaml)"""
import pathlib
import sys

import re2
import yaml


def patterns(node):
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "pattern" and isinstance(value, str):
                yield value
            else:
                yield from patterns(value)
    elif isinstance(node, list):
        for value in node:
            yield from patterns(value)


infra = pathlib.Path(sys.argv[1], "infra")
found = 0
for file in [*infra.glob("*.yaml"), *infra.glob("schemas/**/*.json")]:
    for pattern in patterns(yaml.safe_load(file.read_text(encoding="utf-8"))):
        found += 1
        try:
            re2.compile(pattern)
        except re2.error as error:
            sys.exit(f"{file}: RE2 does not compile {pattern}: {error}")
print(f"{found} patterns compile in RE2")
sys.exit(found < 50)
