#!/usr/bin/env python3
"""Writes the files of a release: the packages; a plain CloudFormation template that deploys them,
and one of SAM for the Serverless Application Repository; the CDK construct; an SBOM (CycloneDX);
the license, the readme, the changes and the checksums. The binary in each package lists its
dependencies for vulnerability scanners.

    tools/release.py --out dist x86_64=.aws-sam/build/Function/bootstrap

The same binaries give the same files, whatever the folder, the time and the user.
"""

import argparse
import hashlib
import json
import os
import pathlib
import re
import subprocess
import tempfile
import tomllib
import zipfile
import zlib

ROOT = pathlib.Path(__file__).resolve().parents[1]
TARGETS = {"x86_64": "x86_64-unknown-linux-gnu", "arm64": "aarch64-unknown-linux-gnu"}
# If a package offers several licenses, the first of these that it offers applies.
PREFERRED = ["Apache-2.0", "MIT"]
# Packages without the text of their license, and a package of the same author that has it.
SAME_TEXT = {"base64-simd": "outref", "vsimd": "outref"}
# Translates the SAM template on stdin, without the comments. No output depends on the region.
TRANSLATE = """
import sys
import yaml
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse
class Policies:
    def load(self): return {}
template = transform(yaml_parse(sys.stdin.read()), {}, Policies())
yaml.safe_dump(template, sys.stdout, sort_keys=False, default_flow_style=None, width=100)
"""
SAVED_QUERY = re.compile(
    r"^(?:  #.*\n)*  \w+:.*\n    Type: AWS::Logs::QueryDefinition\n(?:    .*\n|\n)*", re.MULTILINE
)
# StackSets and `aws cloudformation deploy` without a bucket take no larger template.
LARGEST_TEMPLATE = 51_200
LICENSE_FILE = re.compile(r"(licen[cs]e|copying|notice)([-._].*)?", re.IGNORECASE)


def run(*command, **options):
    options = {"cwd": ROOT, "stdout": subprocess.PIPE, "text": True, "check": True, **options}
    return subprocess.run(command, **options).stdout


class Package:
    """A crate that is linked into the binary."""

    def __init__(self, metadata, checksum):
        self.id = metadata["id"]
        self.name, self.version = metadata["name"], metadata["version"]
        self.folder = pathlib.Path(metadata["manifest_path"]).parent
        self.license = metadata["license"].replace("/", " OR ")
        self.checksum = checksum
        self.purl = f"pkg:cargo/{self.name}@{self.version}"

    def __str__(self):
        return f"{self.name} {self.version}"

    def used_license(self):
        offered = self.license.split(" OR ")
        return next((name for name in PREFERRED if name in offered), self.license)

    def license_texts(self, others):
        """Returns the texts that have to accompany the package. The release has one copy of
        Apache-2.0 for all packages, but needs each NOTICE."""
        if self.name in SAME_TEXT:
            return others[SAME_TEXT[self.name]].license_texts(others)
        files = sorted(path for path in self.folder.iterdir() if LICENSE_FILE.fullmatch(path.name))
        used = self.used_license()
        if used == "Apache-2.0":
            files = [path for path in files if path.name.upper().startswith("NOTICE")]
        elif used != self.license:
            files = [path for path in files if used in path.name]
        texts = [text_of(path).strip() for path in files]
        if not texts and used != "Apache-2.0":
            raise SystemExit(f"{self} ({used}): missing: expected the text of the license")
        return texts


def text_of(path):
    return path.read_text(encoding="utf-8").replace("\r\n", "\n")


def linked(target):
    """Returns the crates that are linked into the binary for a target, by id; the ids that each
    depends on; and the id of the root. Macros and build scripts are not linked."""
    tree = ["--edges", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}"]
    lines = run("cargo", "tree", "--locked", "--target", target, *tree).splitlines()
    names = {tuple(line.split()[:2]) for line in lines if line}
    metadata = json.loads(
        run("cargo", "metadata", "--locked", "--format-version=1", "--filter-platform", target)
    )
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]
    checksums = {(p["name"], p["version"]): p.get("checksum") for p in lock}
    packages = {}
    for found in metadata["packages"]:
        key = found["name"], found["version"]
        if (found["name"], f"v{found['version']}") in names:
            packages[found["id"]] = Package(found, checksums[key])
    edges = {
        node["id"]: [dep["pkg"] for dep in node["deps"] if dep["pkg"] in packages]
        for node in metadata["resolve"]["nodes"]
    }
    return packages, edges, metadata["resolve"]["root"]


def notices(packages, rust):
    """Returns the third-party notices, each text once."""
    by_name = {package.name: package for package in packages}
    apache, texts = [f"Rust standard library {rust}"], {}
    for package in packages:
        if package.used_license() == "Apache-2.0":
            apache.append(str(package))
        for text in package.license_texts(by_name):
            texts.setdefault(text, []).append(str(package))
    parts = ["The function contains the software below, under these licenses."]
    parts.append("Under Apache-2.0 (see LICENSE-APACHE):\n" + "\n".join(apache))
    parts += ["\n".join(users) + ":\n\n" + text for text, users in texts.items()]
    return f"\n\n{'-' * 80}\n\n".join(parts) + "\n"


def sbom(packages, edges, root, rust):
    """Returns the software bill of materials of the function, without a time or serial number."""

    def component(package):
        described = {
            "type": "library",
            "bom-ref": package.purl,
            "name": package.name,
            "version": package.version,
            "licenses": [{"expression": package.license}],
            "purl": package.purl,
        }
        if package.checksum:
            described["hashes"] = [{"alg": "SHA-256", "content": package.checksum}]
        return described

    std = {"type": "library", "bom-ref": "rust-std", "name": "rust-std", "version": rust}
    std["licenses"] = [{"expression": "MIT OR Apache-2.0"}]
    others = sorted((p for p in packages.values() if p.id != root), key=str)
    dependencies = [{"ref": "rust-std"}]
    for package in [packages[root], *others]:
        refs = sorted({packages[id].purl for id in edges[package.id]} | {"rust-std"})
        dependencies.append({"ref": package.purl, "dependsOn": refs})
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": component(packages[root]) | {"type": "application"}},
        "components": [*map(component, others), std],
        "dependencies": dependencies,
    }


def dependency_list(packages, edges, root):
    """Returns the crates in the format of `cargo auditable`, which vulnerability scanners read from
    a binary: https://github.com/rust-secure-code/cargo-auditable/blob/master/PARSING.md"""
    listed = sorted(packages.values(), key=lambda package: (package.name, package.version))
    indexes = {package.id: index for index, package in enumerate(listed)}

    def entry(package):
        described = {"name": package.name, "version": package.version}
        described["source"] = "crates.io" if package.checksum else "local"
        if edges[package.id]:
            described["dependencies"] = sorted(indexes[id] for id in edges[package.id])
        return described | ({"root": True} if package.id == root else {})

    text = json.dumps({"packages": list(map(entry, listed)), "format": 1}, separators=(",", ":"))
    return zlib.compress(text.encode(), 9)


def with_section(path, name, content):
    """Returns a binary with an additional section, which the loader does not read."""
    libraries = pathlib.Path(run("rustc", "--print", "sysroot").strip()) / "lib"
    [objcopy] = libraries.glob("rustlib/*/bin/rust-objcopy")
    with tempfile.TemporaryDirectory() as folder:
        section, copy = pathlib.Path(folder) / "section", pathlib.Path(folder) / "binary"
        section.write_bytes(content)
        command = [objcopy, f"--add-section={name}={section}", path.resolve(), copy]
        run(*command, env=os.environ | {"LD_LIBRARY_PATH": str(libraries)})
        return copy.read_bytes()


def write_zip(path, files):
    """Writes an archive of names, modes and contents, without any trace of this machine."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, mode, content in files:
            info = zipfile.ZipInfo(name)  # dated 1980
            info.create_system, info.external_attr = 3, (0o100000 | mode) << 16  # Unix, a file
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content, compresslevel=9)


def replace_once(text, old, new):
    if text.count(old) != 1:
        raise SystemExit(f"template.yaml: expected {old!r} once")
    return text.replace(old, new)


def without_build(text):
    """Returns the project's template without the way that `sam build` builds the function."""
    return replace_once(text, "    Metadata:\n      BuildMethod: rust-cargolambda\n", "")


def plain_template(name, version):
    """Returns the project's template without a transform. It takes its code from a bucket."""
    parameters = """Parameters:
  PackageBucket:
    Type: String
    Description: The bucket that holds the package, in the stack's region
  PackagePrefix:
    Type: String
    Default: ""
    Description: The prefix of the package's key, such as a folder and a slash
"""
    code = f"""      CodeUri:
        Bucket: !Ref PackageBucket
        Key: !Sub ${{PackagePrefix}}{name}-{version}-${{Architecture}}.zip
"""
    text = without_build(text_of(ROOT / "template.yaml"))
    text = replace_once(text, "\nParameters:\n", "\n" + parameters)
    text = replace_once(text, "      CodeUri: .\n", code)
    command = [ROOT / ".tools" / "sam" / "bin" / "python", "-c", TRANSLATE]
    plain = run(*command, input=text, env=os.environ | {"AWS_DEFAULT_REGION": "us-east-1"})
    if len(plain) > LARGEST_TEMPLATE:
        raise SystemExit(f"template.yaml: {len(plain)} bytes without the transform: too large")
    return f"# {name} {version}, from its template.yaml, which has comments.\n{plain}"


def repository_template(name, version, description):
    """Returns the project's template for `sam package` and `sam publish`. An application of the
    repository has one package. Saved queries are not among the resources that the repository is
    known to support."""
    metadata = f"""Metadata:
  AWS::ServerlessRepo::Application: # it has not been published there
    Name: {name}
    Description: {description}
    Author: {name}
    SpdxLicenseId: Apache-2.0
    LicenseUrl: LICENSE-APACHE
    ReadmeUrl: README.md
    Labels: [iot, device-defender, cloudformation]
    SemanticVersion: {version}

Parameters:
"""
    architectures = "    AllowedValues: [x86_64, arm64]\n"
    text = without_build(text_of(ROOT / "template.yaml"))
    text = replace_once(text, "\nParameters:\n", "\n" + metadata)
    text = replace_once(text, architectures, "    AllowedValues: [x86_64]\n")
    text = SAVED_QUERY.sub("", text)
    return replace_once(text, "      CodeUri: .\n", f"      CodeUri: {name}-{version}-x86_64.zip\n")


def changes(version):
    """Returns the section of a version in CHANGELOG.md, or that of unreleased changes."""
    sections = re.split(r"^## ", text_of(ROOT / "CHANGELOG.md"), flags=re.MULTILINE)[1:]
    for wanted in [version, "Unreleased"]:
        for section in sections:
            if section.startswith((wanted, f"[{wanted}]")):
                if wanted != version:
                    print(f"CHANGELOG.md has no section for {version}: using {wanted}")
                return f"# {section.strip()}\n"
    raise SystemExit(f"CHANGELOG.md: missing: expected a section for {version}")


def binary(text):
    """Parses `ARCHITECTURE=FILE`."""
    architecture, _, path = text.partition("=")
    if architecture not in TARGETS or not path:
        expected = "expected ARCHITECTURE=FILE, with x86_64 or arm64"
        raise argparse.ArgumentTypeError(f"invalid value {text!r}: {expected}")
    return architecture, pathlib.Path(path)


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=pathlib.Path, required=True, help="a new or empty folder")
    parser.add_argument("binary", nargs="+", type=binary, metavar="ARCHITECTURE=FILE")
    return parser.parse_args()


def write_package(path, bootstrap, target, rust):
    """Writes the package of a binary; returns what `linked` returns for its target."""
    packages, edges, root = linked(target)
    third_parties = sorted((p for p in packages.values() if p.id != root), key=str)
    content = with_section(bootstrap, ".dep-v0", dependency_list(packages, edges, root))
    texts = {file: text_of(ROOT / file) for file in ["LICENSE-APACHE", "LICENSE-MIT"]}
    texts["THIRD-PARTY-NOTICES"] = notices(third_parties, rust)
    files = [(file, 0o644, text.encode()) for file, text in texts.items()]
    write_zip(path, [("bootstrap", 0o755, content), *files])
    return packages, edges, root


def write_checksums(out):
    sums = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
        for path in sorted(out.iterdir())
    ]
    (out / "SHA256SUMS").write_text("".join(sums))


def main():
    arguments = parse_arguments()
    out, binaries = arguments.out.resolve(), dict(arguments.binary)
    out.mkdir(parents=True, exist_ok=True)
    if any(out.iterdir()):
        raise SystemExit(f"invalid value {str(out)!r}: expected an empty folder")

    manifest = tomllib.loads(text_of(ROOT / "Cargo.toml"))["package"]
    name, version = manifest["name"], manifest["version"]
    rust = run("rustc", "--version").split()[1]
    packages, edges = {}, {}
    for architecture, path in binaries.items():
        archive = out / f"{name}-{version}-{architecture}.zip"
        of_target, of_edges, root = write_package(archive, path, TARGETS[architecture], rust)
        packages |= of_target
        for id, ids in of_edges.items():
            edges.setdefault(id, set()).update(ids)
    for architecture in TARGETS.keys() - binaries.keys():
        print(f"{architecture} is skipped: there is no binary for {TARGETS[architecture]}")

    bill = json.dumps(sbom(packages, edges, root, rust), indent=2) + "\n"
    (out / "sbom.cdx.json").write_text(bill)
    (out / "template.yaml").write_text(plain_template(name, version))
    if "x86_64" in binaries:
        application = repository_template(name, version, manifest["description"])
        (out / "serverless-repo.yaml").write_text(application)
    for file in ["LICENSE-APACHE", "README.md"]:
        (out / file).write_text(text_of(ROOT / file))
    (out / "CHANGELOG.md").write_text(changes(version))
    run("npm", "pack", "--silent", "--pack-destination", str(out), cwd=ROOT / "cdk")
    write_checksums(out)
    for path in sorted(out.iterdir()):
        print(f"{path.stat().st_size:>9,}  {path.name}")


if __name__ == "__main__":
    main()
