"""The example of the crate `cloudformation-custom-resource`, as the function of a stack on
MiniStack."""

import io
import unittest
import zipfile

from ministack import Stack, aws, stack_of
from support import ROOT, local_aws

EXAMPLE = ROOT / "target" / "debug" / "examples" / "random_suffix"


def suffix(length):
    """Returns a template with one suffix of that length."""
    resource = {
        "Type": "Custom::RandomSuffix",
        "Properties": {
            "ServiceToken": f"arn:aws:lambda:{local_aws.REGION}:{local_aws.ACCOUNT}:function:suffix",
            "ServiceTimeout": 60,
            "Length": length,
        },
    }
    return stack_of({"Value": {"Fn::GetAtt": ["Suffix", "Value"]}}, Suffix=resource)


def setUpModule():
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as package:
        entry = zipfile.ZipInfo("bootstrap")
        entry.external_attr = 0o755 << 16
        package.writestr(entry, EXAMPLE.read_bytes())
    aws().client("lambda").create_function(
        FunctionName="suffix",
        Runtime="provided.al2023",
        Handler="bootstrap",
        Role=f"arn:aws:iam::{local_aws.ACCOUNT}:role/suffix",
        Timeout=30,
        Environment={"Variables": {"ALLOWED_HOSTS": "127.0.0.1"}},
        Code={"ZipFile": code.getvalue()},
    )


class Example(unittest.TestCase):
    def test_a_suffix_is_created_replaced_and_deleted(self):
        stack = Stack(self, "suffix")
        self.assertEqual(stack.create(suffix(8)), "CREATE_COMPLETE")
        first = stack.outputs()["Value"]
        self.assertRegex(first, "^[0-9a-f]{8}$")
        self.assertEqual(stack.physical_id("Suffix"), first)
        self.assertEqual(stack.update(suffix(12)), "UPDATE_COMPLETE")
        second = stack.outputs()["Value"]
        self.assertRegex(second, "^[0-9a-f]{12}$")
        self.assertEqual(stack.physical_id("Suffix"), second)
        self.assertEqual(stack.delete(), "DELETE_COMPLETE")

    def test_an_invalid_length_fails_the_stack_with_the_path_and_what_is_expected(self):
        for length, reason in [(17, "Length: invalid value 17"), ("x", "Length: ")]:
            stack = Stack(self, f"suffix-{length}")
            self.assertEqual(stack.create(suffix(length)), "ROLLBACK_COMPLETE")
            self.assertTrue(any(reason in given for given in stack.reasons("Suffix")), length)


if __name__ == "__main__":
    unittest.main()
