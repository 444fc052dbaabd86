#!/bin/sh
# Waits up to a minute for the result of a request, prints it and deletes it from the queue. The
# arguments are the URL of a queue that receives result events, as consume-results.yaml creates it,
# and the id of the request, as send-event.sh prints it. Results of other requests stay.
set -eu

queue=${1:?usage: receive-result.sh QUEUE_URL REQUEST_ID}
id=${2:?usage: receive-result.sh QUEUE_URL REQUEST_ID}
end=$(($(date +%s) + 60))
while [ "$(date +%s)" -lt "$end" ]; do
    # What is received is hidden for ten seconds, so that other messages are looked at, too.
    received=$(aws sqs receive-message --queue-url "$queue" --output json --wait-time-seconds 10 \
        --max-number-of-messages 10 --visibility-timeout 10)
    handle=$(RECEIVED="$received" ID="$id" python3 -c 'import json, os, sys
received = json.loads(os.environ["RECEIVED"] or "{}")
for message in received.get("Messages", []):
    event = json.loads(message["Body"])
    if event["detail"].get("requestId") == os.environ["ID"]:
        print(json.dumps(event, indent=2), file=sys.stderr)
        print(message["ReceiptHandle"])
        break' 2>&3)
    if [ -n "$handle" ]; then
        aws sqs delete-message --queue-url "$queue" --receipt-handle "$handle"
        exit
    fi
done 3>&1
echo "no result of $id within a minute. An event needs exactly the detail-type" >&2
echo "'Mitigation Action Requested': else no rule matches it, and the bus drops it." >&2
exit 1
