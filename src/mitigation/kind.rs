//! The kinds of mitigation action.

string_enum! {
    /// A kind of mitigation action, by the API's
    /// [`actionType`](https://docs.aws.amazon.com/iot/latest/apireference/API_DescribeMitigationAction.html).
    ///
    /// When adding one, give it a variant of [`Params`](super::Params) too: the compiler then names
    /// every match in Rust. The tests of `tests/contract/completeness/kinds.rs` report which still
    /// lack it among `schemas/`, the checks of [`AuditCheck`](super::AuditCheck),
    /// `examples/all-kinds.yaml`, `cdk/src/index.ts`, `docs/reference.md` and what a describe
    /// returns; those of `lifecycle/create.rs` create it from a sample in `events/`, which
    /// `stand-ins/src/iot/` has to accept; `tests/deploy/test_examples.py` knows the least
    /// permissions of its role.
    pub enum Kind {
        /// Moves things to thing groups, typically for quarantine.
        AddThingsToThingGroup = "ADD_THINGS_TO_THING_GROUP",
        /// Turns AWS IoT logging on.
        EnableIoTLogging = "ENABLE_IOT_LOGGING",
        /// Publishes the finding to an SNS topic.
        PublishFindingToSns = "PUBLISH_FINDING_TO_SNS",
        /// Replaces a policy by a blank one.
        ReplaceDefaultPolicyVersion = "REPLACE_DEFAULT_POLICY_VERSION",
        /// Deactivates a CA certificate.
        UpdateCaCertificate = "UPDATE_CA_CERTIFICATE",
        /// Deactivates a device certificate.
        UpdateDeviceCertificate = "UPDATE_DEVICE_CERTIFICATE",
    }
}

impl Kind {
    /// The member of
    /// [`MitigationActionParams`](https://docs.aws.amazon.com/iot/latest/apireference/API_MitigationActionParams.html)
    /// that holds the parameters of this kind.
    #[must_use]
    pub const fn params_member(self) -> &'static str {
        match self {
            Self::AddThingsToThingGroup => "addThingsToThingGroupParams",
            Self::EnableIoTLogging => "enableIoTLoggingParams",
            Self::PublishFindingToSns => "publishFindingToSnsParams",
            Self::ReplaceDefaultPolicyVersion => "replaceDefaultPolicyVersionParams",
            Self::UpdateCaCertificate => "updateCACertificateParams",
            Self::UpdateDeviceCertificate => "updateDeviceCertificateParams",
        }
    }
}
