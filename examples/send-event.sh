#!/bin/sh
# Asks for a mitigation action by an event: the name of the request bus (an output of the provider's stack) is the argument.
set -eu

bus=${1:?usage: send-event.sh BUS}
detail='{
  "operation": "CreateMitigationAction",
  "actionName": "device-quarantine",
  "roleArn": "arn:aws:iam::123456789012:role/mitigation-actions/quarantine-things",
  "actionParams": { "addThingsToThingGroupParams": { "thingGroupNames": ["quarantine"] } }
}'
entries=$(BUS="$bus" DETAIL="$detail" python3 -c 'import json, os; print(json.dumps([{
    "EventBusName": os.environ["BUS"], "Source": "com.example.fleet",
    "DetailType": "Mitigation Action Requested", "Detail": os.environ["DETAIL"]}]))')
aws events put-events --entries "$entries"
