#!/bin/sh
# Requests a mitigation action with an event. The argument is the name of the request bus, an output
# of the provider's stack. Prints the event's id, which is the requestId of its result.
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
response=$(aws events put-events --output json --entries "$entries")
# EventBridge reports a rejected entry in a successful response.
RESPONSE="$response" python3 -c 'import json, os, sys
response = json.loads(os.environ["RESPONSE"])
[entry] = response["Entries"]
if response["FailedEntryCount"]:
    sys.exit("not sent: {ErrorCode}: {ErrorMessage}".format(**entry))
print(entry["EventId"])'
