"""The files of tools/release.py: reproducible, complete, and sufficient for a deployment."""

import copy
import functools
import io
import json
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import tomllib
import unittest
import uuid
import zipfile
import zlib
from http.server import BaseHTTPRequestHandler, HTTPServer

from ministack import ROLE, Stack, action, aws, described, stack_of, tags
from sam_template import transformed
from support import ENVIRONMENT, PACKAGE, ROOT, TOOLS, local_aws, moto, run

VERSION = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]["version"]
ZIP = f"mitigation-action-provider-{VERSION}-x86_64.zip"
RELEASED = "released"  # the stack
BUCKET = "packages"
RUST = run(["rustc", "--version"], cwd=ROOT).split()[1]


def release(binary, **environment):
    """Writes a release of this binary; returns its folder."""
    out = pathlib.Path(tempfile.mkdtemp())
    unittest.addModuleCleanup(shutil.rmtree, out)
    command = [sys.executable, ROOT / "tools" / "release.py", "--out", out, f"x86_64={binary}"]
    for name in ["CARGO_HOME", "RUSTUP_HOME"]:
        environment |= {name: os.environ[name]} if name in os.environ else {}
    run(command, environment=environment)
    return out


@functools.cache
def dist():
    return release(PACKAGE / "bootstrap")


def zipped():
    return zipfile.ZipFile(dist() / ZIP)


@functools.cache
def bill():
    return json.loads((dist() / "sbom.cdx.json").read_text())


def components():
    return {(part["name"], part["version"]): part for part in bill()["components"]}


class Files(unittest.TestCase):
    def test_every_file_exists_and_has_a_checksum(self):
        names = {path.name for path in dist().iterdir()}
        construct = f"mitigation-action-provider-cdk-{VERSION}.tgz"
        summed = {ZIP, construct, "CHANGELOG.md", "LICENSE-APACHE", "README.md"}
        summed |= {"sbom.cdx.json", "serverless-repo.yaml", "template.yaml"}
        self.assertEqual(names, {*summed, "SHA256SUMS"})
        output = run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=dist())
        self.assertEqual(output.count(": OK\n"), len(summed))

    def test_an_equal_binary_gives_equal_files(self):
        folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, folder)
        copy = shutil.copyfile(PACKAGE / "bootstrap", folder / "another-name")
        os.utime(copy, (0, 0))
        again = release(copy, TZ="Pacific/Auckland")
        sums = [(folder / "SHA256SUMS").read_text() for folder in (dist(), again)]
        self.assertEqual(*sums)

    def test_the_changes_are_those_of_the_version(self):
        text = (dist() / "CHANGELOG.md").read_text()
        self.assertEqual(len(re.findall(r"^##? \S", text, re.MULTILINE)), 1)
        self.assertIn("### Added", text)
        self.assertRegex(text, r"^# \d+\.\d+\.\d+ - \d{4}-\d\d-\d\d\n")


class Crate(unittest.TestCase):
    def test_it_contains_only_sources_and_documents(self):
        command = ["cargo", "package", "--list", "--allow-dirty", "--offline"]
        paths = run(command, cwd=ROOT).split()
        added = {".cargo_vcs_info.json", "Cargo.toml.orig"}  # cargo adds them
        folders = {path.split("/")[0] for path in paths} - added
        expected = {"Cargo.lock", "Cargo.toml", "README.md", "CHANGELOG.md", "src"}
        self.assertEqual(folders, expected | {"LICENSE-APACHE", "LICENSE-MIT"})


ELF_HEADER = 64  # bytes


def loaded(binary):
    """Returns the offset and the size of each segment of an ELF file that the loader reads."""
    [table] = struct.unpack_from("<Q", binary, 32)
    size, count = struct.unpack_from("<HH", binary, 54)
    headers = [struct.unpack_from("<IIQQQQ", binary, table + size * i) for i in range(count)]
    return [(offset, length) for kind, _, offset, _, _, length in headers if kind == 1]


class Zip(unittest.TestCase):
    def test_the_binary_runs_and_its_loaded_segments_are_unchanged(self):
        binary, original = zipped().read("bootstrap"), (PACKAGE / "bootstrap").read_bytes()
        segments = loaded(original)
        self.assertEqual(loaded(binary), segments)
        for offset, size in segments:
            # The first segment begins with the ELF header, which locates the sections.
            offset = max(offset, ELF_HEADER)
            part = slice(offset, offset + size)
            self.assertEqual(binary[part], original[part])
        mode = zipped().getinfo("bootstrap").external_attr >> 16
        self.assertEqual(mode & 0o777, 0o755)

    def test_the_binary_lists_its_dependencies_for_scanners(self):
        folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, folder)
        zipped().extract("bootstrap", folder)
        dump = ["objcopy", "--dump-section", ".dep-v0=list", "bootstrap", "copy"]
        run(dump, cwd=folder)
        listed = json.loads(zlib.decompress((folder / "list").read_bytes()))["packages"]
        [root] = [part for part in listed if part.get("root")]
        self.assertEqual(root["name"], "mitigation-action-provider")
        third_parties = {(part["name"], part["version"]) for part in listed if part is not root}
        self.assertEqual(third_parties, components().keys() - {("rust-std", RUST)})
        direct = {listed[index]["name"] for index in root["dependencies"]}
        self.assertLessEqual({"aws-sdk-iot", "lambda_runtime", "tokio"}, direct)

    def test_the_notices_and_the_list_cost_less_than_a_hundredth(self):
        alone = io.BytesIO()
        with zipfile.ZipFile(alone, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            archive.write(PACKAGE / "bootstrap", "bootstrap")
        size = (dist() / ZIP).stat().st_size
        self.assertLess(size / len(alone.getvalue()), 1.01)

    def test_the_notices_name_every_third_party_and_repeat_no_text(self):
        text = zipped().read("THIRD-PARTY-NOTICES").decode()
        for name, version in components():
            if name != "rust-std":
                self.assertRegex(text, rf"(?m)^{name} {re.escape(version)}:?$")
        texts = [part.split(":\n\n", 1)[-1] for part in text.split(f"\n\n{'-' * 80}\n\n")]
        self.assertEqual(len(texts), len(set(texts)))

    def test_each_kind_of_license_has_its_text(self):
        text = zipped().read("THIRD-PARTY-NOTICES").decode()
        for words in [
            "Permission is hereby granted, free of charge",  # MIT
            "Permission to use, copy, modify, and/or distribute this software",  # ISC
            "Redistributions in binary form must reproduce",  # BSD-3-Clause
            "UNICODE LICENSE V3",
            "Community Data License Agreement",
        ]:
            self.assertIn(words, text)
        self.assertIn("Apache License", zipped().read("LICENSE-APACHE").decode())


class Sbom(unittest.TestCase):
    def test_it_is_valid(self):
        program = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(open(sys.argv[1]).read())
sys.exit(str(error)[:2000] if error else 0)
"""
        run([TOOLS / "checkov" / "bin" / "python", "-c", program, dist() / "sbom.cdx.json"])

    def test_it_lists_every_crate_that_the_binary_names(self):
        binary = (PACKAGE / "bootstrap").read_bytes()
        named = re.findall(rb"/registry/src/[^/]+/([\w-]+?)-(\d[\w.+-]*)/", binary)
        named = {(name.decode(), version.decode()) for name, version in named}
        self.assertGreater(len(named), 20)
        self.assertEqual(named - set(components()), set())

    def test_its_checksums_are_those_of_the_lock_file(self):
        lock = tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]
        checksums = {(p["name"], p["version"]): p.get("checksum") for p in lock}
        for key, component in components().items():
            # The standard library and the crates of this repository come from no registry.
            if checksums.get(key):
                [found] = component["hashes"]
                self.assertEqual(found, {"alg": "SHA-256", "content": checksums[key]})

    def test_build_and_test_dependencies_are_not_in_it(self):
        unwanted = {"cc", "jsonschema", "proptest", "serde_derive", "stand-ins", "syn"}
        self.assertEqual({name for name, _ in components()} & unwanted, set())

    def test_every_dependency_leads_to_a_component(self):
        refs = {part["bom-ref"] for part in bill()["components"]}
        refs.add(bill()["metadata"]["component"]["bom-ref"])
        for dependency in bill()["dependencies"]:
            self.assertIn(dependency["ref"], refs)
            self.assertLessEqual(set(dependency.get("dependsOn", [])), refs)
        reached, found = set(), [bill()["metadata"]["component"]["bom-ref"]]
        edges = {d["ref"]: d.get("dependsOn", []) for d in bill()["dependencies"]}
        while found:
            ref = found.pop()
            if ref not in reached:
                reached.add(ref)
                found += edges[ref]
        self.assertEqual(reached, refs)


def resource_types(template):
    return {resource["Type"] for resource in template["Resources"].values()}


class PlainTemplate(unittest.TestCase):
    def test_it_is_valid_and_has_no_transform(self):
        run(["cfn-lint", dist() / "template.yaml"])
        template = local_aws.load(dist() / "template.yaml")
        self.assertNotIn("Transform", template)
        types = {kind for kind in resource_types(template) if "Serverless" in kind}
        self.assertEqual(types, set())

    def test_stack_sets_accept_its_size(self):
        self.assertLessEqual((dist() / "template.yaml").stat().st_size, 51_200)

    def test_it_is_the_projects_except_the_location_of_the_code(self):
        expected = copy.deepcopy(transformed())
        released = local_aws.load(dist() / "template.yaml")
        key = {"Fn::Sub": "${PackagePrefix}" + ZIP.replace("x86_64", "${Architecture}")}
        code = released["Resources"]["Function"]["Properties"].pop("Code")
        self.assertEqual(code, {"S3Bucket": {"Ref": "PackageBucket"}, "S3Key": key})
        del expected["Resources"]["Function"]["Properties"]["Code"]
        for resource in expected["Resources"].values():
            resource.pop("Metadata", None)
        del released["Parameters"]["PackageBucket"], released["Parameters"]["PackagePrefix"]
        self.assertEqual(released, expected)

    def test_it_names_no_region_and_no_account(self):
        text = (dist() / "template.yaml").read_text()
        self.assertEqual(re.findall(r"us-east-1|eu-west-1|[^0-9][0-9]{12}[^0-9]", text), [])


# Of the types in this project, those that AWS's "List of Supported AWS Resources" of the
# Serverless Application Repository names.
SUPPORTED = {
    "AWS::CloudWatch::Alarm",
    "AWS::CloudWatch::Dashboard",
    "AWS::Events::EventBus",
    "AWS::Events::Rule",
    "AWS::IAM::Role",
    "AWS::Lambda::Permission",
    "AWS::Logs::LogGroup",
    "AWS::SNS::Subscription",
    "AWS::SNS::Topic",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::Queue",
    "AWS::SQS::QueuePolicy",
    "AWS::Serverless::Function",
}


class Repository(BaseHTTPRequestHandler):
    """Accepts an application, as the Serverless Application Repository does."""

    def do_POST(self):
        request = self.rfile.read(int(self.headers["content-length"]))
        self.server.requests.append((self.path, json.loads(request)))
        arn = "arn:aws:serverlessrepo:eu-west-1:123456789012:applications/published"
        body = json.dumps({"applicationId": arn}).encode()
        self.send_response(201)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class RepositoryTemplate(unittest.TestCase):
    """`serverless-repo.yaml`, by the rules that the API of the repository documents."""

    def test_it_is_valid(self):
        template = dist() / "serverless-repo.yaml"
        output = run(["sam", "validate", "--lint", "--template-file", template])
        self.assertIn("is a valid SAM Template", output)

    def test_it_has_only_resources_that_the_repository_supports(self):
        released = resource_types(local_aws.load(dist() / "serverless-repo.yaml"))
        self.assertEqual(released - SUPPORTED, set())
        original = resource_types(local_aws.load("template.yaml"))
        self.assertEqual(original - released, {"AWS::Logs::QueryDefinition"})

    def test_it_is_published_by_the_commands_of_the_guide(self):
        folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, folder)
        shutil.copytree(dist(), folder, dirs_exist_ok=True)
        server = HTTPServer(("127.0.0.1", 0), Repository)
        server.requests = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        address = f"http://127.0.0.1:{server.server_port}"
        environment = aws().environment()
        environment["AWS_ENDPOINT_URL_SERVERLESSAPPLICATIONREPOSITORY"] = address
        package, publish = guide("sam package"), guide("sam publish")
        bucket = re.search(r"--s3-bucket (\S+)", package)[1]
        s3 = aws().client("s3")
        location = {"LocationConstraint": local_aws.REGION}
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=location)
        shell = ["bash", "-euc", f"{package}\n{publish}"]
        self.assertIn("Publish Succeeded", run(shell, environment=environment, cwd=folder))
        [(path, request)] = server.requests
        self.assertEqual(path, "/applications")
        self.check(request)
        for member, file in [("licenseUrl", "LICENSE-APACHE"), ("readmeUrl", "README.md")]:
            self.assertEqual(stored(s3, request[member]), (dist() / file).read_bytes())
        template = yaml_of(request["templateBody"])
        code = template["Resources"]["Function"]["Properties"]["CodeUri"]
        self.assertEqual(stored(s3, code), (dist() / ZIP).read_bytes())
        self.assertEqual(template["Parameters"]["Architecture"]["AllowedValues"], ["x86_64"])

    def check(self, request):
        """Checks what the API documents about each member."""
        self.assertRegex(request["name"], r"^[a-zA-Z0-9-]{1,140}$")
        self.assertRegex(request["author"], r"^[a-z0-9](([a-z0-9]|-(?!-))*[a-z0-9])?$")
        self.assertLessEqual(len(request["author"]), 127)
        self.assertLessEqual(len(request["description"]), 256)
        self.assertEqual(request["semanticVersion"], VERSION)
        self.assertRegex(request["semanticVersion"], r"^\d+\.\d+\.\d+$")
        self.assertEqual(request["spdxLicenseId"], "Apache-2.0")
        self.assertLessEqual(len(request["labels"]), 10)
        for label in request["labels"]:
            self.assertRegex(label, r"^[a-zA-Z0-9+\-_:/@]{1,127}$")


def stored(s3, url):
    """Returns an object, given by an `s3:` or an `https:` URL."""
    address = r"(?:s3|https?)://(?:[^/]*amazonaws\.com/)?([^/]+)/(.+)"
    bucket, key = re.fullmatch(address, url).groups()
    return s3.get_object(Bucket=bucket, Key=key)["Body"].read()


def yaml_of(text):
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(text)
        file.flush()
        return local_aws.load(file.name)


class StackSets(unittest.TestCase):
    """docs/rollout.md. MiniStack has no stack sets; moto has, but creates no stacks for units."""

    def test_a_stack_set_takes_the_template_and_the_parameters(self):
        address, client = moto(self)
        environment = ENVIRONMENT | {"AWS_ENDPOINT_URL": address}
        environment["PATH"] = f"{TOOLS}/aws/bin:{environment['PATH']}"
        script = "\n".join([guide("aws cloudformation create-stack-set"), guide("for account in")])
        update = guide("aws cloudformation update-stack-set")
        run(["bash", "-euc", f"{script}\n{update}"], environment, cwd=dist())
        [name] = re.findall(r"create-stack-set --stack-set-name (\S+)", script)
        created = client("cloudformation").describe_stack_set(StackSetName=name)["StackSet"]
        self.assertEqual(created["TemplateBody"], (dist() / "template.yaml").read_text())
        operations = client("cloudformation").list_stack_set_operations(StackSetName=name)
        self.assertEqual(len(operations["Summaries"]), 5, "four instances and an update")
        given = {parameter["ParameterKey"] for parameter in created["Parameters"]}
        parameters = local_aws.load(dist() / "template.yaml")["Parameters"]
        required = {key for key, value in parameters.items() if "Default" not in value}
        self.assertEqual(given, required | {"FunctionName"})

    def test_the_policy_of_a_bucket_lets_the_organization_read_its_package(self):
        [policy] = re.findall(r"```json\n(.*?)```", GUIDE, re.DOTALL)
        [statement] = json.loads(policy)["Statement"]
        bucket = re.search(r"s3://([a-z0-9-]+)", GUIDE)[1]
        self.assertTrue(statement["Resource"].startswith(f"arn:aws:s3:::{bucket}"))
        self.assertEqual(list(statement["Condition"]["StringEquals"]), ["aws:PrincipalOrgID"])

    def test_the_remaining_commands_are_valid(self):
        environment = {"PATH": f"{TOOLS}/aws/bin:{ENVIRONMENT['PATH']}"}
        for beginning in ["delete-stack-instances", "delete-stack-set"]:
            command = guide(f"aws cloudformation {beginning}")
            run(["bash", "-euc", f"{command} --generate-cli-skeleton output"], environment)

    def test_the_service_token_of_the_guide_is_the_function_of_an_instance(self):
        released = Stack(self, "StackSet-mitigation-action-provider-" + str(uuid.uuid4()))
        bucket = "packages-of-stack-sets"
        s3 = aws().client("s3")
        location = {"LocationConstraint": local_aws.REGION}
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=location)
        s3.upload_file(str(dist() / ZIP), bucket, ZIP)
        name = re.search(r"ParameterKey=FunctionName,ParameterValue=(\S+)", GUIDE)[1]
        self.assertGreater(len(released.name), 64, "too long for the name of a function")
        # The tests' own provider has this name.
        parameters = {"FunctionName": f"{name}-2", "PackageBucket": bucket}
        parameters |= {"ActionRoleArns": ROLE, "ResponseUrlAllowedHosts": "127.0.0.1"}
        parameters["RolePropagationSeconds"] = "0"
        template = for_ministack(dist() / "template.yaml")
        self.assertEqual(released.create(template, **parameters), "CREATE_COMPLETE")
        [sample] = re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)
        user = Stack(self, "uses-a-stack-set")
        user_template = yaml_of(sample.replace(f"function:{name}", f"function:{name}-2"))
        self.assertEqual(user.create(user_template), "CREATE_COMPLETE")
        self.assertIsNotNone(described(user.physical_id("Quarantine")))
        self.assertEqual(user.delete(), "DELETE_COMPLETE")


GUIDE = (ROOT / "docs" / "rollout.md").read_text()


def guide(beginning):
    """Returns the block of the guide that begins so, without other commands of its block."""
    found = re.search(rf"^    {beginning} .*(?:\n     .*|\n    done)*", GUIDE, re.MULTILINE)
    return re.sub(r"^    ", "", found[0], flags=re.MULTILINE)


def for_ministack(path):
    """Returns a plain template, changed as MiniStack needs it."""
    template = local_aws.load(path)
    variables = template["Resources"]["Function"]["Properties"]["Environment"]["Variables"]
    variables["AWS_ENDPOINT_URL_IOT"] = aws().iot_url
    variables["AWS_ENDPOINT_URL_EVENTBRIDGE"] = aws().url
    for name, resource in list(template["Resources"].items()):
        if local_aws.is_refused(resource):
            del template["Resources"][name]
    return template


class Deployment(unittest.TestCase):
    """The AWS CLI deploys the release to MiniStack, from an empty folder and without Rust."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        shutil.copytree(dist(), self.folder, dirs_exist_ok=True)
        self.released = Stack(self, RELEASED)
        self.aws("s3", "mb", f"s3://{BUCKET}")
        self.addCleanup(self.aws, "s3", "rb", "--force", f"s3://{BUCKET}")

    def aws(self, *arguments):
        path = os.pathsep.join([f"{TOOLS}/aws/bin", "/usr/bin", "/bin"])
        environment = aws().environment() | {"PATH": path}
        self.assertIsNone(shutil.which("cargo", path=path))
        run(["aws", *arguments], environment=environment, cwd=self.folder)

    def deploy(self, prefix):
        """Deploys the package at a prefix; changes the template as MiniStack needs it."""
        template = for_ministack(self.folder / "template.yaml")
        (self.folder / "ministack.json").write_text(json.dumps(template))
        command = ["cloudformation", "deploy", "--template-file", "ministack.json"]
        command += ["--stack-name", RELEASED, "--s3-bucket", BUCKET]
        command += ["--capabilities", "CAPABILITY_IAM"]
        command += ["--parameter-overrides", f"PackageBucket={BUCKET}", f"PackagePrefix={prefix}"]
        command += [f"ActionRoleArns={ROLE}", "ResponseUrlAllowedHosts=127.0.0.1"]
        self.aws(*command, "RolePropagationSeconds=0")

    def deployed_code(self):
        function = aws().client("lambda").get_function_configuration(FunctionName=RELEASED)
        return function["CodeSha256"]

    def test_it_deploys_and_replaces_an_earlier_package_that_stacks_use(self):
        earlier = self.folder / "earlier.zip"
        with zipfile.ZipFile(earlier, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(PACKAGE / "bootstrap", "bootstrap")
        self.aws("s3", "cp", "earlier.zip", f"s3://{BUCKET}/earlier/{ZIP}")
        self.deploy("earlier/")
        user = Stack(self, "uses-released")
        before = action("uses-released", provider=RELEASED)
        self.assertEqual(user.create(stack_of(Made=before)), "CREATE_COMPLETE")
        made, tagged, code = described("uses-released"), tags("uses-released"), self.deployed_code()

        self.aws("s3", "cp", ZIP, f"s3://{BUCKET}/{VERSION}/{ZIP}")
        self.deploy(f"{VERSION}/")
        self.assertNotEqual(self.deployed_code(), code)
        self.assertEqual((described("uses-released"), tags("uses-released")), (made, tagged))
        params = {"ReplaceDefaultPolicyVersionParams": {"TemplateName": "BLANK_POLICY"}}
        after = action("uses-released", params, provider=RELEASED)
        self.assertEqual(user.update(stack_of(Made=after)), "UPDATE_COMPLETE")
        self.assertEqual(described("uses-released")["actionId"], made["actionId"])
        self.assertEqual(user.delete(), "DELETE_COMPLETE")
        self.assertIsNone(described("uses-released"))


class Refusals(unittest.TestCase):
    def refusal(self, *arguments):
        command = [sys.executable, ROOT / "tools" / "release.py", *arguments]
        done = subprocess.run(command, capture_output=True, text=True)
        self.assertNotEqual(done.returncode, 0)
        return done.stderr

    def test_a_folder_with_files_is_rejected(self):
        error = self.refusal("--out", dist(), f"x86_64={PACKAGE / 'bootstrap'}")
        self.assertIn("expected an empty folder", error)

    def test_an_unknown_architecture_is_rejected(self):
        error = self.refusal("--out", "/nowhere", "riscv=bootstrap")
        self.assertIn("invalid value 'riscv=bootstrap': expected ARCHITECTURE=FILE", error)


if __name__ == "__main__":
    unittest.main()
