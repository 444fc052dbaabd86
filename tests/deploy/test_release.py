"""The files of tools/release.py: reproducible, complete, and sufficient for a deployment."""

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
import tomllib
import unittest
import zipfile
import zlib

from ministack import ROLE, Stack, action, aws, described, stack_of, tags
from support import PACKAGE, ROOT, TOOLS, local_aws, run

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
        summed = {ZIP, construct, "CHANGELOG.md", "sbom.cdx.json", "template.yaml"}
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
        expected = {"Cargo.lock", "Cargo.toml", "README.md", "CHANGELOG.md", "build.rs", "src"}
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
            if key[0] != "rust-std":
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


class Template(unittest.TestCase):
    def test_it_is_valid(self):
        run(["cfn-lint", dist() / "template.yaml"])
        template = dist() / "template.yaml"
        output = run(["sam", "validate", "--lint", "--template-file", template])
        self.assertIn("is a valid SAM Template", output)

    def test_it_is_the_projects_except_the_location_of_the_code(self):
        original = local_aws.load("template.yaml")
        released = local_aws.load(dist() / "template.yaml")
        function, packaged = (t["Resources"]["Function"] for t in (original, released))
        key = {"Fn::Sub": "${PackagePrefix}" + ZIP.replace("x86_64", "${Architecture}")}
        code = packaged["Properties"].pop("CodeUri")
        self.assertEqual(code, {"Bucket": {"Ref": "PackageBucket"}, "Key": key})
        del function["Properties"]["CodeUri"], function["Metadata"]
        del released["Parameters"]["PackageBucket"], released["Parameters"]["PackagePrefix"]
        del released["Metadata"]
        self.assertEqual(released, original)

    def test_the_application_repository_would_accept_its_metadata(self):
        metadata = local_aws.load(dist() / "template.yaml")["Metadata"]
        [(name, metadata)] = metadata.items()
        self.assertEqual(name, "AWS::ServerlessRepo::Application")
        self.assertRegex(metadata["Name"], r"^[a-zA-Z0-9-]{1,140}$")
        self.assertRegex(metadata["Author"], r"^[a-zA-Z0-9]+(-[a-zA-Z0-9]+)*$")
        self.assertLessEqual(len(metadata["Author"]), 127)
        self.assertLessEqual(len(metadata["Description"]), 256)
        self.assertEqual(metadata["SemanticVersion"], VERSION)
        for label in metadata["Labels"]:
            self.assertRegex(label, r"^[a-zA-Z0-9+\-_:/@]{1,127}$")


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
        template = local_aws.load(self.folder / "template.yaml")
        function = template["Resources"]["Function"]["Properties"]
        variables = function["Environment"]["Variables"]
        variables["AWS_ENDPOINT_URL_IOT"] = aws().iot_url
        variables["AWS_ENDPOINT_URL_EVENTBRIDGE"] = aws().url
        for name, resource in list(template["Resources"].items()):
            if local_aws.is_refused(resource):
                del template["Resources"][name]
        (self.folder / "ministack.json").write_text(json.dumps(template))
        command = ["cloudformation", "deploy", "--template-file", "ministack.json"]
        command += ["--stack-name", RELEASED, "--s3-bucket", BUCKET]
        command += ["--capabilities", "CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]
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
