"""Stacks that use the provider, on MiniStack, whose CloudFormation is not of this project."""

import json
import pathlib
import shutil
import socket
import tempfile
import unittest

from botocore.exceptions import ClientError

from ministack import (
    OWNER,
    Stack,
    action,
    arn,
    aws,
    described,
    plant,
    provider_stack,
    stack_of,
    tags,
)
from support import ROOT, local_aws, run

CA = {"UpdateCACertificateParams": {"Action": "DEACTIVATE"}}
ATTRIBUTES = ["ActionArn", "ActionId", "MitigationActionArn", "MitigationActionId"]
ATTRIBUTES += ["ActionName", "ActionType"]


def setUpModule():
    aws()


class Stacks(unittest.TestCase):
    def test_every_kind_is_made_and_deleted(self):
        schema = json.loads((ROOT / "schemas" / "request-succeeded.json").read_text())
        kinds = set(schema["properties"]["actionType"]["enum"])
        template = local_aws.load("examples/all-kinds.yaml")
        stack = Stack(self, "all-kinds")
        self.assertEqual(stack.create(template), "CREATE_COMPLETE")
        made = {value.split("/")[1] for value in stack.outputs().values()}
        self.assertEqual({described(name)["actionType"] for name in made}, kinds)
        roles = {described(name)["roleArn"] for name in made}
        self.assertEqual(len(roles), len(kinds), "each action has its own role")
        self.assertEqual(stack.delete(), "DELETE_COMPLETE")
        self.assertEqual([name for name in made if described(name)], [])

    def test_ref_is_the_name_and_getatt_returns_every_attribute(self):
        found = {name: {"Fn::GetAtt": ["Made", name]} for name in ATTRIBUTES}
        stack = Stack(self, "attributes")
        template = stack_of({"Ref": {"Ref": "Made"}, **found}, Made=action("attributes"))
        self.assertEqual(stack.create(template), "CREATE_COMPLETE")
        made = described("attributes")
        expected = {
            "Ref": "attributes",
            "ActionArn": made["actionArn"],
            "ActionId": made["actionId"],
            "MitigationActionArn": made["actionArn"],
            "MitigationActionId": made["actionId"],
            "ActionName": "attributes",
            "ActionType": "UPDATE_DEVICE_CERTIFICATE",
        }
        self.assertEqual(stack.outputs(), expected)
        self.assertEqual(stack.physical_id("Made"), "attributes")

    def test_an_action_without_a_name_is_named_after_its_stack(self):
        stack = Stack(self, "unnamed")
        self.assertEqual(stack.create(stack_of(Made=action())), "CREATE_COMPLETE")
        name = stack.physical_id("Made")
        self.assertRegex(name, r"^unnamed-Made-[A-Z0-9]{12}$")
        self.assertIsNotNone(described(name))

    def test_an_update_in_place_changes_the_definition_and_the_tags_and_keeps_the_action(self):
        stack = Stack(self, "in-place")
        before = [{"Key": "team", "Value": "iot"}, {"Key": "phase", "Value": "1"}]
        stack.create(stack_of(Made=action("in-place", Tags=before)))
        made = described("in-place")
        things = {"ThingGroupNames": ["a", "b"], "OverrideDynamicGroups": True}
        after = [{"Key": "team", "Value": "security"}]
        changed = action("in-place", {"AddThingsToThingGroupParams": things}, Tags=after)
        self.assertEqual(stack.update(stack_of(Made=changed)), "UPDATE_COMPLETE")
        now = described("in-place")
        self.assertEqual(now["actionId"], made["actionId"])
        params = now["actionParams"]["addThingsToThingGroupParams"]
        self.assertEqual(params, {"thingGroupNames": ["a", "b"], "overrideDynamicGroups": True})
        kept = {key: value for key, value in tags("in-place").items() if ":" not in key}
        self.assertEqual(kept, {"team": "security"})

    def test_a_new_name_is_a_replacement(self):
        stack = Stack(self, "rename")
        output = {"Arn": {"Fn::GetAtt": ["Made", "ActionArn"]}}
        stack.create(stack_of(output, Made=action("rename-old")))
        update = stack.update(stack_of(output, Made=action("rename-new")))
        self.assertEqual(update, "UPDATE_COMPLETE")
        self.assertEqual(stack.physical_id("Made"), "rename-new")
        self.assertEqual(stack.outputs(), {"Arn": arn("rename-new")})
        self.assertIsNone(described("rename-old"))
        self.assertIsNotNone(described("rename-new"))

    def test_an_invalid_update_is_rolled_back_and_the_stack_events_give_the_reason(self):
        stack = Stack(self, "bad-update")
        stack.create(stack_of(Made=action("bad-update")))
        bad = action("bad-update", {"UpdateDeviceCertificateParams": {"Action": "REVOKE"}})
        self.assertEqual(stack.update(stack_of(Made=bad)), "UPDATE_ROLLBACK_COMPLETE")
        [reason] = stack.reasons("Made")
        self.assertIn("InvalidRequestException", reason)
        self.assertIn("ActionParams.UpdateDeviceCertificateParams.Action", reason)
        params = described("bad-update")["actionParams"]
        self.assertEqual(params, {"updateDeviceCertificateParams": {"action": "DEACTIVATE"}})

    def test_a_create_is_rolled_back_if_a_later_resource_fails(self):
        stack = Stack(self, "later-create")
        bad = action("not legal", after="Made")
        status = stack.create(stack_of(Made=action("later-create"), Bad=bad))
        self.assertEqual(status, "ROLLBACK_COMPLETE")
        self.assertIn("ActionName", stack.reasons("Bad")[0])
        self.assertIsNone(described("later-create"))

    def test_an_update_is_rolled_back_if_a_later_resource_fails(self):
        stack = Stack(self, "later-update")
        stack.create(stack_of(Made=action("later-update")))
        changed, bad = action("later-update", CA), action("not legal", after="Made")
        status = stack.update(stack_of(Made=changed, Bad=bad))
        self.assertEqual(status, "UPDATE_ROLLBACK_COMPLETE")
        params = described("later-update")["actionParams"]
        self.assertEqual(params, {"updateDeviceCertificateParams": {"action": "DEACTIVATE"}})

    def test_a_rename_that_is_rolled_back_leaves_the_old_action_alone(self):
        stack = Stack(self, "later-rename")
        stack.create(stack_of(Made=action("later-rename-old")))
        renamed, bad = action("later-rename-new"), action("not legal", after="Made")
        status = stack.update(stack_of(Made=renamed, Bad=bad))
        self.assertEqual(status, "UPDATE_ROLLBACK_COMPLETE")
        self.assertIsNotNone(described("later-rename-old"))
        self.assertIsNone(described("later-rename-new"))

    def test_the_second_of_two_stacks_with_one_name_fails_and_changes_nothing(self):
        first, second = Stack(self, "name-first"), Stack(self, "name-second")
        first.create(stack_of(Made=action("one-name")))
        made, owner = described("one-name"), tags("one-name")[OWNER]
        status = second.create(stack_of(Made=action("one-name", CA)))
        self.assertEqual(status, "ROLLBACK_COMPLETE")
        [reason] = second.reasons("Made")
        self.assertIn("ResourceAlreadyExistsException", reason)
        self.assertIn("name-first", reason)
        self.assertEqual(second.delete(), "DELETE_COMPLETE")
        self.assertEqual(described("one-name"), made)
        self.assertEqual(tags("one-name")[OWNER], owner)

    def test_an_identical_action_is_adopted_and_stays_when_its_stack_is_deleted(self):
        plant(self, "adopted", {"updateDeviceCertificateParams": {"action": "DEACTIVATE"}})
        stack = Stack(self, "adopt")
        status = stack.create(stack_of(Made=action("adopted", OnConflict="Adopt")))
        self.assertEqual(status, "CREATE_COMPLETE")
        self.assertTrue(tags("adopted")[OWNER].startswith("adopted/adopt/"))
        self.assertEqual(stack.delete(), "DELETE_COMPLETE")
        self.assertIsNotNone(described("adopted"))
        self.assertEqual(tags("adopted"), {})

    def test_an_overwritten_action_gets_the_definition_of_its_stack_and_is_deleted_with_it(self):
        plant(self, "overwritten", {"updateCACertificateParams": {"action": "DEACTIVATE"}})
        stack = Stack(self, "overwrite")
        status = stack.create(stack_of(Made=action("overwritten", OnConflict="Overwrite")))
        self.assertEqual(status, "CREATE_COMPLETE")
        self.assertEqual(described("overwritten")["actionType"], "UPDATE_DEVICE_CERTIFICATE")
        self.assertTrue(tags("overwritten")[OWNER].startswith("stack/overwrite/"))
        self.assertEqual(stack.delete(), "DELETE_COMPLETE")
        self.assertIsNone(described("overwritten"))

    def test_an_action_moves_over_from_the_native_resource(self):
        # Stands in for the first template: MiniStack has no AWS::IoT::MitigationAction.
        native = local_aws.load("examples/move-over-1.yaml")["Resources"]["Quarantine"]
        declared = native["Properties"]
        self.assertEqual(native["DeletionPolicy"], "Retain")
        role = f"arn:aws:iam::{local_aws.ACCOUNT}:role/mitigation-actions/quarantine-things"
        things = declared["ActionParams"]["AddThingsToThingGroupParams"]
        params = {
            "thingGroupNames": things["ThingGroupNames"],
            "overrideDynamicGroups": things["OverrideDynamicGroups"],
        }
        name = declared["ActionName"]
        plant(self, name, {"addThingsToThingGroupParams": params}, role)
        made = described(name)
        stack = Stack(self, "move-over")
        second = local_aws.load("examples/move-over-2.yaml")
        self.assertEqual(stack.create(second), "CREATE_COMPLETE")
        self.assertEqual(described(name), made)
        self.assertTrue(tags(name)[OWNER].startswith("adopted/move-over/"))

    def test_the_inputs_of_the_native_types_own_contract_tests(self):
        # The members of inputs_1_create, inputs_1_update and inputs_1_invalid.json in
        # aws-cloudformation/aws-cloudformation-resource-providers-iot.
        topic = f"arn:aws:sns:{local_aws.REGION}:{local_aws.ACCOUNT}:myTopic"
        publish = lambda topic: {"PublishFindingToSnsParams": {"TopicArn": topic}}
        pair = [{"Key": "testTagKey", "Value": "tagValue"}]
        stack = Stack(self, "native-inputs")
        create = action("CfnContractTest", publish(topic + ".fifo"), Tags=pair)
        self.assertEqual(stack.create(stack_of(Made=create)), "CREATE_COMPLETE")
        self.assertEqual(tags("CfnContractTest")["testTagKey"], "tagValue")
        update = action("CfnContractTest", publish(topic))
        self.assertEqual(stack.update(stack_of(Made=update)), "UPDATE_COMPLETE")
        params = described("CfnContractTest")["actionParams"]
        self.assertEqual(params, {"publishFindingToSnsParams": {"topicArn": topic}})
        self.assertNotIn("testTagKey", tags("CfnContractTest"))
        read_only = {"MitigationActionId": "This is a read only property"}
        invalid = action("CfnContractTest", publish(topic), **read_only)
        self.assertEqual(stack.update(stack_of(Made=invalid)), "UPDATE_ROLLBACK_COMPLETE")
        self.assertIn("MitigationActionId", stack.reasons("Made")[0])

    def test_a_stack_gets_a_response_before_its_service_timeout_if_aws_iot_hangs(self):
        silent = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(silent.close)
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        provider_stack(self, "provider-that-hangs", iot_endpoint=address)
        stack = Stack(self, "service-timeout")
        hanging = action("service-timeout", provider="provider-that-hangs", ServiceTimeout=3)
        self.assertEqual(stack.create(stack_of(Made=hanging)), "ROLLBACK_COMPLETE")
        [reason] = stack.reasons("Made")
        self.assertIn("InternalFailureException", reason)
        self.assertIn("time ran out", reason)

    def test_a_provider_stays_while_a_stack_imports_its_service_token(self):
        provider = provider_stack(self, "provider-that-is-imported")
        stack = Stack(self, "importer")
        made = action("imported", provider="provider-that-is-imported")
        self.assertEqual(stack.create(stack_of(Made=made)), "CREATE_COMPLETE")
        with self.assertRaisesRegex(ClientError, "importer"):
            provider.delete()
        changed = action("imported", CA, provider="provider-that-is-imported")
        self.assertEqual(stack.update(stack_of(Made=changed)), "UPDATE_COMPLETE")
        self.assertEqual(stack.delete(), "DELETE_COMPLETE")
        self.assertEqual(provider.delete(), "DELETE_COMPLETE")


class Cdk(unittest.TestCase):
    def test_the_example_is_deployed_and_destroyed(self):
        folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, folder)
        environment = {"CDK_OUTDIR": str(folder / "out"), "CDK_DISABLE_CLI_TELEMETRY": "true"}
        environment |= aws().environment()
        options = {"environment": environment, "cwd": ROOT / "examples" / "cdk"}
        cdk = [ROOT / "tools" / "node_modules" / ".bin" / "cdk", "--app", "node app.js"]
        found = folder / "outputs.json"
        run([*cdk, "bootstrap"], **options)
        deploy = ["deploy", "--all", "--require-approval", "never", "--outputs-file", found]
        run([*cdk, *deploy], **options)
        arns = [arn for stack in json.loads(found.read_text()).values() for arn in stack.values()]
        names = [arn.split(":mitigationaction/")[1] for arn in arns]
        self.assertTrue(names)
        self.assertEqual([name for name in names if not described(name)], [])
        run([*cdk, "destroy", "--all", "--force"], **options)
        self.assertEqual([name for name in names if described(name)], [])


if __name__ == "__main__":
    unittest.main()
