//! A request that is canceled while it waits for its new role.
//!
//! CloudFormation does not wait for the response of the request that it cancels. The second
//! instance gets what it sends next: the Delete of the Create, with a physical id that
//! CloudFormation generated, or the reverse Update.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stand_ins::stack::merged;
use tokio::time::sleep;

use super::{
    Soak,
    action_lifecycle::{ActionLifecycle, accepted, role_arn},
};

/// One request of a custom resource in so many is canceled: each takes seconds.
const ONE_IN: u32 = 300;
/// Leaves the Delete time for a last poll after the Create has ended: see
/// `ROLE_PROPAGATION_SECONDS`.
const TIMEOUT: Duration = Duration::from_secs(5);
/// When AWS IoT can assume the new role, after the request was sent: after the cancellation, and
/// before or after the request gives up.
const PROPAGATION: std::ops::Range<u64> = 900..2600;
/// When the request is canceled, after its first change was rejected. The function makes the next
/// attempt a second after that: a call that is under way when the next request begins is excluded.
const CANCELLATION: std::ops::Range<u64> = 100..700;

impl Soak {
    pub fn is_overlap_due(&mut self) -> bool {
        self.rng.u32(..ONE_IN) == 0
    }

    /// Plays the request and its cancellation. The rollback must succeed and leave nothing behind.
    pub async fn overlap(&mut self, lifecycle: &ActionLifecycle) {
        let began = Instant::now();
        let role = role_arn("new-role");
        let propagation = Duration::from_millis(self.rng.u64(PROPAGATION));
        self.stage.aws.iot.set_new_role(&role, propagation);
        let [request, rollback] = requests(lifecycle, &role);
        let (request_key, request) = self.event(lifecycle.trigger, &request);
        let (rollback_key, rollback) = self.event(lifecycle.trigger, &rollback);
        let after = Duration::from_millis(self.rng.u64(CANCELLATION));
        let is_waiting = || self.stage.aws.bucket.puts(&request_key).is_empty();
        self.send_both(&request, &rollback, after, is_waiting).await;
        self.stage.aws.bucket.check();
        let puts = self.stage.aws.bucket.take();
        // CloudFormation does not look at the first response, but it must be there.
        accepted(&puts, &request_key);
        let response = accepted(&puts, &rollback_key);
        assert_eq!(response["Status"], "SUCCESS", "{response}");
        self.stage.aws.iot.take_calls();
        self.invocations += 2;
        self.overlaps += 1;
        self.overlap_time += began.elapsed();
    }

    /// Sends the rollback some time after the request has made its first call that changes
    /// anything, and waits for both.
    async fn send_both(
        &self,
        request: &Value,
        rollback: &Value,
        after: Duration,
        is_waiting: impl Fn() -> bool,
    ) {
        let iot = &self.stage.aws.iot;
        let changes = iot.changes();
        let cancel = async {
            while iot.changes() == changes {
                sleep(Duration::from_millis(5)).await;
            }
            sleep(after).await;
            assert!(is_waiting(), "the request did not wait for its role: {request}");
            self.returned(rollback, TIMEOUT).await
        };
        let (returned, rolled_back) = tokio::join!(self.returned(request, TIMEOUT), cancel);
        for returned in [returned, rolled_back] {
            assert!(returned.is_ok(), "{returned:?}");
        }
    }
}

/// A request that needs a new role, and what CloudFormation sends once it has canceled it.
fn requests(lifecycle: &ActionLifecycle, new_role: &str) -> [Value; 2] {
    match &lifecycle.role {
        None => {
            let create = lifecycle.request("Create", new_role);
            let id = format!("fleet-security-{}-1A2B3C4D5E6F", lifecycle.name);
            let delete = json!({ "RequestType": "Delete", "PhysicalResourceId": id });
            [create.clone(), merged(create, &delete)]
        }
        Some(role) => {
            let properties =
                |request: &Value| json!({ "OldResourceProperties": request["ResourceProperties"] });
            let forward = lifecycle.request("Update", new_role);
            let reverse = lifecycle.request("Update", role);
            let (old, new) = (properties(&reverse), properties(&forward));
            [merged(forward, &old), merged(reverse, &new)]
        }
    }
}
