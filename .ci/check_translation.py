"""What SAM makes of template.yaml, compared with what the template and the contract mean. Usage: check_translation.py.

SAM and API Gateway read some properties differently from how they are written, without an error. So this looks at SAM's output.
"""

import yaml
from samtranslator.yaml_helper import yaml_parse
from translate import REPOSITORY, translate

CORS_LISTS = ("allowOrigins", "allowMethods", "allowHeaders", "exposeHeaders")
METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "x-amazon-apigateway-any-method"}
DEFAULT_ROUTE = "$default"


def resolve(value, parameters, conditions):
    """`value` without intrinsic functions, as CloudFormation hands it on."""
    again = lambda part: resolve(part, parameters, conditions)
    if isinstance(value, list):
        return [part for part in map(again, value) if part is not None]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        (function, argument), = value.items()
        if function == "Ref":
            return None if argument == "AWS::NoValue" else parameters.get(argument, value)
        if function == "Fn::Split":
            return again(argument[1]).split(argument[0])
        if function == "Fn::If":
            return again(argument[1] if again(conditions[argument[0]]) else argument[2])
        if function == "Fn::Not":
            return not again(argument[0])
        if function == "Fn::Equals":
            return str(again(argument[0])) == str(again(argument[1]))
    resolved = {name: again(part) for name, part in value.items()}
    return {name: part for name, part in resolved.items() if part is not None}


def http_api(given):
    """The properties of the HTTP API as a deployment with the parameters `given` has them."""
    template, _ = translate("artifacts", given)
    defaults = {name: parameter.get("Default") for name, parameter in template["Parameters"].items()}
    return resolve(template["Resources"]["HttpApi"]["Properties"], defaults | given, template["Conditions"])


def check_cors(origins, expected):
    """API Gateway wants an object with lists (developer guide, "x-amazon-apigateway-cors object")."""
    cors = http_api({"CorsOrigins": origins})["Body"].get("x-amazon-apigateway-cors")
    if expected is None:
        assert not cors, f"CorsOrigins={origins!r} must leave CORS out, and makes {cors}"
        return
    assert isinstance(cors, dict), f"CORS must be an object, and is {cors}"
    assert set(cors) == {*CORS_LISTS, "maxAge"}, f"CORS must have {CORS_LISTS} and maxAge, and is {cors}"
    for name in CORS_LISTS:
        assert cors[name] and all(isinstance(text, str) for text in cors[name]), f"{name} must be texts: {cors[name]}"
    assert isinstance(cors["maxAge"], int), f"maxAge must be a number: {cors['maxAge']}"
    assert cors["allowOrigins"] == expected, cors["allowOrigins"]


def meant_by_template():
    """Each route of the template with the scopes of which a token needs one; None for a route without an authorizer."""
    template = yaml_parse((REPOSITORY / "template.yaml").read_text())
    routes = {}
    for resource in template["Resources"].values():
        for event in resource.get("Properties", {}).get("Events", {}).values():
            if event["Type"] != "HttpApi":
                continue
            properties = event["Properties"]
            method = properties["Method"].lower().replace("any", "x-amazon-apigateway-any-method")
            auth = properties.get("Auth", {})
            scopes = None if auth.get("Authorizer") == "NONE" else auth.get("AuthorizationScopes", [])
            routes[method, properties["Path"]] = scopes
    return routes


def meant_by_contract():
    """The same by the contract, for its operations."""
    contract = yaml.safe_load((REPOSITORY / "infra/openapi.yaml").read_text())
    return {
        (method, path): [operation["x-scope"]] if operation.get("security") else None
        for path, operations in contract["paths"].items()
        for method, operation in operations.items()
        if method in METHODS
    }


def check_routes(body):
    """Every route is there, with the authorizer and the scopes that it was meant to have."""
    made = {}
    for path, operations in body["paths"].items():
        for method, operation in operations.items():
            if method not in METHODS:
                continue
            assert "x-amazon-apigateway-integration" in operation, f"{method} {path} leads nowhere"
            security, = operation["security"]
            (authorizer, scopes), = security.items()
            assert authorizer in ("Jwt", "NONE"), f"{method} {path} has the authorizer {authorizer}"
            # SAM writes the default route with a slash where warnings count.
            path = DEFAULT_ROUTE if path == f"/{DEFAULT_ROUTE}" else path
            made[method, path] = None if authorizer == "NONE" else scopes
    assert made == meant_by_template(), differing(made, meant_by_template())
    contract = meant_by_contract()
    assert len(contract) > 10
    of_contract = {route: made.get(route, "missing") for route in contract}
    assert of_contract == contract, differing(of_contract, contract)
    schemes = body["components"]["securitySchemes"]["Jwt"]["x-amazon-apigateway-authorizer"]
    assert schemes["type"] == "jwt" and schemes["jwtConfiguration"].keys() == {"issuer", "audience"}, schemes
    return len(made)


def differing(made, meant):
    return {route: (made.get(route), meant.get(route)) for route in made.keys() | meant.keys() if made.get(route) != meant.get(route)}


def main():
    api = http_api({})
    # An import that "ignores" an authorizer and its routes must fail the deployment.
    assert api.get("FailOnWarnings") is True, "FailOnWarnings must be set on the HTTP API"
    routes = check_routes(api["Body"])
    check_cors("http://localhost:5173", ["http://localhost:5173"])
    check_cors("https://bank.example,https://app.bank.example", ["https://bank.example", "https://app.bank.example"])
    check_cors("*", ["*"])
    check_cors("", None)
    print(f"SAM's translation: {routes} routes, CORS and FailOnWarnings as they are meant")


if __name__ == "__main__":
    main()
