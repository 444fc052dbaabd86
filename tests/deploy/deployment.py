"""The resources of a template as CloudFormation creates them: names, ARNs and properties without
intrinsic functions."""

import re

from sam_template import transformed

ACCOUNT, REGION = "123456789012", "eu-west-1"
STACK = "mitigation-action-provider"
ROLES = f"arn:aws:iam::{ACCOUNT}:role/mitigation-actions/quarantine-things"
STACK_ID = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{STACK}/0a1b2c3d"

HERE = f"{REGION}:{ACCOUNT}"
# The ARN of a resource of each type, by its name.
ARNS = {
    "AWS::CloudWatch::Alarm": f"arn:aws:cloudwatch:{HERE}:alarm:{{name}}",
    "AWS::CloudWatch::Dashboard": f"arn:aws:cloudwatch::{ACCOUNT}:dashboard/{{name}}",
    "AWS::Events::EventBus": f"arn:aws:events:{HERE}:event-bus/{{name}}",
    "AWS::IAM::Role": f"arn:aws:iam::{ACCOUNT}:role{{path}}{{name}}",
    "AWS::Lambda::EventSourceMapping": f"arn:aws:lambda:{HERE}:event-source-mapping:{{name}}",
    "AWS::Lambda::Function": f"arn:aws:lambda:{HERE}:function:{{name}}",
    "AWS::Logs::LogGroup": f"arn:aws:logs:{HERE}:log-group:{{name}}",
    "AWS::SNS::Topic": f"arn:aws:sns:{HERE}:{{name}}",
    "AWS::SQS::Queue": f"arn:aws:sqs:{HERE}:{{name}}",
    "AWS::Serverless::StateMachine": f"arn:aws:states:{HERE}:stateMachine:{{name}}",
}
NAMES = {
    "AWS::CloudWatch::Dashboard": "DashboardName",
    "AWS::Events::EventBus": "Name",
    "AWS::Lambda::Function": "FunctionName",
}
ABSENT = object()


class Deployment:
    """A stack of the provider's template, or of another, with the given parameters."""

    def __init__(self, stack=STACK, template=None, **parameters):
        template = template or transformed()
        self.stack = stack
        declared = template.get("Parameters", {})
        self.parameters = {
            name: parameters.get(name, parameter.get("Default", ROLES))
            for name, parameter in declared.items()
        }
        self.lists = {n for n, p in declared.items() if p["Type"] == "CommaDelimitedList"}
        self.conditions = template.get("Conditions", {})
        self.declared = {
            name: resource
            for name, resource in template["Resources"].items()
            if "Condition" not in resource or self.holds(resource["Condition"])
        }

    def holds(self, condition):
        return self.resolve(self.conditions[condition])

    def of_type(self, *kinds):
        return [name for name, r in self.declared.items() if r["Type"] in kinds]

    def kind(self, name):
        return self.declared[name]["Type"]

    def properties(self, name):
        return self.resolve(self.declared[name].get("Properties", {}))

    def physical_name(self, name):
        declared = self.declared[name].get("Properties", {}).get(NAMES.get(self.kind(name)))
        # CloudFormation names the others after the stack and the logical id.
        return self.resolve(declared) if declared else f"{self.stack}-{name}-0A1B2C3D4E5F"

    def arn(self, name):
        kind, physical = self.kind(name), self.physical_name(name)
        if kind == "AWS::Events::Rule":
            bus = self.properties(name)["EventBusName"].split("/")[-1]
            return f"arn:aws:events:{HERE}:rule/{'' if bus == 'default' else bus + '/'}{physical}"
        path = kind == "AWS::IAM::Role" and self.properties(name).get("Path", "/")
        return ARNS[kind].format(name=physical, path=path)

    def resolve(self, value):
        if isinstance(value, list):
            return [item for item in map(self.resolve, value) if item is not ABSENT]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            [(function, argument)] = value.items()
            if function == "Ref":
                return self.ref(argument)
            if function == "Condition" and isinstance(argument, str):
                return self.holds(argument)
            if function.startswith("Fn::"):
                return getattr(self, f"_{function[4:]}")(argument)
        pairs = ((name, self.resolve(item)) for name, item in value.items())
        return {name: item for name, item in pairs if item is not ABSENT}

    def ref(self, name):
        pseudo = {
            "AWS::AccountId": ACCOUNT,
            "AWS::NoValue": ABSENT,
            "AWS::Partition": "aws",
            "AWS::Region": REGION,
            "AWS::StackId": STACK_ID.replace(STACK, self.stack),
            "AWS::StackName": self.stack,
        }
        if name in pseudo:
            return pseudo[name]
        if name in self.parameters:
            given = self.parameters[name]
            return given.split(",") if name in self.lists else given
        has_arn = self.kind(name) in ("AWS::SNS::Topic", "AWS::Serverless::StateMachine")
        return self.arn(name) if has_arn else self.physical_name(name)

    def _GetAtt(self, argument):
        name, attribute = argument.split(".") if isinstance(argument, str) else argument
        if attribute == "Arn":
            # The attribute of a log group ends in `:*`.
            return self.arn(name) + (":*" if self.kind(name) == "AWS::Logs::LogGroup" else "")
        return self.physical_name(name)

    def _ImportValue(self, argument):
        name = self.resolve(argument).removeprefix(f"{STACK}-")
        return Deployment().resolve(transformed()["Outputs"][name]["Value"])

    def _If(self, argument):
        condition, then, otherwise = argument
        return self.resolve(then if self.holds(condition) else otherwise)

    def _Sub(self, argument):
        text, given = argument if isinstance(argument, list) else (argument, {})

        def value(found):
            name = found[1]
            if name in given:
                return self.resolve(given[name])
            return self._GetAtt(name) if "." in name else self.ref(name)

        return re.sub(r"\$\{([\w:.]+)\}", value, text)

    def _Join(self, argument):
        separator, items = argument
        return separator.join(self.resolve(items))

    def _Split(self, argument):
        separator, text = argument
        return self.resolve(text).split(separator)

    def _Select(self, argument):
        index, items = argument
        return self.resolve(items)[int(index)]

    def _Equals(self, argument):
        left, right = map(self.resolve, argument)
        return left == right

    def _Not(self, argument):
        return not self.resolve(argument[0])

    def _Or(self, argument):
        return any([self.resolve(item) for item in argument])
