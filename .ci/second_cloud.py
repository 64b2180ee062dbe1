"""Deploys template.yaml on ministack, a cloud that shares nothing with the local one, and goes the README's walk there.

Everything on the way is others': SAM's translator makes CloudFormation of the template, ministack deploys it, verifies tokens,
decides by the roles (AUTH=true), and runs the functions' binaries as `provided.al2023`. Usage: second_cloud.py BINARIES.

Where ministack differs from AWS, the translated template gives way (`adapt`), never the functions and never template.yaml.
"""

import base64
import datetime
import http.server
import io
import ipaddress
import json
import os
import pathlib
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import zipfile

import botocore.session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from translate import REGION, REPOSITORY, translate

BUCKET = "artifacts"
STACK = "daybook"
AUDIENCE = "daybook"
# Who the walk's three are, and what their tokens allow.
SCOPES = {
    "alice": "daybook/read daybook/write",
    "bob": "daybook/read daybook/write",
    "admin": "daybook/read daybook/write daybook/admin",
}
# Read models follow; the journal stays twelve seconds behind.
PATIENCE_SECONDS = 60
# What ministack's CloudFormation has no provisioner for.
NOT_DEPLOYED = {
    "AWS::Events::Archive", "AWS::Events::EventBusPolicy", "AWS::CodeDeploy::Application", "AWS::CodeDeploy::DeploymentGroup",
}
# What it takes and does not play.
NOT_COVERED = (
    "the bus's archive and policy, deployment step by step, CORS, the events table's own policy, throttling and the access log "
    "of the API, retries, bisecting and dead letters of the stream, retries and dead letters of rules, most metrics behind alarms"
)
# New every time, as in tests/end_to_end/readme.rs.
NEW_EVERY_TIME = {"event_id", "correlation_id", "causation_id", "complete_until", "next_cursor", "day"}


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def eventually(what, check):
    """Asks again until `check` answers something that counts, and gives that."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        good, answer = check()
        if good:
            return answer
        assert time.monotonic() < deadline, f"{what}: {answer}"
        time.sleep(0.2)


class Issuer:
    """An OpenID Connect issuer on loopback, over HTTPS as API Gateway demands, and the tokens that it signs."""

    def __init__(self, folder):
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "issuer")])
        now = datetime.datetime.now(datetime.timezone.utc)
        address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        certificate = (
            x509.CertificateBuilder(name, name, self.key.public_key(), x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(address, critical=False)
            .sign(self.key, hashes.SHA256())
        )
        self.certificate = folder / "issuer.pem"
        self.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        key_file = folder / "issuer.key"
        encoding = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        key_file.write_bytes(self.key.private_bytes(*encoding))
        port = free_port()
        self.url = f"https://127.0.0.1:{port}"
        public = self.key.public_key().public_numbers()
        number = lambda value: base64url(value.to_bytes((value.bit_length() + 7) // 8, "big"))
        key = {"kty": "RSA", "kid": "1", "alg": "RS256", "use": "sig", "n": number(public.n), "e": number(public.e)}
        documents = {
            "/.well-known/openid-configuration": {"issuer": self.url, "jwks_uri": f"{self.url}/keys"},
            "/keys": {"keys": [key]},
        }

        class Documents(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                document = documents.get(self.path)
                self.send_response(200 if document else 404)
                self.end_headers()
                self.wfile.write(json.dumps(document).encode())

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Documents)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, key_file)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def token(self, subject, **claims):
        now = int(time.time())
        payload = {
            "iss": self.url, "aud": AUDIENCE, "sub": subject, "iat": now - 5, "exp": now + 3600,
            "scope": SCOPES[subject], **claims,
        }
        parts = [base64url(json.dumps(part).encode()) for part in ({"alg": "RS256", "kid": "1"}, payload)]
        signature = self.key.sign(".".join(parts).encode(), padding.PKCS1v15(), hashes.SHA256())
        return ".".join([*parts, base64url(signature)])


class Cloud:
    """ministack, and clients of it."""

    def __init__(self, folder, issuer):
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.port = port
        self.log = folder / "ministack.log"
        # ministack hands its own environment on to the functions, as Lambda does not: the endpoints are theirs.
        environment = {
            **os.environ,
            "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port), "TMPDIR": str(folder), "AUTH": "true",
            "AWS_DEFAULT_REGION": REGION, "AWS_ENDPOINT_URL": self.url, "SSL_CERT_FILE": str(issuer.certificate),
            "AWS_ENDPOINT_URL_DYNAMODB": self.url, "AWS_ENDPOINT_URL_EVENTBRIDGE": self.url,
            "AWS_ENDPOINT_URL_SECRETS_MANAGER": self.url, "IOT_MTLS_ENABLED": "0",
        }
        # A group of its own, so that the functions stop with it.
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ministack"], env=environment, stdin=subprocess.DEVNULL,
            stdout=self.log.open("wb"), stderr=subprocess.STDOUT, start_new_session=True,
        )
        self.session = botocore.session.get_session()

    def client(self, service):
        return self.session.create_client(
            service, region_name=REGION, endpoint_url=self.url, aws_access_key_id="test", aws_secret_access_key="test"
        )

    def wait(self):
        def answers():
            assert self.process.poll() is None, self.log.read_text()
            try:
                return urllib.request.urlopen(f"{self.url}/_ministack/health", timeout=5).status == 200, None
            except (OSError, urllib.error.URLError) as error:
                return False, error

        eventually("ministack", answers)

    def stop(self):
        try:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            pass
        finally:
            # Functions that outlived it.
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.process.wait()


def replace(value, old, new):
    """Puts `new` where `old` stands, at any depth."""
    for key, inner in list(value.items() if isinstance(value, dict) else enumerate(value)):
        if inner == old:
            value[key] = new
        elif isinstance(inner, (dict, list)):
            replace(inner, old, new)


def adapt(template):
    """What ministack cannot deploy, otherwise. Gives what was left out, by logical name."""
    resources = template["Resources"]
    left_out = [name for name, resource in resources.items() if resource["Type"] in NOT_DEPLOYED]
    for name in left_out:
        del resources[name]
    for resource in resources.values():
        resource.pop("UpdatePolicy", None)  # how CodeDeploy moves an alias
        # It knows no metric math: the first metric has to stand for all.
        if metrics := resource.get("Properties", {}).pop("Metrics", None):
            first = next(metric["MetricStat"] for metric in metrics if "MetricStat" in metric)
            resource["Properties"].update({**first["Metric"], "Period": first["Period"], "Statistic": "Sum"})
    # `Ref` of a secret is its name there, and its ARN on AWS.
    secrets = [name for name, resource in resources.items() if resource["Type"] == "AWS::SecretsManager::Secret"]
    for name in secrets:
        replace(template, {"Ref": name}, {"Fn::GetAtt": [name, "Id"]})
    # An HTTP API comes without the routes of its OpenAPI body: they become resources of their own, one to one.
    apis = [name for name, resource in resources.items() if resource["Type"] == "AWS::ApiGatewayV2::Api"]
    for api in apis:
        body = resources[api]["Properties"].pop("Body")
        resources[api]["Properties"].update({"Name": api, "ProtocolType": "HTTP"})
        for name, scheme in body["components"]["securitySchemes"].items():
            jwt = scheme["x-amazon-apigateway-authorizer"]
            resources[f"{api}{name}"] = {"Type": "AWS::ApiGatewayV2::Authorizer", "Properties": {
                "ApiId": {"Ref": api}, "Name": name, "AuthorizerType": "JWT", "IdentitySource": [jwt["identitySource"]],
                "JwtConfiguration": {key.capitalize(): value for key, value in jwt["jwtConfiguration"].items()},
            }}
        for path, methods in body["paths"].items():
            path = path.replace("/$default", "$default")  # SAM's way of writing it without a warning
            for method, operation in methods.items():
                method = "ANY" if method == "x-amazon-apigateway-any-method" else method.upper()
                integration = operation["x-amazon-apigateway-integration"]
                [(authorizer, scopes)] = operation["security"][0].items()
                name = f"{api}Route{len(resources)}"
                resources[f"{name}Integration"] = {"Type": "AWS::ApiGatewayV2::Integration", "Properties": {
                    "ApiId": {"Ref": api}, "IntegrationType": "AWS_PROXY", "IntegrationUri": integration["uri"],
                    "PayloadFormatVersion": integration["payloadFormatVersion"],
                }}
                authorization = {"AuthorizationType": "NONE"} if authorizer == "NONE" else {
                    "AuthorizationType": "JWT", "AuthorizerId": {"Ref": f"{api}{authorizer}"}, "AuthorizationScopes": scopes,
                }
                resources[name] = {"Type": "AWS::ApiGatewayV2::Route", "Properties": {
                    "ApiId": {"Ref": api}, "RouteKey": path if path == "$default" else f"{method} {path}", **authorization,
                    "Target": {"Fn::Sub": f"integrations/${{{name}Integration}}"},
                }}
    return left_out


def upload(cloud, template, functions, binaries):
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    for name in functions:
        data = io.BytesIO()
        with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as package:
            entry = zipfile.ZipInfo("bootstrap")
            entry.external_attr = 0o100755 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            package.writestr(entry, (binaries / name).read_bytes())
        s3.put_object(Bucket=BUCKET, Key=f"{name}.zip", Body=data.getvalue())
    s3.put_object(Bucket=BUCKET, Key="template.json", Body=json.dumps(template).encode())


def deploy(cloud, template, parameters):
    """Creates the stack, and gives every resource by its logical name."""
    cloudformation = cloud.client("cloudformation")
    cloudformation.create_stack(
        StackName=STACK, TemplateURL=f"{cloud.url}/{BUCKET}/template.json", Capabilities=["CAPABILITY_IAM"],
        Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
    )

    def ended():
        status = cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]["StackStatus"]
        return not status.endswith("_IN_PROGRESS"), status

    status = eventually("the stack", ended)
    if status != "CREATE_COMPLETE":
        for event in cloudformation.describe_stack_events(StackName=STACK)["StackEvents"]:
            if event["ResourceStatus"].endswith("FAILED"):
                print(event["LogicalResourceId"], event.get("ResourceStatusReason"))
        sys.exit(f"the stack ends as {status}")
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=STACK)
    made = [resource for page in pages for resource in page["StackResourceSummaries"]]
    return {resource["LogicalResourceId"]: resource for resource in made}


def without_times(value):
    if isinstance(value, dict):
        new = lambda name: name.endswith("_at") or name in NEW_EVERY_TIME
        return {name: without_times(field) for name, field in value.items() if field is None or not new(name)}
    return [without_times(item) for item in value] if isinstance(value, list) else value


def walk(api, tokens):
    """Every `sh` block of the README's walk against the `json` block after it."""
    readme = (REPOSITORY / "README.md").read_text()
    section = next(part for part in readme.split("\n## ") if part.startswith("A walk"))
    blocks = [block.split("\n", 1) for block in section.split("```")[1::2]]
    steps = 0
    for (language, commands), (then, answer) in zip(blocks, blocks[1:]):
        if language != "sh" or then != "json":
            continue
        commands = commands.replace("http://127.0.0.1:3000", api)
        expected = without_times(json.loads(answer))

        def same():
            run = subprocess.run(["sh", "-euc", commands], env={**os.environ, **tokens}, capture_output=True, text=True)
            try:
                answered = json.loads(run.stdout)
            except json.JSONDecodeError:
                return False, f"{commands}\nanswers {run.stdout}{run.stderr}"
            wrong = f"{commands}\nanswers {json.dumps(answered, indent=2)}\nnot {answer}"
            return without_times(answered) == expected, wrong

        eventually("the walk", same)
        steps += 1
    return steps


def refused_tokens(api, port, issuer):
    """What API Gateway's authorizer must turn away, beside the two of the walk."""
    host = api.removeprefix("http://")
    good = issuer.token("alice")
    head, payload, signature = good.split(".")
    tokens = {
        "good": (good, 200),
        "expired": (issuer.token("alice", exp=int(time.time()) - 60), 401),
        "for another audience": (issuer.token("alice", aud="another"), 401),
        "of another issuer": (issuer.token("alice", iss="https://another.invalid/"), 401),
        "not signed": (f"{head}.{payload}.{base64url(bytes(256))}", 401),
        "without a scope": (issuer.token("alice", scope="openid"), 403),
    }
    for name, (token, expected) in tokens.items():
        headers = {"host": host, "authorization": f"Bearer {token}"}
        status, _ = request("GET", f"http://127.0.0.1:{port}/accounts", headers)
        assert status == expected, f"a token that is {name}: {status}, not {expected}"
    return len(tokens)


def another_system_brings_money(cloud, api, token):
    """An event on the bus becomes a command on Alice's account of the walk, once, though it is put twice."""
    account = "cd536d11-221e-59a4-876e-c5012cdfeca5"
    url, headers = f"http://127.0.0.1:{cloud.port}/accounts/{account}", {"host": api.removeprefix("http://")}
    headers["authorization"] = f"Bearer {token}"
    before = json.loads(request("GET", url, headers)[1])["version"]
    detail = {"request_id": "payout-1", "account_id": account, "owner": "alice", "amount": "12.34", "currency": "EUR"}
    entry = {"EventBusName": "daybook", "Source": "payments", "DetailType": "DepositRequested", "Detail": json.dumps(detail)}
    for _ in range(2):
        assert cloud.client("events").put_events(Entries=[entry])["FailedEntryCount"] == 0

    def arrived():
        status, body = request("GET", f"{url}?min_version={before + 1}", headers)
        return status == 200, body

    after = eventually("money of another system", arrived)
    assert json.loads(after)["version"] == before + 1, after


def request(method, url, headers, body=None):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers, method=method), timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def logged(cloud, resources):
    """Every line of every function."""
    logs = cloud.client("logs")
    lines = {}
    for name, resource in resources.items():
        if resource["ResourceType"] == "AWS::Lambda::Function":
            group = resources[f"{name}Logs"]["PhysicalResourceId"]
            pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group)
            lines[name] = [event["message"] for page in pages for event in page["events"]]
    return lines


def warnings(cloud, resources):
    """What functions complain of; a permission that a role lacks would be among it."""
    lines = [f"{name} {line}" for name, lines in logged(cloud, resources).items() for line in lines]
    return [line for line in lines if '"level":"ERROR"' in line or '"level":"WARN"' in line]


def a_missing_permission_is_missed(cloud, api, role, token):
    """Without its PutItem a function records nothing: the roles do decide."""
    iam = cloud.client("iam")
    policy = {"RoleName": role, "PolicyName": "account-commands"}
    document = iam.get_role_policy(**policy)["PolicyDocument"]
    document = document if isinstance(document, dict) else json.loads(document)
    for statement in document["Statement"]:
        if isinstance(statement["Action"], list):
            statement["Action"] = [action for action in statement["Action"] if action != "dynamodb:PutItem"]
    iam.put_role_policy(**policy, PolicyDocument=json.dumps(document))
    headers = {"host": api.removeprefix("http://"), "authorization": f"Bearer {token}", "content-type": "application/json"}
    status, answer = request("POST", f"http://127.0.0.1:{cloud.port}/accounts", headers, b'{"currency":"EUR"}')
    assert status >= 500, f"without PutItem an account is opened: {status} {answer}"


def the_documentation_is_public(cloud, api):
    for path, expected in (("/openapi.json", "3.1.0"), ("/problems/insufficient-funds", "Insufficient funds")):
        status, answer = request("GET", f"http://127.0.0.1:{cloud.port}{path}", {"host": api.removeprefix("http://")})
        assert status == 200 and expected in str(answer), f"{path} without a token: {status} {str(answer)[:200]}"


def main():
    binaries = pathlib.Path(sys.argv[1])
    with tempfile.TemporaryDirectory(prefix="daybook-second-cloud-") as name:
        folder = pathlib.Path(name)
        issuer = Issuer(folder)
        cloud = Cloud(folder, issuer)
        try:
            check(cloud, issuer, binaries)
        except BaseException:
            print(cloud.log.read_text()[-20000:], file=sys.stderr)
            raise
        finally:
            cloud.stop()


def check(cloud, issuer, binaries):
    parameters = {"JwtIssuer": issuer.url, "JwtAudience": AUDIENCE, "AlarmTopicArn": "none"}
    template, functions = translate(BUCKET, parameters)
    left_out = adapt(template)
    cloud.wait()
    upload(cloud, template, functions, binaries)
    resources = deploy(cloud, template, parameters)
    print(f"deployed: {len(resources)} resources; left out: {', '.join(left_out)}")
    try:
        try_out(cloud, issuer, resources, functions)
    except BaseException:
        print(*warnings(cloud, resources)[-20:], sep="\n", file=sys.stderr)
        raise


def try_out(cloud, issuer, resources, functions):
    api = f"http://{resources['HttpApi']['PhysicalResourceId']}.execute-api.localhost:{cloud.port}"
    tokens = {name: issuer.token(name) for name in SCOPES}
    print(f"the README's walk: {walk(api, tokens)} steps")
    print(f"tokens: {refused_tokens(api, cloud.port, issuer)} accepted or refused as they should be")
    another_system_brings_money(cloud, api, tokens["alice"])
    print("another system: its money arrived, once")
    the_documentation_is_public(cloud, api)
    idle = [name for name, lines in logged(cloud, resources).items() if not lines]
    assert not idle, f"never ran: {idle}"
    assert not (bad := warnings(cloud, resources)), bad[:3]
    queue = resources["DeadLetterQueue"]["PhysicalResourceId"]
    waiting = cloud.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["ApproximateNumberOfMessages"])
    assert waiting["Attributes"]["ApproximateNumberOfMessages"] == "0", f"dead letters: {waiting}"
    print(f"{len(functions)} functions: all ran, none warned, no dead letter")
    a_missing_permission_is_missed(cloud, api, resources["AccountCommandsRole"]["PhysicalResourceId"], tokens["alice"])
    print("roles: they sufficed, and what one does not allow is refused")
    print(f"passed. Not covered, for ministack does not play it: {NOT_COVERED}")


if __name__ == "__main__":
    main()
