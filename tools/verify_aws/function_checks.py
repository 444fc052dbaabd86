"""Checks of AWS IoT, and of each row of the life-cycle table against the function."""

import json
import time
import uuid

from botocore.exceptions import ClientError

from verify_aws.checks import CA, DEVICE, Checks, Measured, arn

OWNER = "mitigation-action-provider:owner"


class FunctionChecks(Checks):
    """Checks of the function and AWS IoT.

    `invoke` sends a payload to the function and returns its result. `response_url` returns a URL
    for a response, and a function that reads the response.
    """

    def __init__(self, iot, invoke, response_url, location, role):
        super().__init__()
        self.iot, self.invoke, self.response_url = iot, invoke, response_url
        self.location, self.role = location, role

    # Helpers.

    def arn(self, name):
        return arn(self.location, "iot", f"mitigationaction/{name}")

    def plant(self, name, params=DEVICE, **tags):
        tags = [{"Key": key, "Value": value} for key, value in tags.items()]
        return self.iot.create_mitigation_action(
            actionName=name, roleArn=self.role, actionParams=params, tags=tags
        )

    def tags(self, name):
        pages = self.iot.get_paginator("list_tags_for_resource").paginate(
            resourceArn=self.arn(name)
        )
        return {tag["Key"]: tag["Value"] for page in pages for tag in page["tags"]}

    def exists(self, name):
        try:
            return bool(self.iot.describe_mitigation_action(actionName=name))
        except self.iot.exceptions.ResourceNotFoundException:
            return False

    def request(self, kind, logical_id, name, physical_id=None, old=None, **properties):
        """Sends a request as CloudFormation does; returns the response."""
        stack = arn(self.location, "cloudformation", f"stack/verify/{self.run}")
        url, read = self.response_url()
        declared = {
            "ActionName": name,
            "RoleArn": self.role,
            "ActionParams": {"UpdateDeviceCertificateParams": {"Action": "DEACTIVATE"}},
        }
        event = {
            "RequestType": kind,
            "ResponseURL": url,
            "StackId": stack,
            "RequestId": str(uuid.uuid4()),
            "LogicalResourceId": logical_id,
            "ResourceType": "Custom::IoTMitigationAction",
            "ResourceProperties": declared | properties,
        }
        if physical_id:
            event["PhysicalResourceId"] = physical_id
        if old:
            event["OldResourceProperties"] = old
        self.invoke(event)
        return read()

    @staticmethod
    def expect(response, status, contains=""):
        if response.get("Status") != status or contains not in response.get("Reason", ""):
            raise AssertionError(json.dumps(response))

    # Assumptions about AWS IoT.

    def identical_create_is_a_replay(self):
        name = self.name("replay")
        return self.plant(name, a="b")["actionId"] == self.plant(name, a="b")["actionId"]

    def create_with_another_tag_is_a_conflict(self):
        name = self.name("replay")
        try:
            self.plant(name, a="c")
        except self.iot.exceptions.ResourceAlreadyExistsException:
            return True
        return "the service accepted it"

    def update_changes_the_type(self):
        name = self.name("type")
        self.plant(name)
        self.iot.update_mitigation_action(actionName=name, actionParams=CA)
        return (
            self.iot.describe_mitigation_action(actionName=name)["actionType"]
            == "UPDATE_CA_CERTIFICATE"
        )

    def delete_of_a_missing_action_succeeds(self):
        self.iot.delete_mitigation_action(actionName=self.name("absent"))

    def tags_of_a_missing_action_are_not_found(self):
        try:
            self.tags(self.name("absent"))
        except self.iot.exceptions.ResourceNotFoundException:
            return True
        return "the service listed them"

    def disabled_logging_is_rejected(self):
        params = {
            "enableIoTLoggingParams": {"logLevel": "DISABLED", "roleArnForLogging": self.role}
        }
        try:
            self.plant(self.name("disabled"), params)
        except self.iot.exceptions.InvalidRequestException:
            return True
        return "the service accepted it"

    def more_than_fifty_tags_are_rejected(self):
        name = self.name("tags")
        self.plant(name, **{f"k{n}": "v" for n in range(50)})
        try:
            self.iot.tag_resource(
                resourceArn=self.arn(name), tags=[{"Key": "one-more", "Value": "v"}]
            )
        except ClientError:
            return True
        return "the service accepted 51"

    # Measurements that only AWS can give.

    def lag_of_tags(self):
        """Measures how long tags take to be listed, after a create and after TagResource."""
        after_create, after_tagging, at_once = [], [], 0
        for number in range(5):
            name = self.name(f"lag-{number}")
            self.plant(name, a="1")
            at_once += self.quietly(lambda: self.tags(name).get("a") == "1")
            after_create.append(self.time_until(lambda: self.tags(name).get("a") == "1"))
            self.iot.tag_resource(resourceArn=self.arn(name), tags=[{"Key": "b", "Value": "2"}])
            after_tagging.append(self.time_until(lambda: self.tags(name).get("b") == "2"))
        created, tagged = max(after_create), max(after_tagging)
        first = f"the first look saw the tags of {at_once} of 5 new actions"
        return Measured(f"{first}; after a create {created} ms, after tagging {tagged} ms at most")

    def time_until(self, is_so):
        begun = time.monotonic()
        while not self.quietly(is_so):
            if time.monotonic() - begun > 60:
                raise AssertionError("not within 60 s")
        return round((time.monotonic() - begun) * 1000)

    def quietly(self, is_so):
        try:
            return is_so()
        except self.iot.exceptions.ResourceNotFoundException:
            return False

    def error_at_the_limit(self):
        """Finds out which error a create gets at the limit if its name is taken, too."""
        for number in range(101):
            try:
                self.plant(self.name(f"full-{number}"))
            except self.iot.exceptions.LimitExceededException:
                break
        else:
            return "the service accepted 101 actions"
        try:
            self.plant(self.name("full-0"), CA)
        except self.iot.exceptions.LimitExceededException:
            return Measured("LimitExceededException")
        except self.iot.exceptions.ResourceAlreadyExistsException:
            return Measured("ResourceAlreadyExistsException")
        return "the service accepted it"

    # The rows of the life-cycle table.

    def life(self):
        name, logical = self.name("life"), "Life"
        created = self.request("Create", logical, name)
        self.expect(created, "SUCCESS")
        again = self.request("Create", logical, name)
        if again["Data"] != created["Data"]:
            raise AssertionError("a replay got another response")
        tags = [{"Key": "team", "Value": "x"}]
        self.expect(
            self.request("Update", logical, name, name, {"ActionName": name}, Tags=tags), "SUCCESS"
        )
        if self.tags(name).get("team") != "x":
            raise AssertionError("the tag was not set")
        self.iot.delete_mitigation_action(actionName=name)
        self.expect(self.request("Update", logical, name, name, {"ActionName": name}), "SUCCESS")
        renamed = self.name("renamed")
        self.expect(self.request("Update", logical, renamed, name, {"ActionName": name}), "SUCCESS")
        self.expect(self.request("Delete", logical, name, name), "SUCCESS")
        self.expect(self.request("Delete", logical, name, name), "SUCCESS")
        if self.exists(name) or not self.exists(renamed):
            raise AssertionError("the old action still exists, or the new one is missing")
        self.expect(self.request("Delete", logical, renamed, renamed), "SUCCESS")
        return not self.exists(renamed)

    def conflict(self):
        name = self.name("conflict")
        self.plant(name, theirs="stays")
        failed = self.request("Create", "Conflict", name)
        self.expect(failed, "FAILED", "ResourceAlreadyExistsException")
        self.expect(
            self.request("Delete", "Conflict", name, failed["PhysicalResourceId"]), "SUCCESS"
        )
        return self.exists(name)

    def adoption(self):
        name = self.name("conflict")
        self.expect(self.request("Create", "Adopted", name, OnConflict="Adopt"), "SUCCESS")
        if not self.tags(name).get(OWNER, "").startswith("adopted/"):
            raise AssertionError("the action is not tagged as adopted")
        self.expect(self.request("Delete", "Adopted", name, name), "SUCCESS")
        return self.exists(name) and OWNER not in self.tags(name)

    def overwriting(self):
        name = self.name("type")
        self.expect(self.request("Create", "Overwritten", name, OnConflict="Overwrite"), "SUCCESS")
        self.expect(self.request("Delete", "Overwritten", name, name), "SUCCESS")
        return not self.exists(name)

    def invalid(self):
        self.expect(
            self.request("Create", "Invalid", "a b", Tagz=[]),
            "FAILED",
            "InvalidRequestException: 2 problems",
        )

    CHECKS = [
        ("an identical create, including its tags, is a replay", identical_create_is_a_replay),
        ("a create that differs in a tag is a conflict", create_with_another_tag_is_a_conflict),
        ("an update can change the action type", update_changes_the_type),
        ("deleting a missing action succeeds", delete_of_a_missing_action_succeeds),
        (
            "listing the tags of a missing action fails with ResourceNotFoundException",
            tags_of_a_missing_action_are_not_found,
        ),
        ("logLevel DISABLED is rejected", disabled_logging_is_rejected),
        ("more than 50 tags are rejected", more_than_fifty_tags_are_rejected),
        ("whether tags are listed right after a create, and how long they take", lag_of_tags),
        ("create, replay, update, recreate, rename, delete, delete again", life),
        ("a conflict fails, and the Delete that follows changes nothing", conflict),
        ("Adopt takes an identical action, and Delete keeps it", adoption),
        ("Overwrite takes a different action, and Delete deletes it", overwriting),
        ("all problems are reported at once", invalid),
    ]

    FILLING = ("which error a create gets at the limit if its name is taken", error_at_the_limit)

    def clean_up(self):
        pages = self.iot.get_paginator("list_mitigation_actions").paginate()
        for name in [
            action["actionName"] for page in pages for action in page["actionIdentifiers"]
        ]:
            if name.startswith(f"verify-{self.run}-"):
                self.iot.delete_mitigation_action(actionName=name)
