"""template.yaml as CloudFormation has it, by SAM's own translator. Usage: translate.py, which prints it with the parameters' defaults."""

import json
import logging
import os
import pathlib

from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
REGION = "us-east-1"


class NoManagedPolicies:
    """Every function has a role of its own, so SAM looks up none."""

    def load(self):
        return {}


def translate(bucket, parameters):
    """The template with its code in `bucket`, and the functions by their binaries."""
    template = yaml_parse((REPOSITORY / "template.yaml").read_text())
    binaries = set()
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            binary = resource["Metadata"]["BuildProperties"]["Binary"]
            binaries.add(binary)
            resource["Properties"]["CodeUri"] = f"s3://{bucket}/{binary}.zip"
    os.environ.setdefault("AWS_DEFAULT_REGION", REGION)
    # It warns that it runs outside of the service, whose switches it cannot read.
    logging.disable(logging.WARNING)
    return transform(template, parameters, NoManagedPolicies()), binaries


if __name__ == "__main__":
    print(json.dumps(translate("artifacts", {})[0]))
